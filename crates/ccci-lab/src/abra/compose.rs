//! Reads compose files as far as abra itself looks into them: labels, environment, secrets, configs, health checks.
//! Docker reads the same files again at deploy, and its judgement is the one that counts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ccci_core::atomic::PathContext as _;
use serde::Deserialize as _;
use serde_yaml::Value;

use super::fatal::Fatal;

/// What abra needs to know of one service.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// The image, if any file names one.
    pub(super) image: Option<String>,
    /// The keys of its environment.
    pub(super) environment: BTreeSet<String>,
    /// The labels under `deploy`.
    pub(super) labels: BTreeMap<String, String>,
    /// The secrets it mounts, by the recipe's names.
    pub(super) secrets: Vec<String>,
    /// True when a health check is there.
    pub(super) healthcheck: bool,
}

/// Several compose files laid over each other.
#[derive(Debug, Default)]
pub(super) struct Compose {
    /// The schema version of the first file, as docker wants to see it again in every further one.
    pub(super) version: Option<String>,
    /// The services, in order of appearance.
    pub(super) services: Vec<(String, Service)>,
    /// Name in the recipe and name in the swarm of each external secret, in order of appearance.
    pub(super) secrets: Vec<(String, String)>,
    /// The swarm names of the configs.
    pub(super) configs: Vec<String>,
}

impl Compose {
    /// Reads and merges the files, with `${…}` replaced from `values`; `None` leaves references as they are.
    pub(super) fn read(
        dir: &Path,
        files: &[String],
        values: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, Fatal> {
        let mut compose = Self::default();
        for file in files {
            let mut tree = tree(dir, file)?;
            if let Some(values) = values {
                replace(&mut tree, values);
            }
            compose.add(&tree);
        }
        Ok(compose)
    }

    /// The service of this name.
    pub(super) fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|(n, _)| n == name).map(|(_, s)| s)
    }

    /// The external secrets that some service mounts.
    pub(super) fn mounted_secrets(&self) -> impl Iterator<Item = &(String, String)> {
        let used = |id: &String| self.services.iter().any(|(_, s)| s.secrets.contains(id));
        self.secrets.iter().filter(move |(id, _)| used(id))
    }

    fn add(&mut self, tree: &Value) {
        if self.version.is_none() {
            self.version = text_of(&tree["version"]);
        }
        for (name, body) in entries(&tree["services"]) {
            let at = self.services.iter().position(|(n, _)| *n == name).unwrap_or_else(|| {
                self.services.push((name, Service::default()));
                self.services.len() - 1
            });
            self.services[at].1.add(body);
        }
        for (id, body) in entries(&tree["secrets"]) {
            let name = text_of(&body["name"]).unwrap_or_else(|| id.clone());
            self.secrets.retain(|(known, _)| *known != id);
            self.secrets.push((id, name));
        }
        self.configs.extend(entries(&tree["configs"]).filter_map(|(_, body)| text_of(&body["name"])));
    }
}

impl Service {
    fn add(&mut self, body: &Value) {
        self.image = text_of(&body["image"]).or(self.image.take());
        self.environment.extend(pairs(&body["environment"]).into_keys());
        self.labels.extend(pairs(&body["deploy"]["labels"]));
        self.healthcheck |= body["healthcheck"].is_mapping();
        for secret in body["secrets"].as_sequence().into_iter().flatten() {
            self.secrets.extend(text_of(secret).or_else(|| text_of(&secret["source"])));
        }
    }
}

/// The exports of an `abra.sh`, which is read, never run.
pub(super) fn exports(text: &str) -> BTreeMap<String, String> {
    let export = |line: &str| {
        let (key, value) = line.strip_prefix("export ")?.trim_start().split_once('=')?;
        let value = value.split_whitespace().next().unwrap_or_default();
        Some((key.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
    };
    text.lines().filter_map(export).collect()
}

/// The file's first document: docker looks at no other.
fn tree(dir: &Path, file: &str) -> Result<Value, Fatal> {
    let path = dir.join(file);
    let refused = |why: String| Fatal::Compose { file: file.to_owned(), why };
    let bytes = std::fs::read(&path).path("open", &path)?;
    // Docker's words; it wants UTF-8 in comments too.
    let text =
        String::from_utf8(bytes).map_err(|_| refused("yaml: invalid trailing UTF-8 octet".to_owned()))?;
    // Docker's parser passes a byte order mark over; ours would take it for a letter of the first key.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let first = serde_yaml::Deserializer::from_str(text).next();
    let mut tree = first.map_or(Ok(Value::Null), Value::deserialize).map_err(|e| refused(e.to_string()))?;
    settle(&mut tree).map_err(|why| refused(why.to_owned()))?;
    Ok(tree)
}

/// Takes tags off, which docker passes over, and puts what a merge key names into its mapping; also where that has a merge
/// key of its own, of which `serde_yaml` knows nothing.
fn settle(value: &mut Value) -> Result<(), &'static str> {
    while let Value::Tagged(tagged) = value {
        *value = std::mem::take(&mut tagged.value);
    }
    match value {
        Value::Sequence(items) => items.iter_mut().try_for_each(settle),
        Value::Mapping(map) => {
            map.iter_mut().try_for_each(|(_, inner)| settle(inner))?;
            let sources = match map.shift_remove("<<") {
                None => return Ok(()),
                Some(Value::Sequence(several)) => several,
                Some(one) => vec![one],
            };
            for source in sources {
                // Docker's words.
                let Value::Mapping(below) = source else {
                    return Err("yaml: map merge requires map or sequence of maps as the value");
                };
                for (key, inner) in below {
                    map.entry(key).or_insert(inner);
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (String, &Value)> {
    value.as_mapping().into_iter().flatten().filter_map(|(k, v)| Some((text_of(k)?, v)))
}

/// A mapping, or a list of `key=value`; compose allows both for labels and environment.
fn pairs(value: &Value) -> BTreeMap<String, String> {
    let from_list = value.as_sequence().into_iter().flatten().filter_map(|item| {
        let item = text_of(item)?;
        let (key, value) = item.split_once('=').unwrap_or((&item, ""));
        Some((key.to_owned(), value.to_owned()))
    });
    from_list.chain(entries(value).map(|(k, v)| (k, text_of(v).unwrap_or_default()))).collect()
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        _ => None,
    }
}

fn replace(value: &mut Value, values: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => *text = replaced(text, values),
        Value::Sequence(items) => items.iter_mut().for_each(|item| replace(item, values)),
        Value::Mapping(map) => map.iter_mut().for_each(|(_, item)| replace(item, values)),
        _ => {}
    }
}

/// `$X`, `${X}`, `${X:-default}`, `${X-default}` and `$$`, as docker replaces them.
pub(super) fn replaced(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((inside, after)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            out.push_str(&looked_up(inside, values));
            rest = after;
        } else {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            out.push_str(values.get(&name).map_or("", String::as_str));
            rest = &rest[name.len()..];
        }
    }
    out + rest
}

fn looked_up(inside: &str, values: &BTreeMap<String, String>) -> String {
    let (name, default, empty_counts) = if let Some((name, default)) = inside.split_once(":-") {
        (name, default, false)
    } else if let Some((name, default)) = inside.split_once('-') {
        (name, default, true)
    } else {
        (inside.split([':', '?']).next().unwrap_or(inside), "", true)
    };
    let set = values.get(name).filter(|v| empty_counts || !v.is_empty());
    set.cloned().unwrap_or_else(|| default.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"
version: "3.8"
x-env: &env {A: "1", B: "${B:-two}"}
services:
  app:
    image: ${IMAGE}
    environment: {<<: *env, C: null}
    secrets: [one, {source: two}]
    deploy:
      labels:
        - "coop-cloud.${STACK_NAME}.version=1.0.0+2"
        - "coop-cloud.${STACK_NAME}.timeout=${TIMEOUT:-300}"
secrets:
  one: {external: true, name: "${STACK_NAME}_one_${ONE}"}
  two: {external: true, name: x}
  three: {external: true, name: y}
"#;

    #[test]
    fn files_are_laid_over_each_other_with_variables_and_merge_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        ccci_core::atomic::write(&path("compose.yml"), BASE.as_bytes()).unwrap();
        let more = "version: '3.8'\nservices:\n  app:\n    environment: [D=4]\n    deploy: {labels: {a: b}}\n  \
                    job: {image: x}\n";
        ccci_core::atomic::write(&path("compose.more.yml"), more.as_bytes()).unwrap();
        let values = [("STACK_NAME", "s"), ("IMAGE", "i:1"), ("ONE", "v2")];
        let values = values.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let files = ["compose.yml".to_owned(), "compose.more.yml".to_owned()];
        let compose = Compose::read(dir.path(), &files, Some(&values)).unwrap();
        let app = compose.service("app").unwrap();
        assert_eq!(app.image.as_deref(), Some("i:1"));
        assert_eq!(app.environment.iter().map(String::as_str).collect::<Vec<_>>(), ["A", "B", "C", "D"]);
        assert_eq!(app.labels["coop-cloud.s.version"], "1.0.0+2");
        assert_eq!(app.labels["coop-cloud.s.timeout"], "300");
        assert_eq!(app.labels["a"], "b");
        assert!(compose.service("job").is_some());
        let mounted: Vec<_> = compose.mounted_secrets().map(|(_, name)| name.as_str()).collect();
        assert_eq!(mounted, ["s_one_v2", "x"]);
        assert_eq!(compose.version.as_deref(), Some("3.8"));
    }

    /// Images, labels and secrets stand behind chains of merge keys as well as anywhere else.
    #[test]
    fn merge_keys_are_followed_in_chains() {
        let dir = tempfile::tempdir().unwrap();
        let read = |service: &str| {
            let base = "x-a: &a {image: 'i:1', secrets: [one], environment: {A: 1}}\nx-b: &b {<<: *a, image: 'i:2'}\n\
                        x-c: &c {<<: *b, deploy: {labels: {l: c}}}\nx-d: &d {deploy: {labels: {l: d}}}\n";
            let text = format!("{base}services:\n  app: {service}\n");
            ccci_core::atomic::write(&dir.path().join("compose.yml"), text.as_bytes()).unwrap();
            Compose::read(dir.path(), &["compose.yml".to_owned()], None)
        };
        for (form, image, label) in [
            ("{<<: *b}", Some("i:2"), None),
            ("{<<: *c}", Some("i:2"), Some("c")),
            ("{<<: [*d, *c]}", Some("i:2"), Some("d")),
            ("{<<: [*c, *d]}", Some("i:2"), Some("c")),
            ("{<<: {<<: *c, image: 'i:3'}}", Some("i:3"), Some("c")),
            ("{image: 'i:4', <<: [*b]}", Some("i:4"), None),
            ("!reset {<<: *b}", Some("i:2"), None),
            // No merge: a mapping that holds one, and a key that only looks like it.
            ("{x: *c}", None, None),
            ("{<: *c}", None, None),
        ] {
            let compose = read(form).unwrap_or_else(|e| panic!("{form}: {e}"));
            let app = compose.service("app").unwrap();
            let found = (app.image.as_deref(), app.labels.get("l").map(String::as_str));
            assert_eq!(found, (image, label), "{form}");
            assert_eq!(app.secrets, if image.is_some() { vec!["one"] } else { vec![] }, "{form}");
        }
        for form in ["{<<: 3}", "{<<: [*a, x]}", "{<<: }"] {
            let refused = read(form).unwrap_err().to_string();
            assert!(refused.contains("map merge requires map or sequence of maps"), "{form}: {refused}");
        }
    }

    #[test]
    fn only_the_first_document_counts_and_a_byte_that_is_no_text_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let read = |bytes: &[u8]| {
            ccci_core::atomic::write(&dir.path().join("compose.yml"), bytes).unwrap();
            Compose::read(dir.path(), &["compose.yml".to_owned()], None)
        };
        for behind in ["---\n", "---\nservices: {two: {image: y}}\n", "---\n: bad [\n"] {
            let compose = read(format!("services: {{app: {{image: x}}}}\n{behind}").as_bytes()).unwrap();
            assert_eq!(compose.services.len(), 1, "{behind}");
        }
        assert!(read(b"\xef\xbb\xbfservices: {app: {image: x}}\n").unwrap().service("app").is_some());
        let marked = read(b"\xef\xbb\xbfversion: '3.8'\nservices: {app: {image: x}}\n").unwrap();
        assert!(marked.service("app").is_some(), "what stands behind the first key too");
        let refused = read(b"# caf\xe9\nservices: {app: {image: x}}\n").unwrap_err();
        assert!(refused.to_string().contains("yaml: invalid trailing UTF-8 octet"), "{refused}");
    }

    #[test]
    fn variables_are_replaced_as_docker_does() {
        let values = [("A", "1"), ("E", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (text, expected) in [
            ("$A-${A}", "1-1"),
            ("$$A", "$A"),
            ("${E:-d}${E-d}${N-d}", "dd"),
            ("${N}", ""),
            ("${A:?must}", "1"),
        ] {
            assert_eq!(replaced(text, &values), expected, "{text}");
        }
    }

    #[test]
    fn abra_sh_is_read_not_run() {
        let text = "#!/bin/sh\nexport A_VERSION=v1\n  export B=no\nexport C=\"v 2\"\necho hi\n";
        assert_eq!(
            exports(text),
            [("A_VERSION", "v1"), ("C", "v")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
        );
    }
}
