//! What an app reaches outside of itself (R19), in words.

use ccci_core::compose::At;
use ccci_core::report::Reached;

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
    let service = reached.service.as_deref().unwrap_or("the stack");
    format!("{service}: {} {}", reached.kind.as_str(), reached.what)
}
