//! The YAML alone: extension fields, which docker hands through as it has read them.

use std::collections::BTreeMap;
use std::path::Path;

use ccci_core::yaml::parse_merged;
use serde_json::Value;

use crate::judge;

/// Both read the same.
const SAME: &[&str] = &[
    // Merge keys: alone, in chains, of lists, with chains in them.
    "x-a: &a {x: 1, w: 1}\nx-b: &b {<<: *a, y: 2}\nx-c: {<<: *b, z: 3}",
    "x-a: &a {x: 1, w: 1}\nx-b: &b {<<: *a, x: 2}\nx-c: &c {<<: *b, w: 3}\nx-d: {<<: *c}",
    "x-a: &a {x: 1}\nx-b: &b {x: 2, y: 2}\nx-c: {<<: [*a, *b]}",
    "x-a: &a {x: 1}\nx-b: &b {y: 2}\nx-c: &c {<<: [*a, *b], z: 3}\nx-d: {<<: *c, q: 1}\nx-e: {<<: [*c, *b]}",
    "x-a: &a {k: a}\nx-b: &b {<<: *a, m: b}\nx-c: &c {k: c, m: c}\nx-d: {<<: [*b, *c]}\nx-e: {<<: [*c, *b]}",
    "x-a: &a {x: 1}\nx-c: {x: 2, <<: *a}\nx-d: {<<: *a, x: 2}",
    "x-c: {<<: {x: 1, y: {z: 1}}, w: 1}",
    "x-a: &a {x: 1}\nx-b: &b {inner: {<<: *a, y: 2}}\nx-c: {<<: *b, z: 3}",
    "x-a: &a {m: {x: 1, y: 1}}\nx-c: {<<: *a, m: {z: 1}}",
    "x-a: &a {x: 1}\nx-b: {!!merge <<: *a, y: 1}",
    // Near misses.
    "x-a: &a {x: 1}\nx-c: {\"<<\": *a, w: 1}",
    "x-a: &a {x: 1}\nx-b: {!!str <<: *a, y: 1}",
    "x-a: &a {x: 1}\nx-b: &b {<<: *a, y: 2}\nx-c: {inner: *b}",
    // An anchor of the same name again.
    "x-a: &a {x: 1}\nx-b: {<<: *a}\nx-c: &a {x: 2}\nx-d: {<<: *a}",
    // Scalars.
    "x-a: [on, off, yes, no, y, n, On, YES, true, True, TRUE, false, tRue]",
    "x-a: [014, 0o14, 0755, 0b11, 0x1F, -0o7, +12, 1_000, 0_1]",
    "x-a: [1.50, 1., .5, 1.10, 0.1]",
    "x-a: [~, null, Null, NULL, nUll, '']\nx-b:",
    "x-a: [12:30:45, 1:20, 190:20:30, 1.2.3]",
    "x-a: [9223372036854775807, 18446744073709551615, 18446744073709551616, -9223372036854775809]",
    "x-a: !!str 12\nx-b: !!int \"12\"",
    "x-a: !!binary aGk=",
    "x-a: !foo bar\nx-b: !foo {a: 1}",
    "x-a: {on: 1, yes: 2, a b: 3, a.b-c: 4}",
    // Texts.
    "x-a: one\n  two\n   three",
    "x-a: >\n  one\n  two\n\n  three\nx-b: |-\n  one\n   two\nx-c: |2\n    one\n  two\nx-d: >+\n  a\n\nx-e: 1",
    "x-a: a#b\nx-b: a #b",
    "x-a: \"\\u00e9\\x41\\e\\t\"\nx-b: 'it''s'",
    "x-a: 1\r\nx-b: \"a\r\n  b\"\r\n",
    // Layout.
    "x-a:\n- a\n- b\nx-b: [\n  a,\n  b\n]\nx-c: {a: 1,\n  b: 2,\n}",
    "x-a: {\"a\":1,'b':2}\nx-b: {c, d: 1}\nx-c: [a, b,]",
    "? x-a\n: 1",
    "&k x-a: 1\nx-b: *k\nx-c: {*k : 1}",
    "x-a: &v 5\nx-b: [*v, *v]",
    "x-a:\t1\nx-b: 2 \t# c",
    "x-a:\n  # c\n  - a\n # odd\n  - b",
    "x-a: 1\n---\nx-b: 2",
    "x-a: 1\n---\n: : bad [ yaml",
    "x-a: 1\n...\ntrailing: 1",
];

/// Docker refuses what we read: its refusal is what the run tells, so nothing of it is ever deployed.
const REFUSED_BY_DOCKER: &[(&str, &str)] = &[
    ("x-a: &a {x: 1}\nx-b: &b {y: 1}\nx-c: {<<: *a, <<: *b}", "already defined"),
    ("x-c: {<<: , w: 1}", "map merge requires map"),
    ("x-a: &a.b {x: 1}\nx-b: {<<: *a.b}", "alphabetic or numeric"),
    ("x-a: \"\\/\"", "unknown escape"),
    ("x-a: {1: a, 2.5: b, true: c}", "unsupported type"),
];

/// Both refuse.
const REFUSED_BY_BOTH: &[&str] = &[
    "x-a: 1\nx-a: 2",
    "x-a: {k: 1, \"k\": 2}",
    "x-c: {<<: 3, w: 1}",
    "x-a: &a [1]\nx-c: {<<: [*a], w: 1}",
    "x-a: &a {<<: *a}",
    "x-a: &a {b: *a}",
    "x-a: {<<: *nope}",
    "x-a: .nan",
    "x-a: .inf",
    "x-a: @foo",
    "x-a: `foo`",
    "x-a: %foo",
    "x-a: [a, , b]",
    "x-a: {a: 1",
    "x-a: x: y",
    "x-a:\n\tb: 1",
    "x-a: \"\\d\"",
    "x-a: !!bool \"yes\"",
    "x-a: {? [a, b] : c}",
];

/// Read otherwise, and why that is borne.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "x-a: 2024-01-01",
        "docker turns a bare date into an instant; as a label it is `2024-01-01 00:00:00 +0000 UTC`",
    ),
    ("x-a: 0X1F", "an upper-case prefix is a number for docker and a text for us"),
];

/// With a service, which docker wants; the extensions alone, one number like the other.
fn both(text: &str) -> (Result<Value, String>, Result<Value, String>) {
    let dir = tempfile::tempdir().unwrap();
    let mark = text.starts_with('\u{feff}');
    let text = text.trim_start_matches('\u{feff}');
    let text = format!("{}services: {{app: {{image: x}}}}\n{text}\n", if mark { "\u{feff}" } else { "" });
    std::fs::write(dir.path().join("c.yml"), &text).unwrap();
    let theirs = judge::config(dir.path(), &["c.yml".to_owned()], &BTreeMap::new());
    let ours = parse_merged(Path::new("c.yml"), &text).map_err(|error| error.to_string());
    (ours.map(extensions), theirs.map(extensions))
}

fn extensions(mut all: Value) -> Value {
    all.as_object_mut().unwrap().retain(|key, _| key.starts_with("x-"));
    plain(&mut all);
    all
}

/// `1.0` and `1` are one number.
fn plain(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(map) => map.iter_mut().for_each(|(_, item)| plain(item)),
        Value::Number(number) => *value = number.as_f64().unwrap().into(),
        _ => {}
    }
}

#[test]
fn docker_reads_the_same_yaml() {
    for text in SAME {
        let (ours, theirs) = both(text);
        let theirs = theirs.unwrap_or_else(|error| panic!("docker refuses: {error}\n{text}"));
        assert_eq!(ours.as_ref(), Ok(&theirs), "{text}");
        assert!(!theirs.as_object().unwrap().is_empty(), "{text}");
        // The same behind a byte order mark.
        let (ours, marked) = both(&format!("\u{feff}{text}"));
        assert_eq!((ours, marked), (Ok(theirs.clone()), Ok(theirs)), "with a mark: {text}");
    }
}

#[test]
fn what_docker_refuses_and_what_it_reads_otherwise_is_known() {
    for (text, why) in REFUSED_BY_DOCKER {
        let (ours, theirs) = both(text);
        assert!(theirs.as_ref().is_err_and(|said| said.contains(why)), "{text}: {theirs:?}");
        assert!(ours.is_ok(), "{text}: {ours:?}");
    }
    for text in REFUSED_BY_BOTH {
        let (ours, theirs) = both(text);
        assert!(theirs.is_err() && ours.is_err(), "{text}: {ours:?} {theirs:?}");
        // Line and column, also where docker has none.
        assert!(ours.unwrap_err().starts_with("c.yml:"), "{text}");
    }
    for (text, why) in DIFFERENT {
        let (ours, theirs) = both(text);
        assert_ne!(
            ours.unwrap(),
            theirs.unwrap(),
            "{text} is read alike by now, so it is no more true that {why}"
        );
    }
}
