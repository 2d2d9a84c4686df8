//! What a call of abra printed, and how a case ends by it.

use serde_json::Value;

/// Why a case is red.
#[derive(Debug)]
pub enum Red {
    /// abra does something else than the case says.
    Differs(String),
    /// What the case needs before it can ask did not come about: it tells nothing of what it asks.
    Cannot(String),
}

impl Red {
    pub fn words(&self) -> &str {
        let (Self::Differs(words) | Self::Cannot(words)) = self;
        words
    }
}

/// How a case ends.
pub type Outcome = Result<(), Red>;

/// Ends the case with these words unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err($crate::said::Red::Differs(format!($($words)+)));
        }
    };
}

/// What a call printed and how it ended.
pub struct Said {
    pub line: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// It ended with 0.
    pub fn good(&self) -> Outcome {
        ensure!(self.code == Some(0), "`{}` ended with {:?}:\n{}", self.line, self.code, self.all());
        Ok(())
    }

    /// It ended with 0, as what a case needs before it can ask.
    pub fn prepared(&self) -> Outcome {
        self.good().map_err(|red| Red::Cannot(red.words().to_owned()))
    }

    /// It ended with 1 and a FATA line with these words.
    pub fn fata(&self, words: &str) -> Outcome {
        ensure!(self.code == Some(1), "`{}` ended with {:?}, not 1:\n{}", self.line, self.code, self.all());
        let said = self.all().split_once("FATA").is_some_and(|(_, rest)| rest.contains(words));
        ensure!(said, "`{}` has no FATA with `{words}`:\n{}", self.line, self.all());
        Ok(())
    }

    /// The JSON that begins on the first line with a bracket or brace.
    pub fn json(&self) -> Result<Value, Red> {
        let start = self.out.lines().position(|l| l.starts_with(['{', '[']));
        let text: Vec<&str> = self.out.lines().skip(start.unwrap_or_default()).collect();
        serde_json::from_str(&text.join("\n"))
            .map_err(|e| Red::Differs(format!("`{}` gave no JSON ({e}):\n{}", self.line, self.all())))
    }
}
