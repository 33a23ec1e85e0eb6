//! The audit log: who logged in, who was refused, and who changed what.
//!
//! Each event is one JSON object on a line of its own, in a file or among the lines of the log;
//! `docs/audit-log.md` has the fields. No event holds a password, a key or the body of a request, and what a
//! peer says of itself is cut to a length. Nobody waits for the file: see [`file`].

mod events;
mod file;

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::clock;
use file::AuditFile;

pub use events::{Change, LoginAttempt, outcome};

/// Where events go to.
#[derive(Debug)]
pub enum Audit {
    /// Among the other lines of the log, with the target `audit`.
    Log,
    /// Into a file of their own.
    File(AuditFile),
}

impl Audit {
    /// The one that the configuration names; `None` if it names none.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Option<Audit>> {
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        if path == Path::new(LOG) {
            return Ok(Some(Audit::Log));
        }
        AuditFile::open(path).map(|file| Some(Audit::File(file)))
    }

    /// Notes an event.
    pub fn note(&self, record: Record) {
        let line = record.into_line();
        match self {
            Audit::Log => tracing::info!(target: "audit", "{line}"),
            Audit::File(file) => file.add(&line),
        }
    }

    /// How many events will never be in the file.
    pub fn lost(&self) -> u64 {
        match self {
            Audit::Log => 0,
            Audit::File(file) => file.lost(),
        }
    }

    /// Goes on in a new file if the one that was written has been moved away. The file is there when this
    /// returns, unless that takes very long.
    pub fn reopen(&self) {
        if let Audit::File(file) = self {
            file.reopen();
        }
    }

    /// Waits until everything that was noted is written, unless that takes very long.
    pub fn close(&self) {
        if let Audit::File(file) = self {
            file.close();
        }
    }
}

/// An event: names and values in the order in which they are added.
#[derive(Debug)]
pub struct Record(String);

impl Record {
    /// What happens now.
    pub fn new(event: &'static str) -> Self {
        let at = UNIX_EPOCH + Duration::from_millis(clock::now_ms());
        let at = humantime::format_rfc3339_millis(at);
        Record(format!("{{\"time\":\"{at}\",\"event\":\"{event}\""))
    }

    /// Adds a text, or its beginning if it is long.
    pub fn text(self, name: &'static str, text: &str) -> Self {
        match text.len() {
            0..=TEXT_BYTES_MAX => self.value(name, text),
            _ => {
                let cut = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
                self.value(name, format!("{cut}…"))
            }
        }
    }

    /// Adds a value.
    pub fn value(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        write!(self.0, ",\"{name}\":{value}").expect("a string takes everything");
        self
    }

    fn into_line(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Instead of a file: the log.
const LOG: &str = "-";
/// What is shown of a text of a peer.
const TEXT_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_of_json_whatever_a_peer_calls_itself() {
        for name in
            ["jo", "a\n{\"event\":\"login\"}", "\"", "\u{0}\u{85}\u{2028}", &"é".repeat(9000)]
        {
            let line = Record::new("login").text("user", name).value("status", 204).into_line();
            assert!(!line.contains('\n') && line.len() < 2 * TEXT_BYTES_MAX, "{line}");
            let read: Value = serde_json::from_str(&line).unwrap();
            let user = read["user"].as_str().unwrap();
            assert!(user == name || name.starts_with(user.trim_end_matches('…')), "{line}");
            assert_eq!((&read["event"], &read["status"]), (&"login".into(), &204.into()));
        }
    }
}
