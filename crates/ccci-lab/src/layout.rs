//! Where the lab keeps what: one directory, each path with a name. Nothing of the lab lies anywhere else, except
//! what Docker itself stores.

use std::path::{Path, PathBuf};

/// The domain under which every lab app gets its own; `.test` is reserved for such uses and is in no real DNS.
pub const BASE_DOMAIN: &str = "lab.test";
/// The label, with the lab's directory as value, on what the lab makes in Docker.
pub const LABEL: &str = "ccci.lab";
/// The label, with the lab's directory as value, on services that a test puts beside the lab.
pub(crate) const SCENE_LABEL: &str = "ccci.scene";
/// The overlay network that Traefik and the apps' front services share.
pub const PROXY_NETWORK: &str = "proxy";
/// The directory when nothing else is said.
pub const DEFAULT_ROOT: &str = "/var/lib/ccci-lab";

/// The paths of one lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabLayout {
    root: PathBuf,
}

impl Default for LabLayout {
    fn default() -> Self {
        Self::new(DEFAULT_ROOT)
    }
}

impl LabLayout {
    /// A lab that keeps everything under `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory of the whole lab.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The certificate authority and the wildcard certificate.
    pub fn ca(&self) -> PathBuf {
        self.root.join("ca")
    }

    /// The authority's certificate, which clients trust.
    pub fn ca_file(&self) -> PathBuf {
        self.ca().join("ca.pem")
    }

    /// The certificate under which the lab's Traefik answers.
    pub fn wildcard_file(&self) -> PathBuf {
        self.ca().join(format!("{BASE_DOMAIN}.pem"))
    }

    /// The bare git repositories of the recipes.
    pub fn catalogue(&self) -> PathBuf {
        self.root.join("catalogue")
    }

    /// The bare git repository of one recipe.
    pub fn repository(&self, recipe: &str) -> PathBuf {
        self.catalogue().join(format!("{recipe}.git"))
    }

    /// abra's directory: the server `default` and the catalogue's index.
    pub fn abra(&self) -> PathBuf {
        self.root.join("abra")
    }

    /// The copy of the running binary and the `abra` shim.
    pub fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// Caches that can be made again: root file systems, programs, packages, archives.
    pub fn build(&self) -> PathBuf {
        self.root.join("build")
    }

    /// The engine's log, and the record of what the lab installed, started and created.
    pub fn engine(&self) -> PathBuf {
        self.root.join("engine")
    }

    /// ccci's own state: runs, locks, warm data.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// The lock that runs share while they use a live-warm provider; whoever may stop it needs it alone.
    pub fn provider_lock(&self, recipe: &str) -> PathBuf {
        ccci_core::lock::of_provider(&self.state(), recipe)
    }

    /// The settings file of this lab.
    pub fn settings(&self) -> PathBuf {
        self.root.join("ccci.yaml")
    }

    /// A kernel lock of the lab itself: `lab`, `use` (shared by runs), `engine`, `images`, `catalogue`.
    pub fn lock(&self, name: &str) -> PathBuf {
        self.root.join("locks").join(name)
    }

    /// The value of [`LABEL`] on what this lab makes.
    pub fn label_value(&self) -> String {
        self.root.display().to_string()
    }

    /// `ccci.lab=<root>`, as `docker --label` and `--filter label=` take it.
    pub fn label(&self) -> String {
        format!("{LABEL}={}", self.label_value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_lies_under_the_root() {
        let lab = LabLayout::new("/x/lab");
        let paths = [
            lab.ca_file(),
            lab.repository("a"),
            lab.abra(),
            lab.bin(),
            lab.build(),
            lab.engine(),
            lab.state(),
            lab.provider_lock("a"),
            lab.settings(),
            lab.lock("lab"),
        ];
        assert!(paths.iter().all(|p| p.starts_with("/x/lab")), "{paths:?}");
        assert_eq!(lab.label(), "ccci.lab=/x/lab");
    }
}
