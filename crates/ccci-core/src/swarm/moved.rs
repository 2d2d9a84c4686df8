//! Did an upgrade really move the stack to the tested commit? A pure comparison of two observations (R6): what answers
//! over HTTP proves nothing, since an old task may go on serving (failure 18).

use serde_json::Value;

use super::facts::{ServiceFacts, StackFacts, Update, UpdateState};
use super::standing::not_of_new_spec;

/// The service that abra gives the values of the app's env, and its own mark among them.
const MARKED: &str = "app";

/// How an upgrade moved the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// These services got a new spec and run it.
    Services(Vec<String>),
    /// Nothing of the app changed but labels, as for a change of the README; abra's own mark of the commit in the app's
    /// environment is one of them.
    LabelsOnly,
}

/// Why an upgrade did not move the stack to the tested commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMoved {
    /// No service has the label.
    #[error("no service has the label `{key}`: was it deployed by `abra app deploy --chaos`?")]
    NoLabel {
        /// The label's key.
        key: String,
    },
    /// The label names another commit.
    #[error(
        "service `{service}` runs commit {found}, not the tested {wanted}: the update was reverted or something else was deployed"
    )]
    OtherCommit {
        /// The service's name within the stack.
        service: String,
        /// The label's value.
        found: String,
        /// The tested commit.
        wanted: String,
    },
    /// Swarm reverted the update.
    #[error(
        "service `{service}`: swarm rolled the update back ({message}); the version before it answers now"
    )]
    RolledBack {
        /// The service's name within the stack.
        service: String,
        /// Swarm's words.
        message: String,
    },
    /// The spec is new but its tasks do not run.
    #[error("service `{service}` has a new spec, but {why}")]
    OldTasks {
        /// The service's name within the stack.
        service: String,
        /// What runs instead.
        why: String,
    },
}

/// Whether the stack moved to `commit` (the full hash) between two observations (R6). The second one is taken
/// after convergence.
///
/// # Errors
/// [`NotMoved`] says what stands in the place of the commit, or what has not moved.
pub fn moved(before: &StackFacts, after: &StackFacts, commit: &str) -> Result<Moved, NotMoved> {
    let rolled = |u: &&Update| {
        matches!(
            u.state,
            UpdateState::RollbackStarted | UpdateState::RollbackPaused | UpdateState::RollbackCompleted
        )
    };
    for service in &after.services {
        if let Some(update) = service.update.as_ref().filter(rolled) {
            let service = after.short(service).to_owned();
            return Err(NotMoved::RolledBack { service, message: update.message.clone() });
        }
    }
    check_label(after, commit)?;
    let mut changed = Vec::new();
    for service in &after.services {
        let old = before.services.iter().find(|s| s.name == service.name);
        let same = |template: fn(&ServiceFacts, &StackFacts) -> Value| {
            old.is_some_and(|old| {
                template(old, before) == template(service, after)
                    && (&old.endpoint, old.mode) == (&service.endpoint, service.mode)
            })
        };
        if same(|s, _| s.template.clone()) {
            continue;
        }
        if let Some(why) = not_of_new_spec(service, after) {
            return Err(NotMoved::OldTasks { service: after.short(service).to_owned(), why });
        }
        if !same(without_mark) {
            changed.push(after.short(service).to_owned());
        }
    }
    Ok(if changed.is_empty() { Moved::LabelsOnly } else { Moved::Services(changed) })
}

/// A task template without abra's own mark: in the environment of service `app`, `TYPE` (or `RECIPE`) names the version that was
/// deployed, under chaos the commit. That value differs after each deploy and starts the app anew, and says nothing of what the
/// change moved. A value that does not name the version which the labels of this very deploy name is the recipe's own.
fn without_mark(service: &ServiceFacts, facts: &StackFacts) -> Value {
    let mut template = service.template.clone();
    if facts.short(service) != MARKED {
        return template;
    }
    let label = |name: &str| service.labels.get(&format!("coop-cloud.{}.{name}", facts.stack));
    let Some(version) = label("chaos-version").or_else(|| label("version")) else { return template };
    let env = template.pointer_mut("/ContainerSpec/Env").and_then(Value::as_array_mut);
    for entry in env.into_iter().flatten() {
        if let Some(bare) = entry.as_str().and_then(|text| unmarked(text, version)) {
            *entry = bare.into();
        }
    }
    template
}

/// `TYPE=wiki` of `TYPE=wiki:<version>`, and `TYPE=` where the version stands alone; none for anything else.
fn unmarked(entry: &str, version: &str) -> Option<String> {
    let (key, value) = entry.split_once('=').filter(|(key, _)| matches!(*key, "TYPE" | "RECIPE"))?;
    let recipe = value.strip_suffix(version)?;
    (recipe.is_empty() || recipe.ends_with(':')).then(|| format!("{key}={recipe}"))
}

/// Every service that carries abra's chaos label must name the tested commit, and one must.
fn check_label(facts: &StackFacts, commit: &str) -> Result<(), NotMoved> {
    let key = format!("coop-cloud.{}.chaos-version", facts.stack);
    let mut seen = false;
    for service in &facts.services {
        let Some(label) = service.labels.get(&key) else { continue };
        seen = true;
        // `+U` says that the checkout had files git does not know, such as our own overlay files.
        let short = label.trim_end_matches("+U");
        if short.len() < 7 || !commit.starts_with(short) {
            let service = facts.short(service).to_owned();
            return Err(NotMoved::OtherCommit { service, found: label.clone(), wanted: commit.to_owned() });
        }
    }
    if seen { Ok(()) } else { Err(NotMoved::NoLabel { key }) }
}
