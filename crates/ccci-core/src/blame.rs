//! Whose fault something is (R17). The verdict turns on it: only what would fail on any sound server is the recipe's.

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The recipe under test: the verdict may be "fail".
    Recipe,
    /// abra, Docker or ccci itself: the verdict can only be "inconclusive".
    Infrastructure,
    /// The message does not say; tasks, logs and the engine have to.
    Unknown,
}
