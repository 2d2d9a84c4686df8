//! Signals by their names: who reads "9" at night must look it up.

/// The names from 1 on, as Linux numbers them on all machines that Docker runs on.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The name of a signal, `SIGKILL` for 9.
pub(crate) fn name(number: i32) -> Option<String> {
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    NAMES.get(at).map(|name| format!("SIG{name}"))
}

/// The signal that an exit code stands for where a shell, or the engine, tells of a process that one ended: `SIGKILL` for 137.
pub(crate) fn of_code(code: i64) -> Option<String> {
    i32::try_from(code.checked_sub(128)?).ok().and_then(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_its_name() {
        for (number, wanted) in
            [(1, "HUP"), (6, "ABRT"), (9, "KILL"), (11, "SEGV"), (15, "TERM"), (31, "SYS")]
        {
            assert_eq!(name(number), Some(format!("SIG{wanted}")));
        }
        assert_eq!((name(0), name(32), name(-1)), (None, None, None));
        assert_eq!((of_code(137).as_deref(), of_code(128), of_code(1)), (Some("SIGKILL"), None, None));
    }
}
