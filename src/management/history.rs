//! Samples of numbers over time: rates from the last two, and histories for charts.
//!
//! A track keeps what a few numbers of one thing were every five seconds. Most tracks keep two samples,
//! which is what a rate takes. One whose history was asked for keeps ten minutes, and that of the
//! whole node more, at greater steps.

use std::collections::VecDeque;

/// What the numbers of one thing were.
#[derive(Debug)]
pub struct Track {
    tiers: Vec<Tier>,
    /// When somebody last wanted to know, in milliseconds since the Unix epoch.
    pub asked_at_ms: u64,
}

/// Samples at one step.
#[derive(Debug)]
struct Tier {
    step_ms: u64,
    len_max: usize,
    samples: VecDeque<Sample>,
}

#[derive(Debug, Clone)]
struct Sample {
    at_ms: u64,
    numbers: Box<[u64]>,
}

/// How much of a track is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What a rate takes.
    Rate,
    /// Ten minutes, an hour, eight hours and a day.
    Day,
}

/// What part of a history is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    age_ms: u64,
    step_ms: u64,
}

/// A number and when it was that, in milliseconds since the Unix epoch.
pub type Point = (u64, u64);

impl Track {
    /// Begins with what the numbers are now.
    pub fn new(depth: Depth, now_ms: u64, numbers: &[u64]) -> Self {
        let tier = |&(step_ms, len_max): &(u64, usize)| {
            let samples = VecDeque::from([Sample::new(now_ms, numbers)]);
            Tier { step_ms, len_max, samples }
        };
        let tiers = depth.tiers().iter().map(tier).collect();
        Track { tiers, asked_at_ms: now_ms }
    }

    /// Keeps more from now on.
    pub fn deepen(&mut self) {
        if let [only] = &mut self.tiers[..] {
            only.len_max = HISTORY_LEN;
        }
    }

    /// Whether it keeps no more than a rate takes.
    pub fn is_shallow(&self) -> bool {
        self.tiers.iter().all(|tier| tier.len_max <= RATE_LEN)
    }

    /// Notes what the numbers are now.
    pub fn note(&mut self, now_ms: u64, numbers: &[u64]) {
        self.tiers.iter_mut().for_each(|tier| tier.note(now_ms, numbers));
    }

    /// By how much a number changed per second between the last two samples; 0 with less of them.
    pub fn per_second(&self, number: usize) -> f64 {
        let mut newest = self.tiers[0].samples.iter().rev();
        match (newest.next(), newest.next()) {
            (Some(last), Some(before)) => last.per_second_since(before, number),
            _ => 0.0,
        }
    }

    /// What a number was, the newest first, as far back as it is known.
    pub fn points(&self, number: usize, range: Range) -> Vec<Point> {
        let reaches = |tier: &&Tier| tier.step_ms * tier.len_max as u64 >= range.age_ms;
        let tier = self.tiers.iter().find(reaches).or(self.tiers.last());
        tier.map_or_else(Vec::new, |tier| tier.points(number, range))
    }
}

impl Tier {
    /// The clock that it is called by is not exact.
    fn note(&mut self, now_ms: u64, numbers: &[u64]) {
        let since_ms = self.samples.back().map(|last| now_ms.saturating_sub(last.at_ms));
        if since_ms.is_some_and(|since_ms| since_ms < self.step_ms - SAMPLE_EVERY_MS / 2) {
            return;
        }
        if self.samples.len() >= self.len_max {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample::new(now_ms, numbers));
    }

    fn points(&self, number: usize, range: Range) -> Vec<Point> {
        let Some(newest) = self.samples.back() else { return Vec::new() };
        let mut left = self.samples.iter().rev().peekable();
        let mut points = Vec::new();
        for step in 0..=(range.age_ms / range.step_ms).min(POINTS_MAX) {
            let Some(at_ms) = newest.at_ms.checked_sub(step * range.step_ms) else { break };
            // The sample that is nearest, give or take half a step of the clock.
            while left.next_if(|sample| sample.at_ms > at_ms + self.step_ms / 2).is_some() {}
            let Some(sample) = left.peek() else { break };
            points.push((sample.number(number), at_ms));
        }
        points
    }
}

impl Sample {
    fn new(at_ms: u64, numbers: &[u64]) -> Self {
        Sample { at_ms, numbers: numbers.into() }
    }

    fn number(&self, number: usize) -> u64 {
        self.numbers.get(number).copied().unwrap_or(0)
    }

    fn per_second_since(&self, before: &Sample, number: usize) -> f64 {
        per_second((self.number(number), self.at_ms), (before.number(number), before.at_ms))
    }
}

impl Range {
    /// From two parameters, in seconds; `None` unless both are whole numbers over 0.
    pub fn parse(age_s: Option<&str>, step_s: Option<&str>) -> Option<Range> {
        let parse = |text: Option<&str>| {
            let number: u64 = text?.parse().ok()?;
            number.checked_mul(1000).filter(|ms| *ms > 0)
        };
        Some(Range { age_ms: parse(age_s)?, step_ms: parse(step_s)? })
    }
}

impl Depth {
    /// Step in milliseconds, and number of samples.
    fn tiers(self) -> &'static [(u64, usize)] {
        match self {
            Depth::Rate => &[(SAMPLE_EVERY_MS, RATE_LEN)],
            Depth::Day => {
                &[(SAMPLE_EVERY_MS, HISTORY_LEN), (60_000, 61), (600_000, 49), (1_800_000, 49)]
            }
        }
    }
}

/// The change per second from one point to a later one.
pub fn per_second((number, at_ms): Point, (before, before_ms): Point) -> f64 {
    let passed_ms = at_ms.saturating_sub(before_ms);
    if passed_ms == 0 {
        return 0.0;
    }
    (number as f64 - before as f64) * 1000.0 / passed_ms as f64
}

/// The time between two samples.
pub const SAMPLE_EVERY_MS: u64 = 5_000;
const RATE_LEN: usize = 2;
const HISTORY_LEN: usize = 121;
/// Points in one answer, for each number.
const POINTS_MAX: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn range(age_s: u64, step_s: u64) -> Range {
        Range::parse(Some(&age_s.to_string()), Some(&step_s.to_string())).unwrap()
    }

    #[test]
    fn a_rate_is_the_change_between_the_last_two_samples() {
        let mut track = Track::new(Depth::Rate, 0, &[100, 7]);
        assert_eq!((track.per_second(0), track.points(0, range(60, 5))), (0.0, vec![(100, 0)]));
        track.note(2_000, &[900, 7]);
        assert_eq!(track.per_second(0), 0.0, "that was too early");
        track.note(5_000, &[200, 2]);
        assert_eq!((track.per_second(0), track.per_second(1)), (20.0, -1.0));
        track.note(10_010, &[200, 2]);
        assert_eq!((track.per_second(0), track.per_second(1)), (0.0, 0.0));
        assert_eq!(track.points(0, range(60, 5)).len(), 2);
        assert!(track.is_shallow());
    }

    #[test]
    fn a_history_goes_back_ten_minutes_from_when_it_was_asked_for() {
        let mut track = Track::new(Depth::Rate, 0, &[0]);
        track.deepen();
        (1..200).for_each(|step| track.note(step * 5_000 + step % 3, &[step]));
        let points = track.points(0, range(60, 20));
        let numbers: Vec<u64> = points.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [199, 195, 191, 187]);
        assert_eq!(points[0].1 - points[3].1, 60_000);
        assert_eq!(track.points(0, range(3_600, 5)).len(), HISTORY_LEN);
    }

    #[test]
    fn what_goes_back_further_has_greater_steps() {
        let mut track = Track::new(Depth::Day, 0, &[0]);
        (1..20_000).for_each(|step| track.note(step * 5_000, &[step]));
        for (age_s, step_s, len) in
            [(60, 5, 13), (600, 5, 121), (3_600, 60, 61), (28_800, 1_800, 17), (86_400, 1_800, 49)]
        {
            assert_eq!(track.points(0, range(age_s, step_s)).len(), len, "{age_s}");
        }
    }

    #[test]
    fn a_range_is_two_whole_numbers() {
        for (age, step) in [(Some("60"), None), (None, Some("5")), (Some("60"), Some("0"))] {
            assert_eq!(Range::parse(age, step), None);
        }
        assert_eq!(Range::parse(Some("x"), Some("5")), None);
        let endless = Range::parse(Some("1000000000"), Some("1")).unwrap();
        let track = Track::new(Depth::Rate, 1_000_000_000, &[3]);
        assert!(track.points(0, endless).len() <= POINTS_MAX as usize + 1);
    }
}
