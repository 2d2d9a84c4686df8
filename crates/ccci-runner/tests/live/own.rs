//! A recipe of somebody's own: added to the lab's catalogue and tested by its name, or tested where it lies.

use ccci_lab::layout::LabLayout;

use crate::fork::Fork;
use crate::support::{ccci, must, server_without_keycloak};

/// Takes a recipe out of the lab's catalogue again.
struct Added(&'static str);

impl Drop for Added {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(LabLayout::default().repository(self.0)));
    }
}

#[test]
fn a_recipe_of_ones_own_is_added_and_tested_by_its_name() {
    let (server, fork) = (server_without_keycloak(""), Fork::of("specimen-single").renamed("own-page"));
    let _added = Added("own-page");
    let said = must(&mut ccci(["lab", "add", fork.src()]));
    assert!(
        said.starts_with("own-page is in the lab's catalogue now: one release, 0.1.0+1.0; main at "),
        "{said}"
    );
    let ran = server.run(&["--recipe", "own-page"]);
    assert_eq!(ran.code, 0, "{}", ran.report);
    assert_eq!(ran.report["version"]["head"], "0.1.0+1.0");
    ran.assert_clean();
}

#[test]
fn a_recipe_that_no_catalogue_has_is_tested_where_it_lies() {
    let (server, fork) = (server_without_keycloak(""), Fork::of("custom-html").renamed("other-page"));
    let ran = server.run(&["--recipe", "other-page", "--src", fork.src()]);
    assert_eq!(ran.code, 0, "{}", ran.report);
    assert_eq!(ran.report["commit"], fork.git(&["rev-parse", "HEAD"]).trim_end());
    assert_eq!(ran.report["version"]["base"], "1.12.0+1.26.3", "its own newest release");
    ran.assert_clean();
}
