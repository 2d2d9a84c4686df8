//! What a process prints, in bounds: its end in memory, its beginning and its end in a log, whatever it prints and
//! however long its lines are. Nothing is cut through a secret, of which the half would not be known again.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc::UnboundedSender;

use crate::secret::Redactor;

/// How much of each stream is kept for the caller, in bytes: the end.
pub const CAPTURE_LIMIT: usize = 8 << 20;
/// How large a log grows, in bytes; beyond this each process adds its last `LOG_TAIL` at most.
pub const LOG_LIMIT: u64 = 8 << 20;
/// How much of the end of a process's output stands in a log that is full.
const LOG_TAIL: usize = 256 << 10;
/// How much of an unfinished line is held back until its end comes.
const PIECE: usize = 64 << 10;
/// How much is read at once.
const READ: usize = 64 << 10;
/// How long to read on after the process has ended, when a grandchild still holds its pipes.
pub(super) const DRAIN: Duration = Duration::from_secs(2);

/// The end of a stream.
#[derive(Debug)]
struct Tail {
    kept: VecDeque<u8>,
    limit: usize,
    dropped: u64,
}

impl Tail {
    fn new(limit: usize) -> Self {
        Self { kept: VecDeque::new(), limit, dropped: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(self.limit)..];
        let over = (self.kept.len() + new.len()).saturating_sub(self.limit);
        self.dropped += (bytes.len() - new.len() + over) as u64;
        self.kept.drain(..over);
        self.kept.extend(new);
    }

    /// The text without secrets. Where the beginning was dropped, so is what may be the rest of a secret there.
    fn take(&mut self, redactor: &Redactor) -> Captured {
        let mut kept = Vec::from(std::mem::take(&mut self.kept));
        if self.dropped > 0 {
            let from = redactor.cut_after(&kept, redactor.longest().min(kept.len()));
            self.dropped += from as u64;
            kept.drain(..from);
        }
        Captured { text: redactor.clean(&String::from_utf8_lossy(&kept)), dropped: self.dropped }
    }
}

/// What was kept of a stream.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) text: String,
    /// How many bytes came before it.
    pub(super) dropped: u64,
}

/// A log file that both streams of a process are written to.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    room: u64,
    full: bool,
    tail: Tail,
}

/// A log in several hands.
pub(super) type SharedLog = Arc<Mutex<Log>>;

impl Log {
    /// Opens a log to append to it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let room = LOG_LIMIT.saturating_sub(file.metadata()?.len());
        Ok(Self { file, room, full: false, tail: Tail::new(LOG_TAIL) })
    }

    fn write(&mut self, piece: &[u8], redactor: &Redactor) {
        if !self.full {
            let text = redactor.clean(&String::from_utf8_lossy(piece));
            if text.len() as u64 <= self.room {
                self.room -= text.len() as u64;
                return self.put(&text);
            }
            self.full = true;
            self.put(&format!(
                "\n[ccci: this log is full at {} MiB; the end of the output follows when the process has ended]\n",
                LOG_LIMIT >> 20
            ));
        }
        self.tail.push(piece);
    }

    fn put(&mut self, text: &str) {
        // A full disk must not end the process we watch; the caller still has the captured end.
        drop(self.file.write_all(text.as_bytes()));
    }
}

/// Writes the end of what a full log could not take; gives how many bytes are not in it.
pub(super) fn close(log: &SharedLog, redactor: &Redactor) -> u64 {
    let mut log = lock(log);
    let Captured { text, dropped } = log.tail.take(redactor);
    if log.full {
        log.put(&format!("[ccci: {dropped} bytes are left out here]\n{text}"));
    }
    dropped
}

/// Appends words of ours to a log, full or not: they are few and short. What cannot be written is left out, since whoever starts
/// a process with this log is told so.
pub(crate) fn note(path: &Path, words: &str, redactor: &Redactor) {
    if let Ok(mut file) = File::options().create(true).append(true).open(path) {
        drop(file.write_all(redactor.clean(words).as_bytes()));
    }
}

/// Who is given a process's output as it comes.
#[derive(Clone)]
pub(super) struct Followers {
    pub(super) log: Option<SharedLog>,
    pub(super) heard: Option<UnboundedSender<String>>,
}

impl Followers {
    fn any(&self) -> bool {
        self.log.is_some() || self.heard.is_some()
    }

    fn take(&self, piece: &[u8], redactor: &Redactor) {
        if piece.is_empty() {
            return;
        }
        if let Some(log) = &self.log {
            lock(log).write(piece, redactor);
        }
        for line in
            self.heard.iter().flat_map(|_| piece.split(|byte| *byte == b'\n')).filter(|l| !l.is_empty())
        {
            let line = redactor.clean(&String::from_utf8_lossy(line));
            // Whoever has stopped listening has what they wanted.
            self.heard.as_ref().map(|heard| heard.send(line).ok());
        }
    }
}

/// Reads one stream of a process, as long as that lives and a little longer.
pub(super) struct Capture {
    kept: Arc<Mutex<Tail>>,
    task: tokio::task::JoinHandle<()>,
    redactor: Redactor,
}

impl Capture {
    pub(super) fn start<R>(stream: Option<R>, followers: Followers, redactor: &Redactor) -> Self
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let kept = Arc::new(Mutex::new(Tail::new(CAPTURE_LIMIT)));
        let (sink, cleaner) = (Arc::clone(&kept), redactor.clone());
        let task = tokio::spawn(async move {
            let Some(mut stream) = stream else { return };
            let (mut buffer, mut pieces) = (vec![0; READ], Pieces::default());
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                lock(&sink).push(&buffer[..read]);
                if followers.any() {
                    pieces.take(&buffer[..read], &cleaner, |piece| followers.take(piece, &cleaner));
                }
            }
            followers.take(&pieces.pending, &cleaner);
        });
        Self { kept, task, redactor: redactor.clone() }
    }

    /// What it has read, once the stream has ended or nothing is worth waiting for any more.
    pub(super) async fn finish(self) -> Captured {
        let abort = self.task.abort_handle();
        tokio::select! {
            _ = self.task => {}
            () = crate::wait::pause(DRAIN) => abort.abort(),
        }
        lock(&self.kept).take(&self.redactor)
    }
}

/// Cuts a stream into what is cleaned and written at once: whole lines, or parts of lines that do not end.
#[derive(Debug, Default)]
struct Pieces {
    pending: Vec<u8>,
}

impl Pieces {
    fn take(&mut self, bytes: &[u8], redactor: &Redactor, mut emit: impl FnMut(&[u8])) {
        // What is pending has no line end.
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| self.pending.len() + at + 1);
        self.pending.extend_from_slice(bytes);
        if end > 0 {
            emit(&self.pending[..end]);
            self.pending.drain(..end);
        }
        // Enough to see a secret, or a character, that has only begun.
        let longest = redactor.longest().max(4);
        while self.pending.len() > PIECE + longest {
            let most = self.pending.len() - longest;
            let cut = match redactor.cut_before(&self.pending, most) {
                // Nothing but secrets: then they are longer than this is.
                0 => most,
                cut => character(&self.pending, cut),
            };
            emit(&self.pending[..cut]);
            self.pending.drain(..cut);
        }
    }
}

/// The last place at or before `at` that is not inside a character.
fn character(bytes: &[u8], at: usize) -> usize {
    let continues = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    (at.saturating_sub(3)..=at).rev().find(|at| !continues(*at)).filter(|at| *at > 0).unwrap_or(at)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{REDACTED, Secret};
    use proptest::prelude::*;

    fn knowing(secret: &str) -> Redactor {
        let redactor = Redactor::default();
        redactor.learn(&Secret::new(secret.to_owned()));
        redactor
    }

    #[test]
    fn a_tail_is_never_longer_than_its_limit_and_counts_what_it_drops() {
        let mut tail = Tail::new(8);
        for bytes in ["abc", "defgh", "", "i", "jklmnopqrstuvw", "x"] {
            tail.push(bytes.as_bytes());
            assert!(tail.kept.len() <= 8);
        }
        let Captured { text, dropped } = tail.take(&Redactor::default());
        assert_eq!((text.as_str(), dropped), ("qrstuvwx", 16));
    }

    proptest! {
        /// Wherever a stream is cut, by its reader, by a line without an end or by a limit: no part of a secret that could be
        /// told from noise is left of it.
        #[test]
        fn nothing_is_cut_through_a_secret(
            before in 0_usize..PIECE + 100,
            behind in 0_usize..PIECE + 100,
            chunk in 1_usize..READ,
            limit in 50_usize..PIECE,
        ) {
            let secret = "canary-0123456789-abcdef";
            let redactor = knowing(secret);
            let text = format!("{}{secret}{}", ".".repeat(before), ",".repeat(behind));
            let (mut pieces, mut tail, mut out) = (Pieces::default(), Tail::new(limit), String::new());
            for chunk in text.as_bytes().chunks(chunk) {
                pieces.take(chunk, &redactor, |piece| out += &redactor.clean(std::str::from_utf8(piece).unwrap()));
                tail.push(chunk);
            }
            out += &redactor.clean(std::str::from_utf8(&pieces.pending).unwrap());
            prop_assert_eq!(out, text.replace(secret, REDACTED));
            let Captured { text: end, dropped } = tail.take(&redactor);
            prop_assert!(end.replace(REDACTED, "").trim_matches(['.', ',']).is_empty(), "{}", end);
            prop_assert!(dropped == (text.len() - end.replace(REDACTED, secret).len()) as u64);
        }
    }

    #[test]
    fn characters_stay_whole_in_a_line_without_an_end() {
        let text = "aé€😀€".repeat(20_000);
        for chunk in [1, 7, 4096, READ] {
            let (mut pieces, mut out) = (Pieces::default(), String::new());
            for chunk in text.as_bytes().chunks(chunk) {
                pieces.take(chunk, &Redactor::default(), |piece| out += std::str::from_utf8(piece).unwrap());
                assert!(pieces.pending.len() <= PIECE + 4);
            }
            assert!(out + std::str::from_utf8(&pieces.pending).unwrap() == text, "{chunk}");
        }
    }
}
