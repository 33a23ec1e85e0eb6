//! A load generator for AMQP 0-9-1 and MQTT brokers, behind `leveret bench`.
//!
//! It has a client's codec of its own and shares nothing with the broker, so it measures any broker in
//! the same way, and must cost less than what it measures: messages are templates that are copied into
//! writes of up to 128 KiB, one task each moves a connection's octets, and what is counted is added up
//! once for each read.
//!
//! Every message says which it is and when it should have been sent (`stamp`). So latencies count
//! from the schedule and not from when a slow broker let the message go, and what is lost, doubled or
//! out of order is found (`ledger`).
#![warn(missing_docs)]

mod amqp;
mod args;
mod client;
mod clock;
mod consumer;
mod drive;
mod error;
mod latency;
mod ledger;
mod load;
mod modes;
mod mqtt;
mod pace;
mod plan;
mod process;
mod progress;
mod publisher;
mod report;
mod socket;
mod stamp;
mod stop;
mod summary;
mod tally;
mod timer;
mod uri;
mod window;
mod work;

use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::process::ExitCode;

pub use args::command;
pub use error::Error;
use load::Scenario;
use modes::Target;
use mqtt::wire::Version;
use plan::{Plan, Task};
use process::Process;
use progress::Progress;
use report::Report;
use stop::Stop;

/// Runs the program with these arguments, of which the first is its name.
///
/// The summary goes to standard output, progress and errors to standard error. The exit status is 0
/// if all is well, 1 after an error, 2 if messages were lost, doubled or out of order.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(shown) => {
            let printed = shown.print().is_ok();
            let is_help = printed && !shown.use_stderr();
            return if is_help { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match Plan::new(&matches).and_then(|plan| run(&plan)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn run(plan: &Plan) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut report = match runtime.block_on(perform(plan)) {
        Ok(report) => report,
        // Programs get their object also if nothing came of it.
        Err(error) if plan.json => Report::ended(Some(error), false),
        Err(error) => return Err(error),
    };
    report.value("protocol", plan.protocol.name());
    report.value("mode", &*plan.mode);
    let (error, trouble) = (report.error.clone(), report.trouble);
    let shown = report.shown(plan.json);
    let written = std::io::stdout().lock().write_all(shown.as_bytes());
    written.map_err(|error| Error::Local(format!("cannot write the summary: {error}")))?;
    Ok(match error {
        Some(error) => fail(&error),
        None if trouble => ExitCode::from(2),
        None => ExitCode::SUCCESS,
    })
}

async fn perform(plan: &Plan) -> Result<Report, Error> {
    let process = plan.pid.map(Process);
    let mut progress = Progress::new(plan.quiet);
    let (protocol, uri) = (plan.protocol, &plan.uri);
    let stop = &mut Stop::new()?;
    let progress = &mut progress;
    match &plan.task {
        Task::Load(load) => {
            let scenario = Scenario::new(uri.clone(), load.clone());
            load::run(&scenario, process, progress, stop).await
        }
        Task::Connections(work, hold, version) => {
            let target = Target { protocol, version: *version, uri, process, progress, stop };
            modes::connections(target, work, *hold).await
        }
        Task::Queues(work, queue) => {
            let target = Target { protocol, version: Version::V311, uri, process, progress, stop };
            modes::queues(target, work, queue).await
        }
        Task::Churn(work, version) => {
            let target = Target { protocol, version: *version, uri, process, progress, stop };
            modes::churn(target, work).await
        }
    }
}

/// A number that no other run has, most likely.
fn random() -> u32 {
    RandomState::new().hash_one(std::process::id()) as u32
}

fn fail(error: &Error) -> ExitCode {
    eprintln!("leveret bench: {error}");
    ExitCode::FAILURE
}
