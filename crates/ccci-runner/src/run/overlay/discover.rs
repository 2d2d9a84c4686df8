//! Finds a recipe's checks and names them. Pure: what was read comes in, checks and problems go out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ccci_core::compose::OVERLAY_FILE;
use ccci_core::git;
use ccci_core::manifest::{self, Manifest, check_name};
use ccci_core::names::RecipeName;
use ccci_core::stage::{CheckName, StageName};
use ccci_recipes::CompiledOverlay;

use super::folder::{File, Folder};
use super::{Form, Hook, OverlayCheck, Own, Problem, When};

/// The folder below a stage's with what runs before its mutation.
const BEFORE: &str = "before";
/// The file with checks in Rust.
const OVERLAY: &str = "overlay.rs";
/// The folder with what runs before deploys.
const HOOKS: &str = "hooks";
/// Files that are no checks but have a meaning.
const KNOWN: &[&str] = &[manifest::FILE, OVERLAY, OVERLAY_FILE];
/// Folders that have a meaning.
const FOLDERS: [&str; 4] = ["install", "upgrade", "custom", HOOKS];

/// Finds all checks of a recipe in the order in which they run, and all that is wrong.
pub(super) fn discover(
    recipe: &RecipeName,
    folder: &Folder,
    manifest: &Manifest,
    compiled: Option<&CompiledOverlay>,
) -> (Own, Vec<Problem>) {
    let (found, hooks, problems) = (Vec::new(), Vec::new(), Vec::new());
    let mut finder = Finder { recipe, folder, manifest, found, hooks, problems };
    finder.probes();
    finder.rust(compiled);
    for file in &folder.files {
        finder.file(file);
    }
    finder.finish()
}

/// A check and the file it comes from.
type Found = (OverlayCheck, PathBuf);

/// The folder below a stage's that has no meaning, such as `befor`: what stands in it would run at the wrong time.
fn odd_folder(below: &[String]) -> Option<String> {
    let (_, folders) = below.split_last()?;
    let odd = usize::from(folders.first().is_some_and(|first| first == BEFORE));
    folders.get(odd).map(|_| folders.join("/"))
}

struct Finder<'a> {
    recipe: &'a RecipeName,
    folder: &'a Folder,
    manifest: &'a Manifest,
    found: Vec<Found>,
    hooks: Vec<Hook>,
    problems: Vec<Problem>,
}

impl Finder<'_> {
    fn check(&self, stage: StageName, path: &str, form: Form) -> OverlayCheck {
        OverlayCheck {
            name: CheckName::overlay(self.recipe, stage, path),
            stage,
            before: path.starts_with("before::"),
            form,
            deadline: self.manifest.timeouts.check(),
            requires_deps: Vec::new(),
        }
    }

    fn probes(&mut self) {
        let file = self.folder.path.join(manifest::FILE);
        for stage in StageName::ALL {
            for (name, probe) in self.manifest.probes.of(stage) {
                let check = self.check(stage, name.as_str(), Form::Probe(probe.clone()));
                self.found.push((check, file.clone()));
            }
        }
    }

    fn rust(&mut self, compiled: Option<&CompiledOverlay>) {
        let path = self.folder.path.join(OVERLAY);
        let compiled = match (&self.folder.source_hash, compiled) {
            (None, None) => return,
            (Some(_), None) => return self.problems.push(Problem::NotCompiled { path }),
            (None, Some(_)) => return self.problems.push(Problem::Gone { path }),
            (Some(hash), Some(compiled)) if hash != compiled.source_hash => {
                return self.problems.push(Problem::Stale { path });
            }
            (Some(_), Some(compiled)) => compiled,
        };
        for entry in compiled.checks().entries() {
            if let Err(why) = check_name(entry.name) {
                self.problems.push(Problem::Name { path: path.clone(), why });
            }
            if entry.before && entry.stage.brings_up() {
                self.problems.push(Problem::BeforeInstall { path: path.clone() });
            }
            let mut check = self.check(entry.stage, &entry.path(), Form::Rust);
            if entry.timeout.is_some_and(|time| time.is_zero()) {
                self.problems.push(Problem::NoTime { path: path.clone(), check: check.name.to_string() });
            }
            check.deadline = entry.timeout.unwrap_or(check.deadline);
            check.requires_deps = entry.requires_deps.iter().map(|d| (*d).to_owned()).collect();
            self.found.push((check, path.clone()));
        }
    }

    fn file(&mut self, file: &File) {
        let path = self.folder.path.join(&file.path);
        let known = KNOWN.iter().any(|known| file.path == Path::new(known));
        // Modules of the overlay; its hash covers them.
        let module = self.folder.source_hash.is_some() && file.path.extension().is_some_and(|e| e == "rs");
        // What recipe.yaml names is read by that name.
        let named = self.manifest.value_files().any(|it| it.in_folder() == Some(file.path.as_path()));
        if known || module || named {
            return;
        }
        if let Some(to) = &file.dangling {
            return self.problems.push(Problem::Dangling { path, to: to.clone() });
        }
        let parts: Vec<String> = file.path.iter().map(|p| p.to_string_lossy().into_owned()).collect();
        let Some((stage, below)) = parts.split_first().filter(|(_, below)| !below.is_empty()) else {
            let near = git::mistyped(&parts[0], KNOWN.iter().copied());
            return self.problems.push(Problem::Unknown { path, near });
        };
        if stage == HOOKS {
            return self.hook(below, file.executable, path);
        }
        let Ok(stage) = stage.parse::<StageName>() else {
            let near = git::mistyped(stage, FOLDERS);
            return self.problems.push(Problem::Unknown { path, near });
        };
        if let Some(folder) = odd_folder(below) {
            let near = git::mistyped(&below[0], [BEFORE]);
            return self.problems.push(Problem::Folder { path, folder, near });
        }
        if !file.executable {
            return self.problems.push(Problem::NotExecutable { path });
        }
        self.executable(stage, below, path);
    }

    fn hook(&mut self, below: &[String], executable: bool, path: PathBuf) {
        let when = |folder: &String| When::ALL.into_iter().find(|when| when.folder() == folder);
        let (Some(when), [folder, last]) = (below.first().and_then(when), below) else {
            let near = below.first().and_then(|folder| git::mistyped(folder, When::ALL.map(When::folder)));
            return self.problems.push(Problem::HookFolder { path, near });
        };
        if !executable {
            return self.problems.push(Problem::NotExecutable { path });
        }
        let stem = last.rsplit_once('.').map_or(last.as_str(), |(stem, _)| stem);
        if let Err(why) = check_name(stem) {
            return self.problems.push(Problem::Name { path, why });
        }
        let name = format!("{}::{HOOKS}::{folder}::{stem}", self.recipe);
        if let Some(other) = self.hooks.iter().find(|hook| hook.name == name) {
            return self.problems.push(Problem::Duplicate { path, other: other.path.clone(), name });
        }
        self.hooks.push(Hook { name, when, path, deadline: self.manifest.timeouts.check() });
    }

    fn executable(&mut self, stage: StageName, below: &[String], path: PathBuf) {
        let before = below.len() > 1 && below[0] == BEFORE;
        if before && stage.brings_up() {
            return self.problems.push(Problem::BeforeInstall { path });
        }
        // A file's name ends before its extension; folders are taken whole.
        let (last, folders) = below.split_last().map_or(("", below), |(l, f)| (l.as_str(), f));
        let stem = last.rsplit_once('.').map_or(last, |(stem, _)| stem);
        let mut own = folders.iter().skip(usize::from(before)).map(String::as_str).chain([stem]);
        if let Some(why) = own.find_map(|part| check_name(part).err()) {
            return self.problems.push(Problem::Name { path, why });
        }
        let parts: Vec<&str> = folders.iter().map(String::as_str).chain([stem]).collect();
        let check = self.check(stage, &parts.join("::"), Form::Executable(path.clone()));
        self.found.push((check, path));
    }

    /// Looks at all checks together and brings them into order.
    fn finish(mut self) -> (Own, Vec<Problem>) {
        let mut seen: BTreeMap<&CheckName, &PathBuf> = BTreeMap::new();
        for (check, path) in &self.found {
            if let Some(other) = seen.insert(&check.name, path) {
                let (path, other, name) = (path.clone(), other.clone(), check.name.to_string());
                self.problems.push(Problem::Duplicate { path, other, name });
            }
            let declared = |dep: &String| self.manifest.deps.iter().any(|d| d.as_str() == dep);
            for dep in check.requires_deps.iter().filter(|dep| !declared(dep)) {
                let (path, dep, check) = (path.clone(), dep.clone(), check.name.to_string());
                self.problems.push(Problem::UndeclaredDep { path, check, dep });
            }
            if self.manifest.skipped(check.stage).is_some() {
                self.problems.push(Problem::NeverRuns { path: path.clone(), check: check.name.to_string() });
            }
        }
        let mut checks: Vec<OverlayCheck> = self.found.into_iter().map(|(check, _)| check).collect();
        // Stable: within a stage, what was found first stays first.
        checks.sort_by_key(|c| (c.stage, !c.before));
        self.hooks.sort_by(|a, b| (a.when, &a.name).cmp(&(b.when, &b.name)));
        (Own { checks, hooks: self.hooks }, self.problems)
    }
}
