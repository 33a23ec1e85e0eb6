//! What there is to say about definitions: what is wrong with them, and what is not as they have it.

use std::fmt::Display;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong. With any of it nothing is imported.
    pub problems: Lines,
    /// What is imported in another way than it stands there, or not at all.
    pub notes: Lines,
}

/// Lines, as many as anybody reads.
#[derive(Debug, Default)]
pub struct Lines {
    shown: Vec<String>,
    count: usize,
}

impl Lines {
    /// Adds a line: where, and what.
    pub fn add(&mut self, place: impl Display, what: impl Display) {
        self.count += 1;
        if self.shown.len() < LINES_MAX {
            self.shown.push(format!("{place}: {what}"));
        }
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The lines. The last one says how many more there are.
    pub fn into_lines(mut self) -> Vec<String> {
        let more = self.count - self.shown.len();
        if more > 0 {
            self.shown.push(format!("and {more} more"));
        }
        self.shown
    }
}

impl Report {
    /// Why nothing is imported.
    pub fn refusal(self) -> String {
        let count = self.problems.count;
        let problems =
            if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
        let lines = self.problems.into_lines().join("\n");
        format!("nothing is imported because of {problems}:\n{lines}")
    }
}

const LINES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_problems_up_to_a_limit() {
        let mut report = Report::default();
        report.problems.add("queues[0]", "name is missing");
        let expected = "nothing is imported because of 1 problem:\nqueues[0]: name is missing";
        assert_eq!(report.refusal(), expected);
        let mut report = Report::default();
        (0..LINES_MAX + 2).for_each(|at| report.problems.add(at, "x"));
        let text = report.refusal();
        assert!(text.contains("of 102 problems") && text.ends_with("99: x\nand 2 more"), "{text}");
    }
}
