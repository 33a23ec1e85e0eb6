//! Gives a target the octets of its seeds, and changes of them, until it has had enough.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

thread_local! {
    /// Panics of this thread, if it runs a target: those of tasks of its broker among them.
    static PANICS: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Panics of all other threads.
static PANICS_ELSEWHERE: AtomicUsize = AtomicUsize::new(0);

/// The octets that a target has in hand. They go into a file if it panics.
struct InHand {
    target: &'static str,
    octets: Vec<u8>,
}

/// Runs a target with all of its seeds, and then with `count` changes of them, or for as long as
/// `FUZZ_SECONDS` says.
pub fn run(target: &'static str, count: u64, body: fn(&[u8])) {
    count_panics();
    PANICS.set(Some(0));
    let seeds = seeds(target);
    for octets in &seeds {
        try_one(target, octets.clone(), body);
    }
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let deadline = number("FUZZ_SECONDS").map(|it| Instant::now() + Duration::from_secs(it));
    let mut chance = Chance::new(number("FUZZ_SEED").unwrap_or_default());
    let mut done = 0;
    while deadline.map_or(done < count, |deadline| Instant::now() < deadline) {
        try_one(target, changed(&seeds, &mut chance), body);
        done += 1;
    }
}

fn try_one(target: &'static str, octets: Vec<u8>, body: fn(&[u8])) {
    let panics = || (PANICS.get(), PANICS_ELSEWHERE.load(Ordering::Relaxed));
    let (in_hand, before) = (InHand { target, octets }, panics());
    body(&in_hand.octets);
    assert_eq!(panics(), before, "a task or a thread has panicked");
}

impl Drop for InHand {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.target);
            match std::fs::write(&path, &self.octets) {
                Ok(()) => eprintln!("the octets are in {}", path.display()),
                Err(error) => eprintln!("{error}: the octets are {:?}", self.octets),
            }
        }
    }
}

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            match PANICS.get() {
                Some(panics) => PANICS.set(Some(panics + 1)),
                None => _ = PANICS_ELSEWHERE.fetch_add(1, Ordering::Relaxed),
            }
            hook(panic);
        }));
    });
}

/// What is in the folder of a target, in the order of the names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "there are no seeds in {folder:?}");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// A seed with a few changes.
fn changed(seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut octets = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(4) {
        change(&mut octets, seeds, chance);
    }
    octets.truncate(OCTETS_MAX);
    octets
}

fn change(octets: &mut Vec<u8>, seeds: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(octets.len() + 1);
    let len = chance.below(1 + (octets.len() - at).min(40));
    match chance.below(8) {
        0 | 1 if at < octets.len() => octets[at] ^= 1 << chance.below(8),
        2 if at < octets.len() => octets[at] = NOTABLE[chance.below(NOTABLE.len())],
        3 => octets.insert(at, chance.below(256) as u8),
        4 => _ = octets.drain(at..at + len),
        5 => octets.truncate(at),
        6 => {
            let copy = octets[at..at + len].to_vec();
            let times = 1 + chance.below(4);
            octets.splice(at..at, copy.repeat(times));
        }
        _ => {
            let other = &seeds[chance.below(seeds.len())];
            let from = chance.below(other.len() + 1);
            let piece = &other[from..from + chance.below(1 + other.len() - from)];
            octets.splice(at..at + len, piece.iter().copied());
        }
    }
}

/// Numbers that depend on nothing but where they began: a linear congruential generator.
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Chance(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
        (self.0 >> 33) as usize % limit
    }
}

const OCTETS_MAX: usize = 1 << 14;
/// Octets that lengths and texts turn at.
const NOTABLE: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, 0xfe, 0xce, b'"', b'\\', b'/', b'$', b'%'];
