//! One channel, and the channels of a connection by number.

use crate::assembly::Assembly;
use crate::confirms::Confirms;
use crate::transaction::Transaction;
use crate::unsettled::{Deliveries, Unsettled};

#[derive(Debug, Default)]
pub(crate) struct Channel {
    pub(crate) phase: Phase,
    pub(crate) mode: Mode,
    pub(crate) assembly: Assembly,
    pub(crate) unsettled: Unsettled,
    pub(crate) confirms: Confirms,
}

impl Channel {
    /// Everything that is unsettled, now that the channel ends: what was settled and not committed
    /// is, too.
    pub(crate) fn take_unsettled(&mut self) -> Deliveries {
        if let Mode::Transactional(transaction) = &mut self.mode {
            transaction.roll_back(&mut self.unsettled);
        }
        self.unsettled.take_all()
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Open,
    /// The client wants to close; the broker's close-ok is due.
    ClosedByClient,
    /// An error was raised; the client's close-ok is due and everything else is dropped.
    ClosedByServer,
}

#[derive(Debug, Default)]
pub(crate) enum Mode {
    #[default]
    Plain,
    Confirm,
    Transactional(Box<Transaction>),
}

/// Channels sorted by number: most connections have one, and none pays for what it does not use.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    list: Vec<(u16, Box<Channel>)>,
    /// Where the last one was found.
    recent: usize,
}

impl Channels {
    #[inline]
    pub(crate) fn find(&mut self, number: u16) -> Option<&mut Channel> {
        if self.list.get(self.recent).is_none_or(|(other, _)| *other != number) {
            self.recent = self.position(number).ok()?;
        }
        self.list.get_mut(self.recent).map(|(_, channel)| &mut **channel)
    }

    /// The channel, if it can be written to.
    #[inline]
    pub(crate) fn find_open(&mut self, number: u16) -> Option<&mut Channel> {
        self.find(number).filter(|channel| channel.phase == Phase::Open)
    }

    pub(crate) fn view(&self, number: u16) -> Option<&Channel> {
        let index = self.position(number).ok()?;
        Some(&self.list[index].1)
    }

    pub(crate) fn insert(&mut self, number: u16) {
        if let Err(index) = self.position(number) {
            self.list.insert(index, (number, Box::default()));
        }
    }

    pub(crate) fn remove(&mut self, number: u16) {
        if let Ok(index) = self.position(number) {
            self.list.remove(index);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u16, &mut Channel)> {
        self.list.iter_mut().map(|(number, channel)| (*number, &mut **channel))
    }

    pub(crate) fn take(&mut self) -> Vec<(u16, Box<Channel>)> {
        std::mem::take(&mut self.list)
    }

    fn position(&self, number: u16) -> Result<usize, usize> {
        self.list.binary_search_by_key(&number, |(other, _)| *other)
    }
}
