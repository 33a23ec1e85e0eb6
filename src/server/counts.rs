//! What clients have published and were sent, and what has come and gone, counted since the start.
//!
//! A channel of AMQP and a connection of MQTT count for themselves, in plain numbers that their
//! connection alone writes; once a batch it shows them to others. What is over is kept as sums by
//! protocol, so that totals never fall.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// What a client speaks, with its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// AMQP 0-9-1.
    Amqp091,
    /// MQTT 3.1.
    Mqtt310,
    /// MQTT 3.1.1.
    Mqtt311,
    /// MQTT 5.
    Mqtt50,
    /// The management API: it publishes and gets.
    Http,
    /// Clients within this program.
    Embedded,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Dialect; 6] = [
        Dialect::Amqp091,
        Dialect::Mqtt310,
        Dialect::Mqtt311,
        Dialect::Mqtt50,
        Dialect::Http,
        Dialect::Embedded,
    ];

    /// As management shows it.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Amqp091 => "AMQP 0-9-1",
            Dialect::Mqtt310 => "MQTT 3-1",
            Dialect::Mqtt311 => "MQTT 3-1-1",
            Dialect::Mqtt50 => "MQTT 5-0",
            Dialect::Http => "HTTP",
            Dialect::Embedded => "embedded",
        }
    }

    /// As metrics call it.
    pub fn label(self) -> &'static str {
        match self {
            Dialect::Amqp091 => "amqp091",
            Dialect::Mqtt310 => "mqtt310",
            Dialect::Mqtt311 => "mqtt311",
            Dialect::Mqtt50 => "mqtt50",
            Dialect::Http => "http",
            Dialect::Embedded => "embedded",
        }
    }

    /// Whether it is a version of MQTT.
    pub fn is_mqtt(self) -> bool {
        matches!(self, Dialect::Mqtt310 | Dialect::Mqtt311 | Dialect::Mqtt50)
    }
}

/// Declares the counts, and how they are added.
macro_rules! counts {
    ($($(#[$doc:meta])+ $name:ident: $type:ty,)+) => {
        /// What a client has published and was sent.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])+ pub $name: $type,)+
        }

        impl AddAssign for Counts {
            fn add_assign(&mut self, other: Counts) {
                $(self.$name += other.$name;)+
            }
        }
    };
}

counts! {
    /// Messages that it published. Those of a transaction count from the commit on.
    published: u64,
    /// Of these, the ones that it wants to have confirmed: in confirm mode, or with QoS 1 and 2.
    confirmable: u64,
    /// Of these, the ones that were confirmed; one that a queue has refused is not.
    confirmed: u64,
    /// Copies of them that went to queues.
    routed: u64,
    /// Messages that no queue got, and that went back to it.
    returned: u64,
    /// Messages that no queue got, and that are lost.
    dropped: u64,
    /// Messages of MQTT that it may not publish, or that could not be sent to it.
    failed: u64,
    /// Messages that it was sent and need not acknowledge.
    delivered_auto: u64,
    /// Messages that it was sent and has to acknowledge.
    delivered_manual: u64,
    /// The size of the bodies that it was sent.
    delivered_bytes: u64,
    /// Messages that it got and need not acknowledge.
    got_auto: u64,
    /// Messages that it got and has to acknowledge.
    got_manual: u64,
    /// Gets that found nothing.
    got_empty: u64,
    /// Messages that it was sent or got, and that were handed out before.
    redelivered: u64,
    /// Messages that it acknowledged.
    acked: u64,
    /// The sizes of the bodies that it published.
    sizes: Sizes,
}

/// How many bodies there were of which size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Of each class, up to its bound; the last is for those over the last bound.
    pub classes: [u64; SIZE_BOUNDS.len() + 1],
    /// All sizes together, in bytes.
    pub sum_bytes: u64,
}

/// The largest size of each class but the last, in bytes.
pub const SIZE_BOUNDS: [usize; 8] =
    [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000, 100_000_000];

/// What became of a message that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// So many queues got it.
    Routed(usize),
    /// It went back to its publisher.
    Returned,
    /// It is lost.
    Dropped,
}

impl Counts {
    /// A message was published.
    #[inline]
    pub fn note_publish(&mut self, body_bytes: usize, is_confirmable: bool) {
        self.published += 1;
        self.confirmable += u64::from(is_confirmable);
        self.sizes.note(body_bytes);
    }

    /// It is known what has become of a message that was published.
    #[inline]
    pub fn note_fate(&mut self, fate: Fate) {
        match fate {
            Fate::Routed(queues) => self.routed += queues as u64,
            Fate::Returned => self.returned += 1,
            Fate::Dropped => self.dropped += 1,
        }
    }

    /// A message was sent to a consumer.
    #[inline]
    pub fn note_delivery(&mut self, body_bytes: usize, is_manual: bool, is_again: bool) {
        self.delivered_manual += u64::from(is_manual);
        self.delivered_auto += u64::from(!is_manual);
        self.redelivered += u64::from(is_again);
        self.delivered_bytes += body_bytes as u64;
    }

    /// A message was got.
    pub fn note_get(&mut self, is_manual: bool, is_again: bool) {
        self.got_manual += u64::from(is_manual);
        self.got_auto += u64::from(!is_manual);
        self.redelivered += u64::from(is_again);
    }

    /// Messages that were handed out, whichever way.
    pub fn handed_out(&self) -> u64 {
        self.delivered_auto + self.delivered_manual + self.got_auto + self.got_manual
    }
}

impl Sizes {
    #[inline]
    fn note(&mut self, bytes: usize) {
        // Most messages are small.
        let class = match bytes <= SIZE_BOUNDS[0] {
            true => 0,
            false => SIZE_BOUNDS.partition_point(|&bound| bound < bytes),
        };
        self.classes[class] += 1;
        self.sum_bytes += bytes as u64;
    }
}

impl AddAssign for Sizes {
    fn add_assign(&mut self, other: Sizes) {
        for (sum, more) in self.classes.iter_mut().zip(other.classes) {
            *sum += more;
        }
        self.sum_bytes += other.sum_bytes;
    }
}

/// Counts by what their clients speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByDialect([Counts; Dialect::ALL.len()]);

impl ByDialect {
    /// Those of one.
    pub fn of(&self, dialect: Dialect) -> &Counts {
        &self.0[dialect as usize]
    }

    /// Those of one, to be changed.
    pub fn of_mut(&mut self, dialect: Dialect) -> &mut Counts {
        &mut self.0[dialect as usize]
    }

    /// All together.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.0.iter().for_each(|counts| total += *counts);
        total
    }
}

/// What clients did that are gone, or have no connection.
#[derive(Debug, Default)]
pub struct Past(Mutex<ByDialect>);

impl Past {
    /// While it is held, nobody goes.
    pub fn lock(&self) -> MutexGuard<'_, ByDialect> {
        self.0.lock().expect("nothing panics while it holds the counts")
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many channels and queues have come and gone.
#[derive(Debug, Default)]
pub struct Churn {
    /// Channels that were opened.
    pub channels_opened: Counter,
    /// Channels that were closed.
    pub channels_closed: Counter,
    /// Declarations of queues that were not refused.
    pub queues_declared: Counter,
    /// Queues that were new.
    pub queues_created: Counter,
    /// Queues that were deleted, by whatever cause.
    pub queues_deleted: Counter,
}

/// How often clients have logged in, or tried to.
#[derive(Debug, Default)]
pub struct Logins([LoginCounts; Dialect::ALL.len()]);

#[derive(Debug, Default)]
struct LoginCounts {
    succeeded: Counter,
    failed: Counter,
}

impl Logins {
    /// A client has logged in, or was refused.
    pub fn note(&self, dialect: Dialect, is_user: bool) {
        let counts = &self.0[dialect as usize];
        if is_user { counts.succeeded.add(1) } else { counts.failed.add(1) }
    }

    /// How many have succeeded, and how many failed.
    pub fn of(&self, dialect: Dialect) -> (u64, u64) {
        let counts = &self.0[dialect as usize];
        (counts.succeeded.count(), counts.failed.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_belongs_to_the_first_class_whose_bound_it_does_not_exceed() {
        let mut counts = Counts::default();
        [0, 100, 101, 100_000_000, 100_000_001].iter().for_each(|&bytes| {
            counts.note_publish(bytes, bytes == 0);
        });
        assert_eq!(counts.sizes.classes, [2, 1, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(counts.sizes.sum_bytes, 200_000_202);
        assert_eq!((counts.published, counts.confirmable), (5, 1));
    }

    #[test]
    fn counts_are_added_one_by_one() {
        let mut counts = Counts { published: 1, acked: 2, ..Counts::default() };
        counts.note_delivery(7, true, true);
        let mut all = ByDialect::default();
        *all.of_mut(Dialect::Amqp091) += counts;
        *all.of_mut(Dialect::Mqtt50) += counts;
        let total = all.total();
        assert_eq!((total.published, total.acked, total.handed_out()), (2, 4, 2));
        assert_eq!((total.redelivered, total.delivered_bytes), (2, 14));
        assert_eq!(all.of(Dialect::Mqtt311), &Counts::default());
    }
}
