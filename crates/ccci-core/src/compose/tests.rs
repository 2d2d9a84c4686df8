//! Interpolation, merging and what a deploy would need.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const BASE: &str = r#"
version: "3.8"
x-common: &common
  update_config: {failure_action: rollback, order: start-first}
services:
  app:
    image: ccci-lab/nginx:${TAG:-1.26}
    secrets: [db_password, {source: oidc, target: /run/x}]
    volumes: ["content:/usr/share/nginx/html:ro", "/etc/localtime:/etc/localtime:ro", "/anonymous"]
    networks: [proxy, internal]
    healthcheck: {test: [CMD, curl, -f, "http://localhost"], start_period: "${START:-15s}"}
    deploy:
      <<: *common
      labels:
        - "traefik.enable=true"
        - "coop-cloud.${STACK_NAME}.version=1.2.0+1.26.3"
        - "caddy=Host(`$${x}`)"
  job:
    image: ccci-lab/busybox:1
    deploy: {restart_policy: {condition: none}}
networks: {proxy: {external: true}, internal: ~}
volumes: {content: ~, shared: {external: {name: shared_files}}}
secrets:
  db_password: {external: true, name: "${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}"}
configs:
  default_conf: {name: "${STACK_NAME}_default_conf_${DEFAULT_CONF_VERSION}", file: default.conf}
"#;

const UPPER: &str = "
services:
  app:
    image: ccci-lab/nginx:2
    volumes: [{type: volume, source: media, target: /media}, {type: bind, source: x, target: /x}]
    healthcheck: {test: NONE}
    deploy: {replicas: 2, labels: {traefik.enable: false, extra: 1}}
  left-over: {}
  job:
volumes: {media: {}}
";

fn stack() -> StackName {
    "wiki_lab_test".parse().unwrap()
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn compose(texts: &[&str]) -> Compose {
    let texts: Vec<_> = texts.iter().map(|t| (PathBuf::from("compose.yml"), (*t).to_owned())).collect();
    let values = values(&[("SECRET_DB_PASSWORD_VERSION", "v1"), ("DEFAULT_CONF_VERSION", "v3")]);
    Compose::parse(&texts, &values, &stack()).unwrap()
}

#[test]
fn every_form_of_a_variable_is_replaced() {
    let values = values(&[("A", "a"), ("EMPTY", ""), ("B", "b")]);
    for (text, wanted) in [
        ("$A-${A}", "a-a"),
        ("${NO}|$NO", "|"),
        ("${NO:-x}${EMPTY:-x}${EMPTY-x}${A:-x}", "xxa"),
        ("${NO-x}${NO-}", "x"),
        // No default inside a default: it ends at the first brace, and is taken as it is.
        ("${NO:-${B}-${NO:-c}}", "${B-c}"),
        ("${NO:-$B}${NO:-a$$b}", "$Ba$$b"),
        // Whichever of the operators stands in it first by docker's order, not the text's.
        ("${A:?set a sub-domain}|${A-a:-b}|${NO-:x}|${NO:-a?b}", "domain|b|:x|a?b"),
        ("$$A $${A}", "$A ${A}"),
        ("${A:?gone} ${EMPTY?gone}", "a "),
        ("no variable", "no variable"),
    ] {
        assert_eq!(interpolate(text, &values).as_deref(), Ok(wanted), "{text}");
    }
    for text in [
        "${",
        "${}",
        "$",
        "$1",
        "${A",
        "${A!b}",
        "${1}",
        "a$-b",
        "${A:+yes}",
        "${A+yes}",
        "${NO:=x}",
        "${A.b}",
    ] {
        assert!(matches!(interpolate(text, &values), Err(InterpolateError::Format { .. })), "{text}");
    }
    let error = interpolate("${EMPTY:?set it}", &values).unwrap_err();
    assert_eq!(error.to_string(), "required variable EMPTY is missing a value: set it");
}

#[test]
fn one_file_is_seen_as_swarm_would_get_it() {
    let compose = compose(&[BASE]);
    let app = &compose.services["app"];
    assert_eq!(app.image.as_deref(), Some("ccci-lab/nginx:1.26"));
    assert_eq!(
        (app.healthcheck, app.mode, app.restart),
        (Healthcheck::Given, Mode::Replicated(1), Restart::Any)
    );
    assert_eq!((app.start_first, app.failure_action), (true, FailureAction::Rollback));
    assert_eq!(app.labels["coop-cloud.wiki_lab_test.version"], "1.2.0+1.26.3");
    assert_eq!(app.labels["caddy"], "Host(`${x}`)");
    assert_eq!(
        (app.secrets.as_slice(), app.volumes.as_slice()),
        (&["db_password".into(), "oidc".into()][..], &["content".into()][..])
    );
    let job = &compose.services["job"];
    assert_eq!(
        (job.restart, job.healthcheck, job.failure_action),
        (Restart::Never, Healthcheck::FromImage, FailureAction::Pause)
    );
    assert_eq!(compose.secrets["db_password"].swarm_name, "wiki_lab_test_db_password_v1");
    assert_eq!(compose.own_configs(), ["wiki_lab_test_default_conf_v3"]);
    assert_eq!(compose.own_volumes(), ["wiki_lab_test_content"]);
    assert_eq!(compose.external_networks(), ["proxy"]);
    assert_eq!(compose.volumes["shared"], Named { swarm_name: "shared_files".into(), external: true });
}

#[test]
fn a_later_file_is_laid_over_an_earlier_one() {
    let compose = compose(&[BASE, UPPER]);
    let app = &compose.services["app"];
    assert_eq!(app.mode, Mode::Replicated(2));
    assert_eq!(app.healthcheck, Healthcheck::Given, "docker joins the two tests, and a text is a shell's");
    assert_eq!((app.labels["traefik.enable"].as_str(), app.labels["extra"].as_str()), ("false", "1"));
    assert!(app.labels.contains_key("caddy"), "a list below and a map above are one map");
    assert_eq!(app.volumes, ["content", "media"]);
    assert!(app.start_first, "what the upper file does not name stays");
    assert_eq!(compose.own_volumes(), ["wiki_lab_test_content", "wiki_lab_test_media"]);
}

/// Images (so the pre-pull), secrets, labels and mounts (so the guards of R18) stand behind chains of merge keys too.
#[test]
fn what_stands_behind_a_chain_of_merge_keys_is_seen() {
    let below = "x-a: &a {image: 'ccci-lab/one:1', secrets: [key], volumes: ['/srv/media:/media']}\n\
                 x-b: &b {<<: *a, deploy: {labels: {l: b}}}\nx-c: &c {<<: *b, image: 'ccci-lab/two:1'}\n";
    let seen = |service: &str| {
        let compose = compose(&[&format!("{below}services:\n  app: {service}\n")]);
        let ground = Ground { checkout: Path::new("/c"), stack: &stack(), shares: &Shares::default() };
        let foreign: Vec<String> = compose.foreign(&ground).into_iter().map(|it| it.name).collect();
        let images = compose.images().into_iter().map(str::to_owned).collect::<Vec<_>>();
        let app = &compose.services["app"];
        (images, foreign, app.secrets.clone(), app.labels.get("l").cloned())
    };
    let all = |image: &str, label: Option<&str>| {
        let image = format!("ccci-lab/{image}");
        (vec![image], vec!["/srv/media".to_owned()], vec!["key".to_owned()], label.map(str::to_owned))
    };
    for (form, image, label) in [
        ("{<<: *a}", "one:1", None),
        ("{<<: *b}", "one:1", Some("b")),
        ("{<<: *c}", "two:1", Some("b")),
        ("{<<: [{deploy: {labels: {l: own}}}, *c]}", "two:1", Some("own")),
        ("{<<: {<<: *c, image: 'ccci-lab/x:1'}}", "x:1", Some("b")),
        ("{<<: *c, image: 'ccci-lab/x:1'}", "x:1", Some("b")),
    ] {
        assert_eq!(seen(form), all(image, label), "{form}");
    }
    // Its own list of volumes stands in the place of the merged one: nobody's data is written into.
    let (_, foreign, ..) = seen("{<<: *c, volumes: ['media:/media']}");
    assert_eq!(foreign, ["media"], "a volume that no file declares");
    assert_eq!(seen("{x-b: *b}"), (vec![], vec![], vec![], None), "an alias is no merge");
}

/// As `docker stack config` lays the same files over each other.
#[test]
fn what_is_empty_or_false_changes_nothing_and_tests_are_joined() {
    let seen = |lower: &str, upper: &str| {
        let [lower, upper] = [lower, upper].map(|it| format!("services: {{app: {{{it}}}}}\n"));
        compose(&[&lower, &upper]).services["app"].clone()
    };
    for (lower, upper, wanted) in [
        ("test: [NONE]", "interval: 5s", Healthcheck::Disabled),
        ("test: NONE", "interval: 5s", Healthcheck::Given),
        ("test: [CMD, a]", "test: [NONE]", Healthcheck::Given),
        ("test: [CMD, a]", "test: []", Healthcheck::Given),
        ("interval: 5s", "test: [CMD, a]", Healthcheck::Given),
        ("test: [CMD, a]", "disable: true", Healthcheck::Disabled),
        ("disable: true", "disable: false", Healthcheck::Disabled),
        ("interval: 5s", "disable: false", Healthcheck::FromImage),
    ] {
        let [lower_check, upper_check] = [lower, upper].map(|it| format!("healthcheck: {{{it}}}"));
        assert_eq!(seen(&lower_check, &upper_check).healthcheck, wanted, "{lower} below {upper}");
    }
    assert_eq!(seen("image: x", "image: ''").image.as_deref(), Some("x"));
    assert_eq!(seen("deploy: {replicas: 3}", "deploy: {replicas: 0}").mode, Mode::Replicated(0));
    let labels = |lower: &str, upper: &str| {
        let [lower, upper] = [lower, upper].map(|it| format!("deploy: {{labels: {it}}}"));
        seen(&lower, &upper)
            .labels
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(labels("{a: 1, b: 2}", "{a: , c: ''}"), ["a=", "b=2", "c="]);
    assert_eq!(labels("[a=1, b]", "[a]"), ["a=", "b="]);
}

#[test]
fn failure_54_the_images_to_have_are_those_of_the_apps_own_compose_files() {
    let with_broken_dependency =
        "services: {worker: {image: \"ccci-lab/worker:1\", depends_on: [nowhere]}}\n";
    assert_eq!(Vec::from_iter(compose(&[BASE]).images()), ["ccci-lab/busybox:1", "ccci-lab/nginx:1.26"]);
    let all = compose(&[BASE, UPPER, with_broken_dependency]);
    assert_eq!(Vec::from_iter(all.images()), ["ccci-lab/busybox:1", "ccci-lab/nginx:2", "ccci-lab/worker:1"]);
}

#[test]
fn failure_45_a_service_without_image_is_seen_where_its_file_is_used() {
    assert!(compose(&[BASE]).without_image().is_empty());
    assert_eq!(compose(&[BASE, UPPER]).without_image(), ["left-over"]);
}

/// Failure 24: a compose file of ours that names an image would have the old software tested under the new name.
#[test]
fn failure_24_a_file_of_ours_may_not_change_the_tested_image() {
    let below = compose(&[BASE]);
    let helper = "services: {app: {environment: {A: 1}}, mail: {image: \"ccci-lab/mail:1\"}}\n";
    assert_eq!(
        compose(&[BASE, helper]).other_image(&below),
        None,
        "settings and helpers of its own are fine"
    );
    let same = "services: {app: {image: \"ccci-lab/nginx:1.26\"}}\n";
    assert_eq!(compose(&[BASE, same]).other_image(&below), None);
    let (service, ours, theirs) = compose(&[BASE, UPPER]).other_image(&below).unwrap();
    assert_eq!([service, ours, theirs], ["app", "ccci-lab/nginx:2", "ccci-lab/nginx:1.26"]);
}

/// Failure 55: a first start that takes longer than the recipe allows is given its time by the recipe's own setting,
/// through `env` of `recipe.yaml`, and not by a compose file of ours that drifts from it.
#[test]
fn failure_55_the_env_sets_the_start_period() {
    let sample = "TYPE=wiki\n#APP_START_PERIOD=1m\n";
    let yaml = "env: {APP_START_PERIOD: 20m}\n";
    let manifest = crate::manifest::Manifest::parse(Path::new("recipe.yaml"), yaml).unwrap();
    let own = manifest.env.iter().map(|(key, value)| (key.as_str().to_owned(), value.clone())).collect();
    let (recipe, domain) = ("wiki".parse().unwrap(), "wiki-0a1b2c.lab.test".parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let app = crate::envfile::AppEnv {
        sample,
        recipe: &recipe,
        domain: &domain,
        values: &own,
        compose_files: &[],
        checkout: dir.path(),
    };
    let values = app.render().unwrap().expanded();
    assert_eq!(interpolate("${APP_START_PERIOD:-15s}", &values).as_deref(), Ok("20m"));
}

#[test]
fn n2_a_secret_over_64_characters_is_refused_before_anything_is_created() {
    assert!(compose(&[BASE]).check_secret_names().is_ok());
    let long =
        format!("secrets: {{x: {{external: true, name: \"${{STACK_NAME}}_{}_v1\"}}}}\n", "x".repeat(60));
    assert!(matches!(compose(&[&long]).check_secret_names(), Err(NameError::SecretTooLong { .. })));
}

#[test]
fn failure_22_a_file_that_this_version_does_not_have_is_named() {
    let dir = tempfile::tempdir().unwrap();
    crate::atomic::write(&dir.path().join("compose.yml"), BASE.as_bytes()).unwrap();
    crate::atomic::write(&dir.path().join("abra.sh"), b"export DEFAULT_CONF_VERSION=v9 # raised\n").unwrap();
    let load = |files: &[&str]| {
        let files: Vec<String> = files.iter().map(|f| (*f).to_owned()).collect();
        Compose::load(dir.path(), &files, &BTreeMap::new(), &stack())
    };
    assert_eq!(load(&["compose.yml"]).unwrap().own_configs(), ["wiki_lab_test_default_conf_v9"]);
    let error = load(&["compose.yml", "compose.oidc.yml"]).unwrap_err().to_string();
    assert!(error.contains("compose.oidc.yml, which this version"), "{error}");
}

#[test]
fn an_error_says_where_in_the_file() {
    let text = "services: {app: {image: \"x:${TAG:?pick one}\"}}\n".to_owned();
    let error = Compose::parse(&[("compose.yml".into(), text)], &BTreeMap::new(), &stack()).unwrap_err();
    let wanted = "compose.yml: services.app.image: required variable TAG is missing a value: pick one";
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn exports_are_read_and_computed_ones_left_out() {
    let script = "#!/bin/bash\nexport A_VERSION=v1\n  export B=\"two words\" # x\nexport C=$(date)\nD=4\nexport E='x'\n";
    assert_eq!(exports(script), values(&[("A_VERSION", "v1"), ("B", "two words"), ("E", "x")]));
}

proptest! {
    #[test]
    fn a_text_of_doubled_dollars_is_read_back_and_nothing_panics(text in "([$ {}:?+-]|[A-Z]|\\PC){0,24}") {
        let values = values(&[("A", "1")]);
        drop(interpolate(&text, &values));
        prop_assert_eq!(interpolate(&text.replace('$', "$$"), &values), Ok(text));
    }
}
