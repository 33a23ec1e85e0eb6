//! What clients do, by chance.

use super::chance::Chance;

/// One thing that happens in a conversation.
#[derive(Debug, Clone)]
pub enum Step {
    /// A client that keeps to the rules, mostly, and knows what to expect.
    Client { client: usize, channel: u16, action: Action },
    /// Octets of a client of which nothing is expected.
    Vandal(Vec<u8>),
    /// That client goes, and another one comes.
    VandalEnd,
}

/// What a client does on a channel, which is opened first if need be. Numbers that pick from what a
/// client has are taken modulo how much that is.
#[derive(Debug, Clone)]
pub enum Action {
    /// Messages to a queue whose content is known exactly.
    PublishKept {
        queue: usize,
        count: usize,
        size: usize,
        piece: usize,
        persistent: bool,
        priority: u8,
    },
    PublishWild {
        exchange: &'static str,
        key: &'static str,
        is_mandatory: bool,
        size: usize,
        flaw: Flaw,
    },
    /// Moves everything that the channel holds to another queue, in one write.
    Forward {
        to: usize,
        is_committed: bool,
    },
    DeclareQueue {
        queue: &'static str,
        flags: u8,
        arguments: [u8; 2],
    },
    DeleteQueue {
        queue: &'static str,
        flags: u8,
    },
    PurgeQueue {
        queue: &'static str,
    },
    DeclareExchange {
        exchange: &'static str,
        kind: &'static str,
        flags: u8,
        is_alternate: bool,
    },
    DeleteExchange {
        exchange: &'static str,
        flags: u8,
    },
    BindQueue {
        queue: &'static str,
        exchange: &'static str,
        key: &'static str,
    },
    UnbindQueue {
        queue: &'static str,
        exchange: &'static str,
        key: &'static str,
    },
    BindExchange {
        to: &'static str,
        from: &'static str,
        key: &'static str,
        is_unbind: bool,
    },
    Consume {
        queue: Queue,
        tag: &'static str,
        no_ack: bool,
        exclusive: bool,
        priority: i32,
    },
    Cancel {
        tag: &'static str,
    },
    Get {
        queue: Queue,
        no_ack: bool,
    },
    Settle {
        pick: usize,
        how: How,
        multiple: bool,
    },
    SettleUnknown {
        how: How,
        multiple: bool,
    },
    Recover,
    Qos {
        count: u16,
        global: bool,
    },
    ConfirmSelect,
    TxSelect,
    TxCommit,
    TxRollback,
    CloseChannel,
    CloseConnection,
    DropConnection,
}

/// A queue whose content is known, or any other.
#[derive(Debug, Clone, Copy)]
pub enum Queue {
    Kept(usize),
    Wild(&'static str),
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Ack,
    Requeue,
    Discard,
}

/// What is unusual about a message.
#[derive(Debug, Clone, Copy)]
pub enum Flaw {
    None,
    Copies,
    Expires,
    BadExpiration,
    BadCopies,
    ForReply,
    Delayed,
    Urgent,
}

/// Queues whose content is known exactly; nobody deletes or purges them.
pub const KEPT: usize = 3;
/// The one of them that has priorities, and its highest.
pub const PRIORITIZED: usize = 1;
pub const PRIORITY_MAX: u8 = 3;
/// The one that is a quorum queue.
pub const QUORUM: usize = 2;
pub const CLIENTS: usize = 2;
const WILD: [&str; 4] = ["wild.0", "wild.1", "wild.2", ""];
const EXCHANGES: [&str; 7] =
    ["", "x.0", "x.1", "amq.direct", "amq.topic", "amq.headers", "amq.fanout"];
const KINDS: [&str; 10] = [
    "direct",
    "fanout",
    "topic",
    "headers",
    "x-consistent-hash",
    "x-modulus-hash",
    "x-random",
    "x-local-random",
    "x-delayed-message",
    "nonsense",
];
const KEYS: [&str; 7] = ["wild.0", "wild.1", "wild.2", "a.b", "#", "", "2"];
const TAGS: [&str; 3] = ["t.0", "t.1", "amq.rabbitmq.reply-to"];
const STEPS_MAX: usize = 80;

/// The steps that octets stand for.
pub fn script(octets: &[u8]) -> Vec<Step> {
    let mut chance = Chance::new(octets);
    let mut steps = Vec::new();
    while !chance.is_over() && steps.len() < STEPS_MAX {
        steps.push(step(&mut chance));
    }
    steps
}

fn step(chance: &mut Chance<'_>) -> Step {
    match chance.below(16) {
        14 => Step::Vandal(super::vandal::octets(chance)),
        15 if chance.one_in(4) => Step::VandalEnd,
        _ => {
            let (client, channel) = (chance.below(CLIENTS), 1 + chance.below(2) as u16);
            Step::Client { client, channel, action: action(chance) }
        }
    }
}

fn action(chance: &mut Chance<'_>) -> Action {
    match chance.below(40) {
        0..=6 => Action::PublishKept {
            queue: chance.below(KEPT),
            count: chance.pick(&[1, 1, 2, 5, 40]),
            size: chance.pick(&[0, 10, 1000, 20_000]),
            piece: chance.pick(&[100, 1000, 4088]),
            persistent: chance.one_in(2),
            priority: chance.pick(&[0, 0, 1, 9]),
        },
        7..=11 => Action::Consume {
            queue: queue(chance),
            tag: chance.pick(&TAGS),
            no_ack: chance.one_in(3),
            exclusive: chance.one_in(6),
            priority: chance.pick(&[0, 0, 5, -1]),
        },
        12..=14 => Action::Get { queue: queue(chance), no_ack: chance.one_in(3) },
        15..=19 => {
            Action::Settle { pick: chance.below(256), how: how(chance), multiple: chance.one_in(3) }
        }
        20..=21 => Action::Forward { to: chance.below(KEPT), is_committed: chance.one_in(2) },
        22 | 23 => Action::TxSelect,
        24 | 25 => Action::TxCommit,
        26 => Action::TxRollback,
        27 => Action::Cancel { tag: chance.pick(&TAGS) },
        28 => Action::Qos { count: chance.pick(&[0, 1, 2, 10]), global: chance.one_in(2) },
        29 => Action::Recover,
        30 => Action::ConfirmSelect,
        31 => rarely(chance),
        _ => wild(chance),
    }
}

fn rarely(chance: &mut Chance<'_>) -> Action {
    match chance.below(5) {
        0 | 1 => Action::CloseChannel,
        2 => Action::CloseConnection,
        3 => Action::DropConnection,
        _ => Action::SettleUnknown { how: how(chance), multiple: chance.one_in(2) },
    }
}

fn wild(chance: &mut Chance<'_>) -> Action {
    let (queue, exchange, key) = (chance.pick(&WILD), chance.pick(&EXCHANGES), chance.pick(&KEYS));
    match chance.below(12) {
        0..=2 => Action::PublishWild {
            exchange,
            key,
            is_mandatory: chance.one_in(3),
            size: chance.pick(&[0, 10, 3000]),
            flaw: flaw(chance),
        },
        3..=5 => Action::DeclareQueue {
            queue,
            flags: chance.octet() & 0b11110,
            arguments: [chance.octet(), chance.octet()],
        },
        6 => Action::DeleteQueue { queue, flags: chance.octet() & 0b111 },
        7 => Action::PurgeQueue { queue },
        8 => Action::DeclareExchange {
            exchange,
            kind: chance.pick(&KINDS),
            flags: chance.octet() & 0b11110,
            is_alternate: chance.one_in(4),
        },
        9 => Action::DeleteExchange { exchange, flags: chance.octet() & 0b11 },
        10 => match chance.one_in(3) {
            false => Action::BindQueue { queue, exchange, key },
            true => Action::UnbindQueue { queue, exchange, key },
        },
        _ => Action::BindExchange {
            to: exchange,
            from: chance.pick(&EXCHANGES),
            key,
            is_unbind: chance.one_in(3),
        },
    }
}

fn queue(chance: &mut Chance<'_>) -> Queue {
    match chance.one_in(3) {
        false => Queue::Kept(chance.below(KEPT)),
        true => Queue::Wild(chance.pick(&WILD)),
    }
}

fn how(chance: &mut Chance<'_>) -> How {
    chance.pick(&[How::Ack, How::Ack, How::Requeue, How::Discard])
}

fn flaw(chance: &mut Chance<'_>) -> Flaw {
    use Flaw::*;
    const FLAWS: [Flaw; 7] = [Copies, Expires, BadExpiration, BadCopies, ForReply, Delayed, Urgent];
    if chance.one_in(2) { chance.pick(&FLAWS) } else { None }
}
