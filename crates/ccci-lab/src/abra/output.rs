//! What the stand-in prints: log lines as abra has them, tables, and JSON alone under `-m`.

use std::io::{IsTerminal as _, Write as _};

use serde_json::Value;

use super::fatal::Fatal;
use super::switches::Behaviour;
use super::world::World;

/// Prints a line on standard output. A reader that went away is no reason to fail.
pub(super) fn line(text: &str) {
    writeln!(std::io::stdout(), "{text}").ok();
}

/// An INFO line; none under `-m`.
pub(super) fn info(world: &World, text: &str) {
    if !world.machine || !world.switches.on(Behaviour::MachineQuiet) {
        line(&format!("INFO {text}"));
    }
}

/// A WARN line, also under `-m`.
pub(super) fn warn(text: &str) {
    line(&format!("WARN {text}"));
}

/// A DEBU line, with `--debug` only.
pub(super) fn debug(world: &World, text: &str) {
    if world.debug {
        line(&format!("DEBU {text}"));
    }
}

/// The last line of a call that failed.
pub(super) fn fatal(error: &Fatal, on_stdout: bool) {
    let text = match error {
        Fatal::Usage { message, usage } => format!("Error: {message}\n{usage}"),
        Fatal::Quiet => return,
        other => format!("FATA {other}"),
    };
    if on_stdout {
        line(&text);
    } else {
        writeln!(std::io::stderr(), "{text}").ok();
    }
}

/// Prints JSON on one line.
pub(super) fn json(value: &Value) {
    line(&value.to_string());
}

/// Prints a table, which abra can do only where standard input is a terminal or `ABRA_CI` is set.
pub(super) fn table(world: &World, header: &[&str], rows: &[Vec<String>]) -> Result<(), Fatal> {
    need_terminal(world)?;
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let rule = |left: &str, middle: &str, right: &str| {
        let bars: Vec<String> = widths.iter().map(|w| "─".repeat(w + 2)).collect();
        format!("{left}{}{right}", bars.join(middle))
    };
    let row = |cells: &[String]| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(c, w)| format!(" {c:<w$} ")).collect();
        format!("│{}│", padded.join("│"))
    };
    let header: Vec<String> = header.iter().map(|h| (*h).to_owned()).collect();
    line(&rule("┌", "┬", "┐"));
    line(&row(&header));
    line(&rule("├", "┼", "┤"));
    for cells in rows {
        line(&row(cells));
    }
    line(&rule("└", "┴", "┘"));
    Ok(())
}

/// Refuses where a table could not be printed.
pub(super) fn need_terminal(world: &World) -> Result<(), Fatal> {
    if world.ci || !world.switches.on(Behaviour::Tty) || std::io::stdin().is_terminal() {
        Ok(())
    } else {
        Err(Fatal::NoTerminal)
    }
}
