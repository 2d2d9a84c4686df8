//! The values that files give to an app: read once, here, from where recipe.yaml says. A value is learned by the redactor
//! before anything else sees it, and no error has any of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ccci_core::deploy::GivenSecret;
use ccci_core::foreign::{self, Plain};
use ccci_core::manifest::{BadLine, Manifest, SecretName, ValueFile, env_lines};
use ccci_core::secret::{Redactor, Secret};
use ccci_core::verdict::TroubleKind;

use crate::session::trouble::Classify;

/// What files give to an app.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    secrets: Vec<(SecretName, Secret)>,
    /// Lines of the app's env.
    pub(crate) env: BTreeMap<String, String>,
}

/// The server's directory of values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ServerDir<'a> {
    /// As its settings have it.
    Of(Option<&'a Path>),
    /// No server is looked at.
    Unasked,
}

/// A file of values that cannot be used. The author's or the operator's to mend: exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValueError {
    #[error("{}: `{key}` names it, and there is no such file: write the value into it, or take `{key}` out of recipe.yaml", path.display())]
    Missing { path: PathBuf, key: String },
    #[error(
        "`{key}` in recipe.yaml names `{file}`, and the settings of this server have no `values_dir`: set it to the directory with such files"
    )]
    NoServerDir { file: String, key: String },
    #[error("{}: `{key}` names it, and it is not a plain file", path.display())]
    NotAFile { path: PathBuf, key: String },
    #[error("{}: it cannot be read for `{key}`: {source}", path.display())]
    Unreadable { path: PathBuf, key: String, source: std::io::Error },
    #[error("{}: `{key}` names it, and it is empty", path.display())]
    Empty { path: PathBuf, key: String },
    #[error("{}: `{key}` names it, and it has bytes that are no UTF-8 text: encode the value (base64)", path.display())]
    NotText { path: PathBuf, key: String },
    #[error("{}: `{key}` names it, and it has more than the {} bytes that swarm takes", path.display(), Secret::LARGEST)]
    TooLarge { path: PathBuf, key: String },
    #[error("{}: {bad}; `env_file` names it", path.display())]
    Line { path: PathBuf, bad: BadLine },
    #[error(
        "{}: the value of `{key}` is shorter than {} bytes, so it could not be taken out of what is printed: make it longer",
        path.display(), Secret::SHORTEST
    )]
    TooShort { path: PathBuf, key: String },
}

impl Classify for ValueError {
    fn kind(&self) -> TroubleKind {
        TroubleKind::BadInput
    }
}

impl Values {
    /// Reads all files that a recipe names, and tells the redactor what is secret.
    pub(crate) fn read(
        manifest: &Manifest,
        folder: &Path,
        server: Option<&Path>,
        redactor: &Redactor,
    ) -> Result<Self, ValueError> {
        let (values, mut errors) = Self::as_far_as_can_be(manifest, folder, ServerDir::Of(server));
        for (_, value) in &values.secrets {
            redactor.learn(value);
        }
        errors.drain(..).next().map_or(Ok(values), Err)
    }

    /// Everything that is wrong with the files of a recipe's folder; those of the server are not looked at.
    pub(crate) fn findings(manifest: &Manifest, folder: &Path) -> Vec<ValueError> {
        Self::as_far_as_can_be(manifest, folder, ServerDir::Unasked).1
    }

    fn as_far_as_can_be(
        manifest: &Manifest,
        folder: &Path,
        server: ServerDir<'_>,
    ) -> (Self, Vec<ValueError>) {
        let (mut values, mut errors) = (Self::default(), Vec::new());
        let place = Place { folder, server };
        for (name, file) in &manifest.secrets {
            match place.secret(name, file) {
                Ok(value) => values.secrets.extend(value.map(|value| (name.clone(), value))),
                Err(error) => errors.push(error),
            }
        }
        for file in &manifest.env_file {
            match place.lines(file) {
                Ok(lines) => values.env.extend(lines),
                Err(error) => errors.push(error),
            }
        }
        (values, errors)
    }

    /// The secrets, as a deploy takes them: each under the version that the app asks for.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = GivenSecret> {
        self.secrets.iter().map(|(name, value)| GivenSecret {
            name: name.as_str().to_owned(),
            version: None,
            value: value.clone(),
            // Whether it must is known when a commit is deployed.
            required: false,
        })
    }
}

/// Where a recipe's files are looked for.
#[derive(Clone, Copy)]
struct Place<'a> {
    folder: &'a Path,
    server: ServerDir<'a>,
}

impl Place<'_> {
    /// The value of a secret; none where its file is the server's, and that is not asked.
    fn secret(self, name: &SecretName, file: &ValueFile) -> Result<Option<Secret>, ValueError> {
        let key = format!("secrets.{}", name.as_str());
        let Some((path, text)) = self.text(file, &key)? else { return Ok(None) };
        // A line of its own is a line in its file; what has several lines, a key or a certificate, is taken as it is.
        let one =
            text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        let value = Secret::new(if one.contains('\n') { text } else { one.to_owned() });
        if !value.is_searched_for() {
            return Err(ValueError::TooShort { path, key });
        }
        Ok(Some(value))
    }

    /// The lines of a file, of which there is at least one; none where it is the server's, and that is not asked.
    fn lines(self, file: &ValueFile) -> Result<BTreeMap<String, String>, ValueError> {
        let Some((path, text)) = self.text(file, "env_file")? else { return Ok(BTreeMap::new()) };
        match env_lines(&text) {
            Ok(lines) if lines.is_empty() => Err(ValueError::Empty { path, key: "env_file".to_owned() }),
            Ok(lines) => Ok(lines.into_iter().map(|(key, value)| (key.into(), value)).collect()),
            Err(bad) => Err(ValueError::Line { path, bad }),
        }
    }

    /// The whole text of a file, and where that is.
    fn text(self, file: &ValueFile, key: &str) -> Result<Option<(PathBuf, String)>, ValueError> {
        let key = key.to_owned();
        let server = match self.server {
            ServerDir::Of(dir) => dir,
            ServerDir::Unasked if file.in_folder().is_none() => return Ok(None),
            ServerDir::Unasked => None,
        };
        let Some(path) = file.below(self.folder, server) else {
            return Err(ValueError::NoServerDir { file: file.as_str().to_owned(), key });
        };
        let bytes = match foreign::plain(&path, Secret::LARGEST) {
            Ok(Plain::Bytes(bytes)) => bytes,
            Ok(Plain::NotAFile) => return Err(ValueError::NotAFile { path, key }),
            Ok(Plain::TooLarge) => return Err(ValueError::TooLarge { path, key }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ValueError::Missing { path, key });
            }
            Err(source) => return Err(ValueError::Unreadable { path, key, source }),
        };
        match String::from_utf8(bytes) {
            Ok(text) if text.trim().is_empty() => Err(ValueError::Empty { path, key }),
            Ok(text) => Ok(Some((path, text))),
            Err(_) => Err(ValueError::NotText { path, key }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_core::atomic;
    use ccci_core::secret::REDACTED;

    /// A recipe's folder and a server's directory with these files, and what reading them gives.
    fn read(
        manifest: &str,
        files: &[(&str, &[u8])],
        with_server: bool,
    ) -> Result<Vec<(String, String)>, String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = dir.path().join(name);
            atomic::create_dir(path.parent().unwrap()).unwrap();
            atomic::write(&path, bytes).unwrap();
        }
        atomic::create_dir(&dir.path().join("blog/folder")).unwrap();
        let manifest = Manifest::parse(Path::new("recipe.yaml"), manifest).unwrap();
        let (folder, server, redactor) =
            (dir.path().join("blog"), dir.path().join("server"), Redactor::default());
        let read = Values::read(&manifest, &folder, with_server.then_some(&server), &redactor);
        let all =
            read.map_err(|error| error.to_string().replace(&format!("{}/", dir.path().display()), ""))?;
        for (_, value) in &all.secrets {
            assert_eq!(
                redactor.clean(&format!("it is {}", value.expose().trim())),
                format!("it is {REDACTED}")
            );
        }
        Ok(all.secrets().map(|given| (given.name, given.value.expose().to_owned())).collect())
    }

    #[test]
    fn a_value_is_read_from_the_folder_and_from_the_server_and_the_redactor_knows_it() {
        let manifest = "secrets: {smtp: _test/smtp, cert: tls.pem, key: '{server}/blog/key', bare: bare}";
        let files: &[(&str, &[u8])] = &[
            ("blog/_test/smtp", b"one line, told\n"),
            ("blog/tls.pem", b"first line of it\nsecond line of it\n"),
            ("blog/bare", b"  no line end, spaces kept "),
            ("server/blog/key", b"windows line\r\n"),
        ];
        let found = read(manifest, files, true).unwrap();
        let wanted = [
            ("bare", "  no line end, spaces kept "),
            ("cert", "first line of it\nsecond line of it\n"),
            ("key", "windows line"),
            ("smtp", "one line, told"),
        ];
        assert_eq!(found, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_file_that_cannot_be_a_value_is_refused_by_name_and_none_of_it_is_told() {
        let large = vec![b'x'; usize::try_from(Secret::LARGEST).unwrap() + 1];
        for (file, bytes, words) in [
            ("absent", None, "blog/absent: `secrets.smtp` names it, and there is no such file"),
            ("folder", None, "blog/folder: `secrets.smtp` names it, and it is not a plain file"),
            ("_v", Some(&b" \n\n"[..]), "blog/_v: `secrets.smtp` names it, and it is empty"),
            ("_v", Some(b"caf\xe9caf\xe9"), "no UTF-8 text"),
            ("_v", Some(b"hush5\n"), "blog/_v: the value of `secrets.smtp` is shorter than 6 bytes"),
            ("_v", Some(&large), "more than the 500000 bytes"),
        ] {
            let files: Vec<(String, &[u8])> =
                bytes.map(|b| (format!("blog/{file}"), b)).into_iter().collect();
            let files: Vec<(&str, &[u8])> = files.iter().map(|(name, b)| (name.as_str(), *b)).collect();
            let error = read(&format!("secrets: {{smtp: {file}}}"), &files, false).unwrap_err();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("caf") && !error.contains("hush"), "{error}");
        }
        let near = read("secrets: {smtp: _v}", &[("blog/_v", b"hush56")], false);
        assert_eq!(near.unwrap(), [("smtp".to_owned(), "hush56".to_owned())]);
    }

    #[test]
    fn a_servers_file_needs_a_server_that_has_a_directory_for_it() {
        let error = read("secrets: {smtp: '{server}/x'}", &[], false).unwrap_err();
        assert!(error.contains("`{server}/x`") && error.contains("`values_dir`"), "{error}");
        let error = read("secrets: {smtp: '{server}/x'}", &[], true).unwrap_err();
        assert!(error.starts_with("server/x: `secrets.smtp` names it, and there is no such file"), "{error}");
        // Where no server is looked at, only the folder is.
        let manifest = Manifest::parse(Path::new("r"), "secrets: {a: '{server}/x', b: x}").unwrap();
        let found = Values::findings(&manifest, Path::new("/nowhere"));
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
