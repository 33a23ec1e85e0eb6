//! Something that is done again and again by a few tasks: whose turn it is, and until when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::{Clock, Moment};
use crate::error::Error;
use crate::latency::Latency;
use crate::plan::Work;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::timer::Timer;

/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(20);

/// What the tasks share.
#[derive(Debug)]
pub struct Turns {
    clock: Clock,
    rate: Option<f64>,
    limit: Option<u64>,
    next: AtomicU64,
    /// How many have been done.
    pub done: AtomicU64,
    /// How long each took, from the moment when it should have begun.
    pub times: Latency,
    over: watch::Sender<bool>,
}

/// One turn.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// How many were before it.
    pub number: u64,
    intended: Moment,
}

impl Turns {
    /// None has been done.
    pub fn new(work: &Work) -> Arc<Turns> {
        Arc::new(Turns {
            clock: Clock::start(),
            rate: work.rate,
            limit: work.count,
            next: AtomicU64::new(0),
            done: AtomicU64::new(0),
            times: Latency::new(),
            over: watch::Sender::new(false),
        })
    }

    /// Waits for the next turn; nothing if there is none.
    pub async fn next(&self) -> Result<Option<Turn>, Error> {
        let number = self.next.fetch_add(1, Relaxed);
        if self.limit.is_some_and(|limit| number >= limit) || *self.over.borrow() {
            return Ok(None);
        }
        let Some(rate) = self.rate else {
            return Ok(Some(Turn { number, intended: self.clock.now() }));
        };
        let intended = Moment((number as f64 * 1e9 / rate) as u64);
        let timer = Timer::new(self.clock)?;
        let mut over = self.over.subscribe();
        tokio::select! {
            waited = timer.until(intended) => waited?,
            _ = over.wait_for(|over| *over) => return Ok(None),
        }
        Ok(Some(Turn { number, intended }))
    }

    /// It has been done.
    pub fn done(&self, turn: Turn) {
        self.done.fetch_add(1, Relaxed);
        self.times.record([self.clock.now().since(turn.intended)]);
    }

    /// How many numbers turns have had.
    pub fn numbers(&self) -> u64 {
        let next = self.next.load(Relaxed);
        self.limit.map_or(next, |limit| next.min(limit))
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.clock.now().since(Moment::default())
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What the tasks returned that came to their end.
    pub results: Vec<T>,
    /// What went wrong first.
    pub error: Option<Error>,
    /// Whether the user ended it.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// Waits for tasks that take turns. Their turns end with the time, a signal, or an error of one; the
/// second signal ends the tasks themselves.
pub async fn supervise<T: Send + 'static>(
    turns: &Turns,
    mut tasks: JoinSet<Result<T, Error>>,
    duration: Option<Duration>,
    mut shown: Shown<'_>,
) -> Outcome<T> {
    let (mut results, mut error, mut interrupted) = (Vec::new(), None, false);
    let mut tick = tokio::time::interval(TICK);
    while !tasks.is_empty() {
        tokio::select! {
            Some(done) = tasks.join_next() => {
                match done.unwrap_or_else(|error| Err(Error::Local(error.to_string()))) {
                    Ok(result) => results.push(result),
                    Err(first) => {
                        error.get_or_insert(first);
                        turns.over.send_replace(true);
                    }
                }
            }
            _ = tick.tick() => {
                shown.tick(turns);
                if duration.is_some_and(|duration| turns.elapsed() >= duration) {
                    turns.over.send_replace(true);
                }
            }
            () = shown.stop.next() => {
                if interrupted {
                    break;
                }
                interrupted = true;
                turns.over.send_replace(true);
            }
        }
    }
    Outcome { results, error, interrupted, elapsed: turns.elapsed() }
}

/// What is shown meanwhile, and what ends it.
#[derive(Debug)]
pub struct Shown<'a> {
    /// How it is called.
    pub what: &'static str,
    /// Where it is shown.
    pub progress: &'a mut Progress,
    /// The signals.
    pub stop: &'a mut Stop,
}

impl Shown<'_> {
    fn tick(&mut self, turns: &Turns) {
        self.progress.tick(turns.clock.now(), &[(self.what, turns.done.load(Relaxed))]);
    }
}
