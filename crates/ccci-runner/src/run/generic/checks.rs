//! The generic checks themselves. Each asserts one thing and says what to look at when it does not hold.

use std::sync::Arc;
use std::time::Duration;

use ccci_core::blame::Blame;
use ccci_core::health::{Unserved, Wanted};
use ccci_core::manifest::Manifest;
use ccci_core::stage::{Outcome, Status};
use ccci_core::swarm::{Certain, Disturbance, Moved, StackFacts, WaitFailure, disturbed, moved as moved_to};
use ccci_core::wait;

use super::super::scene::{DeployEnd, Scene, refused, unsettled};

/// How often the last look looks while it waits.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long an app that has served may take to answer again.
const STILL_SERVES: Duration = Duration::from_secs(5);

/// What a check says when an earlier one has already told why there is nothing to look at.
fn not_reached() -> Outcome {
    Outcome::Skip("the deploy did not get that far".to_owned())
}

/// abra took the deploy: the compose files are sound, the images exist, the secrets are there.
pub(super) fn deployed(scene: &Scene) -> Outcome {
    match scene.mutation.deploy() {
        None => not_reached(),
        Some(DeployEnd::Refused(error)) => refused(error),
        Some(DeployEnd::Unsettled(_) | DeployEnd::Settled(_)) => Outcome::Pass,
    }
}

/// The same after the upgrade. That swarm went back to the old specification is the question of [`moved`], which tells
/// it better.
pub(super) fn reconverged(scene: &Scene) -> Outcome {
    match scene.mutation.deploy() {
        Some(DeployEnd::Unsettled(WaitFailure::Certain(Certain::RolledBack { service, .. }))) => {
            Outcome::PassWith(format!("settled, but swarm rolled `{service}` back"))
        }
        _ => converged(scene),
    }
}

/// Every service has all its tasks running with the new specification.
pub(super) fn converged(scene: &Scene) -> Outcome {
    match scene.mutation.deploy() {
        None | Some(DeployEnd::Refused(_)) => not_reached(),
        Some(DeployEnd::Unsettled(failure)) => unsettled(failure),
        Some(DeployEnd::Settled(deployed)) => match deployed.after.faults.len() {
            0 => Outcome::Pass,
            n => Outcome::PassWith(format!("with {n} recorded fault(s)")),
        },
    }
}

/// The labels name what was to be deployed.
pub(super) fn version(scene: &Scene) -> Outcome {
    match scene.mutation.deploy() {
        Some(DeployEnd::Settled(deployed)) => match deployed.check_labels(&scene.stack) {
            Ok(()) => Outcome::Pass,
            Err(why) => {
                Outcome::Fail(format!("{why}; look at the labels of the service `app` in compose.yml"))
            }
        },
        _ => not_reached(),
    }
}

/// The app really runs the tested commit, whatever answers (R6, failure 18).
pub(super) async fn moved(scene: Arc<Scene>) -> Outcome {
    match scene.mutation.deploy() {
        Some(DeployEnd::Unsettled(failure @ WaitFailure::Certain(Certain::RolledBack { .. }))) => {
            Outcome::Fail(format!(
                "{failure}\nthe version before the upgrade answers: see `update_config` and the new task's log"
            ))
        }
        Some(DeployEnd::Settled(deployed)) => match scene.look().await {
            Ok(now) => match moved_to(&deployed.before, &now, scene.commit.as_str()) {
                Ok(Moved::LabelsOnly) => Outcome::PassWith("labels only".to_owned()),
                Ok(Moved::Services(names)) => Outcome::PassWith(format!("moved: {}", names.join(", "))),
                Err(why) => Outcome::Fail(why.to_string()),
            },
            Err(error) => Outcome::Inconclusive(error.to_string()),
        },
        _ => not_reached(),
    }
}

/// The app answers over HTTPS through Traefik with an accepted status, and the recipe's own `ready` probes hold.
pub(super) async fn serving(scene: Arc<Scene>) -> Outcome {
    let Some(mut settled) = scene.settled.lock().await.take() else { return not_reached() };
    let Manifest { health, ready, .. } = &scene.manifest;
    let wanted = Wanted { health, ready, patience: scene.patience() };
    match scene.prober.serves_after(&mut settled, &scene.proxy, &wanted, &scene.cancel).await {
        Ok(()) => Outcome::Pass,
        Err(failure) => unserved(&failure),
    }
}

fn unserved(failure: &Unserved) -> Outcome {
    if let Unserved::Broke(failure) = failure {
        return unsettled(failure);
    }
    if failure.blame() == Blame::Infrastructure {
        return Outcome::Inconclusive(failure.to_string());
    }
    let last = failure.exchange().map(|e| format!("\nlast exchange:\n{}", e.to_string().trim_end()));
    Outcome::Fail(format!("{failure}{}", last.unwrap_or_default()))
}

/// Nothing has died since the stack had converged.
pub(super) async fn undisturbed(scene: Arc<Scene>) -> Outcome {
    let (Some(DeployEnd::Settled(_)), Some(then)) = (scene.mutation.deploy(), &scene.stood) else {
        return not_reached();
    };
    match scene.look().await {
        Ok(now) => still_standing(&disturbed(then, &now), &now),
        Err(error) => Outcome::Inconclusive(error.to_string()),
    }
}

/// What became of the stack since it had converged, as an outcome.
fn still_standing(all: &[Disturbance], now: &StackFacts) -> Outcome {
    let words = |all: &[&Disturbance]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let (harmless, dead): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.may_be(now));
    match (dead.as_slice(), harmless.as_slice()) {
        ([], []) => Outcome::Pass,
        ([], harmless) => Outcome::PassWith(words(harmless)),
        (dead, _) => Outcome::Fail(format!(
            "died after the stack had converged: {}; look at the service's log",
            words(dead)
        )),
    }
}

/// The last look (R16): all that converged still runs, none of it has died since, and the health page still answers. At
/// the end of the run it waits until the app has stood long enough.
pub(super) async fn stands(scene: Arc<Scene>) -> Outcome {
    let Some(then) = &scene.stood else { return not_reached() };
    let waited = scene.events.waiting("until the app has stood long enough", scene.soak, stood(&scene, then));
    let standing = waited.await;
    if standing.status() != Status::Pass {
        return standing;
    }
    let Manifest { health, ready, .. } = &scene.manifest;
    let wanted = Wanted { health, ready, patience: STILL_SERVES };
    match scene.prober.still_serves(&wanted, &scene.cancel).await {
        Ok(()) => standing,
        Err(failure) => match unserved(&failure) {
            Outcome::Fail(why) => Outcome::Fail(format!("it served earlier and no longer does: {why}")),
            other => other,
        },
    }
}

/// Whether what converged then still runs, looked at until it has stood for the time that is wanted.
async fn stood(scene: &Scene, then: &StackFacts) -> Outcome {
    let until = then.at + scene.soak;
    loop {
        let now = match scene.look().await {
            Ok(now) => now,
            Err(error) => return Outcome::Inconclusive(error.to_string()),
        };
        let standing = still_standing(&disturbed(then, &now), &now);
        let left = Duration::try_from(until.duration_since(now.at)).unwrap_or_default();
        if left.is_zero() || standing.status() != Status::Pass {
            return standing;
        }
        tokio::select! {
            () = wait::pause(left.min(LOOK_AGAIN)) => {}
            () = scene.cancel.cancelled() => return Outcome::Inconclusive("the run was cancelled".to_owned()),
        }
    }
}
