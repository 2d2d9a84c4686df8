//! What can be wrong with a recipe's folder, each said in one line with what to do.

use std::path::PathBuf;

use ccci_core::manifest::ManifestError;

use super::super::values::ValueError;

/// One thing that is wrong with a recipe's folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Manifest(ManifestError),
    #[error(transparent)]
    Value(ValueError),
    #[error(
        "{}: it is not part of this program: build ccci again (`cargo build -p ccci-runner`), with this folder in its `recipes` and, \
         where recipes/Cargo.toml has a feature of its name, with that",
        path.display()
    )]
    NotCompiled { path: PathBuf },
    #[error("{}: it was changed after this program was built: build ccci again (`cargo build -p ccci-runner`)", path.display())]
    Stale { path: PathBuf },
    #[error("{}: it is part of this program, but not there: build ccci again (`cargo build -p ccci-runner`), or name the right folder with --recipes", path.display())]
    Gone { path: PathBuf },
    #[error("{}: it is not an executable file: `chmod +x` it, or let its name begin with `_` if it is not a check", path.display())]
    NotExecutable { path: PathBuf },
    #[error("{}: {why}", path.display())]
    Name { path: PathBuf, why: String },
    #[error("{}: there are two of the name {name}, here and in {}", path.display(), other.display())]
    Duplicate { path: PathBuf, other: PathBuf, name: String },
    #[error("{}: nothing is deployed before the install stage, so nothing can run there", path.display())]
    BeforeInstall { path: PathBuf },
    #[error("{}: unknown folder `{folder}`{}: a stage's folder has executables and the folder `before`; names with a leading `_` are ignored", path.display(), meant(*near))]
    Folder { path: PathBuf, folder: String, near: Option<&'static str> },
    #[error("{}: hooks are executables in hooks/before-deploy and hooks/before-upgrade, and those folders have no others in them{}", path.display(), meant(*near))]
    HookFolder { path: PathBuf, near: Option<&'static str> },
    #[error("{}: the timeout of {check} is below one second", path.display())]
    NoTime { path: PathBuf, check: String },
    #[error("{}: not a folder or file that ccci reads{}: checks go into install, upgrade or custom, hooks into hooks; names with a leading `_` are ignored", path.display(), meant(*near))]
    Unknown { path: PathBuf, near: Option<&'static str> },
    #[error("{}{}: {why}", path.display(), line.map_or_else(String::new, |line| format!(":{line}")))]
    Compose { path: PathBuf, line: Option<usize>, why: String },
    #[error("{}: a link to {}, and there is nothing", path.display(), to.display())]
    Dangling { path: PathBuf, to: PathBuf },
    #[error("{}: {check} requires {dep}, which recipe.yaml does not list under `deps`", path.display())]
    UndeclaredDep { path: PathBuf, check: String, dep: String },
    #[error("{}: {check} never runs, since recipe.yaml skips the stage", path.display())]
    NeverRuns { path: PathBuf, check: String },
    #[error("{}: it has no first line `#!…` and is no program: it cannot be started", path.display())]
    NoFirstLine { path: PathBuf },
    #[error("{}: a byte order mark stands before its `#!`, so it cannot be started: save it as UTF-8 without one", path.display())]
    ByteOrderMark { path: PathBuf },
    #[error("{}: its first line ends like a Windows file's (CRLF), so it cannot be started: save it with plain line ends", path.display())]
    CarriageReturn { path: PathBuf },
    #[error("{}: its first line names `{interpreter}`, and there is no such program here", path.display())]
    NoInterpreter { path: PathBuf, interpreter: String },
}

/// What a name was probably meant to be.
fn meant(near: Option<&'static str>) -> String {
    near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"))
}
