//! Octets of an AMQP client, whole and in two pieces: the state machine says the same both times, and
//! holds little. The first two octets say how far the handshake has gone and where the cut is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use leveret_amqp::{
    Config, Connection, Content, Deliver, Delivery, Event, Get, Method, Publish, ReplyCode,
    ServerMethod,
};

use super::{KIB, within};

pub fn run(octets: &[u8]) {
    let [stage, at, rest @ ..] = octets else { return };
    let handshake = match stage % 8 {
        0 => Vec::new(),
        1 => HEADER.to_vec(),
        2 => [HEADER, &start_ok()].concat(),
        _ => [HEADER, &start_ok(), TUNE_OK, OPEN, CHANNEL_OPEN, CONFIRM_SELECT].concat(),
    };
    let at = usize::from(*at) % (rest.len() + 1);
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    let sent = converse(&[&handshake, rest], &mut |event| whole.push(described(event)));
    let parts = [&handshake, &rest[..at], &rest[at..]];
    let again = converse(&parts, &mut |event| pieces.push(described(event)));
    assert_eq!((pieces, again), (whole, sent));
    within(96 * KIB + 64 * rest.len(), || converse(&[&handshake, rest], &mut |_| {}));
}

/// Shows the events that the parts make; gives what is sent.
fn converse(parts: &[&[u8]], show: &mut dyn FnMut(&Event<'_>)) -> Vec<u8> {
    let now = Instant::now();
    let mut connection = Connection::new(Arc::new(Config::default()), now);
    let (mut pending, mut out) = (Vec::new(), VecDeque::new());
    for part in parts {
        pending.extend_from_slice(part);
        let mut input = &pending[..];
        while let Some(event) = connection.poll_event(now, &mut input) {
            show(&event);
            answer(&mut connection, event);
            // Confirms are put together when they are taken.
            connection.poll_transmit(&mut out);
        }
        pending = input.to_vec();
        let waits = pending.is_empty() || pending.len() < connection.needed_input();
        assert!(waits || connection.is_closed());
        connection.poll_transmit(&mut out);
    }
    for (_, deliveries) in connection.drain_unsettled() {
        assert!(deliveries.iter().all(|delivery| delivery.consumer == 7));
    }
    out.iter().flatten().copied().collect()
}

fn answer(connection: &mut Connection, event: Event<'_>) {
    match event {
        Event::Login(_) => connection.login_ok(),
        Event::Open { .. } => connection.open_ok(),
        Event::ChannelOpen { channel } => connection.channel_open_ok(channel),
        Event::Publish(publish) => take(connection, &publish),
        Event::Recover { channel, .. } => connection.reply(channel, ServerMethod::BasicRecoverOk),
        Event::Commit { channel, .. } => connection.reply(channel, ServerMethod::TxCommitOk),
        Event::Rollback { channel } => connection.reply(channel, ServerMethod::TxRollbackOk),
        Event::Method { channel, method, .. } => carry_out(connection, channel, &method),
        Event::ChannelClose { channel, .. } => connection.channel_close_ok(channel),
        Event::Close { .. } => connection.close_ok(),
        Event::Settle { .. } | Event::ChannelFailed { .. } | Event::Failed { .. } => {}
    }
}

fn take(connection: &mut Connection, publish: &Publish<'_>) {
    if publish.mandatory {
        let content = Content {
            exchange: publish.exchange(),
            routing_key: publish.routing_key(),
            properties: publish.properties().as_encoded(),
            body: publish.body.as_slice(),
            shared: None,
        };
        connection.return_(publish.channel, ReplyCode::NoRoute, &content);
    }
    if publish.sequence > 0 {
        connection.confirm(publish.channel, publish.sequence, true);
    }
}

fn carry_out(connection: &mut Connection, channel: u16, method: &Method<'_>) {
    let reply = match method {
        Method::UpdateSecret(_) => ServerMethod::UpdateSecretOk,
        Method::ExchangeDeclare(_) => ServerMethod::ExchangeDeclareOk,
        Method::ExchangeDelete(_) => ServerMethod::ExchangeDeleteOk,
        Method::ExchangeBind(_) => ServerMethod::ExchangeBindOk,
        Method::ExchangeUnbind(_) => ServerMethod::ExchangeUnbindOk,
        Method::QueueDeclare(declare) => ServerMethod::QueueDeclareOk {
            queue: declare.queue,
            message_count: 0,
            consumer_count: 0,
        },
        Method::QueueBind(_) => ServerMethod::QueueBindOk,
        Method::QueueUnbind(_) => ServerMethod::QueueUnbindOk,
        Method::QueuePurge(_) => ServerMethod::QueuePurgeOk { message_count: 0 },
        Method::QueueDelete(_) => ServerMethod::QueueDeleteOk { message_count: 0 },
        Method::BasicQos(_) => ServerMethod::BasicQosOk,
        Method::BasicCancel(it) => ServerMethod::BasicCancelOk { consumer_tag: it.consumer_tag },
        Method::BasicConsume(it) => {
            connection
                .reply(channel, ServerMethod::BasicConsumeOk { consumer_tag: it.consumer_tag });
            for entry in 0..3 {
                connection.deliver(
                    channel,
                    &Deliver {
                        consumer_tag: it.consumer_tag,
                        delivery: Delivery { consumer: 7, entry },
                        no_ack: it.no_ack,
                        redelivered: false,
                        content: CONTENT,
                    },
                );
            }
            return;
        }
        Method::BasicGet(it) => {
            let delivery = Delivery { consumer: 7, entry: 9 };
            let (no_ack, content) = (it.no_ack, CONTENT);
            let get = Get { delivery, no_ack, redelivered: true, message_count: 0, content };
            connection.get_ok(channel, &get);
            return;
        }
    };
    connection.reply(channel, reply);
}

/// An event in words, the same whether its parts are borrowed or owned.
fn described(event: &Event<'_>) -> String {
    let Event::Publish(publish) = event else { return format!("{event:?}") };
    let names = (publish.exchange(), publish.routing_key());
    let contents = (publish.properties().as_encoded(), publish.body.as_slice());
    let numbers = (publish.channel, publish.sequence, publish.mandatory, publish.is_transactional);
    format!("{names:?} {contents:?} {numbers:?}")
}

fn start_ok() -> Vec<u8> {
    let properties = b"\x0ccapabilitiesF\0\0\0\x19\x16consumer_cancel_notifyt\x01";
    let mut arguments = vec![0, 10, 0, 11];
    arguments.extend((properties.len() as u32).to_be_bytes());
    arguments.extend(properties);
    arguments.extend(b"\x05PLAIN\0\0\0\x04\0a\0b\x05en_US");
    let len = (arguments.len() as u32).to_be_bytes();
    [&[1, 0, 0][..], &len, &arguments, &[0xce]].concat()
}

const HEADER: &[u8] = b"AMQP\0\0\x09\x01";
const TUNE_OK: &[u8] = b"\x01\0\0\0\0\0\x0c\0\x0a\0\x1f\x07\xff\0\x02\0\0\0\0\xce";
const OPEN: &[u8] = b"\x01\0\0\0\0\0\x08\0\x0a\0\x28\x01/\0\0\xce";
const CHANNEL_OPEN: &[u8] =
    b"\x01\0\x01\0\0\0\x05\0\x14\0\x0a\0\xce\x01\0\x02\0\0\0\x05\0\x14\0\x0a\0\xce";
const CONFIRM_SELECT: &[u8] = b"\x01\0\x01\0\0\0\x05\0\x55\0\x0a\0\xce";
const CONTENT: Content<'static> =
    Content { exchange: "", routing_key: "q", properties: &[0, 0], body: b"body", shared: None };
