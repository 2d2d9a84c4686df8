//! Of whom the checks of a stage speak: of the change, of the release that it is upgraded from, or of what was kept. A base
//! that does not stand says nothing of the change, and is told under its own name (R2, R11).

use std::sync::{Arc, OnceLock};

use ccci_core::abra::{AbraErrorKind, DeployMode};
use ccci_core::deploy::DeployError;
use ccci_core::event::Event;
use ccci_core::plan::{self, BaseEnd};
use ccci_core::stage::{Outcome, StageName};
use ccci_core::swarm::WaitFailure;

use super::super::findings::Findings;
use super::super::harness::HarnessCheck;
use super::super::scene::{DeployEnd, Mutation};
use super::super::{diagnose, lint, teardown};
use super::Live;

/// Of whom a check speaks.
#[derive(Debug, Clone)]
pub(super) enum Of {
    /// The tested commit.
    Change,
    /// What was green when it was kept. If it is not now, nobody knows why.
    KnownGood,
    /// The older release that a cold run upgrades from.
    Base(Arc<OlderBase>),
}

/// An older release, and how it ended if it is no base.
#[derive(Debug)]
pub(super) struct OlderBase {
    name: String,
    end: OnceLock<BaseEnd>,
}

impl OlderBase {
    /// After its deploy. Where the engine or our own tools are lost, nothing is known of the base, and nothing else could
    /// be looked at instead.
    pub(super) fn met(name: String, mutation: &Mutation) -> Self {
        let end = match mutation {
            Mutation::Deploy(DeployEnd::Refused(error)) if !lost(error) => {
                Some(BaseEnd::NotHad(error.to_string()))
            }
            Mutation::None
            | Mutation::Deploy(
                DeployEnd::Refused(_)
                | DeployEnd::Settled(_)
                | DeployEnd::Unsettled(WaitFailure::Engine(_) | WaitFailure::Cancelled { .. }),
            ) => None,
            Mutation::Deploy(DeployEnd::Unsettled(failure)) => Some(BaseEnd::NotUp(failure.to_string())),
        };
        Self { name, end: end.map(OnceLock::from).unwrap_or_default() }
    }
}

/// Whether nothing else could be deployed either.
fn lost(error: &DeployError) -> bool {
    use AbraErrorKind as Kind;
    match error {
        DeployError::Swarm(_) | DeployError::Path(_) => true,
        DeployError::Abra(error) => matches!(
            error.kind,
            Kind::Engine | Kind::NotInstalled | Kind::NotStarted | Kind::Cancelled | Kind::UnknownFlag { .. }
        ),
        _ => false,
    }
}

impl Of {
    /// How the base ended, if it is one that nothing can be upgraded from.
    pub(super) fn end(&self) -> Option<&BaseEnd> {
        match self {
            Self::Base(base) => base.end.get(),
            Self::Change | Self::KnownGood => None,
        }
    }

    /// A generic check that speaks of this.
    pub(super) fn generic(&self, check: HarnessCheck) -> HarnessCheck {
        self.speaking(check, Self::of_generic)
    }

    /// A check of the recipe's own that speaks of this.
    pub(super) fn own(&self, check: HarnessCheck) -> HarnessCheck {
        self.speaking(check, Self::of_own)
    }

    fn speaking(&self, check: HarnessCheck, told: fn(&Self, Outcome) -> Outcome) -> HarnessCheck {
        let (of, run) = (self.clone(), check.run);
        let run = Box::new(move || -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>> {
            let outcome = run();
            Box::pin(async move { told(&of, outcome.await) })
        });
        HarnessCheck { run, ..check }
    }

    fn of_generic(&self, outcome: Outcome) -> Outcome {
        match (self, outcome) {
            (Self::KnownGood, Outcome::Fail(why)) => Outcome::Inconclusive(format!(
                "the known-good itself does not stand, so the change is not to blame: {why}"
            )),
            (Self::Base(base), Outcome::Fail(why)) => {
                let told =
                    format!("the base {} does not stand, so the change is not to blame: {why}", base.name);
                base.end.set(BaseEnd::NotUp(why)).ok();
                Outcome::Inconclusive(told)
            }
            (Self::Base(base), Outcome::Inconclusive(why)) => {
                Outcome::Inconclusive(format!("the base {}: {why}", base.name))
            }
            (_, outcome) => outcome,
        }
    }

    /// What an author asks of his recipe the base may well not do. It stops nothing but the green (R12), and is not told of
    /// the change.
    fn of_own(&self, outcome: Outcome) -> Outcome {
        match (self, outcome) {
            (Self::Base(base), Outcome::Fail(why)) => {
                Outcome::Fail(format!("on the base {}: {why}", base.name))
            }
            (_, outcome) => outcome,
        }
    }
}

impl Live<'_> {
    /// Of whom the checks of a stage speak after this mutation.
    pub(super) fn spoken_of(&self, stage: StageName, mutation: &Mutation) -> Of {
        if !stage.brings_up() || mutation.is_the_authors() {
            Of::Change
        } else if self.on_known_good {
            Of::KnownGood
        } else if self.plan.base != self.plan.head {
            Of::Base(Arc::new(OlderBase::met(self.plan.base_name(), mutation)))
        } else {
            Of::Change
        }
    }

    /// Turns to the tested commit by itself, where the plan knows how. What is to be seen of the base is kept.
    pub(super) async fn go_without_base(&mut self, end: &BaseEnd, findings: &mut Findings) {
        let Some(plan) = plan::without_base(&self.plan, end).filter(|_| !self.run.world.stop.is_asked())
        else {
            return;
        };
        let (domain, prober) = (&self.subject.app.domain, Some(&*self.prober));
        let looked = diagnose::diagnose_into("diagnosis-base.txt", self.run, domain, prober, findings);
        self.run.world.events.phase("diagnose the base", looked).await;
        if self.deployed {
            let base = self.plan.base_name();
            let why = format!("the base {base} does not stand, so the tested commit was deployed on nothing");
            findings.deploys.expect_another(why);
            self.run.world.events.send(Event::Deploys(findings.deploys.clone()));
        }
        self.plan = plan;
    }

    /// Takes the base away, volumes and all.
    pub(super) async fn clear(&mut self) -> Result<(), DeployError> {
        (self.env, self.deployed) = (None, false);
        let cleared = teardown::clear(self.run);
        let left = self.run.world.events.phase("remove the base", cleared).await;
        if left.is_empty() { Ok(()) } else { Err(DeployError::Left { left }) }
    }

    /// Why a release that abra does not pin may be deployed by chaos: a rule of its lint, which weighs there alone. Where
    /// abra's words do not say it, its lint is asked.
    pub(super) async fn only_pinning_is_refused(
        &self,
        error: &DeployError,
        mode: &DeployMode,
        stage: StageName,
    ) -> Option<String> {
        let DeployError::Abra(error) = error else { return None };
        match (&error.kind, mode) {
            (_, DeployMode::Chaos) => None,
            (AbraErrorKind::LintBlocked { .. }, _) => Some(error.cause()),
            (AbraErrorKind::Other, _) => {
                lint::errors(self.run, &self.subject, self.commit(stage.row().after)).await.into_iter().next()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccci_core::names::AppDomain;
    use ccci_core::swarm::SwarmError;

    fn base(mutation: &Mutation) -> Of {
        Of::Base(Arc::new(OlderBase::met("1.0.0+1".to_owned(), mutation)))
    }

    fn gone() -> SwarmError {
        SwarmError::NotManager { host: "here".to_owned(), why: "gone".to_owned() }
    }

    #[test]
    fn a_base_that_could_not_be_had_or_does_not_come_up_is_none_and_a_lost_engine_says_nothing_of_it() {
        let dirty = DeployError::Dirty { files: vec!["x".to_owned()] };
        let (stack, goal) = ("a.example.org".parse::<AppDomain>().unwrap().stack(), "ready");
        let slow = WaitFailure::Deadline {
            stack: stack.clone(),
            goal,
            after: std::time::Duration::from_secs(1),
            on: vec!["app".to_owned()],
        };
        let (refused, unsettled) = (
            |error| Mutation::Deploy(DeployEnd::Refused(error)),
            |failure| Mutation::Deploy(DeployEnd::Unsettled(failure)),
        );
        assert!(matches!(base(&refused(dirty)).end(), Some(BaseEnd::NotHad(_))));
        assert!(matches!(base(&unsettled(slow)).end(), Some(BaseEnd::NotUp(_))));
        for lost in [
            Mutation::None,
            refused(DeployError::Swarm(gone())),
            unsettled(WaitFailure::Engine(gone())),
            unsettled(WaitFailure::Cancelled { stack, goal }),
        ] {
            assert_eq!(base(&lost).end(), None);
        }
    }

    #[test]
    fn what_fails_is_told_of_whom_it_is() {
        let fail = || Outcome::Fail("HTTP 500".to_owned());
        assert_eq!(Of::Change.of_generic(fail()), fail());
        let kept = Of::KnownGood.of_generic(fail());
        assert!(
            matches!(&kept, Outcome::Inconclusive(why) if why.starts_with("the known-good itself")),
            "{kept:?}"
        );
        let of = base(&Mutation::None);
        assert_eq!(of.of_generic(Outcome::Pass), Outcome::Pass);
        assert_eq!(of.of_own(fail()), Outcome::Fail("on the base 1.0.0+1: HTTP 500".to_owned()));
        assert_eq!(of.end(), None, "an author's check stops nothing but the green");
        let served = of.of_generic(fail());
        assert!(
            matches!(&served, Outcome::Inconclusive(why) if why.starts_with("the base 1.0.0+1 does not stand"))
        );
        assert_eq!(of.end(), Some(&BaseEnd::NotUp("HTTP 500".to_owned())));
    }
}
