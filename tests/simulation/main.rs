//! A node's queues and its journal on a disk that tears, loses and fails, by seed: through crashes no
//! confirmed message is lost, none comes back whose acknowledgement was durable, and order is kept.
//!
//! `SIMULATION_SEED=17 cargo test --test simulation` runs one seed, `SIMULATION_SEEDS=5000` so many.

#![allow(clippy::unwrap_used, reason = "a test stops where it is surprised")]
#![allow(clippy::disallowed_methods, reason = "a deadline of a test")]

mod node;
mod truth;

use leveret_storage::faulty::{Faults, FaultyDisk};
use node::{Node, Stopped};
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
        Some(seed) => run(seed),
        None => (0..number("SIMULATION_SEEDS").unwrap_or(SEEDS)).for_each(run),
    }
}

/// Several lives of a node. What is printed is shown when it fails.
fn run(seed: u64) {
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let (disk, mut truth) = (FaultyDisk::new(seed), Truth::default());
    for _ in 0..LIVES {
        let starts_badly = dice.one_in(4);
        if starts_badly {
            disk.set_faults(faults(&mut dice, 20));
        }
        match live(&disk, &mut dice, &mut truth, starts_badly) {
            Ok(()) => {}
            Err(Stopped) => assert!(starts_badly, "a start fails only for want of a disk"),
        }
        if dice.one_in(4) { disk.kill() } else { disk.power_cut() }
    }
    let mut node = Node::start(&disk).unwrap();
    truth.inspect(&mut node).unwrap();
    node.drain(&mut truth).unwrap();
    node.close();
    let mut node = Node::start(&disk).unwrap();
    truth.inspect(&mut node).unwrap();
    assert_eq!(truth.alive(), 0, "after a clean stop, everything that was acknowledged is away");
}

/// From a start to a crash. An error is a start that failed.
fn live(
    disk: &FaultyDisk,
    dice: &mut Dice,
    truth: &mut Truth,
    is_failing: bool,
) -> Result<(), Stopped> {
    let mut node = Node::start(disk)?;
    truth.inspect(&mut node)?;
    node.consume(truth);
    if !is_failing {
        // A disk that was off does not come back within a life.
        disk.set_faults(faults(dice, 100));
    }
    // Without a disk it goes on until it has to read.
    _ = work(&mut node, dice, truth);
    truth.crash(node.durable());
    Ok(())
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

fn work(node: &mut Node, dice: &mut Dice, truth: &mut Truth) -> Result<(), Stopped> {
    for _ in 0..dice.below(150) {
        match dice.below(20) {
            0..9 => {
                let bytes = if dice.one_in(12) { 20_000 } else { 8 + dice.below(1500) };
                node.publish(1 + dice.below(3), bytes as usize, truth)?;
            }
            9..14 => node.acknowledge(1 + dice.below(6) as usize, truth)?,
            14..16 => node.requeue(dice.below(10) as usize, truth)?,
            16 => node.wait_for_disk(),
            17 => node.snapshot(),
            18 if dice.one_in(6) => node.purge(1 + dice.below(2), truth)?,
            _ => truth.note_durable(node.durable()),
        }
    }
    Ok(())
}
