//! What an app reaches outside of itself (R19), looked up before anything is deployed and told in plan, record and on the
//! terminal. What each deploy is really given is told again by the deploy itself.

use ccci_core::compose::{At, Reach, compared};
use ccci_core::deploy::DeployError;
use ccci_core::git::Commit;
use ccci_core::plan::Plan;
use ccci_core::report::Reached;
use ccci_core::settings::Settings;

use super::observe::{Brought, Subject};

/// What base and head of a plan reach. Without an upgrade there is nothing to compare with.
pub(crate) async fn of(plan: &Plan, subject: &Subject, settings: &Settings) -> Vec<Reached> {
    let base =
        if plan.base == plan.head { None } else { Some(at(&plan.base, &plan.head, subject, settings).await) };
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

/// One line of all of it, what is new with the change first.
pub(crate) fn line(all: &[Reached]) -> String {
    let of = |wanted: fn(At) -> bool| {
        let found = all.iter().filter(|reached| wanted(reached.at)).map(one);
        found.collect::<Vec<_>>().join("; ")
    };
    let (new, other) = (of(|at| at == At::Head), of(|at| at != At::Head));
    match (new.is_empty(), other.is_empty()) {
        (true, _) => other,
        (false, true) => format!("new with this change: {new}"),
        (false, false) => format!("new with this change: {new}; as before: {other}"),
    }
}

/// The lines of a plan.
pub(crate) fn lines(all: &[Reached]) -> Vec<String> {
    let mark = |at| match at {
        At::Head => " (new with this change)",
        At::Base => " (not any more)",
        At::Both => "",
    };
    all.iter().map(|reached| format!("reaches outside: {}{}", one(reached), mark(reached.at))).collect()
}

/// One thing in words: `app: docker-socket …`.
fn one(reached: &Reached) -> String {
    let kind = serde_json::to_value(reached.kind).unwrap_or_default();
    let service = reached.service.as_deref().unwrap_or("the stack");
    format!("{service}: {} {}", kind.as_str().unwrap_or_default(), reached.what)
}
