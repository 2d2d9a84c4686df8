//! Stacks that the project's own suites put beside the lab. While their suite lives they are other people's, which is
//! what they are there for. A suite that was cut off leaves them behind, and nobody else would ever take them away.

use std::time::Duration;

use ccci_core::lock::{self, Lock, LockError, Wanted};
use ccci_core::wait::CancellationToken;

use super::EngineError;
use super::services::{Service, services};
use crate::layout::{LabLayout, SCENE_LABEL};
use crate::work::Work;

/// How long a scene waits until somebody has taken away what the one before it left.
const PATIENCE: Duration = Duration::from_secs(60);

/// A suite's hold on what it puts beside the lab: as long as any is there, no start of the lab takes anything away.
#[derive(Debug)]
pub struct Scene {
    _share: Lock,
}

impl Scene {
    /// Begins one; it is over when the value is dropped, or its process has ended however it did.
    ///
    /// # Errors
    /// Where the lab's directory cannot be written to, or leftovers of others are being taken away for too long.
    pub async fn begin(layout: &LabLayout) -> Result<Self, LockError> {
        let paths = [file(layout)];
        let cancel = CancellationToken::new();
        let wanted = Wanted { what: "the lab's scenes", paths: &paths, patience: PATIENCE, cancel: &cancel };
        Ok(Self { _share: lock::share(&wanted, &mut |_| {}).await? })
    }

    /// `ccci.scene=<lab>`: the label that each of its services must bear.
    pub fn label(layout: &LabLayout) -> String {
        format!("{SCENE_LABEL}={}", layout.label_value())
    }
}

fn file(layout: &LabLayout) -> std::path::PathBuf {
    layout.lock("scenes")
}

/// Takes away the services that suites left behind, unless one is under way; gives the services that are there then.
pub(super) async fn sweep(work: &Work<'_>) -> Result<Vec<Service>, EngineError> {
    let found = services(work).await?;
    let left = of_scenes(&found, &work.layout.label_value());
    if left.is_empty() {
        return Ok(found);
    }
    let Some(_alone) = Lock::try_take(&file(work.layout), &crate::holders::someone("lab scenes"))? else {
        return Ok(found);
    };
    for service in left {
        work.note(format!("removed the service {}, left behind by a test that was cut off", service.name));
        // Somebody may have been quicker.
        work.docker_output(["service", "rm", &service.id]).await?;
    }
    Ok(services(work).await?)
}

/// Those that a scene of this lab made.
fn of_scenes<'a>(services: &'a [Service], lab: &str) -> Vec<&'a Service> {
    services.iter().filter(|service| service.scene.as_deref() == Some(lab)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_bears_this_labs_label_is_a_scenes() {
        let service = |name: &str, scene: Option<&str>| Service {
            name: name.to_owned(),
            scene: scene.map(str::to_owned),
            ..Service::default()
        };
        let all = [service("shop", None), service("left", Some("/lab")), service("theirs", Some("/lab2"))];
        let names: Vec<&str> = of_scenes(&all, "/lab").iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["left"]);
    }

    #[tokio::test]
    async fn a_scene_that_lives_keeps_others_from_sweeping() {
        let dir = tempfile::tempdir().unwrap();
        let layout = LabLayout::new(dir.path());
        let sweeper = || Lock::try_take(&file(&layout), &crate::holders::someone("lab scenes")).unwrap();
        let (first, second) = (Scene::begin(&layout).await.unwrap(), Scene::begin(&layout).await.unwrap());
        drop(first);
        assert!(sweeper().is_none());
        drop(second);
        assert!(sweeper().is_some());
    }
}
