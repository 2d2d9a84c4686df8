//! Reading, changing and growing env files.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// In the shape of a real recipe's sample: a grown `COMPOSE_FILE`, options behind secrets, features commented out.
const SAMPLE: &str = r#"TYPE=wiki
DOMAIN=wiki.example.com
#EXTRA_DOMAINS=', `www.wiki.example.com`'
LETS_ENCRYPT_ENV=production
COMPOSE_FILE="compose.yml"
COMPOSE_FILE="$COMPOSE_FILE:compose.postgres.yml"
#COMPOSE_FILE="$COMPOSE_FILE:compose.oidc.yml"

# Set MAIL_FROM=somebody to send mail
MAIL_FROM="Wiki <wiki@$DOMAIN>"
MOTD='costs $5 # not a comment'
SECRET_DB_PASSWORD_VERSION=v1 # length=32 charset=hex
# SECRET_OIDC_VERSION=v1 # length=16
"#;

fn env(text: &str) -> EnvFile {
    EnvFile::parse(text).unwrap()
}

#[test]
fn a_file_is_read_as_abra_reads_it_and_written_back_byte_for_byte() {
    let env = env(SAMPLE);
    assert_eq!(env.text(), SAMPLE);
    assert_eq!(env.get("MAIL_FROM"), Some("Wiki <wiki@$DOMAIN>"));
    assert_eq!(env.get("COMPOSE_FILE"), Some("$COMPOSE_FILE:compose.postgres.yml"), "the last one wins");
    let values = env.expanded();
    assert_eq!(values["COMPOSE_FILE"], "compose.yml:compose.postgres.yml");
    assert_eq!(compose_files(&values), ["compose.yml", "compose.postgres.yml"]);
    assert_eq!(values["MAIL_FROM"], "Wiki <wiki@wiki.example.com>");
    assert_eq!(values["MOTD"], "costs $5 # not a comment");
    assert!(!values.contains_key("EXTRA_DOMAINS"));
    let secret = "SECRET_DB_PASSWORD_VERSION";
    assert_eq!((env.get(secret), env.options(secret)), (Some("v1"), Some("length=32 charset=hex")));
}

#[test]
fn values_of_every_form_are_read() {
    for (line, value) in [
        ("A=plain", "plain"),
        ("A=", ""),
        ("A = spaced ", "spaced"),
        ("export A=exported", "exported"),
        ("A=a b", "a b"),
        ("A=with#hash", "with#hash"),
        ("A=with #comment", "with"),
        ("A= # only a comment", ""),
        (r#"A="a \"b\" \\ \$c""#, r#"a "b" \ $c"#),
        ("A=\"two\nlines\"", "two\nlines"),
        ("A='single \\n'", "single \\n"),
        ("A=\"closed\" # length=3", "closed"),
        ("A=it's", "it's"),
    ] {
        assert_eq!(env(line).get("A"), Some(value), "{line}");
        assert_eq!(env(line).text().trim_end_matches('\n'), line);
    }
    for line in ["# A=1", "just words", "1A=2", "A-B=2", ""] {
        assert!(env(line).keys().is_empty(), "{line}");
    }
    assert!(matches!(EnvFile::parse("B=1\nA=\"open\n"), Err(EnvFileError::OpenQuote { line: 2, .. })));
}

#[test]
fn expansion_looks_up_only_and_knows_escapes() {
    let values = env("A=1\nB=$A${A}$C\nC=\\$A\nD=\"\\$A $ $1 ${A:-x}\"\nE='$A'\nF=$F:x\n").expanded();
    let wanted = [("A", "1"), ("B", "11"), ("C", "$A"), ("D", "$A $ $1 ${A:-x}"), ("E", "$A"), ("F", ":x")];
    assert_eq!(values, wanted.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
}

#[test]
fn a_key_is_changed_in_its_place_and_keeps_its_options() {
    let mut file = env(SAMPLE);
    file.set("SECRET_DB_PASSWORD_VERSION", "v2").unwrap();
    file.set("LETS_ENCRYPT_ENV", "").unwrap();
    file.set("NEW", "a 'b' $c").unwrap();
    let text = file.text();
    assert!(text.contains("\nSECRET_DB_PASSWORD_VERSION=v2 # length=32 charset=hex\n"), "{text}");
    assert!(text.contains("\nLETS_ENCRYPT_ENV=\n"), "{text}");
    assert!(text.ends_with("NEW=\"a 'b' \\$c\"\n"), "{text}");
    assert_eq!(text.lines().count(), SAMPLE.lines().count() + 1);
    assert!(file.set("NOT A KEY", "").is_err());
}

#[test]
fn a_commented_out_secret_comes_back_with_its_length() {
    let mut file = env(SAMPLE);
    file.set("SECRET_OIDC_VERSION", "v1").unwrap();
    assert_eq!(file.options("SECRET_OIDC_VERSION"), Some("length=16"));
    assert_eq!(file.text().lines().count(), SAMPLE.lines().count());
    // Prose that mentions a key is not the key.
    let mut file = env("# Set MAIL=somebody to send mail\n# MAIL=a b c, or so\n");
    file.set("MAIL", "x").unwrap();
    assert_eq!(file.text().lines().count(), 3);
}

#[test]
fn r10_new_keys_are_merged_and_set_values_are_not_changed() {
    let mut app = env("TYPE=wiki\nDOMAIN=x.lab.test\nMOTD=mine\n# SECRET_DB_PASSWORD_VERSION=v1\n");
    let added = app.merge_missing(&env(SAMPLE));
    let wanted = ["LETS_ENCRYPT_ENV", "COMPOSE_FILE", "MAIL_FROM", "SECRET_DB_PASSWORD_VERSION"];
    assert_eq!(added, wanted);
    assert_eq!(app.get("MOTD"), Some("mine"));
    assert_eq!(app.options("SECRET_DB_PASSWORD_VERSION"), Some("length=32 charset=hex"));
    assert_eq!(app.expanded()["COMPOSE_FILE"], "compose.yml:compose.postgres.yml");
    assert!(!app.text().contains("# SECRET_DB_PASSWORD_VERSION"));
    assert!(app.merge_missing(&env(SAMPLE)).is_empty());
}

#[test]
fn failure_22_a_compose_file_is_added_only_where_the_checkout_has_it() {
    let dir = tempfile::tempdir().unwrap();
    crate::atomic::write(&dir.path().join("compose.lab.yml"), b"").unwrap();
    let (recipe, domain) = ("wiki".parse().unwrap(), "wiki-0a1b2c.lab.test".parse().unwrap());
    let files = ["compose.lab.yml".to_owned(), "compose.ccci.yml".to_owned()];
    let values = BTreeMap::from([("LETS_ENCRYPT_ENV".to_owned(), String::new())]);
    let app = AppEnv {
        sample: SAMPLE,
        recipe: &recipe,
        domain: &domain,
        values: &values,
        compose_files: &files,
        checkout: dir.path(),
    };
    let mut env = app.render().unwrap();
    let values = env.expanded();
    assert_eq!(compose_files(&values), ["compose.yml", "compose.postgres.yml", "compose.lab.yml"]);
    assert_eq!((values["TYPE"].as_str(), values["DOMAIN"].as_str()), ("wiki", "wiki-0a1b2c.lab.test"));
    assert_eq!(values["MAIL_FROM"], "Wiki <wiki@wiki-0a1b2c.lab.test>");
    assert_eq!(values["LETS_ENCRYPT_ENV"], "");
    assert!(env.text().contains("www.wiki-0a1b2c.lab.test"), "every example domain is replaced");
    assert!(env.extend_compose_files(dir.path(), &files).unwrap().is_empty(), "each file once");
}

proptest! {
    #[test]
    fn any_value_is_read_back_exactly(key in "[A-Z_][A-Z0-9_]{0,8}", value in "\\PC*|[ -~\n\r\t$'\"\\\\#]*") {
        let mut file = env(SAMPLE);
        file.set(&key, &value).unwrap();
        let again = env(&file.text());
        prop_assert_eq!(again.get(&key), Some(value.as_str()));
        prop_assert_eq!(&again.expanded()[&key], &value);
        prop_assert_eq!(again, file);
    }

    #[test]
    fn any_text_without_open_quotes_is_written_back(lines in proptest::collection::vec("[A-C#]{0,2}=?([ -~]|\\PC){0,12}", 0..6)) {
        let text = lines.join("\n") + "\n";
        if let Ok(file) = EnvFile::parse(&text) {
            prop_assert_eq!(file.text(), text);
        }
    }
}

#[test]
fn abra_makes_each_secret_but_those_that_say_otherwise() {
    let env = env(
        "A=v1\nB=v1 # length=8 generate=false\nC=v1 # generate=true\nD=v1 # charset=hex,generate=false\n",
    );
    let made: Vec<&str> =
        ["A", "B", "C", "D", "NOT_THERE"].into_iter().filter(|key| env.generates(key)).collect();
    assert_eq!(made, ["A", "C", "NOT_THERE"]);
}

#[test]
fn a_compose_file_goes_and_the_others_stay() {
    for (text, left) in [
        ("COMPOSE_FILE=compose.yml:compose.ccci.yml:b.yml\n", "compose.yml:b.yml"),
        ("COMPOSE_FILE=\"$COMPOSE_FILE:compose.ccci.yml\"\n", "compose.yml"),
        ("COMPOSE_FILE=\"compose.yml:b.yml\"\n", "compose.yml:b.yml"),
        ("A=1\n", "compose.yml"),
    ] {
        let mut env = EnvFile::parse(text).unwrap();
        env.drop_compose_file("compose.ccci.yml").unwrap();
        assert_eq!(compose_files(&env.expanded()).join(":"), left, "{text}");
    }
    let mut untouched = EnvFile::parse("A=1 # one\n").unwrap();
    untouched.drop_compose_file("compose.ccci.yml").unwrap();
    assert_eq!(untouched.text(), "A=1 # one\n");
}
