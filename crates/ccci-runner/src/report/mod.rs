//! Consumers of the event stream: what a person reads, and the files that programs read.

pub(crate) mod alive;
pub(crate) mod door;
pub(crate) mod files;
pub(crate) mod junit;
pub(crate) mod last_line;
pub(crate) mod past;
pub(crate) mod reached;
pub(crate) mod terminal;

use std::sync::{Arc, Mutex, PoisonError};

use ccci_core::event::{Consumer, Event};
use ccci_core::report::{Recorder, RunReport};
use ccci_core::secret::Redactor;

/// The recorder, shared between the stream and the code that writes its record at the end.
#[derive(Clone, Default)]
pub(crate) struct SharedRecorder(Arc<Mutex<Recorder>>);

impl SharedRecorder {
    /// The record so far, without secrets.
    pub(crate) fn report(&self, redactor: &Redactor) -> Option<RunReport> {
        let recorder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let report = recorder.report()?;
        let mut report = report.clone();
        report.each_text(&mut |text| *text = redactor.clean(text));
        Some(report)
    }
}

impl Consumer for SharedRecorder {
    fn take(&mut self, event: &Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(event);
    }
}
