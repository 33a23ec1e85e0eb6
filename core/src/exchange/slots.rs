//! Bindings in a row without gaps: adding, removing and picking one by number cost the same, however
//! many there are. Their order means nothing.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::BindingId;

/// See the module's documentation. With each binding goes something that its exchange knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Slots<T> {
    items: Vec<(BindingId, T)>,
    places: HashMap<BindingId, usize, RandomState>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { items: Vec::new(), places: HashMap::default() }
    }
}

impl<T> Slots<T> {
    pub(super) fn insert(&mut self, id: BindingId, of_it: T) {
        self.places.insert(id, self.items.len());
        self.items.push((id, of_it));
    }

    pub(super) fn remove(&mut self, id: BindingId) {
        let Some(place) = self.places.remove(&id) else { return };
        self.items.swap_remove(place);
        if let Some((moved, _)) = self.items.get(place) {
            self.places.insert(*moved, place);
        }
    }

    /// One of them for each number; all of them get equal parts of the numbers.
    pub(super) fn pick(&self, number: u64) -> Option<BindingId> {
        let place = (u128::from(number) * self.items.len() as u128) >> 64;
        self.items.get(place as usize).map(|(id, _)| *id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(BindingId, T)> {
        self.items.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binding_that_is_left_can_be_picked() {
        let mut slots = Slots::default();
        (0..10).for_each(|id| slots.insert(BindingId(id), ()));
        for gone in [0, 9, 4] {
            slots.remove(BindingId(gone));
            slots.remove(BindingId(gone));
        }
        let step = u64::MAX / 7;
        let mut picked: Vec<u32> =
            (0..7).filter_map(|n| slots.pick(n * step + step / 2)).map(|id| id.0).collect();
        picked.sort_unstable();
        assert_eq!(picked, [1, 2, 3, 5, 6, 7, 8]);
    }

    #[test]
    fn there_is_nothing_to_pick_among_none() {
        let mut slots = Slots::default();
        assert_eq!(slots.pick(0), None);
        slots.insert(BindingId(3), ());
        assert_eq!((slots.pick(0), slots.pick(u64::MAX)), (Some(BindingId(3)), Some(BindingId(3))));
        slots.remove(BindingId(3));
        assert_eq!(slots.pick(7), None);
        assert!(slots.is_empty());
    }
}
