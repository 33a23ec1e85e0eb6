//! Octets that nobody should send: methods in any order with any arguments, contents that do not
//! belong to anything, frames that end too early, noise.

use super::chance::Chance;
use super::frames::{Id, frame, long, method, short};

/// All methods of a client, and some that are none.
const METHODS: [Id; 38] = [
    (10, 11),
    (10, 31),
    (10, 40),
    (10, 50),
    (10, 51),
    (10, 70),
    (20, 10),
    (20, 20),
    (20, 40),
    (20, 41),
    (30, 10),
    (40, 10),
    (40, 20),
    (40, 30),
    (40, 40),
    (50, 10),
    (50, 20),
    (50, 30),
    (50, 40),
    (50, 50),
    (60, 10),
    (60, 20),
    (60, 30),
    (60, 40),
    (60, 70),
    (60, 80),
    (60, 90),
    (60, 100),
    (60, 110),
    (60, 120),
    (85, 10),
    (90, 10),
    (90, 20),
    (90, 30),
    (60, 60),
    (60, 50),
    (70, 10),
    (0, 0),
];

const NAMES: [&str; 8] =
    ["", "wild.0", "wild.1", "x.0", "amq.topic", "t.0", "amq.rabbitmq.reply-to", "fanout"];

/// A few frames.
pub fn octets(chance: &mut Chance<'_>) -> Vec<u8> {
    (0..1 + chance.below(6)).flat_map(|_| one(chance)).collect()
}

fn one(chance: &mut Chance<'_>) -> Vec<u8> {
    let channel = chance.pick(&[1, 1, 1, 2, 0, 3000]);
    match chance.below(10) {
        0..=5 => {
            let id = chance.pick(&METHODS);
            let arguments = arguments(chance);
            method(channel, id, &arguments)
        }
        6 => {
            let (size, flags) = (chance.pick(&[0, 1, 10, 1 << 40]), chance.octets(2));
            let head = [&[0, 60, 0, 0][..], &u64::to_be_bytes(size), &flags].concat();
            frame(2, channel, &head)
        }
        7 => {
            let len = chance.below(20);
            frame(3, channel, &chance.octets(len))
        }
        8 => {
            let len = chance.below(12);
            chance.octets(len)
        }
        _ => {
            let mut cut = method(channel, chance.pick(&METHODS), &[0; 6]);
            cut.truncate(chance.below(18));
            cut
        }
    }
}

/// Fields of any type, a few of them.
fn arguments(chance: &mut Chance<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..chance.below(8) {
        out.extend(match chance.below(6) {
            0 | 1 => short(chance.pick(&NAMES)),
            2 => vec![0, 0],
            3 => vec![chance.octet()],
            4 => u64::from(chance.octet()).to_be_bytes().to_vec(),
            _ => {
                let len = chance.below(10);
                long(&chance.octets(len))
            }
        });
    }
    out
}
