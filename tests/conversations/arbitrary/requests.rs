//! Actions as frames, with what the broker may answer.

use leveret_amqp::{PropertiesBuilder, TableBuilder, Value};

use super::channel::{Channel, Mode};
use super::frames::{Id, Message, method, publish, short, table};
use super::ledger::{Ledger, body};
use super::step::{Action, Flaw, How, KEPT, Queue};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Request {
    pub octets: Vec<u8>,
    /// One of these is the answer; none is due if there are none.
    pub answers: Vec<Id>,
    /// The channel, or the connection, may be closed for it.
    pub may_fail: bool,
    /// The channel has to be closed, with this text.
    pub error: Option<String>,
}

impl Request {
    pub fn new(octets: Vec<u8>) -> Self {
        Request { octets, ..Request::default() }
    }

    pub fn answered_by(mut self, answer: Id) -> Self {
        self.answers.push(answer);
        self
    }

    /// No answer is due if `no_wait`.
    fn unless(mut self, no_wait: bool) -> Self {
        self.answers.retain(|_| !no_wait);
        self
    }

    fn may_fail(mut self) -> Self {
        self.may_fail = true;
        self
    }
}

/// The frames of an action, and its effect on what is expected as far as the broker may be faster
/// than its answer. `None` if there is nothing to do it with.
pub fn write(
    action: &Action,
    (number, channel): (u16, &mut Channel),
    ledger: &mut Ledger,
    kept: &[String; KEPT],
) -> Option<Request> {
    let plain = |id: Id, arguments: &[u8]| Request::new(method(number, id, arguments));
    Some(match action {
        Action::PublishKept { queue, count, size, piece, persistent, priority } => {
            let mut octets = Vec::new();
            for _ in 0..*count {
                let id = ledger.number(*queue, *priority);
                let body = body(id, *size);
                let message = to_kept(&kept[*queue], (*persistent, *priority), &body);
                octets.extend(publish(number, &message, *piece));
                channel.publish(ledger, id);
            }
            Request::new(octets)
        }
        Action::PublishWild { .. } => {
            channel.count_publish();
            Request::new(wild(number, action)?).may_fail()
        }
        Action::Forward { to, is_committed } => {
            let held: Vec<u64> =
                channel.held.iter().filter(|(_, id)| id.is_some()).map(|(tag, _)| *tag).collect();
            let mut octets = Vec::new();
            for tag in held {
                let id = ledger.number(*to, 0);
                octets.extend(publish(number, &to_kept(&kept[*to], (true, 0), &body(id, 5)), 4088));
                octets.extend(settle(number, (tag, false), How::Ack));
                channel.publish(ledger, id);
                channel.settle(ledger, (tag, false), How::Ack);
            }
            let request = Request::new(octets);
            if !is_committed || channel.mode != Mode::Transactional {
                return Some(request);
            }
            channel.begin_commit(ledger);
            let octets = [request.octets, method(number, (90, 20), &[])].concat();
            Request::new(octets).answered_by((90, 21)).may_fail()
        }
        Action::Settle { pick, how, multiple } => {
            let tags: Vec<u64> = channel.held.keys().copied().collect();
            let tag = *tags.get(pick % tags.len().max(1))?;
            // With a consumer, that might be more than has been seen.
            let is_all = *multiple && pick % 5 == 0 && channel.consumers.is_empty();
            channel.settle(ledger, (if is_all { u64::MAX } else { tag }, *multiple), *how);
            Request::new(settle(number, (if is_all { 0 } else { tag }, *multiple), *how))
        }
        Action::SettleUnknown { how, multiple } => {
            let tag = channel.last_tag + 1_000_000; // more than can be on its way
            let error = Some(format!("PRECONDITION_FAILED - unknown delivery tag {tag}"));
            let request = Request::new(settle(number, (tag, *multiple), *how)).may_fail();
            Request { error, ..request }
        }
        Action::Consume { queue, tag, no_ack, exclusive, priority } => {
            let no_ack = *no_ack && matches!(queue, Queue::Wild(_));
            channel.consumers.entry((*tag).to_owned()).or_insert(no_ack);
            let bits = u8::from(no_ack) << 1 | u8::from(*exclusive) << 2;
            let mut arguments = TableBuilder::new();
            arguments.insert("x-priority", *priority);
            let fields = [&[0, 0][..], &short(name(queue, kept)), &short(tag), &[bits]].concat();
            plain((60, 20), &[fields, table(&arguments)].concat()).answered_by((60, 21)).may_fail()
        }
        Action::Cancel { tag } => {
            plain((60, 30), &[&short(tag)[..], &[0]].concat()).answered_by((60, 31))
        }
        Action::Get { queue, no_ack } => {
            channel.gets_no_ack = *no_ack;
            let fields = [&[0, 0][..], &short(name(queue, kept)), &[u8::from(*no_ack)]].concat();
            let request = plain((60, 70), &fields).answered_by((60, 71)).answered_by((60, 72));
            Request { may_fail: matches!(queue, Queue::Wild(_)), ..request }
        }
        Action::Recover => {
            channel.recover(ledger);
            plain((60, 110), &[1]).answered_by((60, 111))
        }
        Action::Qos { count, global } => {
            let fields = [&[0; 4][..], &count.to_be_bytes(), &[u8::from(*global)]].concat();
            plain((60, 10), &fields).answered_by((60, 11))
        }
        Action::ConfirmSelect => {
            let request = plain((85, 10), &[0]).answered_by((85, 11));
            Request { error: refused(channel, Mode::Transactional, "tx to confirm"), ..request }
                .may_fail()
        }
        Action::TxSelect => {
            let request = plain((90, 10), &[]).answered_by((90, 11));
            Request { error: refused(channel, Mode::Confirm, "confirm to tx"), ..request }
                .may_fail()
        }
        Action::TxCommit => {
            channel.begin_commit(ledger);
            end_of_transaction(plain((90, 20), &[]).answered_by((90, 21)), channel)
        }
        Action::TxRollback => {
            end_of_transaction(plain((90, 30), &[]).answered_by((90, 31)), channel)
        }
        _ => return topology(action, number),
    })
}

fn refused(channel: &Channel, mode: Mode, from_to: &str) -> Option<String> {
    let text = format!("PRECONDITION_FAILED - cannot switch from {from_to} mode");
    (channel.mode == mode).then_some(text)
}

fn end_of_transaction(request: Request, channel: &Channel) -> Request {
    let text = "PRECONDITION_FAILED - channel is not transactional".to_owned();
    let error = (channel.mode != Mode::Transactional).then_some(text);
    Request { error, ..request }.may_fail()
}

fn name<'a>(queue: &Queue, kept: &'a [String; KEPT]) -> &'a str {
    match queue {
        Queue::Kept(number) => &kept[*number],
        Queue::Wild(name) => name,
    }
}

fn to_kept<'a>(
    queue: &'a str,
    (is_persistent, priority): (bool, u8),
    body: &'a [u8],
) -> Message<'a> {
    let (delivery_mode, priority) = (is_persistent.then_some(2), Some(priority));
    let properties = PropertiesBuilder { delivery_mode, priority, ..PropertiesBuilder::default() };
    Message { exchange: "", key: queue, is_mandatory: true, properties, body }
}

fn settle(number: u16, (tag, multiple): (u64, bool), how: How) -> Vec<u8> {
    let (id, bits) = match how {
        How::Ack => ((60, 80), u8::from(multiple)),
        How::Requeue => ((60, 120), u8::from(multiple) | 2),
        How::Discard => ((60, 120), u8::from(multiple)),
    };
    method(number, id, &[&tag.to_be_bytes()[..], &[bits]].concat())
}

fn wild(number: u16, action: &Action) -> Option<Vec<u8>> {
    let Action::PublishWild { exchange, key, is_mandatory, size, flaw } = action else {
        return None;
    };
    let mut copies = leveret_amqp::ArrayBuilder::new();
    copies.push(Value::from("wild.1"));
    let mut headers = TableBuilder::new();
    match flaw {
        Flaw::Copies => _ = headers.insert("CC", Value::Array(copies.as_array())),
        Flaw::BadCopies => _ = headers.insert("BCC", 7),
        Flaw::Delayed => _ = headers.insert("x-delay", 2),
        _ => {}
    }
    let properties = PropertiesBuilder {
        headers: Some(headers.as_table()),
        delivery_mode: (size % 3 == 0).then_some(2),
        expiration: match flaw {
            Flaw::Expires => Some("3"),
            Flaw::BadExpiration => Some("soon"),
            _ => None,
        },
        priority: matches!(flaw, Flaw::Urgent).then_some(9),
        reply_to: matches!(flaw, Flaw::ForReply).then_some("amq.rabbitmq.reply-to"),
        ..PropertiesBuilder::default()
    };
    let body = vec![b'w'; *size];
    let is_mandatory = *is_mandatory;
    Some(publish(number, &Message { exchange, key, is_mandatory, properties, body: &body }, 1000))
}

fn topology(action: &Action, number: u16) -> Option<Request> {
    let reserved = &[0, 0][..];
    let empty = table(&TableBuilder::new());
    let (id, fields, answer, no_wait) = match action {
        Action::DeclareQueue { queue, flags, arguments } => {
            let arguments = queue_arguments(*arguments);
            let fields = [reserved, &short(queue), &[*flags], &table(&arguments)].concat();
            ((50, 10), fields, (50, 11), flags & 16 != 0)
        }
        Action::DeleteQueue { queue, flags } => {
            let fields = [reserved, &short(queue), &[*flags]].concat();
            ((50, 40), fields, (50, 41), flags & 4 != 0)
        }
        Action::PurgeQueue { queue } => {
            ((50, 30), [reserved, &short(queue), &[0]].concat(), (50, 31), false)
        }
        Action::DeclareExchange { exchange, kind, flags, is_alternate } => {
            let mut arguments = TableBuilder::new();
            if *is_alternate {
                arguments.insert("alternate-exchange", "x.1");
            }
            if *kind == "x-delayed-message" {
                arguments.insert("x-delayed-type", "topic");
            }
            let names = [short(exchange), short(kind)].concat();
            let fields = [reserved, &names, &[*flags], &table(&arguments)].concat();
            ((40, 10), fields, (40, 11), flags & 16 != 0)
        }
        Action::DeleteExchange { exchange, flags } => {
            let fields = [reserved, &short(exchange), &[*flags]].concat();
            ((40, 20), fields, (40, 21), flags & 2 != 0)
        }
        Action::BindQueue { queue, exchange, key } => {
            let names = [short(queue), short(exchange), short(key)].concat();
            ((50, 20), [reserved, &names, &[0], &empty].concat(), (50, 21), false)
        }
        Action::UnbindQueue { queue, exchange, key } => {
            let names = [short(queue), short(exchange), short(key)].concat();
            ((50, 50), [reserved, &names, &empty].concat(), (50, 51), false)
        }
        Action::BindExchange { to, from, key, is_unbind } => {
            let names = [short(to), short(from), short(key)].concat();
            let fields = [reserved, &names, &[0], &empty].concat();
            let (id, answer) = if *is_unbind { ((40, 40), (40, 51)) } else { ((40, 30), (40, 31)) };
            (id, fields, answer, false)
        }
        _ => return None,
    };
    let request = Request::new(method(number, id, &fields));
    Some(request.answered_by(answer).unless(no_wait).may_fail())
}

fn queue_arguments([bits, more]: [u8; 2]) -> TableBuilder {
    let mut arguments = TableBuilder::new();
    // One in four has arguments at all.
    if bits & 0b1100_0000 != 0 {
        return arguments;
    }
    let is_set = |bit: u8| bits >> bit & 1 == 1;
    let has = |bit: u8| more >> bit & 1 == 1;
    if is_set(0) {
        arguments.insert("x-max-length", 3);
    }
    if is_set(1) {
        let way = if has(0) { "reject-publish" } else { "reject-publish-dlx" };
        arguments.insert("x-overflow", way);
    }
    if is_set(2) {
        arguments.insert("x-message-ttl", 3);
    }
    if is_set(3) {
        arguments.insert("x-dead-letter-exchange", "");
        arguments.insert("x-dead-letter-routing-key", "wild.0");
    }
    if is_set(4) {
        arguments.insert("x-expires", 30);
    }
    if is_set(5) {
        arguments.insert("x-single-active-consumer", true);
    }
    if has(1) {
        arguments.insert("x-max-length-bytes", 2000);
    }
    if has(2) {
        arguments.insert("x-delivery-limit", 1);
    }
    if has(3) {
        arguments.insert("x-max-priority", 2);
    }
    if has(4) {
        arguments.insert("x-queue-type", "quorum");
    }
    arguments
}
