//! The look that ends each stage, and how long the app must have stood at the last of them (R16).

use std::sync::Arc;
use std::time::Duration;

use ccci_core::gate::{self, Admission};
use ccci_core::manifest::Soak;
use ccci_core::soak;
use ccci_core::stage::{Outcome, StageName};
use ccci_core::swarm::SwarmError;

use super::super::findings::Findings;
use super::super::generic;
use super::super::scene::{Mutation, Scene};
use super::base::Of;
use super::{Live, generic_check};

impl Live<'_> {
    /// The look that ends a stage (R16). At the end of a run that is green so far it waits until the app has stood.
    pub(super) async fn last_look(&self, stage: StageName, of: &Of, findings: &mut Findings) {
        let Some(check) = generic::of(&self.subject.room.manifest)
            .find(|check| check.stage == stage.checked_as() && check.is_last_look())
        else {
            return;
        };
        let green = !gate::counting(stage, &findings.checks).any(|check| check.outcome.is_wrong());
        let soak = if self.is_last(stage) && green { self.soak().await } else { Ok(Duration::ZERO) };
        let scene = Scene { soak: soak.unwrap_or(soak::LONGEST), ..self.scene(stage, Mutation::None) };
        let mut check = of.generic(generic_check(check, stage, &Arc::new(scene)));
        // One red check for one cause.
        if let Admission::Skip(why) = gate::admit_mutation(stage, &findings.checks) {
            check.unmet = Some(why);
        }
        let before = findings.checks.len();
        self.harness(stage, "end", vec![check], findings).await;
        for result in &findings.checks[before..] {
            if let Outcome::PassWith(text) = &result.outcome {
                self.run.world.fault(format!("{stage}: {text}"));
            }
        }
    }

    /// Whether no stage of the plan runs after this one.
    fn is_last(&self, stage: StageName) -> bool {
        self.plan
            .stages
            .iter()
            .rev()
            .find(|planned| planned.skip.is_none())
            .is_some_and(|last| last.stage == stage)
    }

    /// How long the app must have stood since its last deploy.
    async fn soak(&self) -> Result<Duration, SwarmError> {
        let declared = self.subject.room.manifest.soak.map(Soak::duration);
        let slowest = match (&declared, &self.stood) {
            (None, Some(stood)) => self.run.swarm.slowest_health_check(stood).await?,
            _ => None,
        };
        Ok(soak::soak(self.plan.mode, declared, slowest))
    }
}
