//! The arguments of queues: which there are, for which types of queue, and which values they take.
//! Texts are RabbitMQ's.

use super::queue::QueueType;
use super::{QueueEntry, TopologyError};
use crate::value::{IntWidth, Table, Value};
use crate::{DeduplicationSettings, Overflow, QueueSettings};

/// An argument that queues know.
struct Argument {
    name: &'static str,
    /// The types of queue that may have it.
    types: &'static [QueueType],
    /// Whether two declarations of a queue may not differ in it.
    is_compared: bool,
    /// What is wrong with a value.
    flaw: fn(&Value) -> Option<String>,
}

pub(super) const QUEUE_TYPE: &str = "x-queue-type";
pub(super) const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";
pub(super) const DEAD_LETTER_KEY: &str = "x-dead-letter-routing-key";
const SINGLE_ACTIVE_CONSUMER: &str = "x-single-active-consumer";
const MESSAGE_TTL: &str = "x-message-ttl";
const EXPIRES: &str = "x-expires";
const MAX_LENGTH: &str = "x-max-length";
const MAX_LENGTH_BYTES: &str = "x-max-length-bytes";
const OVERFLOW: &str = "x-overflow";
const REJECT_PUBLISH_DLX: &str = "reject-publish-dlx";
const MAX_PRIORITY: &str = "x-max-priority";
const DELIVERY_LIMIT: &str = "x-delivery-limit";
const CONSUMER_TIMEOUT: &str = "x-consumer-timeout";
pub(super) const DEDUPLICATION: &str = "x-message-deduplication";
const CACHE_SIZE: &str = "x-cache-size";
const CACHE_TTL: &str = "x-cache-ttl";
const DEDUPLICATION_HEADER: &str = "x-deduplication-header";

use QueueType::{Classic, Quorum};
const BOTH: &[QueueType] = &[Classic, Quorum];

/// All of them, in the order in which declarations are compared.
const ARGUMENTS: &[Argument] = &[
    compared(QUEUE_TYPE, BOTH, queue_type_flaw),
    compared(EXPIRES, BOTH, expires_flaw),
    compared(MESSAGE_TTL, BOTH, |value| number_flaw(value, 0, TTL_MAX_MS)),
    compared(DEAD_LETTER_EXCHANGE, BOTH, fine),
    compared(DEAD_LETTER_KEY, BOTH, fine),
    compared("x-dead-letter-strategy", &[Quorum], |value| {
        one_of(&["at-most-once", "at-least-once"], "invalid_dlx_strategy", value)
    }),
    compared(MAX_LENGTH, BOTH, |value| number_flaw(value, 0, i64::MAX)),
    compared(MAX_LENGTH_BYTES, BOTH, |value| number_flaw(value, 0, i64::MAX)),
    compared(OVERFLOW, BOTH, |value| {
        one_of(&["drop-head", "reject-publish", REJECT_PUBLISH_DLX], OVERFLOW_FLAW, value)
    }),
    compared(MAX_PRIORITY, &[Classic], max_priority_flaw),
    compared(SINGLE_ACTIVE_CONSUMER, BOTH, flag_flaw),
    compared(DELIVERY_LIMIT, BOTH, |value| number_flaw(value, -1, i64::MAX)),
    compared(CONSUMER_TIMEOUT, BOTH, |value| number_flaw(value, 0, TTL_MAX_MS)),
    compared(DEDUPLICATION, BOTH, flag_flaw),
    compared(CACHE_SIZE, BOTH, |value| number_flaw(value, 1, CACHE_SIZE_MAX)),
    compared(CACHE_TTL, BOTH, |value| number_flaw(value, 1, TTL_MAX_MS)),
    compared(DEDUPLICATION_HEADER, BOTH, text_flaw),
    kept("x-queue-mode", &[Classic], |value| {
        one_of(&["default", "lazy"], "invalid_queue_mode", value)
    }),
    kept("x-queue-version", &[Classic], |value| number_flaw(value, 1, 2)),
    kept("x-queue-master-locator", &[Classic], |value| {
        one_of(&["min-masters", "client-local", "random"], LOCATOR_FLAW, value)
    }),
    kept("x-queue-leader-locator", BOTH, |value| {
        one_of(&["client-local", "balanced"], LOCATOR_FLAW, value)
    }),
    kept("x-quorum-initial-group-size", &[Quorum], |value| number_flaw(value, 1, i64::MAX)),
    kept("x-max-in-memory-length", &[Quorum], |value| number_flaw(value, 0, i64::MAX)),
    kept("x-max-in-memory-bytes", &[Quorum], |value| number_flaw(value, 0, i64::MAX)),
    kept("x-delayed-retry-type", &[Quorum], not_supported),
    kept("x-delayed-retry-min", &[Quorum], not_supported),
    kept("x-delayed-retry-max", &[Quorum], not_supported),
    kept("x-initial-cluster-size", &[], fine),
    kept("x-max-age", &[], fine),
    kept("x-stream-max-segment-size-bytes", &[], fine),
    kept("x-stream-filter-size-bytes", &[], fine),
];

const fn compared(
    name: &'static str,
    types: &'static [QueueType],
    flaw: fn(&Value) -> Option<String>,
) -> Argument {
    Argument { name, types, is_compared: true, flaw }
}

const fn kept(
    name: &'static str,
    types: &'static [QueueType],
    flaw: fn(&Value) -> Option<String>,
) -> Argument {
    Argument { name, types, is_compared: false, flaw }
}

/// The names of the arguments in which two declarations of a queue may not differ.
pub(super) fn compared_names() -> impl Iterator<Item = &'static str> {
    ARGUMENTS.iter().filter(|argument| argument.is_compared).map(|argument| argument.name)
}

/// Refuses arguments that a new queue cannot have, and those that it would not obey.
pub(super) fn check(queue: &QueueEntry) -> Result<(), TopologyError> {
    let arguments = &queue.spec.arguments;
    for (name, value) in arguments.iter() {
        let Some(known) = ARGUMENTS.iter().find(|argument| argument.name == name) else {
            continue;
        };
        if [DEAD_LETTER_EXCHANGE, DEAD_LETTER_KEY].contains(&known.name) && value.as_str().is_none()
        {
            return Err(TopologyError::InvalidArgumentType {
                resource: queue.resource(),
                argument: known.name,
                found: value.type_name(),
            });
        }
        let queue_type = queue.spec.queue_type();
        if !known.types.contains(&queue_type) {
            return Err(TopologyError::ArgumentOfOtherType {
                resource: queue.resource(),
                argument: known.name,
                queue_type: queue_type.module(),
            });
        }
        let reason = (known.flaw)(value).or_else(|| misfit(name, value, queue_type, arguments));
        if let Some(reason) = reason {
            return Err(TopologyError::InvalidArgument {
                resource: queue.resource(),
                argument: name.to_owned(),
                reason,
            });
        }
    }
    Ok(())
}

/// Whether an argument is known and may have a value, whatever the queue is.
pub(super) fn is_fine(name: &str, value: &Value) -> bool {
    let known = ARGUMENTS.iter().find(|argument| argument.name == name);
    known.is_some_and(|known| (known.flaw)(value).is_none())
}

/// What is wrong with a value that is right by itself.
fn misfit(name: &str, value: &Value, queue_type: QueueType, arguments: &Table) -> Option<String> {
    if name == DEAD_LETTER_KEY && arguments.get(DEAD_LETTER_EXCHANGE).is_none() {
        return Some("routing_key_but_no_dlx_defined".to_owned());
    }
    let is_refused =
        name == OVERFLOW && queue_type == Quorum && value.as_str() == Some(REJECT_PUBLISH_DLX);
    is_refused.then(|| OVERFLOW_FLAW.to_owned())
}

/// What the arguments of a queue ask for.
pub(super) fn settings(queue_type: QueueType, arguments: &Table) -> QueueSettings {
    let number = |name| u64::try_from(arguments.get(name)?.as_integer()?).ok();
    let limit = match arguments.get(DELIVERY_LIMIT) {
        None if queue_type == Quorum => Some(DELIVERY_LIMIT_DEFAULT),
        None => None,
        Some(_) => number(DELIVERY_LIMIT).map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
    };
    QueueSettings {
        single_active_consumer: arguments.get(SINGLE_ACTIVE_CONSUMER) == Some(&Value::Bool(true)),
        message_ttl_ms: number(MESSAGE_TTL),
        expires_ms: number(EXPIRES),
        max_length: number(MAX_LENGTH),
        max_length_bytes: number(MAX_LENGTH_BYTES),
        overflow: match arguments.get(OVERFLOW).and_then(Value::as_str) {
            Some("reject-publish") => Overflow::RejectPublish,
            Some(REJECT_PUBLISH_DLX) => Overflow::RejectPublishDeadLetter,
            _ => Overflow::DropHead,
        },
        max_priority: number(MAX_PRIORITY).map_or(0, |max| max.min(u8::MAX.into()) as u8),
        delivery_limit: limit,
        counts_deliveries: queue_type == Quorum || limit.is_some(),
        consumer_timeout_ms: number(CONSUMER_TIMEOUT).filter(|timeout_ms| *timeout_ms > 0),
        deduplication: deduplication_header(arguments).map(|_| DeduplicationSettings {
            len_max: number(CACHE_SIZE).unwrap_or(CACHE_SIZE_DEFAULT) as usize,
            ttl_ms: number(CACHE_TTL),
        }),
        dead_letters: arguments.get(DEAD_LETTER_EXCHANGE).is_some(),
        ..QueueSettings::default()
    }
}

/// The arguments of a queue that keeps so many messages, and so many bytes of bodies.
pub(super) fn max_lengths(len: u32, bytes: u32) -> Table {
    let number = |value| Value::Unsigned(value, IntWidth::W32);
    Table(vec![(MAX_LENGTH.to_owned(), number(len)), (MAX_LENGTH_BYTES.to_owned(), number(bytes))])
}

/// The header by which a queue knows messages that it has taken before, if it wants to.
pub(super) fn deduplication_header(arguments: &Table) -> Option<&str> {
    if arguments.get(DEDUPLICATION) != Some(&Value::Bool(true)) {
        return None;
    }
    let named = arguments.get(DEDUPLICATION_HEADER).and_then(Value::as_str);
    Some(named.unwrap_or(DEDUPLICATION_HEADER))
}

fn fine(_: &Value) -> Option<String> {
    None
}

fn not_supported(_: &Value) -> Option<String> {
    Some("not supported yet".to_owned())
}

fn queue_type_flaw(value: &Value) -> Option<String> {
    match value.as_str() {
        Some("classic" | "quorum") => None,
        Some("stream") => Some("not supported yet".to_owned()),
        Some(other) => Some(format!("\"unsupported queue type '{other}'\"")),
        None => unacceptable_type(value),
    }
}

fn expires_flaw(value: &Value) -> Option<String> {
    match value.as_integer() {
        Some(0) => Some("{value_zero,0}".to_owned()),
        _ => number_flaw(value, 0, TTL_MAX_MS),
    }
}

fn max_priority_flaw(value: &Value) -> Option<String> {
    match value.as_integer() {
        Some(number) if number > i64::from(u8::MAX) => {
            Some(format!("{{max_value_exceeded,{number}}}"))
        }
        _ => number_flaw(value, 0, i64::MAX),
    }
}

/// What is wrong with a number that has to be between two limits.
fn number_flaw(value: &Value, min: i64, max: i64) -> Option<String> {
    match value.as_integer() {
        None => unacceptable_type(value),
        Some(number) if number < min && min <= 0 => Some(format!("{{value_negative,{number}}}")),
        Some(number) if number < min => Some(format!("{{value_too_small,{number}}}")),
        Some(number) if number > max => Some(format!("{{value_too_large,{number}}}")),
        Some(_) => None,
    }
}

fn flag_flaw(value: &Value) -> Option<String> {
    if matches!(value, Value::Bool(_)) { None } else { unacceptable_type(value) }
}

fn text_flaw(value: &Value) -> Option<String> {
    if value.as_str().is_some() { None } else { unacceptable_type(value) }
}

fn one_of(values: &[&str], flaw: &str, value: &Value) -> Option<String> {
    match value.as_str() {
        None => unacceptable_type(value),
        Some(text) if values.contains(&text) => None,
        Some(_) => Some(flaw.to_owned()),
    }
}

fn unacceptable_type(value: &Value) -> Option<String> {
    Some(format!("{{unacceptable_type,{}}}", value.type_name()))
}

/// RabbitMQ's longest time to live: ten years of 365 days.
const TTL_MAX_MS: i64 = 315_360_000_000;

/// LavinMQ's.
const CACHE_SIZE_DEFAULT: u64 = 128;
const CACHE_SIZE_MAX: i64 = 1_000_000;

/// RabbitMQ 4's, for quorum queues.
const DELIVERY_LIMIT_DEFAULT: u32 = 20;

const OVERFLOW_FLAW: &str = "invalid_overflow";
const LOCATOR_FLAW: &str = "invalid_queue_locator_arg";
