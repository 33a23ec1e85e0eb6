//! basic.publish.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use leveret_amqp::{
    self as amqp, Properties, PropertiesBuilder, Publish, ReplyCode, TableBuilder, Value,
};
use leveret_core::{Body, Draft, Encoding, Facts, Message};
use smallvec::SmallVec;

use super::basic::PUBLISH;
use super::deliver::content;
use super::held::Held;
use super::refusal::Refusal;
use super::table::to_value;
use super::transaction::Uncommitted;
use super::{Amqp, Promise, PropertyHeaders, retain};
use crate::server::counts::Fate;
use crate::server::firehose::Tap;
use crate::server::publisher::Confirm;

/// The longest time to live, in milliseconds: a year in RabbitMQ's reckoning, times ten.
const EXPIRATION_MAX_MS: u64 = 315_360_000_000;

impl Amqp {
    pub(super) fn handle_publish(&mut self, now: Instant, publish: Publish<'_>) {
        let (channel, sequence) = (publish.channel, publish.sequence);
        let (body_bytes, is_held) = (publish.body.as_slice().len(), publish.is_transactional);
        if self.has_acks() {
            // They came first: what they make room for may be this message.
            self.flush_batch();
        }
        let published = self.publish(&publish);
        if published.is_err() && self.identity.must_ask() {
            return self.hold_publish(publish);
        }
        let counts = self.channel(channel).counts();
        if !is_held {
            counts.note_publish(body_bytes, sequence > 0);
        }
        match published {
            Ok(fate) => fate.into_iter().for_each(|fate| counts.note_fate(fate)),
            Err(refusal) => {
                self.flush_batch();
                return self.refuse(now, channel, &refusal, PUBLISH);
            }
        }
        if sequence == 0 {
            return;
        }
        match self.unconfirmed.iter_mut().find(|(known, _)| *known == channel) {
            Some((_, last)) => *last = sequence,
            None => self.unconfirmed.push((channel, sequence)),
        }
    }

    /// Says what becomes of a message, if that is known before a commit.
    fn publish(&mut self, publish: &Publish<'_>) -> Result<Option<Fate>, Refusal> {
        let properties = publish.properties();
        let mut facts = self.facts(properties)?;
        facts.retain = retain::is_wanted(publish)?;
        let reply_to = self.reply_to(publish.channel, properties)?;
        let more = MoreKeys::of(properties)?;
        if publish.is_transactional {
            let message = message(publish, &more, reply_to.as_deref(), facts);
            let more_keys = more.keys.iter().map(|&key| key.into()).collect();
            let uncommitted = Uncommitted { message, more_keys, mandatory: publish.mandatory };
            return self.add_uncommitted(publish.channel, uncommitted).map(|()| None);
        }
        let (exchange, key) = (publish.exchange(), publish.routing_key());
        let (node, vhost, headers) = (&self.node, &self.vhost, PropertyHeaders(properties));
        let way = match more.keys.is_empty() {
            true => self.publisher.route(node, vhost, (exchange, key), &headers)?,
            false => {
                self.publisher.route_by_keys(node, vhost, (exchange, key, &more.keys), &headers)?
            }
        };
        let routed = self.publisher.routed(way);
        let is_needed = facts.retain || publish.mandatory || self.node.firehose.is_on();
        if routed.is_empty() && !is_needed {
            return Ok(Some(Fate::Dropped));
        }
        let message = Arc::new(message(publish, &more, reply_to.as_deref(), facts));
        if facts.retain {
            let retained = self.node.retain(&self.vhost, &message);
            let position = retained.map_err(|error| Refusal::precondition(error.to_string()))?;
            self.retained_promise = self.retained_promise.max(position);
        }
        self.node.tap(&self.peer, publish.channel, Tap::Publish(&message, routed));
        if routed.is_empty() {
            if !publish.mandatory {
                return Ok(Some(Fate::Dropped));
            }
            let content = content(&message, None);
            self.connection.return_(publish.channel, ReplyCode::NoRoute, &content);
            return Ok(Some(Fate::Returned));
        }
        let confirm = NonZeroU64::new(publish.sequence)
            .map(|sequence| Confirm { sequence, channel: publish.channel });
        let fate = Fate::Routed(routed.copies);
        self.publisher.add(&self.node, message, way, (None, confirm));
        Ok(Some(fate))
    }

    /// Hands the batch over; its confirms leave once it is safe. What was acknowledged comes behind
    /// what was published: who publishes what follows from a message acknowledges it then.
    pub(super) fn flush_batch(&mut self) {
        let mut promise = self.retained_promise.take();
        self.publisher.count_at_exchanges();
        if !self.publisher.is_empty() {
            self.pause.note_publish();
            promise = promise.max(self.publisher.flush(&self.node));
            for &Confirm { channel, sequence } in self.publisher.refused().iter().flatten() {
                self.connection.confirm(channel, sequence.get(), false);
            }
        }
        if !self.unconfirmed.is_empty() {
            for &(channel, _) in &self.unconfirmed {
                if let Some(state) = self.channels.get_mut(&channel) {
                    state.is_changed = true;
                }
            }
            let sequences = std::mem::take(&mut self.unconfirmed);
            self.gate.push(promise, Promise::Confirms(sequences));
        }
        self.flush_acks();
    }

    /// Confirms what a channel has published up to here.
    pub(super) fn confirm_through(&mut self, channel: u16, sequence: u64) {
        let before = self.connection.unconfirmed_len(channel);
        self.connection.confirm_through(channel, sequence);
        let confirmed = before - self.connection.unconfirmed_len(channel);
        if let Some(state) = self.channels.get_mut(&channel) {
            state.is_changed = true;
            state.counts().confirmed += confirmed;
        }
    }

    fn facts(&self, properties: Properties<'_>) -> Result<Facts, Refusal> {
        let timestamp_ms = self.read_at_ms;
        let persistent = properties.is_persistent();
        let mut facts = Facts {
            persistent,
            qos: u8::from(persistent),
            priority: properties.priority().unwrap_or(0),
            timestamp_ms,
            ..Facts::default()
        };
        let own = &self.identity.user;
        let other_user = properties.user_id().filter(|user| *user != &**own);
        if let Some(user) = other_user.filter(|_| !self.is_impersonator()) {
            return Err(Refusal::precondition(format!(
                "user_id property set to '{user}' but authenticated user was '{own}'"
            )));
        }
        if let Some(text) = properties.expiration() {
            let ttl_ms = expiration(text).map_err(|flaw| {
                Refusal::precondition(format!("invalid expiration '{text}': {flaw}"))
            })?;
            facts.expires_at_ms = Some(timestamp_ms + ttl_ms);
        }
        Ok(facts)
    }
}

impl Amqp {
    #[cold]
    fn hold_publish(&mut self, publish: Publish<'_>) {
        self.hold(Held::Publish(publish.into_owned()));
    }

    /// Whether the user may publish in the names of others.
    fn is_impersonator(&self) -> bool {
        self.identity.has_tag(&self.node.topology(), IMPERSONATOR)
    }
}

/// The message, with other properties than it came with if those are not for everybody.
fn message(
    publish: &Publish<'_>,
    more: &MoreKeys<'_>,
    reply_to: Option<&str>,
    facts: Facts,
) -> Message {
    let properties = publish.properties();
    let is_rewritten = more.has_blind || reply_to.is_some();
    let shown = is_rewritten.then(|| rewritten(properties, reply_to));
    Message::new(Draft {
        exchange: publish.exchange(),
        routing_key: publish.routing_key(),
        encoding: Encoding::Amqp,
        properties: shown.as_deref().unwrap_or(properties.as_encoded()),
        body: match &publish.body {
            amqp::Body::Borrowed(octets) => Body::Borrowed(octets),
            amqp::Body::Owned(octets) => Body::Owned(octets.clone()),
        },
        facts,
    })
}

/// The routing keys that a message has beside its own: those in its headers CC and BCC.
#[derive(Default)]
struct MoreKeys<'a> {
    keys: SmallVec<[&'a str; 4]>,
    /// There is a BCC, which no receiver gets to see.
    has_blind: bool,
}

impl<'a> MoreKeys<'a> {
    fn of(properties: Properties<'a>) -> Result<Self, Refusal> {
        let Some(headers) = properties.headers() else { return Ok(Self::default()) };
        let mut more = Self::default();
        for name in [CC, BCC] {
            match headers.find(name) {
                None => {}
                Some(Value::Array(keys)) => {
                    for key in keys.iter() {
                        more.keys.push(routing_key(name, key)?);
                    }
                    more.has_blind |= name == BCC;
                }
                Some(value) => return Err(unacceptable(name, value)),
            }
        }
        Ok(more)
    }
}

fn routing_key<'a>(name: &str, value: Value<'a>) -> Result<&'a str, Refusal> {
    match value {
        Value::LongStr(octets) => std::str::from_utf8(octets)
            .map_err(|_| Refusal::precondition(format!("invalid message: {name} is no text"))),
        value => Err(unacceptable(name, value)),
    }
}

fn unacceptable(name: &str, value: Value<'_>) -> Refusal {
    let found = to_value(value).type_name();
    Refusal::precondition(format!(
        "invalid message: {{unacceptable_type_in_header,\"{name}\",{found}}}"
    ))
}

/// The properties without BCC, and with another `reply-to`, encoded.
fn rewritten(properties: Properties<'_>, reply_to: Option<&str>) -> Vec<u8> {
    let mut headers = TableBuilder::new();
    for (name, value) in properties.headers().iter().flat_map(|headers| headers.iter()) {
        if name != BCC {
            headers.insert(name, value);
        }
    }
    let headers = properties.headers().map(|_| headers.as_table());
    let reply_to = reply_to.or(properties.reply_to());
    PropertiesBuilder { headers, reply_to, ..properties.into() }.encode()
}

const IMPERSONATOR: &str = "impersonator";
const CC: &str = "CC";
const BCC: &str = "BCC";

/// Reads the `expiration` property, in milliseconds; the error is in RabbitMQ's words.
pub(super) fn expiration(text: &str) -> Result<u64, String> {
    let sign = usize::from(text.starts_with('-'));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(sign + digits);
    match number.parse::<i128>() {
        _ if digits == 0 => Err("no_integer".to_owned()),
        _ if !rest.is_empty() => Err(format!("{{leftover_string,\"{rest}\"}}")),
        Ok(value) if value < 0 => Err(format!("{{value_negative,{value}}}")),
        Ok(value) if value > i128::from(EXPIRATION_MAX_MS) => {
            Err(format!("{{value_too_large,{value}}}"))
        }
        Ok(value) => u64::try_from(value).map_err(|_| "no_integer".to_owned()),
        Err(_) => Err(format!("{{value_too_large,{number}}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiration_is_a_whole_number_of_milliseconds() {
        assert_eq!(expiration("0"), Ok(0));
        assert_eq!(expiration("60000"), Ok(60_000));
        for (text, flaw) in [
            ("", "no_integer"),
            ("abc", "no_integer"),
            ("-1", "{value_negative,-1}"),
            ("1x", "{leftover_string,\"x\"}"),
            ("315360000001", "{value_too_large,315360000001}"),
        ] {
            assert_eq!(expiration(text), Err(flaw.to_owned()), "{text}");
        }
        assert!(expiration(&"9".repeat(200)).is_err());
    }
}
