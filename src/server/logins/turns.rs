//! Whose password is checked next: addresses take turns, so that one from which many logins come waits for
//! itself, and for nobody else.
//!
//! A turn is given back when it is dropped, wherever that happens. Who does not wait any more is passed over.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use hashbrown::HashMap;
use tokio::sync::oneshot;

/// Where logins come from: an address of IPv4, or the network of 64 bits that one client of IPv6 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Source(match address.to_canonical() {
            IpAddr::V6(address) => {
                Ipv6Addr::from_bits(address.to_bits() >> NETWORK_SHIFT << NETWORK_SHIFT).into()
            }
            address => address,
        })
    }
}

/// The turns of a node.
#[derive(Debug)]
pub struct Turns {
    lines: Mutex<Lines>,
    /// How many turns there are at a time.
    max: usize,
}

#[derive(Debug, Default)]
struct Lines {
    taken: usize,
    waiting: usize,
    by_source: HashMap<Source, Line, foldhash::fast::RandomState>,
    /// The sources of which somebody waits, the next one first.
    order: VecDeque<Source>,
}

type Line = VecDeque<oneshot::Sender<Turn>>;

/// The right to check a password.
#[derive(Debug)]
pub struct Turn(Arc<Turns>);

impl Turns {
    /// So many turns at a time.
    pub fn new(max: usize) -> Arc<Turns> {
        Arc::new(Turns { lines: Mutex::default(), max })
    }

    /// A turn, once it is there. `None` if too many wait already.
    ///
    /// # Cancel safety
    /// Whoever does not wait any more is as if never been there.
    pub async fn take(self: &Arc<Self>, source: Source) -> Option<Turn> {
        let turn = {
            let mut lines = self.lock();
            if lines.taken < self.max {
                lines.taken += 1;
                return Some(Turn(self.clone()));
            }
            lines.line_up(source)?
        };
        turn.await.ok()
    }

    /// Gives a turn to the next who waits for one; it is free if nobody does.
    fn pass_on(self: &Arc<Self>) {
        let next = {
            let mut lines = self.lock();
            let next = lines.next();
            lines.taken -= usize::from(next.is_none());
            next
        };
        if let Some(next) = next {
            // Whoever goes in this very moment drops the turn, and so passes it on.
            _ = next.send(Turn(self.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().expect("nothing panics while it holds the lines")
    }
}

impl Lines {
    fn line_up(&mut self, source: Source) -> Option<oneshot::Receiver<Turn>> {
        let len = self.by_source.get(&source).map_or(0, Line::len);
        if len >= LINE_MAX || self.waiting >= WAITING_MAX {
            return None;
        }
        if len == 0 {
            self.order.push_back(source);
        }
        let (sender, receiver) = oneshot::channel();
        self.by_source.entry(source).or_default().push_back(sender);
        self.waiting += 1;
        Some(receiver)
    }

    /// The first of the line whose turn it is. The line goes to the end, or goes if nobody else is in it.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        loop {
            let source = self.order.pop_front()?;
            let line = self.by_source.get_mut(&source)?;
            let before = line.len();
            while line.pop_front_if(|waiting| waiting.is_closed()).is_some() {}
            let next = line.pop_front();
            self.waiting -= before - line.len();
            match line.is_empty() {
                true => _ = self.by_source.remove(&source),
                false => self.order.push_back(source),
            }
            if next.is_some() {
                return next;
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

/// Bits of an address of IPv6 that say which machine of a network it is.
const NETWORK_SHIFT: u32 = 64;
/// Who may wait: of one source, and of all.
const LINE_MAX: usize = 10_000;
const WAITING_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Taking = Pin<Box<dyn Future<Output = Option<Turn>>>>;

    fn source(last: u8) -> Source {
        IpAddr::from([192, 0, 2, last]).into()
    }

    fn poll(taking: Pin<&mut dyn Future<Output = Option<Turn>>>) -> Poll<Option<Turn>> {
        Future::poll(taking, &mut Context::from_waker(Waker::noop()))
    }

    fn now(taking: &mut Taking) -> Turn {
        match poll(taking.as_mut()) {
            Poll::Ready(Some(turn)) => turn,
            other => panic!("{other:?}"),
        }
    }

    fn waits(turns: &Arc<Turns>, last: u8) -> Taking {
        let turns = turns.clone();
        let mut taking: Taking = Box::pin(async move { turns.take(source(last)).await });
        assert!(poll(taking.as_mut()).is_pending());
        taking
    }

    #[test]
    fn who_comes_from_elsewhere_is_next_however_many_wait_from_one_address() {
        let turns = Turns::new(1);
        let first = match poll(pin!(turns.take(source(1)))) {
            Poll::Ready(Some(turn)) => turn,
            other => panic!("{other:?}"),
        };
        let mut crowd: Vec<Taking> = (0..100).map(|_| waits(&turns, 1)).collect();
        let mut other = waits(&turns, 2);
        drop(first);
        let turn = now(&mut crowd[0]);
        assert!(poll(crowd[1].as_mut()).is_pending() && poll(other.as_mut()).is_pending());
        drop(turn);
        drop(now(&mut other));
        (1..100).for_each(|at| drop(now(&mut crowd[at])));
        let lines = turns.lock();
        assert_eq!((lines.taken, lines.waiting, lines.order.len()), (0, 0, 0));
        assert!(lines.by_source.is_empty());
    }

    #[test]
    fn whoever_has_gone_is_passed_over_also_with_a_turn_in_hand() {
        let turns = Turns::new(1);
        let Poll::Ready(Some(first)) = poll(pin!(turns.take(source(1)))) else { panic!("free") };
        let (gone, reached, mut last) = (waits(&turns, 1), waits(&turns, 2), waits(&turns, 3));
        drop(gone);
        drop(first);
        drop(reached);
        drop(now(&mut last));
        assert_eq!(turns.lock().taken, 0);
    }

    #[test]
    fn so_many_may_wait_from_one_address_and_one_more_may_not() {
        let turns = Turns::new(1);
        let Poll::Ready(Some(_first)) = poll(pin!(turns.take(source(1)))) else { panic!("free") };
        let _crowd: Vec<Taking> = (0..LINE_MAX).map(|_| waits(&turns, 1)).collect();
        assert!(matches!(poll(pin!(turns.take(source(1)))), Poll::Ready(None)));
        _ = waits(&turns, 2);
    }

    #[test]
    fn an_address_of_ipv6_stands_for_its_network() {
        let of = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), source(1));
        assert_ne!(source(1), source(2));
    }
}
