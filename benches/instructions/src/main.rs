//! Work on messages whose instructions are counted, one part of the broker at a time.
//!
//! Time on a shared machine tells a change of a few percent on a good day only; the number of
//! instructions tells it on any. `check.py` runs this program in Valgrind, which counts what happens
//! in [`count_instructions`], and holds the counts against those in `baseline.json`. Instructions are
//! not time: a miss of the cache or a system call costs more than its one instruction.
//!
//! ```text
//! leveret-instructions          the names of all cases, each with the number of messages counted
//! leveret-instructions CASE     runs one
//! ```
#![allow(clippy::disallowed_methods, reason = "protocols want to know a time, whatever it is")]

mod amqp;
mod journal;
mod mqtt;
mod queue;
mod routing;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is counted.
struct Case {
    name: &'static str,
    /// Messages, or whatever the case is about, in one round of the work.
    messages: u64,
    /// Prepares everything and gives the work, which can be done any number of times.
    prepare: fn() -> Work,
}

type Work = Box<dyn FnMut()>;

fn main() -> ExitCode {
    let parts = [amqp::CASES, mqtt::CASES, routing::CASES, queue::CASES, journal::CASES];
    let mut cases = parts.into_iter().flatten();
    let Some(wanted) = std::env::args().nth(1) else {
        cases.for_each(|case| println!("{} {}", case.name, case.messages * ROUNDS));
        return ExitCode::SUCCESS;
    };
    let Some(case) = cases.find(|case| case.name == wanted) else {
        eprintln!("there is no case {wanted}");
        return ExitCode::FAILURE;
    };
    let mut work = (case.prepare)();
    // Buffers grow and memory is fetched in the first round, which says nothing about a message.
    work();
    count_instructions(&mut work);
    ExitCode::SUCCESS
}

/// Valgrind knows it by its name.
#[inline(never)]
fn count_instructions(work: &mut Work) {
    (0..ROUNDS).for_each(|_| work());
}

const ROUNDS: u64 = 20;
