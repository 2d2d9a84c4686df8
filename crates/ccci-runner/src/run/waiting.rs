//! What a wait is for, told to somebody who reads along: what is new in it, not all of it again at each step. An app
//! with nine services would fill the screen otherwise.

use std::sync::{Mutex, PoisonError};

/// Turns what is waited for into a line, by what the line before said.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    told: Mutex<Vec<String>>,
}

impl Waiting {
    /// The next line.
    pub(crate) fn line(&self, on: &[String]) -> String {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<&str> = on.iter().filter(|part| !told.contains(part)).map(String::as_str).collect();
        let line = match (new.as_slice(), on.len() - new.len()) {
            ([], left) => format!("{left} left"),
            (new, 0) => new.join("; "),
            (new, others) => format!("{}; {others} more", new.join("; ")),
        };
        *told = on.to_vec();
        line
    }

    /// A sign of life where nothing is new: the first of what is waited for.
    pub(crate) fn sign(&self) -> String {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match told.as_slice() {
            [] => "waiting for swarm".to_owned(),
            [one] => format!("still {one}"),
            [one, others @ ..] => format!("still {one}; {} more", others.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_told_again() {
        let waiting = Waiting::default();
        assert_eq!(waiting.sign(), "waiting for swarm");
        let line = |on: &[&str]| waiting.line(&on.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            line(&["app: 0/1, starting", "db: 0/1, starting"]),
            "app: 0/1, starting; db: 0/1, starting"
        );
        assert_eq!(line(&["app: 0/1, starting", "db: 0/1, health check"]), "db: 0/1, health check; 1 more");
        let sign = "still app: 0/1, starting; 1 more";
        assert_eq!(waiting.sign(), sign);
        assert_eq!(line(&["app: 0/1, starting"]), "1 left");
        assert_eq!(waiting.sign(), "still app: 0/1, starting");
        assert_eq!(line(&["app: 0/1, health check"]), "app: 0/1, health check");
    }
}
