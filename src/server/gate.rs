//! Promises that wait for the disk.
//!
//! What a connection wants to promise (a confirm, a PUBACK, a declare-ok) goes through its gate
//! together with the journal position that has to be durable first. Promises leave in the order in
//! which they came.

use std::collections::VecDeque;

use leveret_core::Position;

/// The promises of one connection.
#[derive(Debug)]
pub struct Gate<T> {
    waiting: VecDeque<(Position, T)>,
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Gate { waiting: VecDeque::new() }
    }
}

impl<T> Gate<T> {
    /// Adds a promise. Without a position it waits for the earlier ones only.
    pub fn push(&mut self, position: Option<Position>, promise: T) {
        let earlier = self.waiting.back().map(|(at, _)| *at);
        let Some(at) = position.max(earlier) else {
            return self.waiting.push_back((Position(0), promise));
        };
        self.waiting.push_back((at, promise));
    }

    /// The next promise that may leave, given the durable watermark.
    pub fn pop(&mut self, durable: Position) -> Option<T> {
        let (at, _) = self.waiting.front()?;
        if *at >= durable && *at != Position(0) {
            return None;
        }
        self.waiting.pop_front().map(|(_, promise)| promise)
    }

    /// Gives back the memory for promises that do not wait: there may be none for long.
    pub fn shrink(&mut self) {
        self.waiting.shrink_to_fit();
    }

    /// Changes the promises that wait.
    pub fn each(&mut self, change: impl FnMut(&mut T)) {
        self.waiting.iter_mut().map(|(_, promise)| promise).for_each(change);
    }

    /// The position that the next promise waits for.
    pub fn waits_for(&self) -> Option<Position> {
        self.waiting.front().map(|(at, _)| *at)
    }

    /// How many promises wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_leaves_once_the_watermark_has_passed_its_position() {
        let mut gate = Gate::default();
        gate.push(Some(Position(10)), 'a');
        assert_eq!(gate.pop(Position(10)), None);
        assert_eq!(gate.pop(Position(11)), Some('a'));
    }

    #[test]
    fn promises_leave_in_order_even_if_a_later_one_needs_no_disk() {
        let mut gate = Gate::default();
        gate.push(None, 'a');
        gate.push(Some(Position(10)), 'b');
        gate.push(None, 'c');
        assert_eq!(gate.pop(Position(0)), Some('a'));
        assert_eq!(gate.pop(Position(5)), None);
        assert_eq!(gate.pop(Position(20)), Some('b'));
        assert_eq!(gate.pop(Position(20)), Some('c'));
        assert_eq!(gate.len(), 0);
    }
}
