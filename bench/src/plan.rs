//! What is to be done, out of the command line.

use std::time::Duration;

use clap::ArgMatches;

use crate::amqp::wire::Value;
use crate::args::counted;
use crate::error::Error;
use crate::mqtt::wire::Version;
use crate::uri::{Protocol, Uri};

/// How long a run takes, if nothing is said.
pub const DURATION: Duration = Duration::from_secs(10);

/// A run.
#[derive(Debug)]
pub struct Plan {
    /// What is spoken.
    pub protocol: Protocol,
    /// The name of what is done.
    pub mode: String,
    /// The broker.
    pub uri: Uri,
    /// Its process.
    pub pid: Option<u32>,
    /// Whether the summary is for programs.
    pub json: bool,
    /// Whether no progress is shown.
    pub quiet: bool,
    /// What is done.
    pub task: Task,
}

/// What is done.
#[derive(Debug)]
pub enum Task {
    /// Publish and consume.
    Load(Load),
    /// Open connections.
    Connections(Work, Duration, Version),
    /// Declare queues.
    Queues(Work, Queue),
    /// Come and go.
    Churn(Work, Version),
}

/// Messages through a broker.
#[derive(Debug, Clone)]
pub struct Load {
    /// Connections that publish.
    pub publishers: usize,
    /// Connections that consume, or subscribe.
    pub consumers: usize,
    /// Queues, or topics.
    pub queues: usize,
    /// Octets of a body.
    pub size: usize,
    /// Messages a second, of all publishers.
    pub rate: Option<f64>,
    /// How many there are to be.
    pub count: Option<u64>,
    /// How long they are published.
    pub duration: Option<Duration>,
    /// How long what is missing is waited for.
    pub drain: Duration,
    /// What queues or topics are called.
    pub name: Option<String>,
    /// Unconfirmed messages of a publisher; nothing without confirms.
    pub window: Option<usize>,
    /// The rest.
    pub kind: Kind,
}

/// What only one of the protocols has.
#[derive(Debug, Clone)]
pub enum Kind {
    /// AMQP.
    Amqp(AmqpLoad),
    /// MQTT.
    Mqtt(MqttLoad),
}

/// Messages through AMQP.
#[derive(Debug, Clone)]
pub struct AmqpLoad {
    /// How queues are declared.
    pub queue: Queue,
    /// Whether messages are persistent.
    pub persistent: bool,
    /// Unacknowledged messages of a consumer.
    pub prefetch: u16,
    /// Messages that are acknowledged together; nothing for automatic acknowledgement.
    pub ack_every: Option<u32>,
}

/// How queues are declared.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Whether they are durable.
    pub durable: bool,
    /// Their arguments.
    pub arguments: Vec<(String, Value)>,
    /// Whether they stay.
    pub keep: bool,
}

/// Messages through MQTT.
#[derive(Debug, Clone)]
pub struct MqttLoad {
    /// QoS of messages and subscriptions.
    pub qos: u8,
    /// Which MQTT.
    pub version: Version,
    /// Whether sessions of subscribers outlive their connections.
    pub persistent: bool,
}

/// Something that is done again and again.
#[derive(Debug, Clone)]
pub struct Work {
    /// How many do it at once.
    pub parallel: usize,
    /// How often, a second.
    pub rate: Option<f64>,
    /// How many times.
    pub count: Option<u64>,
    /// How long.
    pub duration: Option<Duration>,
}

impl Plan {
    /// Reads what was matched.
    pub fn new(matches: &ArgMatches) -> Result<Plan, Error> {
        let missing = || Error::Options("what is to be done? See --help".to_owned());
        let (protocol, matches) = matches.subcommand().ok_or_else(missing)?;
        let protocol = if protocol == "mqtt" { Protocol::Mqtt } else { Protocol::Amqp };
        let (mode, matches) = matches.subcommand().ok_or_else(missing)?;
        Ok(Plan {
            protocol,
            mode: mode.to_owned(),
            uri: Uri::parse(protocol, text(matches, "uri").unwrap_or_default())?,
            pid: matches.get_one::<u64>("pid").and_then(|pid| u32::try_from(*pid).ok()),
            json: matches.get_flag("json"),
            quiet: matches.get_flag("quiet"),
            task: task(protocol, mode, matches)?,
        })
    }
}

fn task(protocol: Protocol, mode: &str, matches: &ArgMatches) -> Result<Task, Error> {
    Ok(match mode {
        "connections" => Task::Connections(
            Work { duration: None, ..work(matches)? },
            time(matches, "hold")?.unwrap_or_default(),
            version(matches)?,
        ),
        "queues" => Task::Queues(Work { duration: None, ..work(matches)? }, queue(matches)?),
        "churn" => Task::Churn(work(matches)?, version(matches)?),
        _ if protocol == Protocol::Amqp => Task::Load(amqp(matches)?),
        _ => Task::Load(mqtt(matches)?),
    })
}

fn work(matches: &ArgMatches) -> Result<Work, Error> {
    let (count, duration) = limits(matches)?;
    Ok(Work { parallel: counted(matches, "parallel"), rate: rate(matches), count, duration })
}

fn amqp(matches: &ArgMatches) -> Result<Load, Error> {
    let prefetch = counted(matches, "prefetch") as u16;
    let ack_every = counted(matches, "ack-every") as u32;
    // A window that is full before its first acknowledgement would never move.
    let ack_every = if prefetch > 0 { ack_every.min(prefetch.into()) } else { ack_every };
    let kind = AmqpLoad {
        queue: queue(matches)?,
        persistent: matches.get_flag("persistent"),
        prefetch,
        ack_every: (!matches.get_flag("auto-ack")).then_some(ack_every),
    };
    let window = Some(counted(matches, "confirm")).filter(|window| *window > 0);
    load(matches, ("consumers", "queues"), window, Kind::Amqp(kind))
}

fn mqtt(matches: &ArgMatches) -> Result<Load, Error> {
    let qos = counted(matches, "qos") as u8;
    let persistent = matches.get_flag("persistent-sessions");
    let kind = MqttLoad { qos, version: version(matches)?, persistent };
    let window = (qos > 0).then(|| counted(matches, "window"));
    load(matches, ("subscribers", "topics"), window, Kind::Mqtt(kind))
}

fn load(
    matches: &ArgMatches,
    (consumers, queues): (&str, &str),
    window: Option<usize>,
    kind: Kind,
) -> Result<Load, Error> {
    let (count, duration) = limits(matches)?;
    let load = Load {
        publishers: counted(matches, "publishers"),
        consumers: counted(matches, consumers),
        queues: counted(matches, queues),
        size: counted(matches, "size"),
        rate: rate(matches),
        count,
        duration,
        drain: time(matches, "drain")?.unwrap_or_default(),
        name: text(matches, "name").map(str::to_owned),
        window,
        kind,
    };
    if load.publishers == 0 && load.consumers == 0 {
        return Err(Error::Options(format!("--publishers and --{consumers} are both 0")));
    }
    if load.name.as_ref().is_some_and(|name| name.is_empty() || name.len() > NAME_MAX) {
        return Err(Error::Options(format!("--name has to have 1 to {NAME_MAX} octets")));
    }
    Ok(load)
}

/// With a number behind it, a name is still a short string of AMQP.
const NAME_MAX: usize = 240;

fn queue(matches: &ArgMatches) -> Result<Queue, Error> {
    let argument = |text: &String| match text.split_once('=') {
        Some((key, value)) if key.len() < 256 => Ok((key.to_owned(), Value::parse(value))),
        _ => Err(Error::Options(format!("--argument {text}: it is not KEY=VALUE"))),
    };
    let arguments = matches.get_many("argument").unwrap_or_default();
    Ok(Queue {
        durable: matches.get_flag("durable"),
        arguments: arguments.map(argument).collect::<Result<_, _>>()?,
        keep: matches.get_flag("keep"),
    })
}

fn limits(matches: &ArgMatches) -> Result<(Option<u64>, Option<Duration>), Error> {
    let count = matches.get_one::<u64>("count").copied();
    let duration = match matches.try_contains_id("duration") {
        Ok(true) => time(matches, "duration")?,
        _ => None,
    };
    Ok((count, duration.or_else(|| count.is_none().then_some(DURATION))))
}

fn version(matches: &ArgMatches) -> Result<Version, Error> {
    let Ok(Some(text)) = matches.try_get_one::<String>("mqtt-version") else {
        return Ok(Version::V311);
    };
    Version::parse(text).ok_or(Error::Options(format!("--mqtt-version {text}: it is 3.1.1 or 5")))
}

fn rate(matches: &ArgMatches) -> Option<f64> {
    matches.get_one::<f64>("rate").copied()
}

fn time(matches: &ArgMatches, name: &str) -> Result<Option<Duration>, Error> {
    let Some(text) = text(matches, name) else { return Ok(None) };
    let wrong =
        |_| Error::Options(format!("--{name} {text}: it is no time such as 500ms, 30s or 5m"));
    humantime::parse_duration(text).map(Some).map_err(wrong)
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::command;

    fn plan(words: &str) -> Result<Plan, Error> {
        let matches = command().try_get_matches_from(words.split(' '));
        Plan::new(&matches.map_err(|error| Error::Options(error.to_string()))?)
    }

    fn load(words: &str) -> Load {
        match plan(words).unwrap().task {
            Task::Load(load) => load,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_run_has_a_duration_unless_it_has_a_count() {
        let shape = |words: &str| {
            let load = load(words);
            (load.count, load.duration, load.rate)
        };
        assert_eq!(shape("bench amqp throughput"), (None, Some(DURATION), None));
        assert_eq!(shape("bench amqp throughput --count 5"), (Some(5), None, None));
        let both = shape("bench mqtt latency --count 5 --duration 1500ms");
        assert_eq!(both, (Some(5), Some(Duration::from_millis(1_500)), Some(1_000.0)));
    }

    #[test]
    fn acknowledgements_come_before_a_prefetch_is_used_up() {
        let ack_every = |words: &str| match load(words).kind {
            Kind::Amqp(amqp) => amqp.ack_every,
            Kind::Mqtt(_) => panic!(),
        };
        assert_eq!(ack_every("bench amqp throughput --prefetch 7"), Some(7));
        assert_eq!(ack_every("bench amqp throughput --prefetch 0 --ack-every 300"), Some(300));
        assert_eq!(ack_every("bench amqp throughput --auto-ack"), None);
    }

    #[test]
    fn there_is_a_window_only_where_something_is_confirmed() {
        assert_eq!(load("bench mqtt throughput --window 5").window, None);
        assert_eq!(load("bench mqtt throughput --qos 1 --window 5").window, Some(5));
        assert_eq!(load("bench amqp throughput").window, None);
        assert_eq!(load("bench amqp throughput --confirm 9").window, Some(9));
    }

    #[test]
    fn what_cannot_be_is_an_error_that_names_the_option() {
        for (words, named) in [
            ("bench amqp throughput --size 15", "--size"),
            ("bench mqtt throughput --qos 3", "--qos"),
            ("bench mqtt throughput --mqtt-version 3.1", "--mqtt-version"),
            ("bench amqp throughput --rate 0", "--rate"),
            ("bench amqp throughput --rate inf", "--rate"),
            ("bench amqp throughput --duration soon", "--duration"),
            ("bench amqp queues --argument x-queue-type", "--argument"),
            ("bench amqp throughput --publishers 0 --consumers 0", "--consumers"),
            ("bench mqtt queues", "queues"),
        ] {
            let error = plan(words).unwrap_err().to_string();
            assert!(error.contains(named), "{words}: {error}");
        }
    }
}
