//! Why a command failed, in words that somebody can act on.

use std::io;

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    text: String,
    exit_code: u8,
}

impl Failure {
    /// It was tried and did not work.
    pub fn new(text: impl Into<String>) -> Self {
        Failure { text: text.into(), exit_code: 1 }
    }

    /// What was asked for makes no sense.
    pub fn usage(text: impl Into<String>) -> Self {
        Failure { text: text.into(), exit_code: 2 }
    }

    /// Everything has been said already.
    pub fn said() -> Self {
        Failure::new("")
    }

    /// A file cannot be read or written.
    pub fn file(path: &std::path::Path, error: &io::Error) -> Self {
        Failure::new(format!("{}: {error}", path.display()))
    }

    /// What a person reads.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What a script sees.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}
