//! Cases about secrets: which are wanted, how they are made, inserted, listed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::bench::{Bench, Outcome, Red, Said};

const TWO: &str = "COMPOSE_FILE=compose.yml:compose.secrets.yml\nSECRET_FIRST_VERSION=v1 # length=24\n\
                   SECRET_SECOND_VERSION=v2\n";
const BY_HAND: &str = "COMPOSE_FILE=compose.yml:compose.hand.yml\nSECRET_HAND_VERSION=v1 # generate=false\n";

fn generate(b: &Bench, more: &[&str]) -> Said {
    b.abra(&[&["app", "secret", "generate", "-n", "-o", "-C", "-m"], more].concat())
}

/// An object's strings, under keys without case, spaces, dashes and underscores: their form is not certain.
fn plain(object: &Value) -> BTreeMap<String, String> {
    let key = |k: &String| k.to_lowercase().replace([' ', '-', '_'], "");
    let pairs = object.as_object().into_iter().flatten();
    pairs.map(|(k, v)| (key(k), v.as_str().unwrap_or_default().to_owned())).collect()
}

fn made(said: &Said) -> Result<BTreeMap<String, String>, Red> {
    said.good()?;
    let list = said.json()?;
    let one = |v: &Value| {
        let mut object = plain(v);
        (object.remove("name").unwrap_or_default(), object.remove("value").unwrap_or_default())
    };
    Ok(list.as_array().into_iter().flatten().map(one).collect())
}

pub fn missing_secret_names_one(b: &Bench) -> Outcome {
    b.app(TWO);
    let said = b.deploy(&["-C", "DOMAIN"]);
    said.fata("secret not generated: ")?;
    let named = ["first", "second"].iter().filter(|n| said.all().contains(**n)).count();
    ensure!(named == 1, "it names {named} secrets:\n{}", said.all());
    ensure!(b.left("service").is_empty(), "something was deployed");
    Ok(())
}

pub fn secret_to_be_inserted_has_its_own_words(b: &Bench) -> Outcome {
    b.app(BY_HAND);
    b.deploy(&["-C", "DOMAIN"]).fata("secret not inserted (#generate=false): hand")
}

pub fn generated_values_have_the_length_asked_for(b: &Bench) -> Outcome {
    b.app(TWO);
    let made = made(&generate(b, &["-a", "DOMAIN"]))?;
    let length = |name: &str| made.get(name).map(String::len).unwrap_or_default();
    ensure!(length("first") == 24, "`length=24` gave {} characters", length("first"));
    ensure!(length("second") >= 16, "without options: {} characters", length("second"));
    let mut there = b.secrets();
    there.sort();
    ensure!(there == [format!("{}_first_v1", b.stack), format!("{}_second_v2", b.stack)], "{there:?}");
    Ok(())
}

pub fn commented_option_is_lost(b: &Bench) -> Outcome {
    b.app(
        "COMPOSE_FILE=compose.yml:compose.secrets.yml\n#SECRET_FIRST_VERSION=v1 # length=24\n\
           SECRET_FIRST_VERSION=v1\nSECRET_SECOND_VERSION=v1\n",
    );
    let made = made(&generate(b, &["-a", "DOMAIN"]))?;
    ensure!(made.get("first").is_some_and(|v| v.len() != 24), "the option of a comment was used");
    Ok(())
}

pub fn generating_nothing_ends_with_one(b: &Bench) -> Outcome {
    b.app(TWO);
    generate(b, &["-a", "DOMAIN"]).prepared()?;
    let again = generate(b, &["-a", "DOMAIN"]);
    ensure!(again.code == Some(1), "the second call ended with {:?}:\n{}", again.code, again.all());
    ensure!(again.all().contains("no secrets generated"), "it says:\n{}", again.all());
    Ok(())
}

pub fn one_secret_by_name(b: &Bench) -> Outcome {
    b.app(TWO);
    let made = made(&generate(b, &["DOMAIN", "second", "v2"]))?;
    ensure!(made.len() == 1 && made.contains_key("second"), "made: {:?}", made.keys());
    ensure!(b.secrets() == [format!("{}_second_v2", b.stack)], "{:?}", b.secrets());
    Ok(())
}

pub fn list_says_what_is_there(b: &Bench) -> Outcome {
    b.app(TWO);
    generate(b, &["DOMAIN", "second", "v2"]).prepared()?;
    let said = b.abra(&["app", "secret", "ls", "-n", "-o", "-C", "-m", "DOMAIN"]);
    said.good()?;
    let list = said.json()?;
    let objects: Vec<_> = list.as_array().into_iter().flatten().map(plain).collect();
    ensure!(objects.len() == 2, "{list}");
    for (name, version, there) in [("first", "v1", "false"), ("second", "v2", "true")] {
        let object = objects.iter().find(|o| o["name"] == name);
        let object = object.ok_or_else(|| Red::Differs(format!("no {name}: {list}")))?;
        ensure!(object["version"] == version, "{list}");
        ensure!(object["generatedname"] == format!("{}_{name}_{version}", b.stack), "{list}");
        ensure!(object["createdonserver"] == there, "{list}");
    }
    Ok(())
}

pub fn inserted_from_a_file(b: &Bench) -> Outcome {
    b.app(BY_HAND);
    let file = b.path("value");
    std::fs::write(&file, "a value").unwrap();
    let file = file.display().to_string();
    b.abra(&["app", "secret", "insert", "-n", "-o", "-C", "-f", "DOMAIN", "hand", "v1", &file]).good()?;
    ensure!(b.secrets() == [format!("{}_hand_v1", b.stack)], "{:?}", b.secrets());
    b.deploy(&["-C", "DOMAIN"]).good()
}

pub fn insert_does_not_replace(b: &Bench) -> Outcome {
    b.app(BY_HAND);
    let file = b.path("value");
    std::fs::write(&file, "a value").unwrap();
    let file = file.display().to_string();
    let insert =
        || b.abra(&["app", "secret", "insert", "-n", "-o", "-C", "-f", "DOMAIN", "hand", "v1", &file]);
    insert().prepared()?;
    insert().fata("AlreadyExists")
}

pub fn removed_by_name(b: &Bench) -> Outcome {
    b.app(TWO);
    generate(b, &["-a", "DOMAIN"]).prepared()?;
    b.abra(&["app", "secret", "rm", "-n", "-o", "-C", "DOMAIN", "first"]).good()?;
    ensure!(b.secrets() == [format!("{}_second_v2", b.stack)], "{:?}", b.secrets());
    Ok(())
}

const ODD: &str = "COMPOSE_FILE=compose.yml:compose.odd.yml\nSECRET_THIRD_VERSION=v1 # length=40\n\
                   OTHER_KEY=v3 # length=12\n";

/// A secret whose name in the swarm is not made of its key, with its version in a variable of another name.
pub fn odd(b: &Bench) {
    b.write(
        "compose.odd.yml",
        "version: \"3.8\"\nservices:\n  app:\n    secrets: [third]\nsecrets:\n  third:\n    external: true\n    \
         name: ${STACK_NAME}_other_name_${OTHER_KEY:-v1}\n",
    );
    b.app(ODD);
}

pub fn named_by_the_compose_file(b: &Bench) -> Outcome {
    odd(b);
    let name = format!("{}_other_name_v3", b.stack);
    let said = b.abra(&["app", "secret", "ls", "-n", "-o", "-C", "-m", "DOMAIN"]);
    said.good()?;
    let list = said.json()?;
    let row = plain(&list[0]);
    ensure!(row["name"] == "third" && row["version"] == "v3" && row["generatedname"] == name, "{list}");
    let made = made(&generate(b, &["-a", "DOMAIN"]))?;
    let length = made.get("third").map(String::len);
    ensure!(length == Some(12), "the options of OTHER_KEY were not used: {length:?}");
    ensure!(b.secrets() == [name], "{:?}", b.secrets());
    b.deploy(&["-C", "DOMAIN"]).good()
}

pub fn insert_makes_the_name_of_its_words(b: &Bench) -> Outcome {
    odd(b);
    let file = b.path("value");
    std::fs::write(&file, "a value").unwrap();
    let file = file.display().to_string();
    b.abra(&["app", "secret", "insert", "-n", "-o", "-C", "-f", "DOMAIN", "third", "v3", &file]).good()?;
    ensure!(b.secrets() == [format!("{}_third_v3", b.stack)], "{:?}", b.secrets());
    Ok(())
}

pub fn version_is_the_default_of_its_variable(b: &Bench) -> Outcome {
    odd(b);
    b.app("COMPOSE_FILE=compose.yml:compose.odd.yml\nSECRET_THIRD_VERSION=v7\n");
    let said = b.abra(&["app", "secret", "ls", "-n", "-o", "-C", "-m", "DOMAIN"]);
    said.good()?;
    let list = said.json()?;
    let row = plain(&list[0]);
    let name = format!("{}_other_name_v1", b.stack);
    ensure!(row["version"] == "v1" && row["generatedname"] == name, "{list}");
    Ok(())
}

pub fn unknown_charset_gives_the_usual_letters(b: &Bench) -> Outcome {
    b.app(&TWO.replace("length=24", "length=24 charset=klingon"));
    let made = made(&generate(b, &["-a", "DOMAIN"]))?;
    let usual = |value: &String| value.len() == 24 && value.chars().all(|c| c.is_ascii_alphanumeric());
    ensure!(made.get("first").is_some_and(usual), "it gave no 24 letters and digits");
    Ok(())
}
