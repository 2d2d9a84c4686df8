//! The one door to standard output and standard error: what passes does nothing to a terminal, and what could not be
//! written is remembered and told at the end. A reader that went away ends nobody's teardown.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use ccci_core::visible::visible;

/// What became of an output that could not be written, in all hands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lost(Arc<Mutex<Option<io::Error>>>);

impl Lost {
    /// The first error, once.
    pub(crate) fn take(&self) -> Option<LostOutput> {
        self.lock().take().map(LostOutput)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<io::Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Standard output that could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) struct LostOutput(#[from] io::Error);

impl fmt::Display for LostOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.0.kind() {
            io::ErrorKind::BrokenPipe => "its reader has gone".to_owned(),
            _ => self.0.to_string(),
        };
        write!(f, "standard output could not be written ({why}): the output is incomplete")
    }
}

/// A stream behind the door. Writing to it never fails; see [`Lost`].
#[derive(Debug)]
pub(crate) struct Door<W> {
    stream: W,
    lost: Lost,
    /// Whether what passes is data, made so that it is harmless as it is.
    data: bool,
}

impl Door<io::Stdout> {
    /// Standard output.
    pub(crate) fn out(lost: &Lost) -> Self {
        Self { stream: io::stdout(), lost: lost.clone(), data: false }
    }
}

impl Door<io::Stderr> {
    /// Standard error. That it is lost is told nowhere: there is nowhere left.
    pub(crate) fn err() -> Self {
        Self { stream: io::stderr(), lost: Lost::default(), data: false }
    }
}

impl<W: Write> Door<W> {
    /// The same for our own colours, in a text that was made visible part by part.
    pub(crate) fn painted(self) -> Self {
        Self { data: true, ..self }
    }

    fn note(&self, done: io::Result<()>) {
        if let Err(error) = done {
            self.lost.lock().get_or_insert(error);
        }
    }
}

impl<W: Write> Write for Door<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.lost.lock().is_none() {
            let done = if self.data {
                self.stream.write_all(bytes)
            } else {
                self.stream.write_all(visible(&String::from_utf8_lossy(bytes)).as_bytes())
            };
            self.note(done);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.stream.flush();
        self.note(done);
        Ok(())
    }
}

/// One line, or a few, of what went wrong.
pub(crate) fn complain(error: &dyn fmt::Display) {
    writeln!(Door::err(), "ccci: {error}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_lost_is_told_once_and_stops_nobody() {
        let lost = Lost::default();
        let mut door = Door { stream: Full(10), lost: lost.clone(), data: false };
        for _ in 0..5 {
            writeln!(door, "four").unwrap();
        }
        door.flush().unwrap();
        let said = lost.take().unwrap().to_string();
        assert!(
            said.starts_with("standard output could not be written (") && said.contains("space"),
            "{said}"
        );
        assert!(lost.take().is_none());
    }

    #[test]
    fn nothing_that_acts_passes() {
        let mut door = Door { stream: Vec::new(), lost: Lost::default(), data: false };
        writeln!(door, "a\u{1b}[2Jb\u{202e}c").unwrap();
        assert_eq!(String::from_utf8(door.stream).unwrap(), "a␛[2Jb<U+202E>c\n");
    }
}
