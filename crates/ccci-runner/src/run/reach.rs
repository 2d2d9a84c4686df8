//! What an app reaches outside of itself (R19), looked up before anything is deployed and told in plan, record and on the
//! terminal. What each deploy is really given is told again by the deploy itself.

use ccci_core::compose::{Reach, compared};
use ccci_core::deploy::DeployError;
use ccci_core::git::Commit;
use ccci_core::plan::Plan;
use ccci_core::report::Reached;
use ccci_core::settings::Settings;

use super::observe::{Brought, Subject};

/// What base and head of a plan reach. Without an upgrade there is nothing to compare with.
pub(crate) async fn of(plan: &Plan, subject: &Subject, settings: &Settings) -> Vec<Reached> {
    let base =
        if plan.has_no_base() { None } else { Some(at(&plan.base, &plan.head, subject, settings).await) };
    let head = at(&plan.head, &plan.head, subject, settings).await;
    let all = compared(base.as_deref(), &head).into_iter();
    all.map(|(reach, at)| Reached::new(reach, at)).collect()
}

/// What the app reaches, deployed at this commit.
async fn at(commit: &Commit, head: &Commit, subject: &Subject, settings: &Settings) -> Vec<Reach> {
    let seen = async {
        subject.app.bring_to(commit).await?;
        let brought = Brought::wired(&subject.room.manifest.sso);
        let mut env = subject.fresh_env(settings, &subject.brought(settings, &brought, None))?;
        if commit == head {
            for (key, value) in &subject.room.manifest.head_env {
                env.set(key.as_str(), value)?;
            }
        }
        Ok::<_, DeployError>(subject.app.reaches(&env.expanded()))
    };
    seen.await.unwrap_or_else(|error| vec![Reach::unread(&error)])
}
