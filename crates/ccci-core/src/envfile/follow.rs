//! Which compose files the tested commit is deployed with (rule R10): those of its sample, where nobody has set others.
//!
//! A value that a person has set stays. One that the app only has because the base's sample gave it is no such value: the
//! tested commit's sample speaks for itself then.

use std::collections::BTreeMap;

use super::{EnvFile, EnvFileError, compose_files};

const KEY: &str = "COMPOSE_FILE";

/// What decides which compose files an app's env names.
#[derive(Debug, Clone, Copy)]
pub struct ComposeFiles<'a> {
    /// The sample of the commit that the env was made for.
    pub base: &'a EnvFile,
    /// The sample of the commit that is deployed next.
    pub head: &'a EnvFile,
    /// The files that ccci adds: they come from no sample.
    pub ours: &'a [String],
}

/// What became of `COMPOSE_FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// The samples name the same files, or the env names the new ones already.
    Same,
    /// It was the base's, and is the head's now; ours are not in it.
    Head(Vec<String>),
    /// The head's sample names these, and a person has set something else.
    Kept(Vec<String>),
}

impl EnvFile {
    /// Gives `COMPOSE_FILE` the value of the head's sample, where the one that stands here is what the base's gave.
    ///
    /// # Errors
    /// Where a value cannot stand in an env file.
    pub fn follow_compose_files(&mut self, files: ComposeFiles<'_>) -> Result<Followed, EnvFileError> {
        let values = self.expanded();
        let (base, head) = (named(files.base, &values)?, named(files.head, &values)?);
        let mut here = compose_files(&values);
        here.retain(|file| base.contains(file) || !files.ours.contains(file));
        if base == head || here == head {
            return Ok(Followed::Same);
        }
        if here != base {
            return Ok(Followed::Kept(head));
        }
        self.set(KEY, &head.join(":"))?;
        Ok(Followed::Head(head))
    }
}

/// The files that a sample names in an app with these values.
fn named(sample: &EnvFile, values: &BTreeMap<String, String>) -> Result<Vec<String>, EnvFileError> {
    let mut sample = sample.clone();
    let others: Vec<String> =
        sample.keys().into_iter().filter(|key| *key != KEY).map(str::to_owned).collect();
    for (key, value) in others.iter().filter_map(|key| Some((key, values.get(key)?))) {
        sample.set(key, value)?;
    }
    Ok(compose_files(&sample.expanded()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env(text: &str) -> EnvFile {
        EnvFile::parse(text).unwrap()
    }

    /// What stands in the app's env afterwards, and what is said of it.
    fn followed(app: &str, base: &str, head: &str) -> (String, Followed) {
        let mut app = env(app);
        let ours = ["compose.lab.yml".to_owned(), "compose.ccci.yml".to_owned()];
        let files = ComposeFiles { base: &env(base), head: &env(head), ours: &ours };
        let followed = app.follow_compose_files(files).unwrap();
        (app.expanded().get(KEY).cloned().unwrap_or_default(), followed)
    }

    fn list(files: &str) -> Vec<String> {
        files.split(':').map(str::to_owned).collect()
    }

    const ONE: &str = "COMPOSE_FILE=compose.yml\n";
    const GROWN: &str = "COMPOSE_FILE=compose.yml\nCOMPOSE_FILE=\"$COMPOSE_FILE:compose.smtp.yml\"\n";
    const BOTH: &str = "compose.yml:compose.smtp.yml";

    #[test]
    fn r10_what_the_base_gave_follows_the_head() {
        let head = Followed::Head(list(BOTH));
        assert_eq!(followed(ONE, ONE, GROWN), (BOTH.into(), head.clone()));
        // What ccci added is nobody's wish: it is added again behind the new ones.
        let with_ours = "COMPOSE_FILE=compose.yml:compose.lab.yml:compose.ccci.yml\n";
        assert_eq!(followed(with_ours, ONE, GROWN), (BOTH.into(), head.clone()));
        // A sample that names none means `compose.yml`.
        assert_eq!(followed("A=1\n", "A=1\n", GROWN), (BOTH.into(), head.clone()));
        assert_eq!(followed(with_ours, "A=1\n", GROWN), (BOTH.into(), head));
        // Nor does it only grow.
        assert_eq!(followed(GROWN, GROWN, ONE), ("compose.yml".into(), Followed::Head(list("compose.yml"))));
    }

    #[test]
    fn r10_what_a_person_has_set_stays() {
        let (own, kept) = ("COMPOSE_FILE=compose.yml:compose.mine.yml\n", Followed::Kept(list(BOTH)));
        assert_eq!(followed(own, ONE, GROWN), ("compose.yml:compose.mine.yml".into(), kept));
        let swapped = "COMPOSE_FILE=compose.b.yml:compose.yml\n";
        let base = "COMPOSE_FILE=compose.yml:compose.b.yml\n";
        assert!(matches!(followed(swapped, base, GROWN).1, Followed::Kept(_)), "the order is a wish too");
        // Nothing changed, or it is there already: nothing to say.
        assert_eq!(followed(own, ONE, ONE).1, Followed::Same);
        assert_eq!(followed(GROWN, ONE, GROWN), (BOTH.into(), Followed::Same));
    }

    #[test]
    fn a_list_that_refers_to_other_keys_is_read_with_the_apps_values() {
        let base = "DB=postgres\nCOMPOSE_FILE=\"compose.yml:compose.$DB.yml\"\n";
        let head = "DB=postgres\nCOMPOSE_FILE=\"compose.yml:compose.$DB.yml:compose.new.yml\"\n";
        let app = "DB=mariadb\nCOMPOSE_FILE=\"compose.yml:compose.$DB.yml\"\n";
        assert_eq!(followed(app, base, head).0, "compose.yml:compose.mariadb.yml:compose.new.yml");
    }

    proptest! {
        /// Whatever the samples say, a list that is not the base's is not touched.
        #[test]
        fn only_the_bases_own_list_is_ever_changed(
            here in "[a-c](:[a-c]){0,3}", base in "[a-c](:[a-c]){0,3}", head in "[a-c](:[a-c]){0,3}",
        ) {
            let line = |list: &str| format!("{KEY}={list}\n");
            let (after, said) = followed(&line(&here), &line(&base), &line(&head));
            let expected = if here == base { &head } else { &here };
            prop_assert_eq!(&after, expected);
            prop_assert_eq!(matches!(said, Followed::Head(_)), here == base && base != head);
        }
    }
}
