//! The summary of a run, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::latency::Latency;

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    object: Map<String, Value>,
    lines: Vec<(String, String)>,
    /// Whether messages were lost, doubled or out of order.
    pub trouble: bool,
    /// Whether the user ended it.
    pub interrupted: bool,
    /// What ended it.
    pub error: Option<Error>,
}

impl Report {
    /// The report of something that ended in this way.
    pub fn ended(error: Option<Error>, interrupted: bool) -> Report {
        Report { error, interrupted, ..Report::default() }
    }

    /// Adds something for programs.
    pub fn value(&mut self, key: &str, value: impl Into<Value>) {
        self.object.insert(key.to_owned(), value.into());
    }

    /// Adds a line for people.
    pub fn line(&mut self, label: &str, text: String) {
        self.lines.push((label.to_owned(), text));
    }

    /// Adds how many of something there were in a time, and how many octets if that says something.
    pub fn amount(&mut self, label: &str, count: u64, octets: Option<u64>, time: Duration) {
        let mut value = json!({ "count": count });
        let mut text = HumanCount(count).to_string();
        if !time.is_zero() {
            let rate = count as f64 / time.as_secs_f64();
            value["per_second"] = rate.into();
            let _ = write!(text, " · {}/s", shown_rate(rate));
        }
        if let Some(octets) = octets.filter(|_| !time.is_zero()) {
            let rate = octets as f64 / time.as_secs_f64();
            value["octets_per_second"] = rate.into();
            let _ = write!(text, " · {}/s", HumanBytes(rate as u64));
        }
        self.value(label, value);
        self.line(label, text);
    }

    /// Adds times, if there are any.
    pub fn latency(&mut self, key: &str, label: &str, latency: &Latency) {
        let Some(percentiles) = latency.percentiles() else { return };
        self.value(key, percentiles.json());
        self.line(label, percentiles.to_string());
    }

    /// All of it, as it is printed.
    pub fn shown(mut self, json: bool) -> String {
        if !json {
            let width = self.lines.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
            let lines = self.lines.iter();
            return lines.map(|(label, text)| format!("{label:width$}  {text}\n")).collect();
        }
        self.value("interrupted", self.interrupted);
        self.value("error", self.error.as_ref().map(Error::to_string));
        format!("{}\n", Value::Object(self.object))
    }
}

/// A rate with digits enough to compare it.
pub fn shown_rate(rate: f64) -> String {
    match rate {
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate => HumanCount(rate.round() as u64).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_shown_to_people_and_to_programs() {
        let report = || {
            let mut report = Report { interrupted: true, ..Report::default() };
            report.amount("published", 12_000, Some(4_096_000), Duration::from_secs(2));
            report.line("lost", "0".to_owned());
            report
        };
        assert_eq!(
            report().shown(false),
            "published  12,000 · 6,000/s · 1.95 MiB/s\nlost       0\n"
        );
        let json: Value = serde_json::from_str(&report().shown(true)).unwrap();
        assert_eq!(json["published"]["per_second"], 6_000.0);
        assert_eq!((&json["interrupted"], &json["error"]), (&json!(true), &Value::Null));
    }

    #[test]
    fn what_took_no_time_has_no_rate() {
        let mut report = Report::default();
        report.amount("published", 1, Some(10), Duration::ZERO);
        assert_eq!(report.shown(false), "published  1\n");
    }
}
