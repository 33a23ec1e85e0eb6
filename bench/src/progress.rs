//! What is shown once a second while a run goes on: one line that changes on a terminal, else lines.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::Moment;
use crate::report::shown_rate;

/// How often.
const INTERVAL: Duration = Duration::from_secs(1);

/// The progress of a run.
#[derive(Debug)]
pub struct Progress {
    quiet: bool,
    bar: ProgressBar,
    last: Moment,
    counts: Vec<u64>,
}

impl Progress {
    /// Progress on the standard error stream.
    pub fn new(quiet: bool) -> Progress {
        let style = ProgressStyle::with_template("{msg}");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress { quiet, bar, last: Moment::default(), counts: Vec::new() }
    }

    /// Shows how many of each there are, and how many more there are than a second ago, if a second
    /// has passed.
    pub fn tick(&mut self, now: Moment, counts: &[(&str, u64)]) {
        let passed = now.since(self.last);
        if self.quiet || passed < INTERVAL {
            return;
        }
        let line = line(now, passed, counts, &self.counts);
        self.counts = counts.iter().map(|(_, count)| *count).collect();
        self.last = now;
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.set_message(line);
            self.bar.tick();
        }
    }

    /// Makes room for the summary.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn line(now: Moment, passed: Duration, counts: &[(&str, u64)], before: &[u64]) -> String {
    let rates = counts.iter().enumerate().map(|(place, (name, count))| {
        let new = count.saturating_sub(before.get(place).copied().unwrap_or_default());
        format!("{name} {}/s", shown_rate(new as f64 / passed.as_secs_f64()))
    });
    let rates = rates.collect::<Vec<_>>().join(" · ");
    format!("{:4} s  {rates}", now.0 / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_since_the_last_line() {
        let counts = [("published", 3_500), ("received", 1_020)];
        let shown = line(Moment(12_300_000_000), Duration::from_secs(2), &counts, &[500, 1_000]);
        assert_eq!(shown, "  12 s  published 1,500/s · received 10.0/s");
    }
}
