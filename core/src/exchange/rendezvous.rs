//! One of many bindings for each hash, by weight, so that as few hashes as possible change hands.
//!
//! Weighted rendezvous hashing: every binding draws a number for the hash, and the best one has it.
//! What a binding draws depends on nothing but the hash and what the binding is called, so that
//!
//! - a binding that goes leaves behind only the hashes that it had,
//! - a binding that comes takes over its share and nothing else moves,
//! - the order in which bindings came does not matter, nor does a restart.
//!
//! A draw `u` between 0 and 1 counts as `-log2(u) / weight`, the least of all wins, and the chance to
//! win is the weight's part of all weights. Among equal weights the greatest `u` is the best, so a
//! choice costs a few instructions per binding and at most one logarithm per *different* weight. Weights
//! themselves cost nothing. All of it is whole numbers: the same on every machine.

use std::collections::BTreeMap;

use super::BindingId;
use super::slots::Slots;

/// Bindings with what they are called, as a hash, by weight.
#[derive(Debug, Clone, Default)]
pub(super) struct Rendezvous {
    by_weight: BTreeMap<u16, Slots<u64>>,
}

impl Rendezvous {
    pub(super) fn insert(&mut self, id: BindingId, weight: u16, called: u64) {
        self.by_weight.entry(weight).or_default().insert(id, called);
    }

    pub(super) fn remove(&mut self, id: BindingId, weight: u16) {
        let Some(slots) = self.by_weight.get_mut(&weight) else { return };
        slots.remove(id);
        if slots.is_empty() {
            self.by_weight.remove(&weight);
        }
    }

    pub(super) fn choose(&self, hash: u64) -> Option<BindingId> {
        let mut best: Option<Draw> = None;
        for (&weight, slots) in &self.by_weight {
            let draws = slots.iter().map(|(id, called)| (mix(hash ^ called), *id));
            let Some((number, id)) = draws.max() else { continue };
            let is_hopeless = |best: &Draw| !best.loses_to(distance_at_least(number), weight);
            if best.as_ref().is_some_and(is_hopeless) {
                continue;
            }
            let distance = distance(number);
            if best.as_ref().is_none_or(|best| best.loses_to(distance, weight)) {
                best = Some(Draw { distance, weight, id });
            }
        }
        best.map(|best| best.id)
    }
}

struct Draw {
    distance: u64,
    weight: u16,
    id: BindingId,
}

impl Draw {
    fn loses_to(&self, distance: u64, weight: u16) -> bool {
        distance * u64::from(self.weight) < self.distance * u64::from(weight)
    }
}

/// `-log2(number / 2^64)`, with 40 digits behind the point: below 2^46, so that it can be multiplied by
/// any weight.
fn distance(number: u64) -> u64 {
    let number = number.max(1);
    let whole = u64::from(number.leading_zeros()) + 1;
    // Between 1 and 2, with 63 digits behind the point.
    let mut rest = number << number.leading_zeros();
    let mut digits = 0;
    for _ in 0..DIGITS {
        let square = u128::from(rest) * u128::from(rest);
        let is_two_or_more = square >> 127 == 1;
        rest = (square >> (63 + u32::from(is_two_or_more))) as u64;
        digits = digits << 1 | u64::from(is_two_or_more);
    }
    (whole << DIGITS) - digits
}

/// Not more than [`distance`], at once: the logarithm is under its tangent.
fn distance_at_least(number: u64) -> u64 {
    (u64::MAX - number) >> (64 - DIGITS)
}

const DIGITS: u32 = 40;

/// A hash of bytes that stays what it is: FNV-1a with 64 bits, mixed once more.
pub(crate) fn stable_hash<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    mix(bytes.into_iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME)))
}

/// Another number for each number; one bit of difference becomes many (the finalizer of SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(weights: &[(u32, u16)]) -> Rendezvous {
        let mut rendezvous = Rendezvous::default();
        for &(id, weight) in weights {
            rendezvous.insert(BindingId(id), weight, called(id));
        }
        rendezvous
    }

    fn called(id: u32) -> u64 {
        stable_hash(format!("binding {id}").as_bytes())
    }

    fn hashes(count: u32) -> impl Iterator<Item = u64> {
        (0..count).map(|number| stable_hash(&number.to_be_bytes()))
    }

    #[test]
    fn a_distance_is_the_logarithm() {
        for number in [1, 2, 3, 1 << 40, 0x1234_5678_9abc_def0, u64::MAX / 2, u64::MAX - 1_000_000]
        {
            let expected = (64.0 - (number as f64).log2()) * f64::from(DIGITS).exp2();
            assert!((distance(number) as f64 - expected).abs() < 2_000.0, "{number}");
            assert!(distance_at_least(number) <= distance(number), "{number}");
        }
        assert_eq!(distance(0), distance(1));
        assert_eq!(distance(1 << 63), 1 << DIGITS);
    }

    #[test]
    fn hashes_are_what_they_always_were() {
        assert_eq!(stable_hash(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(stable_hash(b"orders.1"), 0xd1be_029c_845c_fe72);
        let chosen: Vec<u32> =
            hashes(8).map(|hash| of(&[(0, 1), (1, 2), (2, 3)]).choose(hash).unwrap().0).collect();
        assert_eq!(chosen, [1, 2, 2, 1, 0, 1, 2, 1]);
    }

    #[test]
    fn every_binding_gets_the_part_that_its_weight_is() {
        let weights = [(0, 1), (1, 2), (2, 3), (3, 1), (4, 10_000 / 1_000)];
        let rendezvous = of(&weights);
        let mut counts = [0u32; 5];
        hashes(100_000).for_each(|hash| counts[rendezvous.choose(hash).unwrap().0 as usize] += 1);
        let all: u32 = weights.iter().map(|(_, weight)| u32::from(*weight)).sum();
        for (id, weight) in weights {
            let fair = 100_000 * u32::from(weight) / all;
            let count = counts[id as usize];
            assert!(count.abs_diff(fair) < fair / 20, "{id}: {count}, fair is {fair}");
        }
    }

    #[test]
    fn the_greatest_weight_beside_the_least() {
        let rendezvous = of(&[(0, 1), (1, 10_000)]);
        let light = hashes(100_000).filter(|hash| rendezvous.choose(*hash) == Some(BindingId(0)));
        assert!((1..40).contains(&light.count()));
    }

    #[test]
    fn what_goes_and_comes_moves_its_own_share_only() {
        let before = of(&[(0, 5), (1, 7), (2, 7), (3, 1)]);
        let mut after = of(&[(3, 1), (9, 4), (2, 7), (1, 7), (0, 5)]);
        after.remove(BindingId(9), 4);
        assert!(hashes(2_000).all(|hash| before.choose(hash) == after.choose(hash)), "any order");
        after.remove(BindingId(1), 7);
        let mut moved = 0;
        for hash in hashes(20_000) {
            let (old, new) = (before.choose(hash), after.choose(hash));
            assert!(old == new || old == Some(BindingId(1)));
            moved += u32::from(old != new);
        }
        assert!(moved.abs_diff(7_000) < 350, "{moved}");
        assert_eq!(Rendezvous::default().choose(1), None);
    }
}
