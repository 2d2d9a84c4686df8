//! The files that `up` puts into the lab's directory: the copy of the program with abra's shim, abra's skeleton
//! directory and the settings.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ccci_core::atomic::{self, PathContext as _, PathError};
use ccci_core::settings::Settings;
use ccci_core::yaml;

use super::{LabError, LabOptions, StandIn};
use crate::catalogue;

/// The shim that builds images, in `bin/`.
const MAKER: &str = "images";
use crate::layout::LabLayout;

/// The abra to be used: the real one, or the shim.
pub(super) fn abra_binary(layout: &LabLayout, real: Option<&Path>) -> PathBuf {
    real.map_or_else(|| layout.bin().join("abra"), Path::to_owned)
}

/// The program that builds the images of a deploy, where there is one.
pub(super) fn maker(layout: &LabLayout, options: &LabOptions) -> Option<PathBuf> {
    (!options.stand_in.images.is_empty()).then(|| layout.bin().join(MAKER))
}

/// Puts a copy of the program into `bin/` with a shim that builds images and, unless a real one is used, one for abra. A
/// copy, so that building the program again in the middle of a run changes nothing.
pub(super) fn tools(layout: &LabLayout, options: &LabOptions) -> Result<(), PathError> {
    let StandIn { program, words, images } = &options.stand_in;
    if options.abra.is_some() && images.is_empty() {
        return Ok(());
    }
    let bin = layout.bin();
    atomic::create_dir(&bin)?;
    let copy = bin.join(program.file_name().unwrap_or_else(|| "ccci".as_ref()));
    if !is_same(program, &copy)? {
        let part = bin.join(format!(".copy-{}", std::process::id()));
        std::fs::copy(program, &part).path("copy", program)?;
        let times = std::fs::metadata(program).and_then(|meta| meta.modified()).path("read", program)?;
        let file = std::fs::File::options().write(true).open(&part).path("open", &part)?;
        file.set_modified(times).path("set the time of", &part)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o755)).path("set the mode of", &part)?;
        drop(file);
        atomic::rename(&part, &copy)?;
    }
    if options.abra.is_none() {
        put(&bin.join("abra"), &format!("#!/bin/sh\nexec {} \"$@\"\n", line(&copy, words)))?;
    }
    if !images.is_empty() {
        let (lab, line) = (quoted(&layout.root().display().to_string()), line(&copy, images));
        // Only what it does is of interest, and not the names that it was given.
        put(&bin.join(MAKER), &format!("#!/bin/sh\nCCCI_LAB_DIR={lab} exec {line} \"$@\" >/dev/null\n"))?;
    }
    Ok(())
}

fn put(path: &Path, shim: &str) -> Result<(), PathError> {
    if atomic::read_optional(path)?.as_deref() == Some(shim) {
        return Ok(());
    }
    atomic::write_with_mode(path, shim.as_bytes(), 0o755)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The program and words as a shell reads them.
fn line(program: &Path, words: &[String]) -> String {
    let mut line = quoted(&program.display().to_string());
    for word in words {
        line.push(' ');
        line.push_str(&quoted(word));
    }
    line
}

/// True when the copy is of this very build: the copy keeps the program's size and time.
fn is_same(program: &Path, copy: &Path) -> Result<bool, PathError> {
    let original = std::fs::metadata(program).path("read", program)?;
    let Ok(copied) = std::fs::metadata(copy) else { return Ok(false) };
    Ok(original.len() == copied.len() && original.modified().ok() == copied.modified().ok())
}

/// abra's directory: the server `default` and the list of the catalogue's recipes, also of those that somebody has added.
pub(super) fn abra_dir(layout: &LabLayout) -> Result<(), LabError> {
    let (servers, index) = (layout.abra().join("servers/default"), layout.abra().join("catalogue"));
    atomic::create_dir(&servers)?;
    atomic::create_dir(&index)?;
    let mut recipes = serde_json::Map::new();
    for recipe in catalogue::recipes() {
        let releases = catalogue::history(recipe)?.releases;
        let tags: Vec<_> = releases.iter().map(|r| serde_json::json!({ r.version.tag(): {} })).collect();
        let entry = serde_json::json!({
            "name": recipe,
            "default_branch": "main",
            "repository": layout.repository(recipe),
            "versions": tags,
        });
        recipes.insert(recipe.to_owned(), entry);
    }
    for own in catalogue::own(layout) {
        let tags: Vec<_> = own.releases.iter().map(|tag| serde_json::json!({ tag: {} })).collect();
        let entry = serde_json::json!({
            "name": own.recipe,
            "default_branch": own.branch,
            "repository": layout.repository(&own.recipe),
            "versions": tags,
        });
        recipes.insert(own.recipe, entry);
    }
    write_changed(&index.join("recipes.json"), &format!("{:#}\n", serde_json::Value::from(recipes)))?;
    Ok(())
}

/// The settings file.
pub(super) fn settings(layout: &LabLayout, settings: &Settings) -> Result<(), LabError> {
    let text = yaml::to_text(settings).map_err(|why| LabError::Settings { why })?;
    let text = format!("# Written by `ccci lab up`; changes are lost at the next one.\n{text}");
    Ok(write_changed(&layout.settings(), &text)?)
}

fn write_changed(path: &Path, text: &str) -> Result<(), PathError> {
    if atomic::read_optional(path)?.as_deref() == Some(text) {
        return Ok(());
    }
    atomic::write(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineOptions;

    fn options(program: &Path) -> LabOptions {
        LabOptions {
            engine: EngineOptions::default(),
            stand_in: StandIn {
                program: program.to_owned(),
                words: vec!["__abra".to_owned()],
                images: Vec::new(),
            },
            abra: None,
        }
    }

    #[test]
    fn the_shim_calls_a_copy_that_a_new_build_does_not_change() {
        let dir = tempfile::tempdir().unwrap();
        let (layout, program) = (LabLayout::new(dir.path().join("lab")), dir.path().join("ccci"));
        atomic::write_with_mode(&program, b"#!/bin/sh\necho one \"$@\"\n", 0o755).unwrap();
        tools(&layout, &options(&program)).unwrap();
        atomic::write_with_mode(&program, b"#!/bin/sh\necho three \"$@\"\n", 0o755).unwrap();
        let copy = std::fs::read_to_string(layout.bin().join("ccci")).unwrap();
        assert!(copy.contains("one"), "{copy}");
        let text = std::fs::read_to_string(layout.bin().join("abra")).unwrap();
        assert_eq!(
            text,
            format!("#!/bin/sh\nexec '{}' '__abra' \"$@\"\n", layout.bin().join("ccci").display())
        );
        tools(&layout, &options(&program)).unwrap();
        let copy = std::fs::read_to_string(layout.bin().join("ccci")).unwrap();
        assert!(copy.contains("three"), "the next `up` takes the new build");
    }

    #[test]
    fn a_real_abra_is_used_where_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        let real = Path::new("/usr/local/bin/abra");
        tools(&layout, &LabOptions { abra: Some(real.to_owned()), ..options(Path::new("/nowhere")) })
            .unwrap();
        assert!(!layout.bin().exists());
        assert_eq!(abra_binary(&layout, Some(real)), real);
        assert_eq!(abra_binary(&layout, None), layout.bin().join("abra"));
    }

    #[test]
    fn the_shim_that_builds_images_knows_its_lab_and_is_there_beside_a_real_abra_too() {
        let dir = tempfile::tempdir().unwrap();
        let (layout, program) = (LabLayout::new(dir.path().join("the lab")), dir.path().join("ccci"));
        let told = "#!/bin/sh\necho \"$CCCI_LAB_DIR:$*\"\n";
        atomic::write_with_mode(&program, told.as_bytes(), 0o755).unwrap();
        let stand_in = StandIn { images: vec!["lab".into(), "images".into()], ..options(&program).stand_in };
        let options = LabOptions { abra: Some("/usr/local/bin/abra".into()), stand_in, ..options(&program) };
        tools(&layout, &options).unwrap();
        assert!(!layout.bin().join("abra").exists());
        let maker = maker(&layout, &options).unwrap();
        let text = std::fs::read_to_string(&maker).unwrap();
        let copy = layout.bin().join("ccci");
        let lab = format!("CCCI_LAB_DIR='{}'", layout.root().display());
        let line = format!("{lab} exec '{}' 'lab' 'images' \"$@\" >/dev/null", copy.display());
        assert_eq!(text, format!("#!/bin/sh\n{line}\n"));
    }

    #[test]
    fn abra_finds_every_recipe_of_the_catalogue_in_its_list() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        abra_dir(&layout).unwrap();
        let text = std::fs::read_to_string(layout.abra().join("catalogue/recipes.json")).unwrap();
        let list: serde_json::Value = serde_json::from_str(&text).unwrap();
        for recipe in catalogue::recipes() {
            let repository = layout.repository(recipe);
            assert_eq!(list[recipe]["repository"], repository.display().to_string());
            assert!(!list[recipe]["versions"].as_array().unwrap().is_empty(), "{recipe}");
        }
    }
}
