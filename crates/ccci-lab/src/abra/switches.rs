//! The behaviours of abra that can be switched off one by one, to prove that the conformance suite sees them.
//!
//! `ABRA_STAND_IN_OFF=dirty-tree,tty` switches two of them off. Nothing else reads these switches: an ordinary run
//! has every behaviour on.

use std::time::Duration;

/// The variable that lists, with commas between, the behaviours to switch off.
pub const OFF_VARIABLE: &str = "ABRA_STAND_IN_OFF";
/// The variable that makes `undeploy` watch the swarm for so many milliseconds before it returns; 0 without it.
pub const UNDEPLOY_WAIT_VARIABLE: &str = "ABRA_STAND_IN_UNDEPLOY_WAIT_MS";

macro_rules! behaviours {
    ($($variant:ident, $name:literal, $off:literal;)*) => {
        /// One behaviour of abra that can be switched off.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Behaviour {
            $(#[doc = concat!("`", $name, "`. Switched off: ", $off, ".")] $variant,)*
        }

        impl Behaviour {
            /// Every behaviour that has a switch.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in the variable.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What happens when it is off.
            pub fn when_off(self) -> &'static str {
                match self { $(Self::$variant => $off,)* }
            }
        }
    };
}

// The one table: variant, name in the variable, what happens when it is off.
behaviours! {
    DirtyTree, "dirty-tree", "a pinned deploy takes a tree with local changes";
    FataOnStdout, "fata-on-stdout", "FATA lines go to standard error";
    ChaosPlusU, "chaos-plus-u", "the chaos version of a dirty tree has no `+U`";
    TypeRewrite, "type-rewrite", "`TYPE=` in the app's file stays as it was after a deploy";
    UndeployEarlyReturn, "undeploy-early-return", "undeploy returns only when swarm is done";
    MissingSecret, "missing-secret", "no word about missing secrets before docker is asked";
    FirstSecretOnly, "first-secret-only", "all missing secrets are named, not the first alone";
    NotInserted, "not-inserted", "a secret that has to be inserted is reported as not generated";
    AnnotatedTags, "annotated-tags", "lightweight tags satisfy rule R014";
    LintBlocks, "lint-blocks", "unsatisfied error rules do not stop a pinned deploy";
    Tty, "tty", "tables are printed without a terminal too";
    AlreadyDeployed, "already-deployed", "a second pinned deploy needs no `-f`";
    ChaosWithVersion, "chaos-with-version", "`-C` and a version are accepted together";
    UnsavedVersion, "unsaved-version", "a `+U` version in the app's file is deployed as its commit";
    StackCut, "stack-cut", "stack names are not cut at 45 characters";
    SelfReference, "self-reference", "`$KEY` in an app's file is not replaced";
    ExposeEnv, "expose-env", "the app's values are not given to service `app`";
    ChaosMark, "chaos-mark", "under chaos `TYPE` of service `app` carries the compose file's version, not the commit";
    AbraShExports, "abra-sh-exports", "exports of abra.sh are not used";
    SchemaFirst, "schema-first", "a variable in a typed field (duration, number, boolean, one of several words) is accepted";
    AppValuesAlone, "app-values-alone", "variables of the machine fill `${…}` too";
    SecretVariable, "secret-variable", "a secret's version and options are those of `SECRET_<NAME>_VERSION`";
    ConvergeWait, "converge-wait", "deploy returns at once, as with `-c`";
    NothingGenerated, "nothing-generated", "`secret generate` with nothing to do ends with 0";
    LengthOption, "length-option", "`length=` is not looked at";
    NotDeployed, "not-deployed", "undeploy of an app that is not deployed ends with 0";
    UnknownFlag, "unknown-flag", "flags that do not exist are passed over";
    MachineQuiet, "machine-quiet", "INFO lines come before the JSON of `-m`";
}

/// What a variable holds that it cannot hold.
#[derive(Debug, thiserror::Error)]
pub(super) enum SwitchError {
    /// No such behaviour.
    #[error("{OFF_VARIABLE} names `{name}`, which is no behaviour; there are: {}", known())]
    Unknown {
        /// The name as given.
        name: String,
    },
    /// Not a number.
    #[error("{UNDEPLOY_WAIT_VARIABLE} is `{text}`, which is not a number of milliseconds")]
    Number {
        /// The text as given.
        text: String,
    },
}

fn known() -> String {
    let names: Vec<&str> = Behaviour::ALL.iter().map(|b| b.name()).collect();
    names.join(", ")
}

/// Which behaviours are off.
#[derive(Debug, Default)]
pub(super) struct Switches {
    off: Vec<Behaviour>,
    /// How long undeploy watches before it returns.
    pub(super) undeploy_wait: Duration,
}

impl Switches {
    /// Reads the two variables.
    pub(super) fn read(env: &impl Fn(&str) -> Option<String>) -> Result<Self, SwitchError> {
        let mut switches = Self::default();
        let list = env(OFF_VARIABLE).unwrap_or_default();
        for name in list.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let behaviour = Behaviour::ALL.iter().find(|b| b.name() == name);
            switches.off.push(*behaviour.ok_or_else(|| SwitchError::Unknown { name: name.to_owned() })?);
        }
        if let Some(text) = env(UNDEPLOY_WAIT_VARIABLE) {
            let millis = text.parse().map_err(|_| SwitchError::Number { text })?;
            switches.undeploy_wait = Duration::from_millis(millis);
        }
        Ok(switches)
    }

    /// True when abra's behaviour is to be kept.
    pub(super) fn on(&self, behaviour: Behaviour) -> bool {
        !self.off.contains(&behaviour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_switches_one_behaviour_and_a_wrong_name_is_refused() {
        let off = |key: &str| (key == OFF_VARIABLE).then(|| "tty, dirty-tree".to_owned());
        let switches = Switches::read(&off).unwrap();
        assert!(!switches.on(Behaviour::Tty) && !switches.on(Behaviour::DirtyTree));
        assert!(switches.on(Behaviour::StackCut));
        let wrong = Switches::read(&|key: &str| (key == OFF_VARIABLE).then(|| "tyt".to_owned()));
        assert!(wrong.unwrap_err().to_string().contains("`tyt`"));
    }
}
