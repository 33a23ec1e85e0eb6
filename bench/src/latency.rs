//! How long something took, as a histogram.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The longest time that is told from longer ones.
const MAX: Duration = Duration::from_secs(600);

/// A histogram that tasks share, with three digits of precision. A quarter of a megabyte each, so
/// there is one for a run and not one for a connection.
#[derive(Debug)]
pub struct Latency(Mutex<Histogram<u32>>);

impl Latency {
    /// Without a value.
    pub fn new() -> Latency {
        let histogram = Histogram::new_with_bounds(1, MAX.as_nanos() as u64, 3);
        Latency(Mutex::new(histogram.expect("the bounds are valid")))
    }

    /// Adds times.
    pub fn record(&self, times: impl IntoIterator<Item = Duration>) {
        let mut histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for time in times {
            histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// What it holds; nothing if it is empty.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let us = |ns: u64| ns as f64 / 1e3;
        (!histogram.is_empty()).then(|| Percentiles {
            count: histogram.len(),
            min: us(histogram.min()),
            mean: histogram.mean() / 1e3,
            at: QUANTILES.map(|(_, _, quantile)| us(histogram.value_at_quantile(quantile))),
            max: us(histogram.max()),
        })
    }
}

const QUANTILES: [(&str, &str, f64); 6] = [
    ("p50", "p50", 0.5),
    ("p90", "p90", 0.9),
    ("p95", "p95", 0.95),
    ("p99", "p99", 0.99),
    ("p99.9", "p99_9", 0.999),
    ("p99.99", "p99_99", 0.9999),
];

/// A histogram in a few numbers, in microseconds.
#[derive(Debug, Clone)]
pub struct Percentiles {
    count: u64,
    min: f64,
    mean: f64,
    at: [f64; QUANTILES.len()],
    max: f64,
}

impl Percentiles {
    /// The same for programs.
    pub fn json(&self) -> Value {
        let mut object = json!({
            "count": self.count,
            "min": self.min,
            "mean": self.mean,
            "max": self.max,
        });
        for ((_, key, _), value) in QUANTILES.iter().zip(self.at) {
            object[*key] = value.into();
        }
        object
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "min {}", Microseconds(self.min))?;
        for ((name, _, _), value) in QUANTILES.iter().zip(self.at) {
            write!(f, " · {name} {}", Microseconds(value))?;
        }
        write!(f, " · max {}", Microseconds(self.max))
    }
}

/// A time, in the unit that suits it.
struct Microseconds(f64);

impl fmt::Display for Microseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            us if us < 1e3 => write!(f, "{us:.0} µs"),
            us if us < 1e6 => write!(f, "{:.2} ms", us / 1e3),
            us => write!(f, "{:.2} s", us / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let latency = Latency::new();
        assert!(latency.percentiles().is_none());
        latency.record((1..=10_000).map(Duration::from_micros));
        let json = latency.percentiles().unwrap().json();
        for (key, expected) in [("p50", 5_000.0), ("p99", 9_900.0), ("p99_99", 9_999.0)] {
            let found = json[key].as_f64().unwrap();
            assert!((found - expected).abs() <= expected / 1_000.0, "{key}: {found}");
        }
        assert_eq!(json["count"], 10_000);
    }

    #[test]
    fn what_takes_longer_than_a_histogram_goes_is_at_its_end() {
        let latency = Latency::new();
        latency.record([MAX * 10]);
        assert!(latency.percentiles().unwrap().max >= MAX.as_micros() as f64);
    }

    #[test]
    fn times_are_shown_in_their_unit() {
        let shown = [3.0, 12_345.0, 2_500_000.0].map(|us| Microseconds(us).to_string());
        assert_eq!(shown, ["3 µs", "12.35 ms", "2.50 s"]);
    }
}
