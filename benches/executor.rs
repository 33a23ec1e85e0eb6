//! Three ways to execute a shard, behind one `post()`: a mutex, a combiner and a task.
//!
//! The work is the same for all: a batch of small transient messages goes into one queue, whose
//! consumer gets them at once, and the deliveries are put into an outbox. What is measured is the
//! time from the first post to the last delivery, and the CPU time of the process.
//!
//! ```sh
//! cargo bench --bench executor
//! ```
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use leveret_core::{
    Body, ConnectionId, ConsumerId, ConsumerOptions, Draft, Effects, Encoding, Facts, Message,
    QueueId, QueueSettings, ShardState, Target,
};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

const BATCH_LEN: usize = 64;
const BATCHES: usize = 20_000;
const ROUNDS: usize = 5;
const QUEUE: QueueId = QueueId(1);
const CONSUMER: ConsumerId = ConsumerId { connection: ConnectionId(1), number: 1 };

type Batch = Vec<Arc<Message>>;

/// A shard and what its effects go to.
struct Work {
    state: ShardState,
    fx: Effects,
    outbox: Vec<leveret_core::Delivery>,
    delivered: Arc<AtomicU64>,
}

impl Work {
    fn new(delivered: &Arc<AtomicU64>) -> Self {
        let mut state = ShardState::default();
        state.create(QUEUE, QueueSettings::default());
        let queue = state.queue(QUEUE).expect("it was just made");
        let options = ConsumerOptions {
            no_ack: true,
            exclusive: false,
            priority: 0,
            prefetch: 0,
            shared: None,
            window_bytes: usize::MAX / 2,
            shared_window: None,
        };
        queue.consume(CONSUMER, options).expect("it is the only consumer");
        let fx = Effects { resident_bytes_free: 1 << 30, ..Effects::default() };
        Work { state, fx, outbox: Vec::new(), delivered: delivered.clone() }
    }

    fn run(&mut self, batch: &Batch) {
        let target =
            [Target { queue: QUEUE, durable: false, subscription: None, deduplication: None }];
        let mut placements = Vec::new();
        for message in batch {
            self.state.place(&target, message, None, &mut placements, &mut self.fx);
            self.state.publish(0, &mut placements, message.clone(), None, &mut self.fx);
        }
        self.state.pump_published(0, &mut self.fx);
        let count = self.fx.deliveries.len() as u64;
        self.outbox.clear();
        self.outbox.append(&mut self.fx.deliveries);
        self.delivered.fetch_add(count, Ordering::Relaxed);
    }
}

/// A shard that batches can be posted to.
trait Shard: Send + Sync + 'static {
    fn start(delivered: &Arc<AtomicU64>) -> Arc<Self>;
    fn post(self: &Arc<Self>, batch: Batch) -> impl Future<Output = ()> + Send;
}

/// Whoever posts takes the lock and does the work.
struct Locked(Mutex<Work>);

impl Shard for Locked {
    fn start(delivered: &Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Locked(Mutex::new(Work::new(delivered))))
    }

    async fn post(self: &Arc<Self>, batch: Batch) {
        self.0.lock().expect("nothing panics").run(&batch);
    }
}

/// Whoever posts to an idle shard runs it; whoever posts to a busy one leaves the batch there.
struct Combiner {
    inbox: Mutex<VecDeque<Batch>>,
    is_running: AtomicBool,
    work: Mutex<Work>,
}

impl Combiner {
    /// Batches in the inbox at which posters wait.
    const INBOX_MAX: usize = 64;
    /// Batches that a poster runs before it hands the shard to the pool.
    const BUDGET: usize = 16;

    fn run(self: &Arc<Self>) {
        let mut work = self.work.lock().expect("only the runner takes it");
        for _ in 0..Self::BUDGET {
            let next = self.inbox.lock().expect("nothing panics").pop_front();
            match next {
                Some(batch) => work.run(&batch),
                None => {
                    self.is_running.store(false, Ordering::SeqCst);
                    let is_empty = self.inbox.lock().expect("nothing panics").is_empty();
                    if is_empty || self.is_running.swap(true, Ordering::SeqCst) {
                        return;
                    }
                }
            }
        }
        let rest = self.clone();
        tokio::spawn(async move { rest.run() });
    }
}

impl Shard for Combiner {
    fn start(delivered: &Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Combiner {
            inbox: Mutex::default(),
            is_running: AtomicBool::new(false),
            work: Mutex::new(Work::new(delivered)),
        })
    }

    async fn post(self: &Arc<Self>, batch: Batch) {
        loop {
            let len = self.inbox.lock().expect("nothing panics").len();
            if len < Self::INBOX_MAX {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.inbox.lock().expect("nothing panics").push_back(batch);
        if !self.is_running.swap(true, Ordering::SeqCst) {
            self.run();
        }
    }
}

/// The shard is a task with a bounded channel.
struct Task(mpsc::Sender<Batch>);

impl Shard for Task {
    fn start(delivered: &Arc<AtomicU64>) -> Arc<Self> {
        let (sender, mut receiver) = mpsc::channel::<Batch>(Combiner::INBOX_MAX);
        let mut work = Work::new(delivered);
        tokio::spawn(async move {
            while let Some(batch) = receiver.recv().await {
                work.run(&batch);
            }
        });
        Arc::new(Task(sender))
    }

    async fn post(self: &Arc<Self>, batch: Batch) {
        self.0.send(batch).await.expect("the shard's task runs");
    }
}

fn main() {
    println!("ns per message, median of {ROUNDS}: wall clock / CPU, 2 workers");
    println!("{:>10} {:>17} {:>17} {:>17}", "publishers", "mutex", "combiner", "task");
    for publishers in [1, 2, 4] {
        println!(
            "{publishers:>10} {:>17} {:>17} {:>17}",
            median::<Locked>(publishers),
            median::<Combiner>(publishers),
            median::<Task>(publishers)
        );
    }
}

fn median<S: Shard>(publishers: usize) -> String {
    let mut rounds: Vec<(u64, u64)> = (0..ROUNDS).map(|_| measure::<S>(publishers)).collect();
    rounds.sort_unstable_by_key(|(_, cpu)| *cpu);
    let (wall, cpu) = rounds[ROUNDS / 2];
    format!("{wall} / {cpu}")
}

/// Nanoseconds per message: wall clock and CPU.
fn measure<S: Shard>(publishers: usize) -> (u64, u64) {
    let runtime = Builder::new_multi_thread().worker_threads(2).build().expect("a runtime starts");
    let total = (BATCHES * BATCH_LEN) as u64;
    let (started, cpu) = (Instant::now(), cpu_time());
    runtime.block_on(async {
        let delivered = Arc::new(AtomicU64::new(0));
        let shard = S::start(&delivered);
        let tasks: Vec<_> = (0..publishers)
            .map(|_| tokio::spawn(publish(shard.clone(), BATCHES / publishers)))
            .collect();
        for task in tasks {
            task.await.expect("publishers do not panic");
        }
        while delivered.load(Ordering::Relaxed) < total {
            tokio::task::yield_now().await;
        }
    });
    let per_message = |time: Duration| time.as_nanos() as u64 / total;
    (per_message(started.elapsed()), per_message(cpu_time() - cpu))
}

async fn publish<S: Shard>(shard: Arc<S>, batches: usize) {
    for _ in 0..batches {
        shard.post((0..BATCH_LEN).map(|_| Arc::new(message())).collect()).await;
        tokio::task::consume_budget().await;
    }
}

fn message() -> Message {
    Message::new(Draft {
        exchange: "",
        routing_key: "queue",
        encoding: Encoding::None,
        properties: &[],
        body: Body::Borrowed(b"sixteen bytes ok"),
        facts: Facts::default(),
    })
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
