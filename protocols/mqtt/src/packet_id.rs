//! A map by packet identifier: what is in flight in one direction.
//!
//! Identifiers are 16 bits wide, so the hash need not resist an attack: the worst that a peer can
//! choose is bounded by the size of the space. The memory of a burst is given back.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

#[derive(Debug)]
pub(crate) struct PacketIdMap<T> {
    map: HashMap<u16, T, BuildHasherDefault<PacketIdHasher>>,
}

impl<T> Default for PacketIdMap<T> {
    fn default() -> Self {
        Self { map: HashMap::default() }
    }
}

impl<T> PacketIdMap<T> {
    #[inline]
    pub(crate) fn insert(&mut self, packet_id: u16, value: T) {
        self.map.insert(packet_id, value);
    }

    #[inline]
    pub(crate) fn entry(&mut self, packet_id: u16) -> Option<&mut T> {
        self.map.get_mut(&packet_id)
    }

    #[inline]
    pub(crate) fn remove(&mut self, packet_id: u16) -> Option<T> {
        let value = self.map.remove(&packet_id);
        if self.map.is_empty() && self.map.capacity() > IDLE_CAPACITY_MAX {
            self.map = HashMap::default();
        }
        value
    }
}

#[derive(Debug, Default)]
pub(crate) struct PacketIdHasher(u64);

impl Hasher for PacketIdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u16(u16::from(byte));
        }
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.0 = (self.0 ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Small tables are kept, so that a trickle of messages does not allocate for each.
const IDLE_CAPACITY_MAX: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_burst_is_given_back() {
        let mut ids = PacketIdMap::default();
        (1..=u16::MAX).for_each(|id| ids.insert(id, ()));
        (1..=u16::MAX).for_each(|id| assert!(ids.remove(id).is_some()));
        assert_eq!(ids.map.capacity(), 0);
    }
}
