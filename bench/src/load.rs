//! Messages through a broker: who publishes and who consumes what, until it is over.
//!
//! Publisher `p` of `P` and queue `q` of `Q` meet in *streams*: there are max(P, Q) of them, and
//! stream `s` is from publisher `s mod P` to queue `s mod Q`. Consumers are dealt to queues in the
//! same way. Topics are queues here; but each MQTT subscriber has ledgers of its own, since it gets
//! every message of its topics.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::clock::{Clock, Moment};
use crate::drive::{Peer, Phase, drive};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::pace::Pace;
use crate::plan::{Kind, Load};
use crate::process::{Process, allow_connections};
use crate::progress::Progress;
use crate::publisher::{Outgoing, Publisher};
use crate::report::Report;
use crate::stamp::{Run, Stream};
use crate::stop::Stop;
use crate::tally::Tally;
use crate::uri::Uri;
use crate::window::Window;
use crate::{amqp, mqtt, summary};

/// How often it is looked at whether a run is over.
const TICK: Duration = Duration::from_millis(20);

/// How long connections may take to end.
const END: Duration = Duration::from_secs(30);

/// A connection and what it does.
pub struct Member {
    /// The connection.
    pub client: Client,
    /// What it does.
    pub peer: Box<dyn Peer + Send>,
}

impl Member {
    async fn run(mut self, clock: Clock, mut phase: watch::Receiver<Phase>) -> Result<(), Error> {
        drive(self.client.socket(), &mut *self.peer, clock, &mut phase).await?;
        self.client.close().await
    }
}

/// A run that is to be.
#[derive(Debug)]
pub struct Scenario {
    /// The broker.
    pub uri: Uri,
    /// What is asked for.
    pub load: Load,
    /// What has happened.
    pub tally: Arc<Tally>,
    name: String,
    run_name: String,
}

impl Scenario {
    /// A run with a name of its own.
    pub fn new(uri: Uri, load: Load) -> Scenario {
        let random = crate::random();
        let run_name = format!("{random:08x}");
        let name = load.name.clone().unwrap_or_else(|| format!("bench.{run_name}"));
        let streams = load.publishers.max(load.queues);
        let ledgers = ledgers(&load, &name, streams);
        // The low bits name the run in its messages.
        let tally = Arc::new(Tally::new(Run(random as u16), streams, ledgers));
        Scenario { uri, load, tally, name, run_name }
    }

    /// The name of a queue.
    pub fn queue_name(&self, queue: usize) -> String {
        numbered(&self.name, '.', self.load.queues, queue)
    }

    /// The name of a topic.
    pub fn topic_name(&self, topic: usize) -> String {
        numbered(&self.name, '/', self.load.queues, topic)
    }

    /// The name of an MQTT client: within the 23 letters and digits that every broker takes
    /// ([MQTT-3.1.3-5]).
    pub fn client_name(&self, role: char, which: usize) -> String {
        format!("bench{}{role}{which}", self.run_name)
    }

    /// The streams of a publisher, with their queues.
    pub fn streams_of(&self, publisher: usize) -> impl Iterator<Item = (Stream, usize)> {
        let queues = self.load.queues;
        let streams = (publisher..self.tally.streams()).step_by(self.load.publishers);
        // There are at most 65,535 publishers and queues.
        streams.map(move |stream| (Stream(stream as u16), stream % queues))
    }

    /// The queues of a consumer.
    pub fn queues_of(&self, consumer: usize) -> impl Iterator<Item = usize> {
        let Load { consumers, queues, .. } = self.load;
        (consumer..consumers.max(queues)).step_by(consumers).map(move |link| link % queues)
    }

    /// What a publisher does, whatever its protocol.
    pub fn publisher(&self, which: usize, streams: Vec<Outgoing>) -> Publisher {
        let Load { publishers, rate, count, window, .. } = self.load;
        let pace = Pace::new(rate, publishers, which);
        let limit = count.map(|count| share(count, publishers, which));
        Publisher::new(Arc::clone(&self.tally), streams, pace, limit, window.map(Window::new))
    }

    async fn members(&self) -> Result<(Vec<Member>, Vec<Member>), Error> {
        let (mut consumers, mut publishers) = (Vec::new(), Vec::new());
        for which in 0..self.load.consumers {
            consumers.push(match &self.load.kind {
                Kind::Amqp(load) => amqp::consumer(self, load, which).await?,
                Kind::Mqtt(load) => mqtt::subscriber(self, load, which).await?,
            });
        }
        for which in 0..self.load.publishers {
            publishers.push(match &self.load.kind {
                Kind::Amqp(load) => amqp::publisher(self, load, which).await?,
                Kind::Mqtt(load) => mqtt::publisher(self, load, which).await?,
            });
        }
        Ok((publishers, consumers))
    }

    /// Makes what the run needs: a connection that unmakes it.
    async fn prepare(&self) -> Result<Option<amqp::client::Client>, Error> {
        let Kind::Amqp(load) = &self.load.kind else { return Ok(None) };
        let mut client = amqp::client::Client::connect(&self.uri).await?;
        for queue in 0..self.load.queues {
            amqp::declare(&mut client, &self.queue_name(queue), &load.queue).await?;
        }
        Ok(Some(client))
    }

    async fn tidy_up(&self, client: Option<amqp::client::Client>) -> Result<(), Error> {
        match (&self.load.kind, client) {
            (Kind::Amqp(load), Some(mut client)) => {
                let queues = if load.queue.keep { 0 } else { self.load.queues };
                for queue in 0..queues {
                    amqp::delete(&mut client, &self.queue_name(queue)).await?;
                }
                client.close().await
            }
            (Kind::Mqtt(load), _) if load.persistent => {
                for which in 0..self.load.consumers {
                    mqtt::forget(self, load, which).await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The name of one of several.
fn numbered(name: &str, separator: char, of: usize, which: usize) -> String {
    if of == 1 { name.to_owned() } else { format!("{name}{separator}{which}") }
}

fn ledgers(load: &Load, name: &str, streams: usize) -> Vec<Ledger> {
    let (consumers, queues) = (load.consumers, load.queues);
    let ledger = |link: usize| {
        let queue = link % queues;
        let name = match load.kind {
            Kind::Amqp(_) => numbered(name, '.', queues, queue),
            Kind::Mqtt(_) => {
                let topic = numbered(name, '/', queues, queue);
                format!("{topic} of subscriber {}", link % consumers)
            }
        };
        Ledger::new(name, queue, queues, streams)
    };
    let links = match load.kind {
        Kind::Amqp(_) => queues,
        Kind::Mqtt(_) if consumers == 0 => 0,
        Kind::Mqtt(_) => consumers.max(queues),
    };
    (0..links).map(ledger).collect()
}

/// The share of one of several in a count.
fn share(count: u64, among: usize, which: usize) -> u64 {
    let among = among as u64;
    count / among + u64::from((which as u64) < count % among)
}

/// Runs it. An error before it has begun is returned, a later one is in the report.
pub async fn run(
    scenario: &Scenario,
    process: Option<Process>,
    progress: &mut Progress,
    stop: &mut Stop,
) -> Result<Report, Error> {
    // Each publisher has a timer as well.
    allow_connections(scenario.load.publishers * 2 + scenario.load.consumers + 1)?;
    let control = scenario.prepare().await?;
    let members = tokio::select! {
        members = scenario.members() => members,
        () = stop.next() => Err(Error::Local("interrupted before it began".to_owned())),
    };
    let (publishers, consumers) = match members {
        Ok(members) => members,
        Err(error) => {
            // What went wrong first is what counts.
            let _ = scenario.tidy_up(control).await;
            return Err(error);
        }
    };
    let broker = control.as_ref().map(|client| client.broker.clone());
    let mut course = Course::start(scenario, publishers, consumers, process)?;
    course.run(stop, progress).await;
    progress.clear();
    let tidied = scenario.tidy_up(control).await;
    let error = course.error.take().or(tidied.err());
    let mut report = summary::load(scenario, broker, &course.observed);
    (report.error, report.interrupted) = (error, course.interrupted);
    Ok(report)
}

/// What was seen of the broker's process.
#[derive(Debug, Default)]
pub struct Observed {
    /// CPU time, in microseconds; nothing if no process was named.
    pub cpu_us: Option<u64>,
    /// The most memory at any look, in octets.
    pub memory_max: u64,
}

/// A run under way.
struct Course<'a> {
    scenario: &'a Scenario,
    clock: Clock,
    phase: watch::Sender<Phase>,
    publishers: JoinSet<Result<(), Error>>,
    consumers: JoinSet<Result<(), Error>>,
    process: Option<Process>,
    cpu_before_us: u64,
    observed: Observed,
    error: Option<Error>,
    interrupted: bool,
    /// When something last changed while the run comes to its end, and what there was then.
    moved: (Moment, u64),
}

impl<'a> Course<'a> {
    fn start(
        scenario: &'a Scenario,
        publishers: Vec<Member>,
        consumers: Vec<Member>,
        process: Option<Process>,
    ) -> Result<Course<'a>, Error> {
        let cpu_before_us = process.map_or(Ok(0), Process::cpu_us)?;
        let clock = Clock::start();
        let phase = watch::Sender::new(Phase::Run);
        let spawn = |members: Vec<Member>| -> JoinSet<_> {
            members.into_iter().map(|member| member.run(clock, phase.subscribe())).collect()
        };
        let (consumers, publishers) = (spawn(consumers), spawn(publishers));
        Ok(Course {
            scenario,
            clock,
            phase,
            publishers,
            consumers,
            process,
            cpu_before_us,
            observed: Observed::default(),
            error: None,
            interrupted: false,
            moved: (Moment::default(), 0),
        })
    }

    async fn run(&mut self, stop: &mut Stop, progress: &mut Progress) {
        let mut tick = tokio::time::interval(TICK);
        let mut ended = None;
        while !self.publishers.is_empty() || !self.consumers.is_empty() {
            tokio::select! {
                Some(done) = self.publishers.join_next() => self.note(done),
                Some(done) = self.consumers.join_next() => self.note(done),
                _ = tick.tick() => self.tick(progress),
                () = stop.next() => {
                    self.interrupted = true;
                    let next = if self.phase() == Phase::Run { Phase::Drain } else { Phase::End };
                    self.reach(next);
                }
            }
            let now = self.clock.now();
            if self.phase() == Phase::End && now.since(*ended.get_or_insert(now)) > END {
                break;
            }
        }
    }

    fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    fn reach(&mut self, phase: Phase) {
        if phase > self.phase() {
            self.moved = (self.clock.now(), 0);
            self.phase.send_replace(phase);
        }
    }

    fn note(&mut self, done: Result<Result<(), Error>, tokio::task::JoinError>) {
        let done = done.unwrap_or_else(|error| Err(Error::Local(error.to_string())));
        if let Err(error) = done {
            self.error.get_or_insert(error);
            self.reach(Phase::End);
        }
        if self.publishers.is_empty() && self.scenario.load.publishers > 0 {
            self.reach(Phase::Drain);
        }
    }

    fn tick(&mut self, progress: &mut Progress) {
        let (now, tally) = (self.clock.now(), &self.scenario.tally);
        self.observe();
        let [published, confirmed, received] =
            [&tally.published, &tally.confirmed, &tally.received].map(|count| count.load(Relaxed));
        let mut shown = vec![("published", published)];
        if self.scenario.load.window.is_some() {
            shown.push(("confirmed", confirmed));
        }
        shown.push(("received", received));
        progress.tick(now, &shown);
        match self.phase() {
            Phase::Run if self.is_over(now, received) => self.reach(Phase::Drain),
            Phase::Drain if self.is_drained(now, confirmed + received) => self.reach(Phase::End),
            _ => {}
        }
    }

    /// Whether there is nothing more to publish, or to consume if that is all.
    fn is_over(&self, now: Moment, received: u64) -> bool {
        let load = &self.scenario.load;
        let out_of_time = load.duration.is_some_and(|duration| now.since(Moment(0)) >= duration);
        out_of_time || (load.publishers == 0 && load.count.is_some_and(|count| received >= count))
    }

    /// Whether everything has come, or nothing comes any more.
    fn is_drained(&mut self, now: Moment, progress: u64) -> bool {
        let (tally, load) = (&self.scenario.tally, &self.scenario.load);
        let complete = load.consumers == 0
            || load.publishers == 0
            || tally.unique.load(Relaxed) >= tally.expected_of_all();
        if self.publishers.is_empty() && complete {
            return true;
        }
        if progress != self.moved.1 {
            self.moved = (now, progress);
        }
        now.since(self.moved.0) >= load.drain
    }

    fn observe(&mut self) {
        let Some(process) = self.process else { return };
        match (process.cpu_us(), process.memory()) {
            (Ok(cpu_us), Ok(memory)) => {
                self.observed.cpu_us = Some(cpu_us.saturating_sub(self.cpu_before_us));
                self.observed.memory_max = self.observed.memory_max.max(memory);
            }
            (Err(error), _) | (_, Err(error)) => {
                self.error.get_or_insert(error);
                self.process = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_count() {
        let shares: Vec<u64> = (0..4).map(|which| share(10, 4, which)).collect();
        assert_eq!(shares, [3, 3, 2, 2]);
        assert_eq!((0..4).map(|which| share(2, 4, which)).sum::<u64>(), 2);
    }
}
