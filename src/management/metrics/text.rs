//! Prometheus' text format, version 0.0.4.
//!
//! ```text
//! # HELP rabbitmq_queue_messages Messages that wait or are in flight
//! # TYPE rabbitmq_queue_messages gauge
//! rabbitmq_queue_messages{vhost="/",queue="orders"} 17
//! ```

use std::fmt::{Display, Write as _};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name, without what all have in front.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it is, in one line.
    pub help: &'static str,
}

/// How a number behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts what is not larger than some bounds.
    Histogram,
    /// It says nothing by itself.
    Untyped,
}

/// A label: its name and its value.
pub type Label<'a> = (&'static str, &'a str);

/// The text, as far as it is written.
#[derive(Debug, Default)]
pub struct Text {
    out: String,
    /// The metric that samples belong to.
    name: String,
}

impl Metric {
    /// A number that only grows.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Metric { name, kind: Kind::Counter, help }
    }

    /// A number that goes up and down.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Metric { name, kind: Kind::Gauge, help }
    }

    /// Counts of what is not larger than some bounds.
    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        Metric { name, kind: Kind::Histogram, help }
    }

    /// Labels with the value 1.
    pub const fn untyped(name: &'static str, help: &'static str) -> Self {
        Metric { name, kind: Kind::Untyped, help }
    }
}

impl Text {
    /// Begins a metric. All of its samples have to follow before the next one.
    pub fn head(&mut self, prefix: &str, metric: &Metric) {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Untyped => "untyped",
        };
        self.name.clear();
        self.name.extend([prefix, metric.name]);
        let (name, help) = (&self.name, metric.help);
        write_to(&mut self.out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A sample of the metric.
    pub fn sample(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.sample_of("", labels, value);
    }

    /// A sample of a part of the metric: `_bucket`, `_sum` or `_count`.
    pub fn sample_of(&mut self, part: &str, labels: &[Label<'_>], value: impl Display) {
        self.out.extend([&*self.name, part]);
        let mut before = '{';
        for (name, value) in labels {
            self.out.push(before);
            self.out.extend([name, "=\""]);
            write_escaped(&mut self.out, value);
            self.out.push('"');
            before = ',';
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        write_to(&mut self.out, format_args!(" {value}\n"));
    }

    /// How many bytes are written and not taken.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Takes what is written; as much is likely to follow.
    pub fn take(&mut self) -> String {
        let room = String::with_capacity(self.out.capacity());
        std::mem::replace(&mut self.out, room)
    }
}

fn write_to(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("a String takes it all");
}

fn write_escaped(out: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_a_head_and_samples_with_and_without_labels() {
        let mut text = Text::default();
        text.head("a_", &Metric::counter("b_total", "All b"));
        text.sample(&[], 7);
        text.sample(&[("x", "1"), ("y", "")], 0.5);
        text.sample_of("_sum", &[("le", "+Inf")], u64::MAX);
        let expected = "# HELP a_b_total All b\n# TYPE a_b_total counter\na_b_total 7\n\
            a_b_total{x=\"1\",y=\"\"} 0.5\na_b_total_sum{le=\"+Inf\"} 18446744073709551615\n";
        assert_eq!(text.len(), expected.len());
        assert_eq!(text.take(), expected);
        assert_eq!(text.len(), 0);
    }

    #[test]
    fn quotes_backslashes_and_line_ends_of_a_value_are_escaped_and_nothing_else() {
        let mut out = String::new();
        write_escaped(&mut out, "a\"b\\c\nd\té{}\r");
        assert_eq!(out, "a\\\"b\\\\c\\nd\té{}\r");
        let mut out = String::new();
        write_escaped(&mut out, "\"\\\n");
        assert_eq!(out, "\\\"\\\\\\n");
    }
}
