//! What a recipe reaches outside of itself, on a real swarm: somebody else's data stays as it is (R18), what a change
//! reaches is told (R19), and secrets are kept by the names that they really have (N2).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use ccci_core::compose::{Compose, Ground, MountKind, Real, Shares};
use serde_json::Value;

use crate::fork::{Fork, replace};
use crate::support::{Ran, docker, must, own_recipes, server, server_without_keycloak};

const RECIPE: &str = "custom-html";
const VOLUMES: &str = "volumes:\n  content:\n";

/// A volume of somebody else's with one file in it, removed in the end.
struct Others {
    name: String,
}

impl Others {
    fn new(what: &str) -> Self {
        let name = format!("reach-{what}-{}", std::process::id());
        docker(&["volume", "create", &name]);
        let others = Self { name };
        std::fs::write(others.file(), "precious\n").unwrap();
        std::fs::write(others.file().replace("marker", "index.html"), "<p>others</p>\n").unwrap();
        others
    }

    fn file(&self) -> String {
        let place = docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", &self.name]);
        format!("{place}/marker")
    }

    fn assert_untouched(&self) {
        assert_eq!(std::fs::read_to_string(self.file()).unwrap(), "precious\n");
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        docker(&["volume", "rm", &self.name]);
    }
}

/// A change that removes the file of whatever is mounted where its pages are: a volume of another name than the release's,
/// since a volume that is there already keeps the options that it was made with.
fn removes(dir: &Path, volume: &str) {
    replace(dir, "compose.yml", VOLUMES, &format!("volumes:\n  pages:\n{volume}"));
    replace(dir, "compose.yml", "- content:/usr", "- pages:/usr");
    let entrypoint = "    entrypoint: [\"sh\", \"-c\", \"rm -f /usr/share/nginx/html/marker; exec nginx -g 'daemon off;'\"]\n";
    replace(dir, "compose.yml", "    environment:\n", &format!("{entrypoint}    environment:\n"));
}

fn assert_told(ran: &Ran, name: &str) {
    assert_eq!((ran.code, ran.report["verdict"].as_str()), (3, Some("inconclusive")), "{}", ran.report);
    let why = ran.reason("generic::upgrade::deployed");
    let first = why.lines().next().unwrap_or_default();
    for part in ["`app`", name, "compose.yml", "it was not deployed", "shares: {"] {
        assert!(first.contains(part), "no {part}: {first}");
    }
    assert!(ran.report["error"].as_str().unwrap().contains(name), "{}", ran.report["error"]);
    let told = &ran.report["reaches"][0];
    assert_eq!((&told["kind"], &told["at"]), (&"volume".into(), &"head".into()), "{}", ran.report["reaches"]);
    ran.assert_clean();
}

/// R18: external by a fixed name, and bound to a folder of the machine: told before the deploy, and nothing is touched.
/// Declared in recipe.yaml, it is written into.
#[test]
fn r18_somebody_elses_volume_is_told_before_the_deploy_and_untouched() {
    let server = server_without_keycloak("");
    let (fixed, bound) = (Others::new("fixed"), Others::new("bound"));
    let folder = bound.file().trim_end_matches("/marker").to_owned();
    let fork = Fork::of(RECIPE);
    fork.branch("external", "main", |dir| {
        removes(dir, &format!("    external: true\n    name: {}\n", fixed.name));
    });
    fork.branch("bound", "main", |dir| {
        removes(dir, &format!("    driver_opts: {{type: none, o: bind, device: \"{folder}\"}}\n"));
    });
    let words = |branch| ["--recipe", RECIPE, "--src", fork.src(), "--ref", branch];
    assert_told(&server.run(&words("external")), &fixed.name);
    fixed.assert_untouched();
    assert_told(&server.run(&words("bound")), &folder);
    bound.assert_untouched();
    drop(server);

    // Under a name of its own, since the checks of custom-html are about its own volume.
    let recipe = "reach-shares";
    let catalogue = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(fork.src(), catalogue.path().join(recipe)).unwrap();
    let server = server_without_keycloak(&format!("catalogue: {}/{{recipe}}", catalogue.path().display()));
    let recipes = server.dir.path().join("recipes");
    std::fs::create_dir_all(recipes.join(recipe)).unwrap();
    let shares = format!("shares:\n  {}: a marker that may go\n  {folder}: the same\n", fixed.name);
    std::fs::write(recipes.join(recipe).join("recipe.yaml"), shares).unwrap();
    for (branch, others) in [("external", &fixed), ("bound", &bound)] {
        let ran = server.run(&["--recipes", recipes.to_str().unwrap(), "--recipe", recipe, "--ref", branch]);
        assert_eq!(ran.code, 0, "{}", ran.report);
        let what = ran.report["reaches"][0]["what"].as_str().unwrap();
        assert!(what.contains("declared: "), "{what}");
        assert!(!Path::new(&others.file()).exists(), "it was declared, and so it was written into");
    }
}

/// R19: what a change reaches stands in plan and record, before anything of it is deployed.
#[test]
fn r19_what_a_change_reaches_is_told_in_plan_and_record() {
    let server = server_without_keycloak("");
    let fork = Fork::of(RECIPE);
    fork.branch("far", "main", |dir| {
        let more = "    privileged: true\n    cap_add: [NET_ADMIN]\n    environment:\n";
        replace(dir, "compose.yml", "    environment:\n", more);
        replace(
            dir,
            "compose.yml",
            "      - content:/",
            "      - /etc/hostname:/host/name:ro\n      - content:/",
        );
        replace(dir, "compose.yml", "file: default.conf.tmpl", "file: ../../../default.conf");
    });
    let wanted = [
        ("privileged", "all of the machine's privileges (swarm passes this over)"),
        ("capability", "NET_ADMIN"),
        ("bind", "`/etc/hostname` of the machine at /host/name, read-only"),
        ("file", "the config default_conf of `../../../default.conf`"),
    ];
    let words = ["--src", fork.src(), "--ref", "far"];
    let plan = must(&mut server.command(&[["plan", RECIPE].as_slice(), &words].concat()));
    for (kind, what) in wanted {
        let line = format!("reaches outside: app: {kind} {what} (new with this change)");
        assert!(plan.contains(&line), "no {line}:\n{plan}");
    }
    let ran = server.run(&[["--recipe", RECIPE].as_slice(), &words].concat());
    let told = |value: &Value| (value["kind"].clone(), value["what"].clone(), value["at"].clone());
    let all: Vec<_> = ran.report["reaches"].as_array().unwrap().iter().map(told).collect();
    for (kind, what) in wanted {
        assert!(all.contains(&(kind.into(), what.into(), "head".into())), "no {kind} {what}: {all:?}");
    }
    assert!(ran.stderr.contains("reaches outside of itself: new with this change: app: privileged"));
    ran.assert_clean();
}

/// N2, A5: the password of the data is the password of the known-good, whatever the secret is called in the swarm. The app
/// writes its password beside its data when it starts on nothing, and starts on no data of another password.
#[test]
fn n2_a_secret_with_a_name_of_its_own_is_kept_with_the_data_that_it_opens() {
    let recipe = "reach-secret";
    let fork = Fork::of(RECIPE);
    let pages = "/usr/share/nginx/html";
    let version = "1.13.0+1.26.3";
    fork.branch("release", "main", |dir| {
        let entrypoint = format!(
            "    secrets: [db_password]\n    entrypoint: [\"sh\", \"-c\", \"[ -e {pages}/pw ] || cp /run/secrets/db_password \
             {pages}/pw; cmp /run/secrets/db_password {pages}/pw && exec nginx -g 'daemon off;'\"]\n    environment:\n"
        );
        replace(dir, "compose.yml", "    environment:\n", &entrypoint);
        replace(dir, "compose.yml", "1.12.0+1.26.3", version);
        let secrets = "secrets:\n  db_password:\n    external: true\n    name: ${STACK_NAME}_orcid_${ORCID_KEY}\n";
        replace(dir, "compose.yml", VOLUMES, &format!("{secrets}\n{VOLUMES}"));
        let sample = std::fs::read_to_string(dir.join(".env.sample")).unwrap();
        std::fs::write(dir.join(".env.sample"), format!("{sample}\nORCID_KEY=v3 # length=24\n")).unwrap();
    });
    fork.tag(version);
    fork.branch("change", "release", |dir| std::fs::write(dir.join("README.md"), "# changed\n").unwrap());
    let catalogue = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(fork.src(), catalogue.path().join(recipe)).unwrap();
    let setting = format!("catalogue: {}/{{recipe}}\nenrolled: [{recipe}]", catalogue.path().display());
    let server = server(&setting);
    let recipes = server.dir.path().join("recipes");
    std::fs::create_dir_all(recipes.join(recipe)).unwrap();
    let manifest = "enrolled: true\ntimeouts: {deploy: 300, http: 60}\n";
    std::fs::write(recipes.join(recipe).join("recipe.yaml"), manifest).unwrap();
    let words = ["--recipes", recipes.to_str().unwrap(), "--recipe", recipe];

    let seeded = server.run(&words);
    assert_eq!(
        (seeded.code, &seeded.report["canonical"]["promoted"]),
        (0, &true.into()),
        "{}",
        seeded.report
    );
    let meta = server.dir.path().join("state").join(recipe).join("snapshot/meta.json");
    let meta: Value = serde_json::from_str(&std::fs::read_to_string(meta).unwrap()).unwrap();
    let full = format!("warm-{recipe}_lab_test_orcid_v3");
    assert_eq!(meta["secrets"][0]["full"], full.as_str(), "{meta}");
    let id = || docker(&["secret", "inspect", "--format", "{{.ID}}", &full]);
    assert_eq!(meta["secrets"][0]["id"], id().as_str());

    let quick = server.run(&[words.as_slice(), &["--quick", "--ref", "change"]].concat());
    assert_eq!((quick.code, &quick.report["mode"]), (0, &"quick".into()), "{}", quick.report);
    assert_eq!(quick.report["canonical"]["before"], quick.report["canonical"]["after"]);
    assert_eq!(meta["secrets"][0]["id"], id().as_str(), "it is the same secret");
    let mut drop = server.command(&["--recipes", recipes.to_str().unwrap(), "canonical", "drop", recipe]);
    must(&mut drop);
    let left = docker(&["secret", "ls", "--quiet", "--filter", &format!("name=warm-{recipe}")]);
    assert_eq!(left, "", "what was kept goes");
}

/// N2, A5: the same of a secret that each run's realm makes: its version stands in a variable of another name, which the
/// kept env has a placeholder for, and the release before has it under the usual one.
#[test]
fn n2_a_realms_secret_goes_by_the_variable_and_the_name_in_the_compose_file() {
    let (recipe, version) = ("reach-login", "0.3.0+1.1");
    let fork = Fork::of("specimen-sso");
    fork.branch("release", "main", |dir| {
        let usual = "${STACK_NAME}_oidc_client_secret_${SECRET_OIDC_CLIENT_SECRET_VERSION}";
        replace(dir, "compose.yml", usual, "${STACK_NAME}_login_${LOGIN_KEY}");
        replace(dir, "compose.yml", "0.2.0+1.1", version);
        replace(dir, ".env.sample", "SECRET_OIDC_CLIENT_SECRET_VERSION=v1", "LOGIN_KEY=v1");
    });
    fork.tag(version);
    fork.branch("change", "release", |dir| std::fs::write(dir.join("README.md"), "# changed\n").unwrap());
    let catalogue = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(fork.src(), catalogue.path().join(recipe)).unwrap();
    let server =
        server(&format!("catalogue: {}/{{recipe}}\nenrolled: [{recipe}]", catalogue.path().display()));
    let recipes = own_recipes(server.dir.path());
    std::fs::create_dir(recipes.join(recipe)).unwrap();
    let text = std::fs::read_to_string(recipes.join("specimen-sso/recipe.yaml")).unwrap();
    std::fs::write(recipes.join(recipe).join("recipe.yaml"), format!("{text}enrolled: true\n")).unwrap();
    let words = ["--recipes", recipes.to_str().unwrap(), "--recipe", recipe];

    let seeded = server.run(&words);
    assert_eq!(
        (seeded.code, &seeded.report["canonical"]["promoted"]),
        (0, &true.into()),
        "{}",
        seeded.report
    );
    assert_eq!(seeded.report["version"]["base"], "0.2.0+1.1", "the release before has the usual variable");
    let env = server.dir.path().join("state").join(recipe).join("snapshot/env");
    let env = std::fs::read_to_string(env).unwrap();
    assert!(env.contains("LOGIN_KEY=set-by-each-run-of-ccci:oidc_client_secret"), "{env}");
    let quick = server.run(&[words.as_slice(), &["--quick", "--ref", "change"]].concat());
    assert_eq!((quick.code, &quick.report["mode"]), (0, &"quick".into()), "{}", quick.report);
    let of_app = |stack: &str| docker(&["secret", "ls", "--quiet", "--filter", &format!("name={stack}")]);
    assert_eq!(of_app(&format!("warm-{recipe}")), "", "a run's version goes with the run");
    assert_eq!(of_app(&seeded.stack()), "");
    must(&mut server.command(&["--recipes", recipes.to_str().unwrap(), "canonical", "drop", recipe]));
}

/// The other reader: Docker's own reading of the same files has the mounts, secrets, configs and files that ours has.
#[test]
fn r18_docker_reads_the_same_mounts_secrets_and_configs() {
    let dir = tempfile::tempdir().unwrap();
    let base = include_str!("reach/compose.yml");
    let upper = include_str!("reach/compose.more.yml");
    let files = ["compose.yml".to_owned(), "compose.more.yml".to_owned()];
    for (file, text) in files.iter().zip([base, upper]) {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    std::fs::write(dir.path().join("own.env"), "A=1\n").unwrap();
    let said = must(
        Command::new("docker")
            .args(["stack", "config", "-c", "compose.yml", "-c", "compose.more.yml"])
            .current_dir(dir.path())
            .env("STACK_NAME", "wiki_lab_test")
            .env("HOME", "/root"),
    );
    let docker: Value = ccci_core::yaml::parse_merged(Path::new("docker"), &said).unwrap();
    let stack = "wiki_lab_test".parse().unwrap();
    let compose = Compose::load(dir.path(), &files, &BTreeMap::new(), &stack).unwrap();
    let ground = Ground { checkout: dir.path(), stack: &stack, shares: &Shares::Any };
    let mut ours: Vec<String> = compose.mounts(&ground).into_iter().map(|(_, real)| shown(&real)).collect();
    let theirs = docker["services"]["app"]["volumes"].as_array().unwrap();
    let mut theirs: Vec<String> = theirs.iter().map(|mount| shown(&of_docker(mount, &docker))).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 16, "{ours:#?}");
    for section in ["secrets", "configs"] {
        let named = |key: &str| match section {
            "secrets" => compose.secrets[key].swarm_name.clone(),
            _ => compose.configs[key].swarm_name.clone(),
        };
        let all = docker[section].as_object().unwrap();
        assert!(!all.is_empty());
        for (key, value) in all {
            let theirs = value["name"].as_str().map_or_else(|| format!("{stack}_{key}"), str::to_owned);
            assert_eq!(named(key), theirs, "{section} {key}");
        }
    }
}

/// A mount in one line. A home is for each reader to put in its place.
fn shown(real: &Real) -> String {
    let Real { kind, source, target, read_only, storage } = real;
    let source = source.replacen('~', "/root", 1);
    let driver = if storage.driver.is_empty() { "local" } else { &storage.driver };
    format!("{kind:?} {source} {target} {read_only} {driver} {:?}", storage.options)
}

/// A mount as `docker stack config` writes it.
fn of_docker(mount: &Value, all: &Value) -> Real {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = match mount["type"].as_str().unwrap() {
        "bind" => MountKind::Bind,
        "volume" => MountKind::Volume,
        "tmpfs" => MountKind::Tmpfs,
        other => MountKind::Other(other.to_owned()),
    };
    let mut real = Real {
        kind,
        // Docker leaves it to the engine to clear these away.
        source: text(&mount["source"]).replace("/b/..", ""),
        target: text(&mount["target"]).trim_end_matches('/').to_owned(),
        read_only: mount["read_only"] == true,
        storage: ccci_core::compose::Storage::default(),
    };
    let volume = &all["volumes"][real.source.as_str()];
    if real.kind == MountKind::Volume && !real.source.is_empty() {
        let named = volume["name"].as_str().map(str::to_owned);
        real.source = named.unwrap_or_else(|| format!("wiki_lab_test_{}", real.source));
        if volume["external"] != true {
            real.storage.driver = text(&volume["driver"]);
            let options = volume["driver_opts"].as_object().into_iter().flatten();
            real.storage.options = options.map(|(key, value)| (key.clone(), text(value))).collect();
        }
    }
    real
}
