//! Connections, queues, and clients that come and go.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use indicatif::HumanBytes;
use tokio::task::JoinSet;

use crate::amqp;
use crate::client::Client;
use crate::error::Error;
use crate::mqtt::wire::{Version, kind};
use crate::mqtt::{self, client::Connect};
use crate::plan::{Queue, Work};
use crate::process::{Process, allow_connections};
use crate::progress::Progress;
use crate::report::Report;
use crate::stop::Stop;
use crate::uri::{Protocol, Uri};
use crate::work::{Outcome, Shown, Turns, supervise};

/// The broker that is measured, and how.
#[derive(Debug)]
pub struct Target<'a> {
    /// What is spoken.
    pub protocol: Protocol,
    /// The version of MQTT.
    pub version: Version,
    /// Where it is.
    pub uri: &'a Uri,
    /// Its process.
    pub process: Option<Process>,
    /// Where progress is shown.
    pub progress: &'a mut Progress,
    /// What ends it.
    pub stop: &'a mut Stop,
}

impl Target<'_> {
    fn place(&self) -> Arc<Place> {
        let (protocol, version, uri) = (self.protocol, self.version, self.uri.clone());
        Arc::new(Place { protocol, version, uri, name: format!("{:08x}", crate::random()) })
    }

    fn memory(&self) -> Result<Option<u64>, Error> {
        self.process.map(Process::memory).transpose()
    }

    /// Lets tasks take turns at `work`.
    async fn share<T, F>(
        &mut self,
        what: &'static str,
        work: &Work,
        task: impl Fn(Arc<Turns>) -> F,
    ) -> (Arc<Turns>, Outcome<T>)
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let turns = Turns::new(work);
        let tasks: JoinSet<_> = (0..work.parallel).map(|_| task(Arc::clone(&turns))).collect();
        let shown = Shown { what, progress: self.progress, stop: self.stop };
        let outcome = supervise(&turns, tasks, work.duration, shown).await;
        self.progress.clear();
        (turns, outcome)
    }
}

/// What tasks need to connect.
#[derive(Debug)]
struct Place {
    protocol: Protocol,
    version: Version,
    uri: Uri,
    name: String,
}

impl Place {
    async fn connect(&self, number: u64) -> Result<Client, Error> {
        match self.protocol {
            Protocol::Amqp => Ok(Client::Amqp(amqp::client::Client::connect(&self.uri).await?)),
            Protocol::Mqtt => {
                let client = format!("bench{}c{number}", self.name);
                let connect = Connect { client: &client, version: self.version, persistent: false };
                Ok(Client::Mqtt(mqtt::client::Client::connect(&self.uri, &connect).await?))
            }
        }
    }

    fn queue(&self, number: u64) -> String {
        format!("bench.{}.{number}", self.name)
    }
}

/// Opens connections and holds them.
pub async fn connections(
    mut target: Target<'_>,
    work: &Work,
    hold: Duration,
) -> Result<Report, Error> {
    let count = work.count.unwrap_or_default();
    // Those that open one at a time have a timer each.
    allow_connections(usize::try_from(count).unwrap_or(usize::MAX).saturating_add(work.parallel))?;
    let (place, before) = (target.place(), target.memory()?);
    let open = |turns: Arc<Turns>| {
        let place = Arc::clone(&place);
        async move {
            let mut held = Vec::new();
            while let Some(turn) = turns.next().await? {
                // Whatever went wrong, those that are open stay so until the end.
                let mut client = match place.connect(turn.number).await {
                    Ok(client) => client,
                    Err(error) => return Ok((held, Some(error))),
                };
                client.socket().shrink();
                held.push(client);
                turns.done(turn);
            }
            Ok((held, None))
        }
    };
    let (turns, opened) = target.share("opened", work, open).await;
    let (mut held, mut error) = (Vec::new(), opened.error);
    for (clients, failure) in opened.results {
        held.extend(clients);
        error = error.or(failure);
    }
    let mut interrupted = opened.interrupted;
    error = nothing_or(held.len() as u64, error)?;
    if !interrupted && error.is_none() {
        tokio::select! {
            () = tokio::time::sleep(hold) => {}
            () = target.stop.next() => interrupted = true,
        }
    }
    let mut report = Report::ended(error, interrupted);
    report.amount("opened", turns.done.load(Relaxed), None, opened.elapsed);
    report.latency("latency_us", "each took", &turns.times);
    memory(&mut report, &target, before, held.len(), "connection");
    let lost = held.iter_mut().filter_map(|client| client.check().err()).collect::<Vec<_>>();
    report.value("closed_by_broker", lost.len());
    if let Some(first) = lost.into_iter().next() {
        report.error.get_or_insert(first);
    }
    close(held, work.parallel).await;
    Ok(report)
}

/// Ends connections, so many at once. Those that are gone already need no end.
async fn close(clients: Vec<Client>, parallel: usize) {
    let mut closing = JoinSet::new();
    for client in clients {
        if closing.len() >= parallel {
            closing.join_next().await;
        }
        closing.spawn(client.close());
    }
    while closing.join_next().await.is_some() {}
}

fn memory(report: &mut Report, target: &Target<'_>, before: Option<u64>, count: usize, what: &str) {
    let (Some(before), Ok(Some(after))) = (before, target.memory()) else { return };
    // Less than nothing, if the broker gave memory of before back meanwhile.
    let each = (after as i64 - before as i64) / (count as i64).max(1);
    report.value("broker_memory_before", before);
    report.value("broker_memory_after", after);
    report.value(&format!("broker_memory_per_{what}"), each);
    let (before, after) = (HumanBytes(before), HumanBytes(after));
    report.line("memory", format!("{} octets each ({before} before, {after} after)", each));
}

/// Declares queues, then deletes them.
pub async fn queues(mut target: Target<'_>, work: &Work, queue: &Queue) -> Result<Report, Error> {
    allow_connections(work.parallel * 2)?;
    let (place, queue, before) = (target.place(), Arc::new(queue.clone()), target.memory()?);
    let declare = |turns: Arc<Turns>| {
        let (place, queue) = (Arc::clone(&place), Arc::clone(&queue));
        async move {
            let mut client = amqp::client::Client::connect(&place.uri).await?;
            while let Some(turn) = turns.next().await? {
                amqp::declare(&mut client, &place.queue(turn.number), &queue).await?;
                turns.done(turn);
            }
            client.close().await
        }
    };
    let (turns, declared) = target.share("declared", work, declare).await;
    let count = turns.done.load(Relaxed);
    let (error, interrupted) = (nothing_or(count, declared.error)?, declared.interrupted);
    let mut report = Report::ended(error, interrupted);
    report.amount("declared", count, None, declared.elapsed);
    report.latency("latency_us", "each took", &turns.times);
    memory(&mut report, &target, before, usize::try_from(count).unwrap_or(usize::MAX), "queue");
    if queue.keep {
        return Ok(report);
    }
    // After an error, some numbers may have no queue: deleting those does no harm.
    let numbers = turns.numbers();
    let work = Work { rate: None, count: Some(numbers), duration: None, ..work.clone() };
    let delete = |turns: Arc<Turns>| {
        let place = Arc::clone(&place);
        async move {
            let mut client = amqp::client::Client::connect(&place.uri).await?;
            while let Some(turn) = turns.next().await? {
                amqp::delete(&mut client, &place.queue(turn.number)).await?;
                turns.done(turn);
            }
            client.close().await
        }
    };
    let (turns, deleted) = target.share("deleted", &work, delete).await;
    report.amount("deleted", turns.done.load(Relaxed), None, deleted.elapsed);
    report.error = report.error.or(deleted.error);
    report.interrupted |= deleted.interrupted;
    Ok(report)
}

/// Clients that come, do something, and go.
pub async fn churn(mut target: Target<'_>, work: &Work) -> Result<Report, Error> {
    allow_connections(work.parallel * 2)?;
    let (place, before) = (target.place(), target.memory()?);
    let come_and_go = |turns: Arc<Turns>| {
        let place = Arc::clone(&place);
        async move {
            while let Some(turn) = turns.next().await? {
                match place.connect(turn.number).await? {
                    Client::Amqp(client) => amqp_visit(client, &place.queue(turn.number)).await?,
                    Client::Mqtt(client) => mqtt_visit(client, &place.queue(turn.number)).await?,
                }
                turns.done(turn);
            }
            Ok(())
        }
    };
    let (turns, outcome) = target.share("cycles", work, come_and_go).await;
    let count = turns.done.load(Relaxed);
    let (error, interrupted) = (nothing_or(count, outcome.error)?, outcome.interrupted);
    let mut report = Report::ended(error, interrupted);
    report.amount("cycles", count, None, outcome.elapsed);
    report.latency("latency_us", "each took", &turns.times);
    if let (Some(before), Some(after)) = (before, target.memory()?) {
        report.value("broker_memory_before", before);
        report.value("broker_memory_after", after);
        report
            .line("memory", format!("{} before, {} after", HumanBytes(before), HumanBytes(after)));
    }
    Ok(report)
}

/// An error is all that there is to say if nothing was done.
fn nothing_or(done: u64, error: Option<Error>) -> Result<Option<Error>, Error> {
    match error {
        Some(error) if done == 0 => Err(error),
        error => Ok(error),
    }
}

async fn amqp_visit(mut client: amqp::client::Client, queue: &str) -> Result<(), Error> {
    let plain = Queue { durable: false, arguments: Vec::new(), keep: false };
    amqp::declare(&mut client, queue, &plain).await?;
    amqp::confirm(&mut client).await?;
    amqp::publish(&mut client, queue).await?;
    amqp::delete(&mut client, queue).await?;
    client.close().await
}

async fn mqtt_visit(mut client: mqtt::client::Client, topic: &str) -> Result<(), Error> {
    client.subscribe(&[topic.to_owned()], 0).await?;
    let message = mqtt::publisher::template(client.version, topic, crate::stamp::LENGTH, 0);
    client.socket.send(&message.octets).await?;
    crate::socket::answered("to PUBLISH", client.answer(kind::PUBLISH)).await?;
    client.close().await
}
