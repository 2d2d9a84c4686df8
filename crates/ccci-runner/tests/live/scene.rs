//! Services that tests put beside the lab.

use ccci_lab::engine::Scene;
use ccci_lab::layout::LabLayout;

/// The hold on services that a test puts beside the lab, and the label that each bears: should the test be cut off, the
/// next start of the lab takes them away.
pub(crate) fn scene() -> (Scene, String) {
    let layout = LabLayout::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (runtime.block_on(Scene::begin(&layout)).unwrap(), Scene::label(&layout))
}
