//! What a reset would take with it, for whoever is asked before. Read from the disk: nothing is asked of the engine.

use ccci_core::canonical::Canonical;
use ccci_core::record;

use super::LabError;
use super::leave::dirs;
use crate::layout::{BASE_DOMAIN, LABEL, LabLayout};
use crate::standing::StandingError;

/// What [`reset`](super::reset) would remove, a line each; nothing where there is no lab.
///
/// # Errors
/// A directory of the lab that cannot be read.
pub fn goes(layout: &LabLayout, images: bool) -> Result<Vec<String>, LabError> {
    if !layout.root().is_dir() {
        return Ok(Vec::new());
    }
    let base = BASE_DOMAIN.parse().map_err(StandingError::from)?;
    let kept = Canonical::all(&base, &layout.state())?;
    let kept: Vec<String> = kept.iter().map(|canonical| canonical.recipe.to_string()).collect();
    let runs = record::run_dirs(&layout.state().join("runs"))?.len();
    let mut lines = vec![format!(
        "the apps of the lab at {} with their volumes, secrets and configs: Traefik, Keycloak, and what runs have left",
        layout.root().display()
    )];
    if !kept.is_empty() {
        lines.push(format!("what is kept of recipes: {}", kept.join(", ")));
    }
    if runs > 0 {
        lines.push(format!("the records and logs of {runs} runs"));
    }
    if images {
        lines.push(format!("the images with the label {LABEL}, and the certificate authority"));
    }
    lines.extend(dirs(layout, images).iter().filter(|dir| dir.is_dir()).map(|dir| dir.display().to_string()));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_core::atomic;

    #[test]
    fn what_a_reset_takes_is_said_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path().join("lab"));
        assert_eq!(goes(&layout, true).unwrap(), Vec::<String>::new(), "there is no lab");
        for name in ["state/runs/a1b2c3", "state/runs/d4e5f6", "state/blog", "catalogue", "ca", "not-ours"] {
            atomic::create_dir(&layout.root().join(name)).unwrap();
        }
        let said = |images| {
            let lines = goes(&layout, images).unwrap().join("\n");
            lines.replace(&layout.root().display().to_string(), "<lab>")
        };
        let all = "the apps of the lab at <lab> with their volumes, secrets and configs: Traefik, Keycloak, and what runs have left\n\
                   what is kept of recipes: blog\nthe records and logs of 2 runs\n<lab>/state\n<lab>/catalogue";
        assert_eq!(said(false), all);
        let (before, rest) = all.split_once("<lab>/state").unwrap();
        let images = "the images with the label ccci.lab, and the certificate authority\n<lab>/state";
        assert_eq!(said(true), format!("{before}{images}{rest}\n<lab>/ca"));
    }
}
