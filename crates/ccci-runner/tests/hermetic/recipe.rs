//! The recipe `blog` of the tests: two releases and a branch for each way in which a change can go.

use crate::history::{Files, History};

const ENV_SAMPLE: &str = "\
TYPE=blog
DOMAIN=blog.example.com
SECRET_ADMIN_PASSWORD_VERSION=v1
";

/// What a release does when it starts: the first writes a post where there is none, the second brings its format.
const FIRST: &str = "run: test -e $content/post || echo first > $content/post\n";
const SECOND: &str =
    "run: test -e $content/post || echo first > $content/post\nrun: echo 2 > $content/format\n";

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
    let declared: String = volumes.iter().map(|name| format!("  {name}:\n")).collect();
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

fn files(tag: &str, volumes: &[&str], behaviour: &str) -> Files {
    vec![
        ("compose.yml", compose(tag, volumes)),
        (".env.sample", ENV_SAMPLE.to_owned()),
        ("entry.sh", "exec blog\n".to_owned()),
        ("fake.txt", behaviour.to_owned()),
    ]
}

/// With these volumes; the first is `content`, or there is none.
pub(crate) fn blog(volumes: &[&str]) -> History {
    let stateless = volumes.is_empty();
    let on_data = |behaviour: &'static str| if stateless { "" } else { behaviour };
    let branch = |name: &'static str, behaviour: &str| {
        (name, files("1.1.0+2", volumes, &format!("{}{behaviour}", on_data(SECOND))))
    };
    let mut readme = files("1.1.0+2", volumes, on_data(SECOND));
    readme.push(("README.md", "# blog\n".to_owned()));
    let mut image = files("1.1.0+2", volumes, on_data(SECOND));
    image[0].1 = image[0].1.replace("nowhere/blog:", "missing/blog:");
    History {
        releases: vec![
            ("1.0.0+1", files("1.0.0+1", volumes, on_data(FIRST))),
            ("1.1.0+2", files("1.1.0+2", volumes, on_data(SECOND))),
        ],
        branches: vec![
            branch("good", on_data("run: echo good >> $content/log\n")),
            branch("migrates", on_data("run: echo 3 > $content/format\n")),
            branch("answers-500", "http: 500\n"),
            branch("destroys", &format!("{}http: 500\n", on_data("run: rm -rf $content/*\n"))),
            branch("dies", "dies: app\n"),
            branch("never-healthy", "never-healthy: app\n"),
            branch(
                "refused",
                "refuse: unable to validate recipe: services.app Additional property x is not allowed\n",
            ),
            branch("needs-another-format", on_data("needs: content/format=1\n")),
            ("readme", readme),
            ("no-image", image),
        ],
    }
}
