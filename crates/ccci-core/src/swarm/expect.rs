//! What a wait expects of a stack, and its patience.

use std::collections::BTreeSet;
use std::time::Duration;

use super::facts::{ServiceFacts, StackFacts};

/// What is expected of a stack before it counts as converged, and how patient to be with a crash loop.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Services that must be there, by their name within the stack. Empty: those that are there.
    pub services: Vec<String>,
    /// The services that the deployed compose files have, by their name within the stack. Others of the stack are what a
    /// deploy before left behind, since abra removes none: they are told and not judged. None: all that are there.
    pub declared: Option<BTreeSet<String>>,
    /// How long a task without a health check must have been running. One that died before must run twice as long as
    /// it then did (at most 30 s).
    pub settle: Duration,
    /// How long nothing may have progressed since the third failure before a crash loop is certain (R14).
    pub crash_window: Duration,
    /// How long after the third failure an attempt that lives longer than those before it is still waited for.
    pub crash_patience: Duration,
}

impl Default for Expectation {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            declared: None,
            settle: Duration::from_secs(2),
            crash_window: Duration::from_secs(15),
            crash_patience: Duration::from_secs(45),
        }
    }
}

impl Expectation {
    /// Whether a service of the stack is one of what was deployed.
    pub(crate) fn has(&self, facts: &StackFacts, service: &ServiceFacts) -> bool {
        self.declared.as_ref().is_none_or(|declared| declared.contains(facts.short(service)))
    }
}
