//! The octets of a run, out of its seed, and whether it made anything panic.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const SEEDS: u64 = 300;
const OCTETS: usize = 400;

/// Panics of any thread and task, those of the broker's included.
static PANICS: AtomicUsize = AtomicUsize::new(0);
/// The seed that is being run.
static SEED: AtomicU64 = AtomicU64::new(0);

/// Has panics counted, and the seed printed with them.
pub fn watch_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        eprintln!("CONVERSATION_SEED={}", SEED.load(Ordering::Relaxed));
        hook(panic);
    }));
}

pub fn assert_no_panic() {
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "the broker panicked");
}

/// The seeds to run.
pub fn all() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("CONVERSATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CONVERSATION_SEEDS").unwrap_or(SEEDS),
    }
}

/// Octets of a linear congruential generator.
pub fn octets(seed: u64) -> Vec<u8> {
    SEED.store(seed, Ordering::Relaxed);
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
        (state >> 40) as u8
    };
    (0..OCTETS).map(next).collect()
}
