//! Who consumes a queue, in the order in which they are asked, found by who they are and by the room that
//! they have.
//!
//! A few stand in a list that is looked through. Many are in trees, so that what happens to one of them
//! costs the logarithm of how many there are, and not more.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::consumer::Consumer;
use crate::ConsumerId;

/// A place in the order: the greatest priority first, equals in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub priority: Reverse<i32>,
    /// How many came before.
    pub number: u64,
}

#[derive(Debug)]
pub(super) enum Roster {
    /// In their order.
    Few(Vec<Consumer>),
    Many(Box<Many>),
}

#[derive(Debug, Default)]
pub(super) struct Many {
    list: BTreeMap<Turn, Consumer>,
    turns: HashMap<ConsumerId, Turn, foldhash::fast::FixedState>,
    /// Those with room of their own for what needs no settlement, and for what does.
    with_room: [BTreeSet<Turn>; 2],
}

/// More consumers are many, and half of that are few again.
pub(super) const FEW: usize = 32;

impl Turn {
    /// Nobody is asked before.
    pub const FIRST: Turn = Turn { priority: Reverse(i32::MAX), number: 0 };

    /// The first place of its priority.
    pub fn first_of_priority(self) -> Turn {
        Turn { number: 0, ..self }
    }

    /// The next place of its priority.
    pub fn next(self) -> Turn {
        Turn { number: self.number + 1, ..self }
    }
}

impl Default for Roster {
    fn default() -> Self {
        Roster::Few(Vec::new())
    }
}

impl Roster {
    pub fn len(&self) -> usize {
        match self {
            Roster::Few(list) => list.len(),
            Roster::Many(many) => many.list.len(),
        }
    }

    /// The one that there is, if it is alone.
    pub fn only(&self) -> Option<&Consumer> {
        match self {
            Roster::Few(list) if list.len() == 1 => list.first(),
            _ => None,
        }
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Consumer> {
        let (few, many) = match self {
            Roster::Few(list) => (&list[..], None),
            Roster::Many(many) => (&[][..], Some(many.list.values())),
        };
        few.iter().chain(many.into_iter().flatten())
    }

    pub fn find(&self, id: ConsumerId) -> Option<Turn> {
        match self {
            Roster::Few(list) => list.iter().find(|consumer| consumer.id == id).map(|it| it.turn),
            Roster::Many(many) => many.turns.get(&id).copied(),
        }
    }

    pub fn get(&self, turn: Turn) -> Option<&Consumer> {
        match self {
            Roster::Few(list) => list.get(place(list, turn)).filter(|it| it.turn == turn),
            Roster::Many(many) => many.list.get(&turn),
        }
    }

    /// The first one of a priority that stands at a place or behind it.
    pub fn of_priority(&self, from: Turn) -> Option<Turn> {
        let found = match self {
            Roster::Few(list) => list.get(place(list, from)).map(|consumer| consumer.turn),
            Roster::Many(many) => many.list.range(from..).next().map(|(&turn, _)| turn),
        };
        found.filter(|turn| turn.priority == from.priority)
    }

    /// The first one at a place or behind it, of whatever priority, that has room.
    pub fn with_room(&self, from: Turn, needs_settlement: bool) -> Option<Turn> {
        match self {
            Roster::Few(list) => {
                let mut behind = list.iter().filter(|consumer| consumer.turn >= from);
                behind.find(|consumer| consumer.has_room(needs_settlement)).map(|it| it.turn)
            }
            Roster::Many(many) => {
                let mut behind = many.with_room[usize::from(needs_settlement)].range(from..);
                // A limit that it shares with others may be reached all the same.
                behind.find(|turn| many.list[turn].has_room(needs_settlement)).copied()
            }
        }
    }

    /// Those that lack nothing but room in the window that they share, which they have not asked for.
    pub fn lacking_window(&self, needs_settlement: bool) -> Vec<Turn> {
        let lacks = |consumer: &&Consumer| consumer.lacks_window(needs_settlement);
        match self {
            Roster::Few(list) => list.iter().filter(lacks).map(|it| it.turn).collect(),
            Roster::Many(many) => {
                let with_room = many.with_room[usize::from(needs_settlement)].iter();
                with_room.map(|turn| &many.list[turn]).filter(lacks).map(|it| it.turn).collect()
            }
        }
    }

    pub fn insert(&mut self, consumer: Consumer) {
        match self {
            Roster::Few(list) if list.len() < FEW => {
                if list.is_empty() {
                    // Many queues never have more than one, sessions for instance.
                    list.reserve_exact(1);
                }
                list.insert(place(list, consumer.turn), consumer);
            }
            Roster::Few(list) => {
                let mut many = Box::new(Many::default());
                list.drain(..).chain([consumer]).for_each(|consumer| many.insert(consumer));
                *self = Roster::Many(many);
            }
            Roster::Many(many) => many.insert(consumer),
        }
    }

    pub fn remove(&mut self, turn: Turn) {
        match self {
            Roster::Few(list) => {
                let at = place(list, turn);
                if list.get(at).is_some_and(|consumer| consumer.turn == turn) {
                    list.remove(at);
                }
            }
            Roster::Many(many) => {
                many.remove(turn);
                if many.list.len() <= FEW / 2 {
                    *self = Roster::Few(std::mem::take(&mut many.list).into_values().collect());
                }
            }
        }
    }

    /// Changes what the consumer with an identity has used of its room.
    pub fn change_of(&mut self, id: ConsumerId, change: impl FnOnce(&mut Consumer)) {
        match self {
            Roster::Few(list) => {
                if let Some(consumer) = list.iter_mut().find(|consumer| consumer.id == id) {
                    change(consumer);
                }
            }
            Roster::Many(many) => {
                if let Some(&turn) = many.turns.get(&id) {
                    many.change(turn, change);
                }
            }
        }
    }

    /// Changes what a consumer has used of its room.
    pub fn change(&mut self, turn: Turn, change: impl FnOnce(&mut Consumer)) -> Option<&Consumer> {
        match self {
            Roster::Few(list) => {
                let consumer = list.iter_mut().find(|consumer| consumer.turn == turn)?;
                change(consumer);
                Some(consumer)
            }
            Roster::Many(many) => many.change(turn, change),
        }
    }
}

/// Where a turn is in a list, or would be.
fn place(list: &[Consumer], turn: Turn) -> usize {
    list.partition_point(|consumer| consumer.turn < turn)
}

impl Many {
    fn insert(&mut self, consumer: Consumer) {
        note_room(&mut self.with_room, &consumer);
        self.turns.insert(consumer.id, consumer.turn);
        self.list.insert(consumer.turn, consumer);
    }

    fn remove(&mut self, turn: Turn) {
        let Some(consumer) = self.list.remove(&turn) else { return };
        self.turns.remove(&consumer.id);
        self.with_room.iter_mut().for_each(|turns| _ = turns.remove(&turn));
    }

    fn change(&mut self, turn: Turn, change: impl FnOnce(&mut Consumer)) -> Option<&Consumer> {
        let consumer = self.list.get_mut(&turn)?;
        let before = consumer.own_room();
        change(consumer);
        if consumer.own_room() != before {
            note_room(&mut self.with_room, consumer);
        }
        Some(consumer)
    }
}

fn note_room(with_room: &mut [BTreeSet<Turn>; 2], consumer: &Consumer) {
    for (turns, has_room) in with_room.iter_mut().zip(consumer.own_room()) {
        match has_room {
            true => turns.insert(consumer.turn),
            false => turns.remove(&consumer.turn),
        };
    }
}
