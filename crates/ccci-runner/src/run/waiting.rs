//! What a wait is for, told to somebody who reads along: what is new in it, not all of it again at each step. An app
//! with nine services would fill the screen otherwise.

/// Turns what is waited for into a line, by what the line before said.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    told: Vec<String>,
}

impl Waiting {
    /// The next line.
    pub(crate) fn line(&mut self, on: &[String]) -> String {
        let new: Vec<&str> = on.iter().filter(|part| !self.told.contains(part)).map(String::as_str).collect();
        let line = match (new.as_slice(), on.len() - new.len()) {
            ([], left) => format!("{left} left"),
            (new, 0) => new.join("; "),
            (new, others) => format!("{}; {others} more", new.join("; ")),
        };
        self.told = on.to_vec();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_told_again() {
        let mut waiting = Waiting::default();
        let mut line = |on: &[&str]| waiting.line(&on.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            line(&["app: 0/1, starting", "db: 0/1, starting"]),
            "app: 0/1, starting; db: 0/1, starting"
        );
        assert_eq!(line(&["app: 0/1, starting", "db: 0/1, health check"]), "db: 0/1, health check; 1 more");
        assert_eq!(line(&["app: 0/1, starting"]), "1 left");
        assert_eq!(line(&["app: 0/1, health check"]), "app: 0/1, health check");
    }
}
