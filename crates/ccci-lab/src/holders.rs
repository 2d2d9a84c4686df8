//! Who holds the lab's locks, in words.

use std::path::Path;

use ccci_core::clock;
use ccci_core::lock::{self, Holder};

/// A command of the lab, as the holder of a lock.
pub(crate) fn someone(command: &str) -> Holder {
    let since = clock::rfc3339(clock::now());
    Holder { run: command.to_owned(), recipe: String::new(), pid: std::process::id(), since }
}

/// Who shares the lock at `path`, in words, as far as the kernel shows them.
pub(crate) fn sharers(path: &Path) -> Option<String> {
    let all: Vec<String> = lock::sharers(path).iter().map(ToString::to_string).collect();
    if all.is_empty() { None } else { Some(format!("process {}", all.join(", "))) }
}
