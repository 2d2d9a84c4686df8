//! The one line at the end of a terminal that is rewritten while something is waited for. Off a terminal there is none, and a log
//! has a line each time that one is due.

/// The line, and whether it stands there now.
#[derive(Debug, Default)]
pub(crate) struct Alive {
    /// How wide the terminal is; none where what is said goes to no terminal.
    columns: Option<fn() -> usize>,
    stands: bool,
}

/// Goes to the beginning of the line and takes away what stands in it.
const AWAY: &str = "\r\u{1b}[K";

impl Alive {
    /// A line on a terminal of this width, which may change.
    pub(crate) fn on(columns: fn() -> usize) -> Self {
        Self { columns: Some(columns), stands: false }
    }

    /// What has to be written before anything else is.
    pub(crate) fn away(&mut self) -> &'static str {
        if std::mem::take(&mut self.stands) { AWAY } else { "" }
    }

    /// What is to be written for a sign of life; `due` is whether a log has a line of it.
    pub(crate) fn sign(&mut self, text: &str, due: bool) -> Option<String> {
        let Some(columns) = self.columns else { return due.then(|| format!("{text}\n")) };
        self.stands = true;
        // One column stays free: a line that is full has begun the next one.
        let room = columns().saturating_sub(1);
        let shown: String = match text.chars().count() {
            long if long > room => text.chars().take(room.saturating_sub(1)).chain(['…']).collect(),
            _ => text.to_owned(),
        };
        Some(format!("{AWAY}{shown}"))
    }
}

/// How wide the terminal of standard error is.
pub(crate) fn columns() -> usize {
    const USUAL: usize = 80;
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr());
    size.map_or(USUAL, |size| if size.ws_col == 0 { USUAL } else { usize::from(size.ws_col) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_terminal_one_line_is_rewritten_and_taken_away() {
        let mut alive = Alive::on(|| 12);
        assert_eq!(alive.away(), "");
        assert_eq!(alive.sign("0123456789", false).unwrap(), "\r\u{1b}[K0123456789");
        assert_eq!(alive.sign("→123456789a", true).unwrap(), "\r\u{1b}[K→123456789a");
        assert_eq!(alive.sign("0123456789ab", false).unwrap(), "\r\u{1b}[K0123456789…");
        assert_eq!((alive.away(), alive.away()), ("\r\u{1b}[K", ""));
    }

    #[test]
    fn a_log_has_a_line_when_one_is_due_and_nothing_that_moves() {
        let mut alive = Alive::default();
        assert_eq!(alive.sign("waiting, 3 s", false), None);
        assert_eq!(alive.sign("waiting, 15 s", true).unwrap(), "waiting, 15 s\n");
        assert_eq!(alive.away(), "");
    }
}
