//! Compose files that nobody would write by hand: five hundred of them, read by both.

use std::collections::BTreeMap;

use ccci_core::compose::Compose;
use ccci_core::names::StackName;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::Value;

use crate::{judge, reading};

/// How many files; each is a process of docker's client.
const CASES: u32 = 500;
/// So many at least must be files that both read, or the generator has gone astray.
const READ: usize = 400;

const IMAGES: &[&str] =
    &["x:1", "x:${TAG:-2}", "\"x:$TAG\"", "'reg.example:5000/a/b:${NO-3}'", "x:${SET}-$$1", "&image y:4"];
const LABELS: &[&str] = &[
    "[a=1, \"b=x y\", c, d=, 'e=f=g', \"r=Host(`${DOMAIN}`)\"]",
    "{a: 1, b: \"2\", c: , d: 1.50, e: on, f: 0x10, \"g.${SET}\": \"${SET}\"}",
    "{<<: *labels, a: own}",
    "{<<: [*more, *labels], z: '$$z'}",
    "*labels",
    "{a: \"one\n          two\", b: 'x''y'}",
];
const MOUNTS: &[&str] = &[
    "data:/data",
    "\"data:/other:ro\"",
    "'/srv/media:/media:rw,rslave'",
    "./conf:/conf:ro",
    "../up/./x:/up",
    "~/home:/home",
    "/anonymous",
    "named:/n/:nocopy",
    "ext:/ext:z",
    "\"${SET}:/set\"",
    "\"${FOLDER:-/srv}/x:/from-folder\"",
    "{type: volume, source: data, target: /long}",
    "{type: volume, target: /unnamed}",
    "{type: bind, source: ./b/../c, target: /bound, read_only: true}",
    "{type: bind, source: /etc/localtime, target: /etc/localtime, bind: {propagation: rslave}}",
    "{type: tmpfs, target: /t, tmpfs: {size: 1024}}",
    "{<<: *mount, target: /merged}",
    "*mount",
];
const SECRETS: &[&str] = &["one", "{source: two, target: /x, mode: 0400}", "{source: one}", "three"];
const DEPLOY: &[&str] = &[
    "replicas: 2",
    "mode: global",
    "restart_policy: {condition: none}",
    "restart_policy: {<<: *restart, delay: 5s}",
    "update_config: {order: start-first, failure_action: rollback}",
    "update_config: {<<: *update}",
    "endpoint_mode: dnsrr",
];
const HEALTH: &[&str] = &[
    "{test: [CMD, a, b], interval: 30s}",
    "{test: a b}",
    "{test: [NONE]}",
    "{test: NONE}",
    "{disable: true}",
    "{interval: 1m30s}",
    "{<<: *health, retries: 3}",
];
const VOLUMES: &[&str] = &[
    "",
    "{}",
    "{name: \"${STACK_NAME}_named\"}",
    "{name: plain}",
    "{external: true}",
    "{external: true, name: \"${SET}_ext\"}",
    "{external: {name: old}}",
    "{driver: local, driver_opts: {type: none, o: bind, device: \"${FOLDER:-/srv}\"}}",
    "{driver_opts: {type: tmpfs, device: tmpfs, size: 10}}",
    "{driver: rclone}",
];
const NAMES: &[&str] = &[
    "{external: true, name: \"${STACK_NAME}_k_${SECRET_K_VERSION:-v1}\"}",
    "{external: true}",
    "{file: f, name: \"${STACK_NAME}_f_$SET\"}",
    "{file: ./f}",
    "{external: {name: \"other_${SET}\"}}",
];
/// What services may take over by merge keys, with chains.
const ABOVE: &str = "\
version: \"3.8\"
x-labels: &labels {a: base, l: \"${SET}\"}
x-more: &more {<<: *labels, m: more, a: more}
x-restart: &restart {condition: on-failure}
x-update: &update {order: start-first}
x-health: &health {test: [CMD, base]}
x-mount: &mount {type: volume, source: data, target: /base}
x-service: &service {image: \"base:1\", secrets: [one], volumes: [\"data:/from-base\"]}
x-chained: &chained {<<: *service, image: \"base:2\", healthcheck: {<<: *health}}
x-list: &list {<<: [{stop_grace_period: 1m}, *chained]}
";

/// A service's lines, in any order and any of them left out.
fn service() -> impl Strategy<Value = String> {
    let some = |all: &'static [&'static str], most: usize| {
        subsequence(all, 1..=most).prop_shuffle().prop_map(|items| items.join(", "))
    };
    let merged = select(&["", "<<: *service", "<<: *chained", "<<: *list", "<<: [*chained, *service]"][..]);
    let image = prop::option::weighted(0.8, select(IMAGES));
    let labels = prop::option::of(select(LABELS));
    let deploy = subsequence(DEPLOY, 0..=2).prop_map(|lines| indented(&distinct(&lines), 6));
    let health = prop::option::of(select(HEALTH));
    let mounts = prop::option::of(some(MOUNTS, 5));
    let secrets = prop::option::of(some(SECRETS, 3));
    let all = (merged, image, labels, deploy, health, mounts, secrets);
    all.prop_map(|(merged, image, labels, deploy, health, mounts, secrets)| {
        let mut lines: Vec<String> = Vec::new();
        if !merged.is_empty() {
            lines.push(merged.to_owned());
        }
        lines.extend(image.map(|image| format!("image: {image}")));
        lines.extend(health.map(|health| format!("healthcheck: {health}")));
        lines.extend(mounts.map(|mounts| format!("volumes: [{mounts}]")));
        lines.extend(secrets.map(|secrets| format!("secrets: [{secrets}]")));
        let labels = labels.map(|labels| format!("      labels: {labels}\n")).unwrap_or_default();
        if !(deploy.is_empty() && labels.is_empty()) {
            lines.push(format!("deploy:\n{deploy}{labels}").trim_end().to_owned());
        }
        indented(&lines, 4)
    })
}

/// Lines of a mapping, each key once.
fn distinct(lines: &[&'static str]) -> Vec<&'static str> {
    let by_key: BTreeMap<&str, &str> =
        lines.iter().map(|line| (line.split(':').next().unwrap(), *line)).collect();
    by_key.into_values().collect()
}

fn indented<T: AsRef<str>>(lines: &[T], by: usize) -> String {
    let all: Vec<String> =
        lines.iter().map(|line| format!("{}{}\n", " ".repeat(by), line.as_ref())).collect();
    all.concat()
}

/// One file: services and what they name.
fn file() -> impl Strategy<Value = String> {
    let services = prop::collection::vec(service(), 1..=2);
    let volumes = prop::collection::vec(select(VOLUMES), 3);
    let secrets = prop::collection::vec(select(NAMES), 3);
    let config = prop::option::of(select(NAMES));
    (services, volumes, secrets, config).prop_map(|(services, volumes, secrets, config)| {
        let mut text = format!("{ABOVE}services:\n");
        for (name, lines) in ["app", "db"].iter().zip(&services) {
            let body = if lines.is_empty() { " {}\n".to_owned() } else { format!("\n{lines}") };
            text += &["  ", name, ":", &body].concat();
        }
        let section = |what: &str, names: &[&str], values: &[&str]| {
            let lines: Vec<String> =
                names.iter().zip(values).map(|(name, value)| format!("{name}: {value}")).collect();
            format!("{what}:\n{}", indented(&lines, 2))
        };
        text += &section("volumes", &["data", "named", "ext"], &volumes);
        text += &section("secrets", &["one", "two", "three"], &secrets);
        if let Some(config) = config {
            text += &section("configs", &["conf"], &[config]);
        }
        text + "networks: {proxy: {external: true}, internal: }\n"
    })
}

/// Where docker reads a generated file otherwise: a part of the difference, and why that is borne.
const DECLARED: &[(&str, &str)] = &[];

#[test]
fn five_hundred_generated_files_are_read_as_docker_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let stack: StackName = "wiki_example_org".parse().unwrap();
    std::fs::write(dir.path().join("f"), "x").unwrap();
    let values: BTreeMap<String, String> = [("SET", "named"), ("TAG", "9"), ("DOMAIN", "wiki.example.org")]
        .map(|(k, v)| (k.into(), v.into()))
        .into();
    let mut for_docker = values.clone();
    for_docker.insert("STACK_NAME".to_owned(), stack.to_string());
    let read = std::cell::Cell::new(0);
    let files = prop::collection::vec(file(), 1..=2);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let result = proptest::test_runner::TestRunner::new(config).run(&files, |texts| {
        let mut names = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let name = format!("compose.{index}.yml");
            std::fs::write(dir.path().join(&name), text).unwrap();
            names.push(name);
        }
        let ours = Compose::load(dir.path(), &names, &values, &stack);
        let ours = ours.map(|compose| reading::ours(&compose, dir.path(), &stack));
        let theirs = judge::config(dir.path(), &names, &for_docker);
        // The variables of versions are looked at in the corpus; here docker reads once.
        let theirs = theirs.map(|merged| reading::theirs(&merged, &Value::Null, dir.path(), &stack));
        if let (Ok(ours), Ok(theirs)) = (&ours, &theirs) {
            read.set(read.get() + 1);
            let ours =
                ours.iter().map(|fact| fact.split(", version in").next().unwrap().to_owned()).collect();
            let mut differences = reading::differences(&ours, theirs);
            differences.retain(|one| !DECLARED.iter().any(|(part, _)| one.contains(part)));
            prop_assert!(differences.is_empty(), "{differences:#?}\n{}", texts.join("---\n"));
        }
        // What docker reads and we do not is a misreading too.
        prop_assert!(ours.is_ok() || theirs.is_err(), "{ours:?}\n{}", texts.join("---\n"));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(read.get() >= READ, "only {} of {CASES} files were read by both", read.get());
}
