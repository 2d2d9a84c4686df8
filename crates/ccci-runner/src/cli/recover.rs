//! `ccci recover`: removes what runs that died have left.

use std::io::Write;

use ccci_core::verdict::exit;

use super::call::Call;
use crate::kept::recover::{End, Told};
use crate::session::signals::Stop;
use crate::session::trouble::Trouble;

/// Sweeps, and says what was found. Runs that are alive are never touched.
pub(super) async fn recover(call: Call<'_>, stop: Stop, out: &mut dyn Write) -> Result<u8, Trouble> {
    let follows = "there is nothing to recover";
    let Some(session) = call.session(stop.clone(), follows, out)? else { return Ok(exit::PASS) };
    let told = session.recover().await?;
    let lines: Vec<&str> = told.iter().map(|told| told.line.as_str()).collect();
    let text = if lines.is_empty() { "no run has left anything".to_owned() } else { lines.join("\n") };
    writeln!(out, "{}", session.redactor().clean(&text)).ok();
    match (ended(&told), stop.signal()) {
        (exit::RESTORE_FAILED, _) => Ok(exit::RESTORE_FAILED),
        (_, Some(signal)) => Err(Trouble::signal(signal)),
        (code, None) => Ok(code),
    }
}

/// The exit code of what was found.
fn ended(told: &[Told]) -> u8 {
    let any = |end: End| told.iter().any(|told| told.end == end);
    if any(End::NotRestored) {
        exit::RESTORE_FAILED
    } else if any(End::Left) {
        exit::INCONCLUSIVE
    } else {
        exit::PASS
    }
}
