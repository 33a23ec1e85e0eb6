//! Places at a port: how many clients may be there at a time for something that costs memory and is not
//! over at once, such as a handshake.
//!
//! When all places are taken and somebody waits, the client that has kept the broker waiting longest has
//! to go, if it has had a while. So clients that connect and stay silent hold nobody up for long, wherever
//! they come from; many who come at once and mean it only wait for each other; and no client has to go
//! while the broker works for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::limits::Limit;
use super::{Node, clock};

/// See the module's documentation.
pub struct Places {
    node: Arc<Node>,
    limit: Limit,
    max: usize,
    permits: Arc<Semaphore>,
    seats: Mutex<Seats>,
}

/// Those that are taken, but for those whose clients have to go.
#[derive(Default)]
struct Seats {
    taken: BTreeMap<u64, Seat>,
    last: u64,
}

struct Seat {
    /// When it may be given to another; never while the broker works for its client.
    due: Option<Instant>,
    lost: Arc<Notify>,
}

/// A place for one client, until it is dropped.
pub struct Place {
    places: Arc<Places>,
    number: u64,
    lost: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// So many places, one at least; the limit counts the clients that had to go.
    pub fn new(node: Arc<Node>, limit: Limit, max: u32) -> Arc<Self> {
        let max = max.max(1) as usize;
        let permits = Arc::new(Semaphore::new(max));
        Arc::new(Places { node, limit, max, permits, seats: Mutex::default() })
    }

    /// Waits for a place, whose client has [`A_WHILE`] from now on; there is none any more once they are
    /// closed. One client at a time may wait here.
    ///
    /// # Cancel safety
    /// No place is lost.
    pub async fn take(self: &Arc<Self>) -> Option<Place> {
        let permit = loop {
            if let Ok(permit) = self.permits.clone().try_acquire_owned() {
                break permit;
            }
            let free = self.permits.clone().acquire_owned();
            match tokio::time::timeout(self.time_to_next(), free).await {
                Ok(permit) => break permit.ok()?,
                Err(_) => self.end_one(),
            }
        };
        let lost = Arc::new(Notify::new());
        let mut seats = self.lock();
        seats.last += 1;
        let (number, due) = (seats.last, Some(clock::now() + A_WHILE));
        seats.taken.insert(number, Seat { due, lost: lost.clone() });
        drop(seats);
        Some(Place { places: self.clone(), number, lost, _permit: permit })
    }

    /// Nobody gets a place any more.
    pub fn close(&self) {
        self.permits.close();
    }

    /// When to look again, while all places are taken.
    fn time_to_next(&self) -> Duration {
        let seats = self.lock();
        if seats.taken.len() < self.max {
            // One that was told to go gives its place back in a moment.
            return A_MOMENT;
        }
        let due = seats.first_due().map(|(due, _)| due.saturating_duration_since(clock::now()));
        // Who begins to wait for its client now is not due before that.
        due.unwrap_or(A_WHILE).max(A_MOMENT)
    }

    fn end_one(&self) {
        let mut seats = self.lock();
        let first = seats.first_due().filter(|(due, _)| *due <= clock::now());
        if seats.taken.len() == self.max
            && let Some(seat) = first.and_then(|(_, number)| seats.taken.remove(&number))
        {
            seat.lost.notify_one();
            self.node.refusals.note(self.limit);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().expect("nothing panics while it holds the seats")
    }
}

impl Seats {
    /// The seat that is to be given away first, and when.
    fn first_due(&self) -> Option<(Instant, u64)> {
        self.taken.iter().filter_map(|(&number, seat)| Some((seat.due?, number))).min()
    }
}

impl Place {
    /// Waits until the place is given to another.
    pub async fn lost(&self) {
        self.lost.notified().await;
    }

    /// The broker waits for the client from now on, which keeps its place for so long at the least.
    pub fn wait(&self, at_least: Duration) {
        // Whose place is lost has to go in any case.
        _ = self.set_due(Some(clock::now() + at_least));
    }

    /// The broker works for the client from now on, which keeps its place. Says whether it still has it.
    pub fn work(&self) -> bool {
        self.set_due(None)
    }

    /// Whether clients are not let in any more.
    pub fn is_closed(&self) -> bool {
        self.places.permits.is_closed()
    }

    fn set_due(&self, due: Option<Instant>) -> bool {
        let mut seats = self.places.lock();
        seats.taken.get_mut(&self.number).map(|seat| seat.due = due).is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().taken.remove(&self.number);
    }
}

/// What a client has in any case, even if others wait.
pub const A_WHILE: Duration = Duration::from_secs(2);
/// Between two looks whether a place is free.
const A_MOMENT: Duration = Duration::from_millis(5);

#[cfg(test)]
pub mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use leveret_storage::Memory;
    use tokio::runtime::Handle;

    use super::*;
    use crate::config::Config;

    /// So many places of a node.
    pub fn places(max: u32) -> Arc<Places> {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::local(folder.path());
        let node = Node::new(config, Arc::new(Memory::new()), &Handle::current());
        Places::new(node, Limit::HttpConnections, max)
    }

    impl Places {
        fn ended(&self) -> u64 {
            let all: Vec<_> = self.node.refusals.all().collect();
            all.iter().find(|(limit, _)| *limit == self.limit).unwrap().1
        }
    }

    async fn is_lost(place: &Place) -> bool {
        let mut lost = pin!(place.lost());
        poll_fn(|context| Poll::Ready(lost.as_mut().poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn who_has_kept_the_broker_waiting_longest_goes_first() {
        let places = places(3);
        let [old, new, busy] = [(); 3].map(|()| places.clone());
        let (old, new, busy) =
            (old.take().await.unwrap(), new.take().await.unwrap(), busy.take().await.unwrap());
        assert!(busy.work());
        new.wait(Duration::ZERO);
        old.wait(Duration::ZERO);
        let mut waiting = Box::pin(places.take());
        tokio::select! {
            _ = &mut waiting => panic!("no place is free"),
            () = new.lost() => {}
        }
        assert!(!new.work(), "it has no place any more");
        drop(new);
        let next = waiting.await.unwrap();
        assert!(!is_lost(&old).await && !is_lost(&busy).await && !is_lost(&next).await);
        assert_eq!(places.ended(), 1, "one place is enough for one client");
    }

    #[tokio::test]
    async fn nobody_goes_while_the_broker_works_for_it_or_before_its_while_is_over() {
        let places = places(2);
        let (busy, early) = (places.take().await.unwrap(), places.take().await.unwrap());
        busy.wait(Duration::ZERO);
        assert!(busy.work());
        early.wait(Duration::from_secs(600));
        for _ in 0..3 {
            places.end_one();
        }
        assert!(!is_lost(&busy).await && !is_lost(&early).await);
        assert_eq!(places.ended(), 0);
        drop(early);
        places.take().await.unwrap();
    }

    #[tokio::test]
    async fn nobody_gets_a_place_once_they_are_closed() {
        let places = places(1);
        let place = places.take().await.unwrap();
        let mut waiting = Box::pin(places.take());
        assert!(poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_pending())).await);
        places.close();
        assert!(waiting.await.is_none() && place.is_closed());
    }
}
