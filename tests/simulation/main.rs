//! A node's queues and its journal on a disk that tears, loses and fails, by seed: through crashes no
//! confirmed message is lost, none comes back whose acknowledgement was durable, and order is kept.
//!
//! `SIMULATION_SEED=17 cargo test --test simulation` runs one seed, `SIMULATION_SEEDS=5000` so many.

#![allow(clippy::unwrap_used, reason = "a test stops where it is surprised")]
#![allow(clippy::disallowed_methods, reason = "a deadline of a test")]

mod message;
mod node;
mod sender;
mod truth;
mod upkeep;

use leveret_storage::faulty::{Faults, FaultyDisk};
use node::{Node, Publish, Seen, Stopped};
use sender::Sender;
use truth::Truth;

/// The dice: a linear congruential generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
        (self.0 >> 33) % limit
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }
}

const LIVES: u64 = 6;
const SEEDS: u64 = 200;

#[test]
fn what_was_confirmed_is_kept_and_what_was_acknowledged_stays_away() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("SIMULATION_SEED") {
        Some(seed) => _ = run(seed),
        None => {
            let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
            let seen = (0..seeds).map(run).fold(Seen::default(), |a, b| a + b);
            println!("{seen:?}");
            let least = [
                seen.pages_written,
                seen.pages_read,
                seen.restored,
                seen.rewritten,
                seen.repeated,
                seen.not_placed,
            ];
            assert!(least.iter().all(|count| *count as u64 > seeds / 4), "all of it was tried");
        }
    }
}

impl std::ops::Add for Seen {
    type Output = Seen;

    fn add(self, other: Seen) -> Seen {
        Seen {
            pages_written: self.pages_written + other.pages_written,
            pages_read: self.pages_read + other.pages_read,
            restored: self.restored + other.restored,
            rewritten: self.rewritten + other.rewritten,
            repeated: self.repeated + other.repeated,
            not_placed: self.not_placed + other.not_placed,
        }
    }
}

/// Several lives of a node. What is printed is shown when it fails.
fn run(seed: u64) -> Seen {
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let (disk, mut clients) = (FaultyDisk::new(seed), Clients::default());
    let mut seen = Seen::default();
    for _ in 0..LIVES {
        let starts_badly = dice.one_in(4);
        if starts_badly {
            disk.set_faults(faults(&mut dice, 20));
        }
        match live(&disk, &mut dice, &mut clients, starts_badly) {
            Ok(life) => seen = seen + life,
            Err(Stopped) => assert!(starts_badly, "a start fails only for want of a disk"),
        }
        if dice.one_in(4) { disk.kill() } else { disk.power_cut() }
    }
    let mut node = Node::start(&disk).unwrap();
    clients.resume(&mut node).unwrap();
    node.drain(&mut clients.truth).unwrap();
    node.wait_for_disk();
    clients.sender.go_on(&mut node).unwrap();
    assert_eq!(node.packets(), 0, "everything was released");
    node.reclaim(true).unwrap();
    node.close();
    let mut node = Node::start(&disk).unwrap();
    clients.truth.inspect(&mut node).unwrap();
    assert_eq!(clients.truth.alive(), 0, "after a clean stop, what was acknowledged is away");
    assert_eq!(node.packets(), 0, "after a clean stop, what was released is away");
    seen
}

/// What clients know, and do after a start.
#[derive(Default)]
struct Clients {
    truth: Truth,
    sender: Sender,
}

impl Clients {
    fn resume(&mut self, node: &mut Node) -> Result<(), Stopped> {
        self.truth.inspect(node)?;
        self.sender.resume(node, &mut self.truth)
    }

    fn note_durable(&mut self, node: &Node) {
        self.truth.note_durable(node.durable());
        self.sender.note_durable(node.durable());
    }
}

/// From a start to a crash. An error is a start that failed.
fn live(
    disk: &FaultyDisk,
    dice: &mut Dice,
    clients: &mut Clients,
    is_failing: bool,
) -> Result<Seen, Stopped> {
    let mut node = Node::start(disk)?;
    clients.truth.inspect(&mut node)?;
    if !is_failing {
        // A disk that was off does not come back within a life.
        disk.set_faults(faults(dice, 150));
    }
    // Without a disk it goes on until it has to read.
    if clients.sender.resume(&mut node, &mut clients.truth).is_ok() {
        node.consume(&mut clients.truth);
        _ = work(&mut node, dice, clients);
    }
    clients.note_durable(&node);
    clients.truth.crash(node.durable());
    Ok(node.seen)
}

fn faults(dice: &mut Dice, steps: u64) -> Faults {
    let short_writes = dice.one_in(4);
    match dice.one_in(6) {
        true => Faults { syncs_left: Some(dice.below(8)), short_writes, ..Faults::default() },
        false => {
            let off_after = Some(1 + dice.below(steps));
            Faults { off_after, short_writes, ..Faults::default() }
        }
    }
}

fn work(node: &mut Node, dice: &mut Dice, clients: &mut Clients) -> Result<(), Stopped> {
    for _ in 0..dice.below(200) {
        let Clients { truth, sender } = clients;
        match dice.below(22) {
            0..9 => {
                let bytes = if dice.one_in(12) { 20_000 } else { 8 + dice.below(1500) };
                truth.published += 1;
                let publish = Publish {
                    number: truth.published,
                    queues: 1 + dice.below(3),
                    bytes: bytes as usize,
                    packet_id: None,
                };
                match dice.one_in(3) {
                    true => sender.publish(node, publish, truth)?,
                    false => node.publish(publish, truth).map(drop)?,
                }
            }
            9..14 => node.acknowledge(1 + dice.below(6) as usize, truth)?,
            14..16 => node.requeue(dice.below(10) as usize, truth)?,
            16 => node.wait_for_disk(),
            17 => _ = node.reclaim(dice.one_in(2)),
            18 if dice.one_in(6) => node.purge(1 + dice.below(2), truth)?,
            19 => sender.go_on(node)?,
            _ => clients.note_durable(node),
        }
    }
    Ok(())
}
