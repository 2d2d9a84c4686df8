//! The schema version of compose files. Docker takes several files together only where all say the same one, and a file that says
//! none is of its newest.

use std::path::Path;

use serde_json::Value;

use crate::yaml::{self, YamlError};

/// A compose file of ours with the schema version of the recipe's own, whatever it says itself: it goes with every release, also
/// with one that says another version, or none. A text that cannot be read so stays as it is, for docker to judge.
pub fn in_the_version_of(recipe: &str, ours: String) -> String {
    let Ok(wanted) = said(recipe) else { return ours };
    if said(&ours).map_or(true, |found| found == wanted) {
        return ours;
    }
    let mut lines: Vec<String> =
        ours.lines().filter(|line| !line.starts_with("version:")).map(str::to_owned).collect();
    if let Some(version) = &wanted {
        let before = |line: &String| {
            line.trim().is_empty() || ["#", "%", "---"].iter().any(|mark| line.starts_with(mark))
        };
        let at = lines.iter().position(|line| !before(line)).unwrap_or(lines.len());
        lines.insert(at, format!("version: \"{version}\""));
    }
    let text = lines.join("\n") + "\n";
    if said(&text).is_ok_and(|found| found == wanted) { text } else { ours }
}

/// The version that a file says; none where it says none.
fn said(text: &str) -> Result<Option<String>, YamlError> {
    Ok(match yaml::parse_merged(Path::new("compose.yml"), text)?.get("version") {
        Some(Value::String(version)) => Some(version.clone()),
        Some(Value::Number(version)) => Some(version.to_string()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_ours_says_the_version_of_the_recipe() {
        let body = "services: {app: {environment: {A: b}}}\n";
        let of = |version: &str| format!("version: {version}\n{body}");
        for (recipe, ours, wanted) in [
            (of("'3.8'"), body.to_owned(), of("\"3.8\"")),
            (of("3.8"), of("\"3.7\""), of("\"3.8\"")),
            (of("\"3.8\""), of("'3.8'"), of("'3.8'")),
            (body.to_owned(), of("\"3.8\""), body.to_owned()),
            (body.to_owned(), body.to_owned(), body.to_owned()),
            (of("'3.8'"), format!("# ours\n---\n{body}"), format!("# ours\n---\n{}", of("\"3.8\""))),
        ] {
            assert_eq!(in_the_version_of(&recipe, ours.clone()), wanted, "{recipe} and {ours}");
        }
    }

    /// Near misses: texts where a line more would be another file.
    #[test]
    fn what_cannot_be_read_so_stays() {
        for ours in ["{services: {}}\n", "\"version\": \"3.7\"\nservices: {}\n", "services: [\n"] {
            assert_eq!(in_the_version_of("version: '3.8'\n", ours.to_owned()), ours);
        }
        assert_eq!(in_the_version_of("services: [\n", "services: {}\n".to_owned()), "services: {}\n");
    }
}
