//! The summary of messages through a broker.

use std::sync::atomic::Ordering::Relaxed;

use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use crate::clock::Moment;
use crate::ledger::Ledger;
use crate::load::{Observed, Scenario};
use crate::report::Report;

/// Queues with trouble that people are told of.
const TOLD_MAX: usize = 10;

/// What came of one queue or subscription.
struct Account {
    name: String,
    expected: u64,
    received: u64,
    lost: u64,
    duplicated: u64,
    out_of_order: u64,
}

impl Account {
    fn new(scenario: &Scenario, ledger: &Ledger) -> Account {
        let expected = scenario.tally.expected(ledger);
        let page = ledger.lock();
        // Who does not consume misses nothing.
        let consumed = scenario.load.consumers > 0;
        Account {
            name: ledger.name.clone(),
            expected,
            received: page.received,
            lost: if consumed { expected.saturating_sub(page.received) } else { 0 },
            duplicated: page.duplicated,
            out_of_order: page.out_of_order,
        }
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "published": self.expected,
            "received": self.received,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "out_of_order": self.out_of_order,
        })
    }

    fn is_in_trouble(&self) -> bool {
        self.lost + self.duplicated + self.out_of_order > 0
    }

    fn trouble(&self) -> String {
        let Account { lost, duplicated, out_of_order, .. } = self;
        format!("lost {lost} · duplicated {duplicated} · out of order {out_of_order}")
    }
}

/// The summary of a run.
pub fn load(scenario: &Scenario, broker: Option<String>, observed: &Observed) -> Report {
    let mut report = Report::default();
    if let Some(broker) = broker {
        report.line("broker", broker.clone());
        report.value("broker", broker);
    }
    flow(&mut report, scenario);
    report.latency("latency_us", "latency", &scenario.tally.times);
    report.latency("confirm_latency_us", "until confirm", &scenario.tally.confirm_times);
    process(&mut report, scenario, observed);
    accounts(&mut report, scenario);
    report
}

fn flow(report: &mut Report, scenario: &Scenario) {
    let (tally, load) = (&scenario.tally, &scenario.load);
    let count = |count: &std::sync::atomic::AtomicU64| count.load(Relaxed);
    let publishing = tally.publishing(Moment::default());
    report.value("seconds", publishing.max(tally.receiving()).as_secs_f64());
    if load.publishers > 0 {
        let octets = count(&tally.published_octets);
        report.amount("published", count(&tally.published), Some(octets), publishing);
    }
    if load.window.is_some() && load.publishers > 0 {
        report.amount("confirmed", count(&tally.confirmed), None, publishing);
        report.value("refused", tally.refusals());
        if tally.refusals() > 0 {
            report.line("refused", HumanCount(tally.refusals()).to_string());
        }
    }
    if load.consumers > 0 {
        let octets = count(&tally.received_octets);
        report.amount("received", count(&tally.received), Some(octets), tally.receiving());
    }
    for (key, label, count) in [
        ("foreign", "of other runs", count(&tally.foreign)),
        ("blocked", "told to wait", count(&tally.blocked)),
    ] {
        report.value(key, count);
        if count > 0 {
            report.line(label, HumanCount(count).to_string());
        }
    }
}

fn process(report: &mut Report, scenario: &Scenario, observed: &Observed) {
    let Some(cpu_us) = observed.cpu_us else { return };
    let tally = &scenario.tally;
    let messages = tally.published.load(Relaxed).max(tally.received.load(Relaxed)).max(1);
    let per_message = cpu_us as f64 / messages as f64;
    report.value("broker_cpu_us_per_message", per_message);
    report.value("broker_memory_max", observed.memory_max);
    let memory = HumanBytes(observed.memory_max);
    report.line("its process", format!("{per_message:.2} µs CPU per message · at most {memory}"));
}

fn accounts(report: &mut Report, scenario: &Scenario) {
    let ledgers = scenario.tally.ledgers.iter();
    let accounts: Vec<_> = ledgers.map(|ledger| Account::new(scenario, ledger)).collect();
    let sum = |part: fn(&Account) -> u64| accounts.iter().map(part).sum::<u64>();
    let (lost, duplicated) = (sum(|account| account.lost), sum(|account| account.duplicated));
    let out_of_order = sum(|account| account.out_of_order);
    report.value("lost", lost);
    report.value("duplicated", duplicated);
    report.value("out_of_order", out_of_order);
    report.value("queues", accounts.iter().map(Account::json).collect::<Vec<_>>());
    if scenario.load.consumers > 0 && scenario.load.publishers > 0 {
        report.line("lost", HumanCount(lost).to_string());
        report.line("duplicated", HumanCount(duplicated).to_string());
        report.line("out of order", HumanCount(out_of_order).to_string());
    }
    report.trouble = lost + duplicated + out_of_order > 0;
    let troubled = accounts.iter().filter(|account| account.is_in_trouble());
    for account in troubled.take(TOLD_MAX).filter(|_| accounts.len() > 1) {
        report.line(&format!("  {}", account.name), account.trouble());
    }
}
