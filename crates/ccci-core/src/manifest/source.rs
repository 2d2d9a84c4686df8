//! Files that hold values for an app: what a recipe's author names, and where that is.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::field::text;

/// What a path begins with that is below the server's own directory of values.
const SERVER: &str = "{server}/";

text! {
    /// A file with values for an app: a path below the recipe's folder, or, behind `{server}/`, below the directory that the
    /// settings of the server name. Never the value itself.
    ValueFile, |text| {
        let path = text.strip_prefix(SERVER).unwrap_or(text);
        let odd = |c: char| c.is_control() || c == '\\' || c == '{' || c == '}';
        let parts = || path.split('/');
        if path.is_empty() || path.contains(odd) || parts().any(|part| matches!(part, "" | "." | "..")) {
            return Err(format!(
                "`{text}` is not a path below the recipe's folder, nor one behind `{SERVER}`: no `/` first, no `.` and `..` in it"
            ));
        }
        Ok(())
    }
}

impl ValueFile {
    /// The path below the recipe's folder; none where the file is the server's.
    pub fn in_folder(&self) -> Option<&Path> {
        (!self.as_str().starts_with(SERVER)).then(|| Path::new(self.as_str()))
    }

    /// Where the file is. None where it is the server's, and that has no directory for such.
    pub fn below(&self, folder: &Path, server: Option<&Path>) -> Option<PathBuf> {
        match self.as_str().strip_prefix(SERVER) {
            Some(rest) => server.map(|dir| dir.join(rest)),
            None => Some(folder.join(self.as_str())),
        }
    }
}

/// Reads one file, or a list of them.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<ValueFile>, D::Error> {
    struct Files;

    impl<'de> Visitor<'de> for Files {
        type Value = Vec<ValueFile>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a file or a list of files")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            ValueFile::try_from(text.to_owned()).map(|file| vec![file]).map_err(E::custom)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut all: Vec<ValueFile> = Vec::new();
            while let Some(file) = list.next_element()? {
                if all.contains(&file) {
                    return Err(A::Error::custom(format!("`{}` stands twice", file.as_str())));
                }
                all.push(file);
            }
            Ok(all)
        }
    }

    source.deserialize_any(Files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_in_the_recipes_folder_or_in_the_servers_and_nowhere_else() {
        let (folder, server) = (Path::new("/recipes/blog"), Path::new("/etc/values"));
        let at = |text: &str| ValueFile::try_from(text.to_owned());
        for (text, inside, with, without) in [
            ("_test/smtp", true, Some("/recipes/blog/_test/smtp"), Some("/recipes/blog/_test/smtp")),
            ("{server}/blog/smtp", false, Some("/etc/values/blog/smtp"), None),
        ] {
            let file = at(text).unwrap();
            assert_eq!(file.in_folder().is_some(), inside, "{text}");
            assert_eq!(file.below(folder, Some(server)).as_deref(), with.map(Path::new), "{text}");
            assert_eq!(file.below(folder, None).as_deref(), without.map(Path::new), "{text}");
        }
        for text in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "{server}/../x",
            "{server}/",
            "a//b",
            "./a",
            "{recipe}/a",
            "a\nb",
        ] {
            assert!(at(text).is_err(), "{text:?}");
        }
    }
}
