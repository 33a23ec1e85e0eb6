//! A broker that breaks its promises, to see whether a test notices. Never use it for anything else.
//!
//! `CARELESS=early` confirms before anything is written; `CARELESS=forgetful` does not write down what
//! was acknowledged. The flags are those of the broker.

use std::error::Error;
use std::sync::Arc;

use leveret::config::load;
use leveret::{Broker, Log};
use leveret_core::record::Kind;
use leveret_core::{Position, RecordHeader, Reference};
use leveret_storage::{
    Durability, Error as StorageError, LogConfig, Payload, Record, RecoveryReport, RewritePlan,
    Rewritten, SegmentUsage, Snapshot, Stats, Storage, Urgency, Visit,
};
use tokio::sync::watch;

struct Careless {
    log: Log,
    is_forgetful: bool,
    /// What it says is durable, if it confirms early.
    claimed: Option<watch::Sender<Durability>>,
}

impl Storage for Careless {
    fn append(&self, header: RecordHeader, payload: Payload<'_>, urgency: Urgency) -> Position {
        if self.is_forgetful && header.kind == Kind::Settle as u8 {
            return self.log.end();
        }
        let Some(claimed) = &self.claimed else { return self.log.append(header, payload, urgency) };
        let at = self.log.append(header, payload, Urgency::Lazy);
        claimed.send_modify(|durability| durability.through = Position(at.0 + 1));
        at
    }

    fn durable(&self) -> watch::Receiver<Durability> {
        self.claimed.as_ref().map_or_else(|| self.log.durable(), watch::Sender::subscribe)
    }

    fn durable_position(&self) -> Position {
        self.durable().borrow().through
    }

    fn read(&self, at: Position) -> Result<Record, StorageError> {
        self.log.read(at)
    }

    fn read_many(&self, at: &[Position]) -> Vec<Result<Record, StorageError>> {
        self.log.read_many(at)
    }

    fn retain(&self, reference: Reference, count: u32) {
        self.log.retain(reference, count);
    }

    fn release(&self, reference: Reference) {
        self.log.release(reference);
    }

    fn recover(&self, visit: Visit<'_>) -> Result<RecoveryReport, StorageError> {
        self.log.recover(visit)
    }

    fn snapshot(&self) -> Result<Option<Snapshot>, StorageError> {
        self.log.snapshot()
    }

    fn begin_snapshot(&self) -> Position {
        self.log.begin_snapshot()
    }

    fn store_snapshot(
        &self,
        from: Position,
        through: Position,
        state: &[u8],
    ) -> Result<(), StorageError> {
        self.log.store_snapshot(from, through, state)
    }

    fn wants_snapshot(&self) -> bool {
        self.log.wants_snapshot()
    }

    fn plan_rewrite(&self) -> Option<RewritePlan> {
        self.log.plan_rewrite()
    }

    fn rewrite(&self, plan: RewritePlan, live: &[Position]) -> Result<Rewritten, StorageError> {
        self.log.rewrite(plan, live)
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.log.free_bytes()
    }

    fn end(&self) -> Position {
        self.log.end()
    }

    fn backlog_bytes(&self) -> u64 {
        self.log.backlog_bytes()
    }

    fn is_backlogged(&self) -> bool {
        self.log.is_backlogged()
    }

    fn close(&self) -> Result<(), StorageError> {
        self.log.close()
    }

    fn stats(&self) -> Stats {
        self.log.stats()
    }

    fn segments(&self) -> Vec<SegmentUsage> {
        self.log.segments()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = load(std::env::args_os(), std::env::vars())?.config;
    let carelessness = std::env::var("CARELESS")?;
    let storage = Careless {
        log: Log::open(LogConfig::new(&config.data_dir))?,
        is_forgetful: carelessness == "forgetful",
        claimed: (carelessness == "early").then(watch::Sender::default),
    };
    let broker = Broker::start_with(config, Arc::new(storage)).await?;
    Ok(broker.run(std::future::pending()).await?)
}
