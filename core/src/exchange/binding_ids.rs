//! Numbers of bindings, in order. Most keys and most queues have one binding, which takes no memory
//! beside.

use std::collections::BTreeSet;

use super::BindingId;

/// See the module's documentation.
#[derive(Debug, Clone, Default)]
pub(crate) enum BindingIds {
    #[default]
    None,
    One(BindingId),
    /// Two at least.
    #[allow(clippy::box_collection, reason = "a set is larger than what most have, a number")]
    Many(Box<BTreeSet<BindingId>>),
}

impl BindingIds {
    pub(crate) fn insert(&mut self, id: BindingId) {
        match self {
            BindingIds::None => *self = BindingIds::One(id),
            BindingIds::One(known) if *known == id => {}
            BindingIds::One(known) => {
                *self = BindingIds::Many(Box::new(BTreeSet::from([*known, id])));
            }
            BindingIds::Many(ids) => _ = ids.insert(id),
        }
    }

    pub(crate) fn remove(&mut self, id: BindingId) {
        match self {
            BindingIds::One(known) if *known == id => *self = BindingIds::None,
            BindingIds::None | BindingIds::One(_) => {}
            BindingIds::Many(ids) => {
                ids.remove(&id);
                if let (1, Some(&last)) = (ids.len(), ids.first()) {
                    *self = BindingIds::One(last);
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, BindingIds::None)
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            BindingIds::None => 0,
            BindingIds::One(_) => 1,
            BindingIds::Many(ids) => ids.len(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = BindingId> {
        let (one, many) = match self {
            BindingIds::None => (None, None),
            BindingIds::One(id) => (Some(*id), None),
            BindingIds::Many(ids) => (None, Some(ids)),
        };
        one.into_iter().chain(many.into_iter().flat_map(|ids| ids.iter().copied()))
    }

    /// Whether any of them is among others.
    pub(crate) fn meet(&self, others: &BTreeSet<BindingId>) -> bool {
        match self {
            BindingIds::None => false,
            BindingIds::One(id) => others.contains(id),
            BindingIds::Many(ids) => ids.intersection(others).next().is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_a_set_however_many_there_are() {
        let (mut ids, mut model) = (BindingIds::default(), BTreeSet::new());
        let steps = [(7, true), (7, true), (3, true), (9, true), (3, true), (7, false)];
        let more = [(1, false), (9, false), (9, false), (2, false), (3, false), (3, false)];
        for (number, is_added) in steps.into_iter().chain(more) {
            let id = BindingId(number);
            if is_added {
                ids.insert(id);
                model.insert(id);
            } else {
                ids.remove(id);
                model.remove(&id);
            }
            assert!(ids.iter().eq(model.iter().copied()), "{ids:?} {model:?}");
            assert_eq!((ids.is_empty(), ids.len()), (model.is_empty(), model.len()));
            for other in [3, 7] {
                let others = BTreeSet::from([BindingId(other)]);
                assert_eq!(ids.meet(&others), !model.is_disjoint(&others));
            }
        }
        assert!(ids.is_empty());
    }
}
