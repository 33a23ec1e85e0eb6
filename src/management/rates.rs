//! Rates, worked out between two looks.
//!
//! Nobody samples in the background: whoever looks at a thing twice, at least five seconds apart,
//! sees how its numbers have changed in between. What was never looked at before has rates of 0.
//! A broker that nobody looks at pays nothing.

use std::sync::{Arc, Mutex, MutexGuard};

use hashbrown::HashMap;
use leveret_core::{ConnectionId, QueueId};
use serde_json::{Map, Value, json};

use crate::server::clock;

/// What the numbers were at earlier looks.
#[derive(Debug, Default)]
pub struct Rates {
    looks: Mutex<HashMap<Thing, Look>>,
}

/// What has numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Thing {
    /// The node as a whole.
    Node,
    /// All clients together.
    Clients,
    /// The node's connections as they come and go.
    Churn,
    /// All queues of a virtual host.
    Vhost(Arc<str>),
    /// A queue.
    Queue(QueueId),
    /// A connection.
    Connection(ConnectionId),
}

/// A number with its name.
pub type Named = (&'static str, u64);

/// A number with its name and how much it changes per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rated {
    name: &'static str,
    number: u64,
    per_second: f64,
}

#[derive(Debug)]
struct Look {
    at_ms: u64,
    numbers: Vec<u64>,
    per_second: Vec<f64>,
}

impl Rates {
    /// Looks at all numbers of a thing.
    pub fn measure(&self, thing: Thing, numbers: &[Named]) -> Vec<Rated> {
        let values = numbers.iter().map(|(_, number)| *number).collect();
        let rates = self.look(thing, clock::now_ms(), values);
        let rated = |(&(name, number), per_second)| Rated { name, number, per_second };
        numbers.iter().zip(rates).map(rated).collect()
    }

    /// Forgets all looks.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn look(&self, thing: Thing, now_ms: u64, numbers: Vec<u64>) -> Vec<f64> {
        let mut looks = self.lock();
        if looks.len() >= LOOKS_MAX && !looks.contains_key(&thing) {
            looks.retain(|_, look| now_ms.saturating_sub(look.at_ms) < FORGOTTEN_AFTER_MS);
            if looks.len() >= LOOKS_MAX {
                return vec![0.0; numbers.len()];
            }
        }
        let look = looks.entry(thing).or_insert_with(|| Look {
            at_ms: now_ms,
            per_second: vec![0.0; numbers.len()],
            numbers: numbers.clone(),
        });
        look.renew(now_ms, numbers);
        look.per_second.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Thing, Look>> {
        self.looks.lock().expect("nothing panics while it holds the looks")
    }
}

impl Rated {
    /// Of a number that does not fall by itself.
    pub fn growing(self) -> Self {
        Rated { per_second: self.per_second.max(0.0), ..self }
    }
}

/// Adds numbers to an object, each with its rate as `x_details`.
pub fn put(into: &mut Map<String, Value>, numbers: &[Rated]) {
    for Rated { name, number, per_second } in numbers {
        into.insert((*name).to_owned(), json!(number));
        into.insert(format!("{name}_details"), json!({ "rate": per_second }));
    }
}

/// An object of numbers, each with its rate as `x_details`.
pub fn object(numbers: &[Rated]) -> Value {
    let mut object = Map::new();
    put(&mut object, numbers);
    Value::Object(object)
}

impl Look {
    fn renew(&mut self, now_ms: u64, numbers: Vec<u64>) {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        if passed_ms < INTERVAL_MS {
            return;
        }
        let rate = |(before, now): (&u64, &u64)| {
            (*now as f64 - *before as f64) * 1000.0 / passed_ms as f64
        };
        self.per_second = self.numbers.iter().zip(&numbers).map(rate).collect();
        self.numbers = numbers;
        self.at_ms = now_ms;
    }
}

/// The time between two looks that make a rate.
const INTERVAL_MS: u64 = 5_000;
/// A look that is older makes room for others.
const FORGOTTEN_AFTER_MS: u64 = 60_000;
/// How many things are remembered; the others have rates of 0.
const LOOKS_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_change_between_two_looks_and_stays_until_the_next() {
        let rates = Rates::default();
        let look = |at_ms, numbers: [u64; 2]| rates.look(Thing::Node, at_ms, numbers.to_vec());
        assert_eq!(look(0, [100, 7]), [0.0, 0.0]);
        assert_eq!(look(4_999, [200, 7]), [0.0, 0.0]);
        assert_eq!(look(10_000, [300, 2]), [20.0, -0.5]);
        assert_eq!(look(10_001, [900, 2]), [20.0, -0.5]);
        assert_eq!(look(20_000, [300, 2]), [0.0, 0.0]);
    }

    #[test]
    fn the_number_of_things_is_limited_and_old_ones_make_room() {
        let rates = Rates::default();
        for id in 0..=LOOKS_MAX as u64 {
            rates.look(Thing::Queue(QueueId(id)), 0, vec![id]);
        }
        assert_eq!(rates.lock().len(), LOOKS_MAX);
        rates.look(Thing::Node, FORGOTTEN_AFTER_MS, vec![1]);
        assert_eq!(rates.lock().len(), 1);
    }
}
