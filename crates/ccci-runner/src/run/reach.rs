//! What an app reaches outside of itself (R19) and what the upgrade changes in it, looked up before anything is deployed and told
//! in plan, record and on the terminal. What each deploy is really given is told again by the deploy itself.

use ccci_core::compose::{Change, Outline, Reach, changes, compared};
use ccci_core::deploy::DeployError;
use ccci_core::event::{Event, Events};
use ccci_core::git::Commit;
use ccci_core::plan::Plan;
use ccci_core::report::Reached;
use ccci_core::settings::Settings;

use super::observe::{Brought, Subject};

/// What is known of a plan's deploys by the files of base and head.
#[derive(Debug, Default)]
pub(crate) struct Foreseen {
    /// What they reach outside of the app.
    pub(crate) reaches: Vec<Reached>,
    /// What the upgrade changes.
    pub(crate) changes: Vec<Change>,
}

impl Foreseen {
    /// Tells it before anything is deployed.
    pub(crate) fn tell(self, events: &Events) {
        events.send(Event::Reaches(self.reaches));
        events.send(Event::Changes(self.changes));
    }
}

/// Looks at base and head of a plan. Without an upgrade there is nothing to compare with.
pub(crate) async fn of(plan: &Plan, subject: &Subject, settings: &Settings) -> Foreseen {
    let base =
        if plan.has_no_base() { None } else { Some(at(&plan.base, &plan.head, subject, settings).await) };
    let head = at(&plan.head, &plan.head, subject, settings).await;
    let all = compared(base.as_ref().map(|base| base.reaches.as_slice()), &head.reaches).into_iter();
    let outlines = base.and_then(|base| base.outline).zip(head.outline);
    Foreseen {
        reaches: all.map(|(reach, at)| Reached::new(reach, at)).collect(),
        changes: outlines.map(|(base, head)| changes(&base, &head)).unwrap_or_default(),
    }
}

/// What the files say at one commit.
struct Seen {
    reaches: Vec<Reach>,
    /// None where they cannot be read.
    outline: Option<Outline>,
}

/// What the files say of the app, deployed at this commit.
async fn at(commit: &Commit, head: &Commit, subject: &Subject, settings: &Settings) -> Seen {
    let seen = async {
        subject.app.bring_to(commit).await?;
        let brought = Brought::wired(&subject.room.manifest.sso);
        let mut env = subject.fresh_env(settings, &subject.brought(settings, &brought, None))?;
        if commit == head {
            for (key, value) in &subject.room.manifest.head_env {
                env.set(key.as_str(), value)?;
            }
        }
        let values = env.expanded();
        let (reaches, outline) = subject.app.foreseen(&values);
        Ok::<_, DeployError>(Seen { reaches, outline })
    };
    seen.await.unwrap_or_else(|error| Seen { reaches: vec![Reach::unread(&error)], outline: None })
}
