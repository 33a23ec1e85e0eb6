//! How numbers change: rates, and histories for charts.
//!
//! Every five seconds a task notes what the totals of the node are, and what the numbers are of those
//! things that somebody has asked for in the last five minutes. So a rate is that of the last five
//! seconds, and 0 for a thing that was not asked for before; a broker that nobody looks at counts a
//! few totals. How many things are tracked is limited.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use leveret_core::{ConnectionId, QueueId};
use serde_json::{Map, Value, json};

use super::call::Api;
use super::history::{Depth, Point, Range, SAMPLE_EVERY_MS, Track, per_second};
use super::sampler;
use crate::server::clock;

/// What is tracked.
#[derive(Debug, Default)]
pub struct Rates {
    tracks: Mutex<Tracks>,
}

/// The tracks, and how many of them have a history.
#[derive(Debug, Default)]
struct Tracks {
    by_thing: HashMap<Thing, Track>,
    histories: usize,
}

/// What has numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Thing {
    /// What the node uses of its machine.
    Node,
    /// All clients together.
    Clients,
    /// Connections, channels and queues as they come and go.
    Churn,
    /// All queues.
    AllQueues,
    /// The queues of these virtual hosts.
    QueuesOf(Vec<Arc<str>>),
    /// A queue.
    Queue(QueueId),
    /// An exchange, by virtual host and name.
    Exchange(Arc<str>, Arc<str>),
    /// A connection.
    Connection(ConnectionId),
    /// A channel.
    Channel(ConnectionId, u16),
}

/// A number with its name.
pub type Named = (&'static str, u64);

/// A number with its name and how it changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Rated {
    name: &'static str,
    number: u64,
    per_second: f64,
    /// `None` if nobody asked for them.
    points: Option<Vec<Point>>,
}

/// The histories that a call wants, by what they are of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ranges {
    lengths: Option<Range>,
    messages: Option<Range>,
    octets: Option<Range>,
    node: Option<Range>,
}

impl Rates {
    /// What the numbers of a thing are and how they change. It is tracked from now on.
    pub fn measure(&self, thing: Thing, numbers: &[Named], ranges: &Ranges) -> Vec<Rated> {
        let ranges: Vec<_> = numbers.iter().map(|(name, _)| ranges.of(&thing, name)).collect();
        let has_history = ranges.iter().any(Option::is_some);
        let mut tracks = self.lock();
        let track = tracks.find(thing, numbers, (has_history, clock::now_ms()));
        let rated = |(at, (&(name, number), range)): (usize, (&Named, &Option<Range>))| {
            let per_second = track.as_ref().map_or(0.0, |track| track.per_second(at));
            let points = range.map(|range| match &track {
                Some(track) => track.points(at, range),
                None => Vec::new(),
            });
            Rated { name, number, per_second, points }
        };
        numbers.iter().zip(&ranges).enumerate().map(rated).collect()
    }

    /// Forgets all that was noted.
    pub fn forget(&self) {
        *self.lock() = Tracks::default();
    }

    /// Notes the numbers of everything that is tracked, and forgets what is gone or nobody asks for.
    fn sample(&self, api: &Api, now_ms: u64) {
        let things: Vec<Thing> = {
            let mut tracks = self.lock();
            tracks.by_thing.retain(|thing, track| {
                thing.is_of_node() || now_ms < track.asked_at_ms.saturating_add(FORGOTTEN_AFTER_MS)
            });
            let of_node = [Thing::Clients, Thing::Churn, Thing::AllQueues];
            let others = tracks.by_thing.keys().filter(|thing| !of_node.contains(thing)).cloned();
            of_node.iter().cloned().chain(others).collect()
        };
        let sampled = sampler::numbers(&api.node, &things);
        let mut tracks = self.lock();
        for (thing, numbers) in things.into_iter().zip(sampled) {
            match numbers {
                None => _ = tracks.by_thing.remove(&thing),
                Some(numbers) => {
                    let depth = thing.depth();
                    let track = tracks.by_thing.entry(thing);
                    track
                        .and_modify(|track| track.note(now_ms, &numbers))
                        .or_insert_with(|| Track::new(depth, now_ms, &numbers));
                }
            }
        }
        tracks.histories = tracks.by_thing.values().filter(|track| !track.is_shallow()).count();
    }

    fn lock(&self) -> MutexGuard<'_, Tracks> {
        self.tracks.lock().expect("nothing panics while it holds the tracks")
    }
}

/// Samples until the API is gone.
pub async fn run(api: Weak<Api>) {
    loop {
        let Some(api) = api.upgrade() else { return };
        let sample = move || api.rates.sample(&api, clock::now_ms());
        if tokio::task::spawn_blocking(sample).await.is_err() {
            tracing::error!("statistics are not sampled any more");
            return;
        }
        tokio::time::sleep(Duration::from_millis(SAMPLE_EVERY_MS)).await;
    }
}

impl Tracks {
    /// The track of a thing, unless there are too many.
    fn find(
        &mut self,
        thing: Thing,
        numbers: &[Named],
        (has_history, now_ms): (bool, u64),
    ) -> Option<&Track> {
        if !self.by_thing.contains_key(&thing) {
            if self.by_thing.len() >= TRACKS_MAX {
                return None;
            }
            let numbers: Vec<u64> = numbers.iter().map(|(_, number)| *number).collect();
            let track = Track::new(thing.depth(), now_ms, &numbers);
            self.histories += usize::from(!track.is_shallow());
            self.by_thing.insert(thing.clone(), track);
        }
        let track = self.by_thing.get_mut(&thing)?;
        if has_history && track.is_shallow() && self.histories < HISTORIES_MAX {
            track.deepen();
            self.histories += 1;
        }
        track.asked_at_ms = now_ms;
        Some(track)
    }
}

impl Thing {
    fn is_of_node(&self) -> bool {
        matches!(self, Thing::Node | Thing::Clients | Thing::Churn | Thing::AllQueues)
    }

    fn depth(&self) -> Depth {
        if self.is_of_node() { Depth::Day } else { Depth::Rate }
    }
}

impl Ranges {
    /// As the parameters of a query say.
    pub fn parse<'a>(parameter: impl Fn(&str) -> Option<&'a str>) -> Ranges {
        let range = |name: &str| {
            let (age, step) = (format!("{name}_age"), format!("{name}_incr"));
            Range::parse(parameter(&age), parameter(&step))
        };
        Ranges {
            lengths: range("lengths"),
            messages: range("msg_rates"),
            octets: range("data_rates"),
            node: range("node_stats"),
        }
    }

    fn of(&self, thing: &Thing, name: &str) -> Option<Range> {
        match name {
            _ if *thing == Thing::Node => self.node,
            "messages" | "messages_ready" | "messages_unacknowledged" => self.lengths,
            "recv_oct" | "send_oct" => self.octets,
            _ => self.messages,
        }
    }
}

impl Rated {
    /// Of a number that does not fall by itself.
    pub fn growing(self) -> Self {
        Rated { per_second: self.per_second.max(0.0), ..self }
    }

    fn details(&self) -> Value {
        let mut details = json!({ "rate": self.per_second });
        let points = self.points.as_deref().unwrap_or_default();
        if let (Some(newest), Some(oldest)) = (points.first(), points.last()) {
            let sum: f64 = points.iter().map(|(number, _)| *number as f64).sum();
            details["avg_rate"] = json!(per_second(*newest, *oldest));
            details["avg"] = json!(sum / points.len() as f64);
            details["samples"] = points
                .iter()
                .map(|(number, at_ms)| json!({ "sample": number, "timestamp": at_ms }))
                .collect();
        }
        details
    }
}

/// Adds numbers to an object, each with its rate as `x_details`.
pub fn put(into: &mut Map<String, Value>, numbers: &[Rated]) {
    for rated in numbers {
        into.insert(rated.name.to_owned(), json!(rated.number));
        into.insert(format!("{}_details", rated.name), rated.details());
    }
}

/// An object of numbers, each with its rate as `x_details`.
pub fn object(numbers: &[Rated]) -> Value {
    let mut object = Map::new();
    put(&mut object, numbers);
    Value::Object(object)
}

/// What nobody has asked for so long is not tracked any more.
const FORGOTTEN_AFTER_MS: u64 = 300_000;
/// How many things are tracked; the others have rates of 0.
const TRACKS_MAX: usize = 50_000;
/// How many things have a history; the others have two samples.
const HISTORIES_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(id: u64) -> Thing {
        Thing::Queue(QueueId(id))
    }

    #[test]
    fn the_number_of_things_is_limited_and_so_is_that_of_histories() {
        let mut tracks = Tracks::default();
        for id in 0..TRACKS_MAX as u64 {
            let deep = id < 600;
            assert!(tracks.find(queue(id), &[("messages", id)], (deep, 0)).is_some());
        }
        assert!(tracks.find(queue(TRACKS_MAX as u64), &[], (false, 0)).is_none());
        assert!(tracks.find(queue(7), &[], (false, 5)).is_some());
        let deep = tracks.by_thing.values().filter(|track| !track.is_shallow()).count();
        assert_eq!((deep, tracks.histories), (HISTORIES_MAX, HISTORIES_MAX));
    }

    #[test]
    fn each_kind_of_number_has_its_own_range() {
        let parameters = [("lengths_age", "60"), ("lengths_incr", "5"), ("msg_rates_age", "60")];
        let ranges = Ranges::parse(|name| {
            parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
        });
        assert!(ranges.of(&queue(1), "messages_ready").is_some());
        assert!(ranges.of(&queue(1), "publish").is_none());
        let rates = Rates::default();
        let numbers = [("messages", 3), ("publish", 7)];
        let rated = object(&rates.measure(queue(1), &numbers, &ranges));
        let details = &rated["messages_details"];
        assert_eq!((&details["rate"], &details["avg"]), (&json!(0.0), &json!(3.0)));
        assert_eq!(details["samples"][0]["sample"], 3);
        assert_eq!(rated["publish_details"], json!({"rate": 0.0}));
    }
}
