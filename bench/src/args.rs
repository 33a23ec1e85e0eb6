//! The command line.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::plan::DURATION;
use crate::stamp;
use crate::uri::Protocol;

/// The largest body: what fits into MQTT's largest packet with its topic, with room to spare.
const SIZE_MAX: u64 = 128 * 1024 * 1024;

/// The command line of the load generator.
pub fn command() -> Command {
    Command::new("bench")
        .bin_name("leveret bench")
        .about("Puts load on a broker, this one or another, and measures it")
        .after_help(
            "Without TLS. The first Ctrl-C ends a run with its summary, the second one waits for nothing.\n\
             Exit status: 0 if all is well, 1 after an error, 2 if messages were lost, doubled or out of order.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([amqp(), mqtt()])
}

fn amqp() -> Command {
    let mode = |name: &'static str, about: &'static str, rate: Option<&'static str>| {
        let command = Command::new(name).about(about).args(common(Protocol::Amqp));
        command.args(load(rate)).args(amqp_load())
    };
    let queues = Command::new("queues")
        .about("Declares queues, then deletes them")
        .args(common(Protocol::Amqp))
        .args(work("4"))
        .arg(number("count", "N", 1, 10_000_000).default_value("1000").help("How many queues"))
        .args([durable(), argument(), keep()]);
    Command::new("amqp")
        .about("AMQP 0-9-1")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            mode("throughput", "Publishes and consumes as fast as it can, or at a rate", None),
            mode("latency", "The same at a rate, to see how long messages take", Some("1000")),
            connections(Protocol::Amqp),
            queues,
            churn(Protocol::Amqp, "Connects, declares a queue, publishes with a confirm, deletes, closes; again and again"),
        ])
}

fn mqtt() -> Command {
    let mode = |name: &'static str, about: &'static str, rate: Option<&'static str>| {
        let command = Command::new(name).about(about).args(common(Protocol::Mqtt));
        command.args(load(rate)).args(mqtt_load())
    };
    Command::new("mqtt")
        .about("MQTT 3.1.1 and 5")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            mode("throughput", "Publishes and subscribes as fast as it can, or at a rate", None),
            mode("latency", "The same at a rate, to see how long messages take", Some("1000")),
            connections(Protocol::Mqtt).arg(version()),
            churn(
                Protocol::Mqtt,
                "Connects, subscribes, publishes, receives that, disconnects; again and again",
            )
            .arg(version()),
        ])
}

fn connections(protocol: Protocol) -> Command {
    Command::new("connections")
        .about("Opens connections and holds them")
        .args(common(protocol))
        .args(work("16"))
        .arg(number("count", "N", 1, 1_000_000).default_value("1000").help("How many connections"))
        .arg(text("hold", "TIME").default_value("2s").help("How long they are held"))
}

fn churn(protocol: Protocol, about: &'static str) -> Command {
    Command::new("churn").about(about).args(common(protocol)).args(work("4")).args([
        number("count", "N", 1, u64::MAX).help("How many times; without it, for the duration"),
        duration(),
    ])
}

fn common(protocol: Protocol) -> Vec<Arg> {
    let uri = match protocol {
        Protocol::Amqp => "amqp://guest:guest@localhost:5672",
        Protocol::Mqtt => "mqtt://localhost:1883",
    };
    vec![
        text("uri", "URI").default_value(uri).help("The broker"),
        number("pid", "PID", 1, i32::MAX as u64)
            .help("Process of the broker on this machine: its CPU and memory are shown as well"),
        flag("json").help("Writes the summary as one JSON object"),
        flag("quiet").help("Shows no progress"),
    ]
}

fn work(parallel: &'static str) -> Vec<Arg> {
    vec![
        number("parallel", "N", 1, 10_000).default_value(parallel).help("How many do it at once"),
        rate().help("How many a second; without it, as fast as possible"),
    ]
}

fn load(rate_by_default: Option<&'static str>) -> Vec<Arg> {
    let at = match rate_by_default {
        Some(default) => rate().default_value(default).help("Messages a second, of all publishers"),
        None => {
            rate().help("Messages a second, of all publishers; without it, as fast as possible")
        }
    };
    vec![
        number("publishers", "N", 0, 65_535).default_value("1").help("Connections that publish"),
        number("size", "OCTETS", stamp::LENGTH as u64, SIZE_MAX)
            .default_value("100")
            .help("Size of a message; the first 16 octets say which it is"),
        at,
        number("count", "N", 1, u64::MAX)
            .help("Messages of all publishers; without it, for the duration"),
        duration(),
        text("drain", "TIME")
            .default_value("10s")
            .help("How long to wait, after the last message that came, for those that are missing"),
        text("name", "NAME")
            .help("What queues or topics are called; with a number, if there are several"),
    ]
}

fn amqp_load() -> Vec<Arg> {
    vec![
        number("consumers", "N", 0, 65_535).default_value("1").help("Connections that consume"),
        number("queues", "N", 1, 65_535)
            .default_value("1")
            .help("Queues, which publishers and consumers are dealt to in turn"),
        durable(),
        argument(),
        keep(),
        flag("persistent").help("Messages are persistent"),
        number("confirm", "N", 0, 65_535)
            .default_value("0")
            .help("Unconfirmed messages that a publisher may have; 0 is without confirms"),
        number("prefetch", "N", 0, 65_535)
            .default_value("1000")
            .help("Unacknowledged messages that a consumer may have; 0 is without a limit"),
        number("ack-every", "N", 1, 65_535)
            .default_value("100")
            .help("Messages that are acknowledged together; at most the prefetch"),
        flag("auto-ack").help("Consumers do not acknowledge, prefetch does not count"),
    ]
}

fn mqtt_load() -> Vec<Arg> {
    vec![
        number("subscribers", "N", 0, 65_535)
            .default_value("1")
            .help("Connections that subscribe; each gets every message of its topic"),
        number("topics", "N", 1, 65_535)
            .default_value("1")
            .help("Topics, which publishers and subscribers are dealt to in turn"),
        number("qos", "QOS", 0, 2).default_value("0").help("QoS of messages and subscriptions"),
        number("window", "N", 1, 65_535).default_value("100").help(
            "Messages of QoS 1 and 2 in flight of a publisher, if the broker does not want less",
        ),
        flag("persistent-sessions").help("Sessions of subscribers outlive their connections"),
        version(),
    ]
}

fn version() -> Arg {
    text("mqtt-version", "VERSION").default_value("3.1.1").help("3.1.1 or 5")
}

fn durable() -> Arg {
    flag("durable").help("Queues are durable")
}

fn argument() -> Arg {
    text("argument", "KEY=VALUE")
        .action(ArgAction::Append)
        .help("Argument of the queues, such as x-queue-type=quorum; may be repeated")
}

fn keep() -> Arg {
    flag("keep").help("Queues are not deleted at the end")
}

fn rate() -> Arg {
    text("rate", "N").value_parser(positive)
}

fn duration() -> Arg {
    let help = format!(
        "How long [default: {}, if there is no count]",
        humantime::format_duration(DURATION)
    );
    text("duration", "TIME").help(help)
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("it has to be a number above 0".to_owned()),
    }
}

fn text(name: &'static str, value: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value)
}

fn number(name: &'static str, value: &'static str, least: u64, most: u64) -> Arg {
    text(name, value).value_parser(value_parser!(u64).range(least..=most))
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

/// A number that has a default.
pub fn counted(matches: &ArgMatches, name: &str) -> usize {
    let number = matches.get_one::<u64>(name).copied().unwrap_or_default();
    usize::try_from(number).unwrap_or(usize::MAX)
}
