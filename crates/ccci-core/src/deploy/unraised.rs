//! A config or secret of the app's own that has other content under its old name. Swarm's words for it ("only updates to
//! Labels are allowed") tell nobody what to do.

use crate::compose::exports;
use crate::swarm::Thing;

/// What to do about it. `variable` carries the version in its name, `script` is the checkout's `abra.sh`.
pub(super) fn advice(thing: &Thing, variable: Option<&str>, script: &str) -> String {
    let todo = match variable {
        Some(variable) if exports(script).contains_key(variable) => format!("raise {variable} in abra.sh"),
        Some(variable) => format!("raise {variable}, which this commit's abra.sh does not export"),
        None => {
            let name = format!("${{STACK_NAME}}_{0}_${{{1}_VERSION}}", "<name>", "<NAME>");
            format!(
                "its `name:` has no version to raise; name it `{name}` and export that version in abra.sh"
            )
        }
    };
    format!(
        "the {thing} has other content than before under the same name, and swarm never changes one: {todo}"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;
    use crate::compose::Compose;

    const STACK: &str = "wiki_example_org";
    const FILE: &str = r#"
services: {app: {image: x}}
configs:
  app_entrypoint: {file: entrypoint.sh, name: "${STACK_NAME}_app_entrypoint_${APP_ENTRYPOINT_VERSION}"}
  both: {file: a, name: "${STACK_NAME}_both_${BOTH_CONF_VERSION}"}
  fixed: {file: b, name: fixed_conf}
  bare: {file: d, name: "${STACK_NAME}_bare_v1"}
secrets:
  both: {file: c, name: "${STACK_NAME}_both_${SECRET_BOTH_VERSION}"}
"#;

    fn told(kind: &'static str, name: &str) -> String {
        let script = "export APP_ENTRYPOINT_VERSION=v3\nexport BOTH_CONF_VERSION=v1\n";
        let mut values: BTreeMap<String, String> = exports(script);
        values.insert("SECRET_BOTH_VERSION".into(), "v1".into());
        let files = [(PathBuf::from("compose.yml"), FILE.to_owned())];
        let stack = "wiki.example.org".parse::<crate::names::AppDomain>().unwrap().stack();
        let compose = Compose::parse(&files, &values, &stack).unwrap();
        let thing = Thing { kind, name: name.to_owned() };
        let told = advice(&thing, compose.variable_of(&thing), script);
        let (what, todo) = told.split_once(": ").unwrap();
        assert!(what.starts_with(&format!("the {kind} `{name}` has other content")), "{told}");
        todo.to_owned()
    }

    #[test]
    fn the_variable_to_raise_is_named() {
        let entrypoint = format!("{STACK}_app_entrypoint_v3");
        assert_eq!(told("config", &entrypoint), "raise APP_ENTRYPOINT_VERSION in abra.sh");
        // A secret of the same name in the files and in the swarm is another thing.
        let both = format!("{STACK}_both_v1");
        assert_eq!(told("config", &both), "raise BOTH_CONF_VERSION in abra.sh");
        let secret = "raise SECRET_BOTH_VERSION, which this commit's abra.sh does not export";
        assert_eq!(told("secret", &both), secret);
        // Near misses: no version in the name, a name that the files do not have.
        let none = "its `name:` has no version to raise; name it `${STACK_NAME}_<name>_${<NAME>_VERSION}` and export that \
                    version in abra.sh";
        assert_eq!(told("config", "fixed_conf"), none);
        assert_eq!(told("config", &format!("{STACK}_bare_v1")), none);
        assert_eq!(told("config", &format!("{STACK}_app_entrypoint_v2")), none);
    }
}
