//! What a recipe reaches outside of itself (R18, R19), and its secrets by their real names (N2).

use serde_json::Value;

use crate::history::{self, Files};
use crate::recipe;
use crate::world::{Ran, World};

/// The newest release with another text in the place of one of its compose file.
fn changed(from: &str, to: &str) -> Files {
    let mut files = recipe::files("1.1.0+2", &["data"], "");
    assert!(files[0].1.contains(from), "{}", files[0].1);
    files[0].1 = files[0].1.replace(from, to);
    files
}

fn branch(world: &World, name: &str, files: &Files) {
    history::branch(&world.path("git/blog.git"), name, files);
}

fn deploys(world: &World) -> usize {
    world.abra.calls().iter().filter(|call| call.contains("app deploy")).count()
}

/// Kind and place of all that the record says is reached.
fn reached(ran: &Ran) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = ran.record["reaches"].as_array().unwrap();
    all.iter().map(|one| (text(&one["kind"]), text(&one["at"]))).collect()
}

fn manifest(world: &World, more: &str) {
    let text = format!("soak: 0\ntimeouts: {{deploy: 1, http: 1}}\n{more}");
    std::fs::write(world.path("recipes/blog/recipe.yaml"), text).unwrap();
}

/// R18: each way to somebody else's data is told before the deploy, by name, and what to do; declared, it is a pass.
#[test]
fn r18_data_of_others_is_told_before_the_deploy_and_declared_it_may_be_written() {
    let world = World::new(&["data"]);
    let volumes = "volumes:\n  data:\n";
    let cases = [
        ("external", changed(volumes, "volumes:\n  data: {external: true, name: media}\n"), "media"),
        ("fixed", changed(volumes, "volumes:\n  data: {name: media}\n"), "media"),
        (
            "bound",
            changed(volumes, "volumes:\n  data: {driver_opts: {type: none, o: bind, device: /srv/media}}\n"),
            "/srv/media",
        ),
        ("bind", changed("[data:/data]", "[data:/data, /srv/media:/media]"), "/srv/media"),
    ];
    for (name, files, share) in cases {
        branch(&world, name, &files);
        manifest(&world, "");
        let before = deploys(&world);
        let ran = world.ccci(&["--recipe", "blog", "--ref", name]);
        ran.assert(3, "inconclusive");
        let (status, why) = ran.check("upgrade::deployed");
        assert_eq!(status, "skip", "{name}");
        let first = why.lines().next().unwrap();
        for part in ["`app`", share, "compose.yml", "it was not deployed", "shares: {"] {
            assert!(first.contains(part), "{name} lacks {part}: {first}");
        }
        assert!(ran.stderr.contains("new with this change"), "{}", ran.stderr);
        assert_eq!(deploys(&world) - before, 1, "only the base was deployed");
        assert_eq!(ran.record["teardown"]["clean"], true);
        // The volume that an earlier case was allowed to use is nobody's to remove.
        let left = world.engine.has();
        assert!(left.iter().all(|thing| thing == "volume media"), "{left:?}");

        manifest(&world, &format!("shares: {{{share}: \"test data\"}}\n"));
        let ran = world.ccci(&["--recipe", "blog", "--ref", name]);
        ran.assert(0, "pass");
        let kind = if name == "bind" { "bind" } else { "volume" };
        assert_eq!(reached(&ran), [(kind.to_owned(), "head".to_owned())], "{name}");
        let what = ran.record["reaches"][0]["what"].as_str().unwrap();
        assert!(what.ends_with("declared: test data"), "{what}");
    }
}

/// R18: what stands behind a chain of merge keys is deployed like anything else, so the guard sees it; and so does the look
/// for images before the deploy.
#[test]
fn r18_what_stands_behind_a_chain_of_merge_keys_is_seen_before_the_deploy() {
    let world = World::new(&["data"]);
    let chained = |merged: &str| {
        let mut files = changed("services:\n  app:\n", "services:\n  app:\n    <<: *chained\n");
        files[0].1 =
            format!("x-first: &first {{{merged}}}\nx-chained: &chained {{<<: *first}}\n{}", files[0].1);
        files
    };
    let mut mounted = chained("volumes: ['data:/data', '/srv/media:/media']");
    mounted[0].1 = mounted[0].1.replace("    volumes: [data:/data]\n", "");
    branch(&world, "mounted", &mounted);
    let before = deploys(&world);
    let ran = world.ccci(&["--recipe", "blog", "--ref", "mounted"]);
    ran.assert(3, "inconclusive");
    let (status, why) = ran.check("upgrade::deployed");
    assert!(status == "skip" && why.contains("/srv/media") && why.contains("it was not deployed"), "{why}");
    assert_eq!(deploys(&world) - before, 1, "only the base was deployed");

    let mut lacking = chained("image: 'missing/blog:1.1.0-2'");
    lacking[0].1 = lacking[0].1.replace("    image: nowhere/blog:1.1.0-2\n", "");
    branch(&world, "lacking", &lacking);
    let before = deploys(&world);
    let ran = world.ccci(&["--recipe", "blog", "--ref", "lacking"]);
    ran.assert(1, "fail");
    assert!(ran.check("upgrade::deployed").1.contains("missing/blog:1.1.0-2"), "{ran:#?}");
    assert_eq!(deploys(&world) - before, 1, "only the base was deployed");
}

/// R18: what is only read, the stack's own by name, and the engine's socket are told at most.
#[test]
fn r18_what_is_not_written_into_is_no_reason_to_stop() {
    let world = World::new(&["data"]);
    let volumes = "volumes:\n  data:\n";
    for (name, files, told) in [
        ("read", changed("[data:/data]", "[data:/data, /srv/media:/media:ro]"), Some("bind")),
        (
            "socket",
            changed("[data:/data]", "[data:/data, /var/run/docker.sock:/s:ro]"),
            Some("docker-socket"),
        ),
        ("own", changed(volumes, "volumes:\n  data: {name: \"${STACK_NAME}_data\"}\n"), None),
        ("memory", changed(volumes, "volumes:\n  data: {driver_opts: {type: tmpfs, device: tmpfs}}\n"), None),
    ] {
        branch(&world, name, &files);
        let ran = world.ccci(&["--recipe", "blog", "--ref", name]);
        ran.assert(0, "pass");
        let wanted: Vec<(String, String)> =
            told.into_iter().map(|kind| (kind.to_owned(), "head".to_owned())).collect();
        assert_eq!(reached(&ran), wanted, "{name}");
    }
    let plain = world.ccci(&["--recipe", "blog"]);
    assert_eq!(reached(&plain), Vec::new(), "an ordinary recipe reaches nothing");
    assert!(!plain.stderr.contains("reaches outside"), "{}", plain.stderr);
}

/// R18: the second reader. What swarm was given and no file says is seen at once, and the app goes again.
#[test]
fn r18_a_mount_that_nobody_foresaw_is_a_fault_and_no_verdict() {
    let world = World::new(&["data"]);
    world.branch("secretive", "mount: /srv/hidden\n");
    let ran = world.ccci(&["--recipe", "blog", "--ref", "secretive"]);
    ran.assert(3, "inconclusive");
    let (_, why) = ran.check("upgrade::deployed");
    assert!(why.starts_with("the service `app` mounts `/srv/hidden` at /hidden"), "{why}");
    let faults = ran.record["faults"].to_string();
    assert!(faults.contains("upgrade: the service `app` mounts `/srv/hidden`"), "{faults}");
    world.assert_nothing_left();
}

/// What an operator has to know of an upgrade is told by plan, run and record before anything is deployed.
#[test]
fn what_an_upgrade_changes_is_told_before_it() {
    let world = World::new(&["data"]);
    let mut files = changed("data:/data", "posts:/data");
    let change = |files: &mut Files, from: &str, to: &str| {
        assert!(files[0].1.contains(from), "{}", files[0].1);
        files[0].1 = files[0].1.replace(from, to);
    };
    change(&mut files, "volumes:\n  data:\n", "volumes:\n  posts:\n");
    change(&mut files, "file: entry.sh", "file: fake.txt");
    branch(&world, "moves", &files);
    let lines = [
        "changes: config entry: other content under the same name, which swarm refuses at an upgrade: its `name:` needs a version",
        "changes: volume data: `posts` is in its place (app: /data); its data stays behind",
    ];
    let plan = world.ccci(&["plan", "blog", "--ref", "moves"]);
    let ran = world.ccci(&["--recipe", "blog", "--ref", "moves"]);
    for line in lines {
        assert!(plan.stdout.contains(line), "no {line}:\n{}", plan.stdout);
        let (before, _) = ran.stderr.split_once("deploy …").unwrap();
        assert!(before.contains(line), "no {line}:\n{before}");
    }
    let kinds: Vec<&str> =
        ran.record["changes"].as_array().unwrap().iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["config", "volume"]);
    // Near miss: where only the image is another, only that is told.
    let plan = world.ccci(&["plan", "blog", "--ref", "1.1.0+2"]);
    let told: Vec<&str> = plan.stdout.lines().filter(|line| line.starts_with("changes:")).collect();
    assert_eq!(told, ["changes: image app: nowhere/blog:1.0.0-1 → nowhere/blog:1.1.0-2"]);
}

/// R19: plan and record say the same, without a server and with one.
#[test]
fn r19_what_a_change_reaches_is_told_in_plan_and_record() {
    let world = World::new(&["data"]);
    let from = "    configs: [{source: entry";
    let to = "    privileged: true\n    cap_add: [SYS_ADMIN]\n    pid: host\n    ports: [\"8080:80\"]\n    configs: [{source: entry";
    let mut files = changed(from, to);
    files[0].1 = files[0].1.replace("file: entry.sh", "file: ../../entry.sh");
    branch(&world, "far", &files);
    let plan = world.ccci(&["plan", "blog", "--ref", "far"]);
    assert_eq!(plan.code, Some(0), "{plan:#?}");
    for line in [
        "reaches outside: app: privileged all of the machine's privileges (swarm passes this over) (new with this change)",
        "reaches outside: app: namespace pid: host (swarm passes this over) (new with this change)",
        "reaches outside: app: capability SYS_ADMIN (new with this change)",
        "reaches outside: app: file the config entry of `../../entry.sh` (new with this change)",
        "reaches outside: app: port 8080/tcp, ingress (new with this change)",
    ] {
        assert!(plan.stdout.contains(line), "no {line}:\n{}", plan.stdout);
    }
    let ran = world.ccci(&["--recipe", "blog", "--ref", "far"]);
    let kinds: Vec<String> = reached(&ran).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["privileged", "namespace", "capability", "file", "port"]);
    assert!(
        ran.stderr.contains("reaches outside of itself: new with this change: app: privileged"),
        "{}",
        ran.stderr
    );
    // What cannot be read does not reach nothing.
    branch(
        &world,
        "unreadable",
        &changed("image: nowhere/blog:1.1.0-2", "image: \"nowhere/blog:${TAG:?x}\""),
    );
    let plan = world.ccci(&["plan", "blog", "--ref", "unreadable"]);
    assert!(plan.stdout.contains("reaches outside: the stack: unread"), "{}", plan.stdout);
}

/// N2, A5: a secret whose name in the swarm is not made of its key, and whose version stands in a variable of another
/// name, is kept with the known-good, found again, and goes with it.
#[test]
fn n2_a_secret_is_kept_and_found_by_its_real_name() {
    let world = World::new(&["data"]);
    let mut files = changed(
        "${STACK_NAME}_admin_password_${SECRET_ADMIN_PASSWORD_VERSION}",
        "${STACK_NAME}_orcid_${ORCID_KEY}",
    );
    files[0].1 = files[0].1.replace("1.1.0+2", "1.2.0+3");
    files[1].1.push_str("ORCID_KEY=v7\n");
    history::publish(&world.path("git/blog.git"), "1.2.0+3", &files);
    let seeded = world.ccci(&["--recipe", "blog"]);
    seeded.assert(0, "pass");
    assert_eq!(seeded.record["canonical"]["promoted"], true, "{:#?}", seeded.record);
    let meta = std::fs::read_to_string(world.path("state/blog/snapshot/meta.json")).unwrap();
    let meta: Value = serde_json::from_str(&meta).unwrap();
    let secret = &meta["secrets"][0];
    assert_eq!((&secret["name"], &secret["version"]), (&"admin_password".into(), &"v7".into()), "{meta:#}");
    assert_eq!(secret["full"], "warm-blog_ci_test_orcid_v7", "{meta:#}");
    let has = |name: &str| world.engine.has_secret(name);
    assert!(has("warm-blog_ci_test_orcid_v7"));

    files[3].1 = "http: 500\n".to_owned();
    branch(&world, "bad", &files);
    let bad = world.ccci(&["--recipe", "blog", "--quick", "--ref", "bad"]);
    bad.assert(1, "fail");
    assert_eq!((&bad.record["mode"], &bad.record["canonical"]["restored"]), (&"quick".into(), &true.into()));
    let good = world.ccci(&["--recipe", "blog", "--quick"]);
    good.assert(0, "pass");
    assert_eq!((&good.record["mode"], &good.record["fallback"]), (&"quick".into(), &Value::Null));
    assert!(has("warm-blog_ci_test_orcid_v7"), "no restore takes it for something that was added");

    world.engine.lose_secret("warm-blog_ci_test_orcid_v7");
    let none = world.ccci(&["--recipe", "blog", "--quick", "--no-fallback"]);
    assert_eq!(none.code, Some(5), "{none:#?}");
    let why = none.record["error"].as_str().unwrap();
    assert!(why.contains("secret warm-blog_ci_test_orcid_v7"), "{why}");
}

/// N2: a secret with a name of its own that was there before is used and never removed; one that the run makes goes.
#[test]
fn n2_a_secret_that_others_have_made_is_never_removed() {
    let world = World::new(&["data"]);
    let name = "${STACK_NAME}_admin_password_${SECRET_ADMIN_PASSWORD_VERSION}";
    branch(&world, "shared", &changed(name, "smtp_${SECRET_ADMIN_PASSWORD_VERSION}"));
    let ran = world.ccci(&["--recipe", "blog", "--ref", "shared"]);
    ran.assert(0, "pass");
    assert_eq!(reached(&ran), [("secret".to_owned(), "head".to_owned())]);
    world.assert_nothing_left();
    world.engine.make_secret("smtp_v1", "by hand");
    world.ccci(&["--recipe", "blog", "--ref", "shared"]).assert(0, "pass");
    assert_eq!(world.engine.has(), ["secret smtp_v1"], "it was there before");
}

/// N2: names that fit at a run's domain and not at the canonical's are told beforehand, and by no alert.
#[test]
fn n2_names_that_do_not_fit_at_the_canonical_are_told_beforehand() {
    let world = World::new(&["data"]);
    let recipe = "community-garden";
    std::fs::create_dir_all(world.path(&format!("recipes/{recipe}"))).unwrap();
    std::fs::copy(
        world.path("recipes/blog/recipe.yaml"),
        world.path(&format!("recipes/{recipe}/recipe.yaml")),
    )
    .unwrap();
    let mut history = recipe::blog(&["data"]);
    history.branches.clear();
    // With `comm-0a1b2c_ci_test_` before it 63 characters long, with `warm-community-garden_ci_test_` 73.
    let long = "e".repeat(63 - "comm-0a1b2c_ci_test_".len() - "_v1".len());
    for (_, files) in &mut history.releases {
        files[0].1 = files[0].1.replace("${STACK_NAME}_entry_v1", &format!("${{STACK_NAME}}_{long}_v1"));
    }
    history.make(&world.path(&format!("git/{recipe}.git")));
    let plan = world.ccci(&["plan", recipe]);
    let why = format!(
        "the swarm config `warm-community-garden_ci_test_{long}_v1` would have 73 characters, and swarm allows 64"
    );
    assert!(
        plan.stdout.contains(&format!("keeps no known-good, even if the run passes: {why}")),
        "{}",
        plan.stdout
    );
    let ran = world.ccci(&["--recipe", recipe]);
    ran.assert(0, "pass");
    assert!(
        ran.stderr.contains(&format!("no known-good can be kept, even if the run passes: {why}")),
        "{}",
        ran.stderr
    );
    assert!(ran.record["canonical"]["reason"].as_str().unwrap().starts_with(&why), "{:#?}", ran.record);
    assert!(!world.path("state/alerts").exists(), "nothing has failed");
    let quick = world.ccci(&["--recipe", recipe, "--quick", "--no-fallback"]);
    assert_eq!(quick.code, Some(5), "{quick:#?}");
}
