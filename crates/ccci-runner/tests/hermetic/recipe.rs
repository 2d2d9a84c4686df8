//! The recipe `blog` of the tests: two releases and a branch for each way in which a change can go.

use crate::history::{Files, History};

const ENV_SAMPLE: &str = "\
TYPE=blog
DOMAIN=blog.example.com
SECRET_ADMIN_PASSWORD_VERSION=v1
";

/// The compose file. The first volume is the app's, the others belong to a service of their own.
fn compose(tag: &str, volumes: &[&str]) -> String {
    let mounts = |names: &[&str]| {
        let all: Vec<String> = names.iter().map(|name| format!("{name}:/{name}")).collect();
        if all.is_empty() { String::new() } else { format!("    volumes: [{}]\n", all.join(", ")) }
    };
    let (app, others) = volumes.split_at(volumes.len().min(1));
    let db = if others.is_empty() {
        String::new()
    } else {
        format!("  db:\n    image: nowhere/db:1\n{}", mounts(others))
    };
    let declared = lines(volumes, "  VOLUME:");
    let declared = if volumes.is_empty() { String::new() } else { format!("volumes:\n{declared}") };
    format!(
        "\
services:
  app:
    image: nowhere/blog:{tag}
    configs: [{{source: entry, target: /entry.sh}}]
    secrets: [admin_password]
{}    deploy:
      labels: [\"coop-cloud.${{STACK_NAME}}.version={tag}\"]
{db}{declared}\
configs:
  entry:
    name: ${{STACK_NAME}}_entry_v1
    file: entry.sh
secrets:
  admin_password:
    external: true
    name: ${{STACK_NAME}}_admin_password_${{SECRET_ADMIN_PASSWORD_VERSION}}
",
        mounts(app)
    )
    // A tag's `+` is none of an image's letters.
    .replacen('+', "-", 1)
}

/// A line for each volume.
fn lines(volumes: &[&str], line: &str) -> String {
    let all: Vec<String> = volumes.iter().map(|name| line.replace("VOLUME", name) + "\n").collect();
    all.concat()
}

/// The files of a commit whose software behaves like this.
pub(crate) fn files(tag: &str, volumes: &[&str], behaviour: &str) -> Files {
    vec![
        ("compose.yml", compose(tag, volumes)),
        (".env.sample", ENV_SAMPLE.to_owned()),
        ("entry.sh", "exec blog\n".to_owned()),
        ("fake.txt", behaviour.to_owned()),
    ]
}

/// With these volumes. The first release writes a post into each where there is none, the second brings its format.
pub(crate) fn blog(volumes: &[&str]) -> History {
    let first = lines(volumes, "run: test -e $VOLUME/post || echo first > $VOLUME/post");
    let second = format!("{first}{}", lines(volumes, "run: echo 2 > $VOLUME/format"));
    let newest = |behaviour: &str| files("1.1.0+2", volumes, &format!("{second}{behaviour}"));
    let on_data = |line: &str| lines(volumes, line);
    let mut readme = newest("");
    readme.push(("README.md", "# blog\n".to_owned()));
    let mut image = newest("");
    image[0].1 = image[0].1.replace("nowhere/blog:", "missing/blog:");
    let unreadable = "refuse: unable to validate recipe: services.app Additional property x is not allowed\n";
    let unraised = "refuse: failed to update config conf_v1: Error response from daemon: rpc error: code = InvalidArgument desc = only updates to Labels are allowed\n";
    History {
        releases: vec![("1.0.0+1", files("1.0.0+1", volumes, &first)), ("1.1.0+2", newest(""))],
        branches: vec![
            ("good", newest(&on_data("run: echo good >> $VOLUME/log"))),
            ("migrates", newest(&on_data("run: echo 3 > $VOLUME/format"))),
            ("answers-500", newest("http: 500\n")),
            ("destroys", newest(&format!("{}http: 500\n", on_data("run: rm -rf ${VOLUME:?}/*")))),
            ("dies", newest("dies: app\n")),
            ("never-healthy", newest("never-healthy: app\n")),
            ("refused", newest(unreadable)),
            ("unraised", newest(unraised)),
            ("needs-another-format", newest(&on_data("needs: VOLUME/format=1"))),
            ("readme", readme),
            ("no-image", image),
        ],
    }
}
