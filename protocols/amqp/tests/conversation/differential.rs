//! Against the codec of `amq-protocol`: what it writes we read, and what we write it reads.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic, exchange, queue};
use amq_protocol::types::{
    AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString, ShortString,
};
use bytes::Bytes;
use leveret_amqp::{
    ArrayBuilder, Content, Deliver, Delivery, Event, Method, Properties, PropertiesBuilder,
    ServerMethod, Table, TableBuilder, TableLimits, Value,
};
use proptest::prelude::*;

use crate::client::Client;

fn encode(frame: &AMQPFrame) -> Vec<u8> {
    gen_frame(frame)(Vec::new().into()).unwrap().write
}

fn decode(mut octets: &[u8]) -> Vec<AMQPFrame> {
    let mut frames = Vec::new();
    while !octets.is_empty() {
        let (rest, frame) = parse_frame(octets).unwrap();
        frames.push(frame);
        octets = rest;
    }
    frames
}

fn short(text: &str) -> ShortString {
    text.into()
}

fn name() -> impl Strategy<Value = String> {
    "[a-zé./#*-]{0,40}"
}

fn value() -> impl Strategy<Value = AMQPValue> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i8>().prop_map(AMQPValue::ShortShortInt),
        any::<u8>().prop_map(AMQPValue::ShortShortUInt),
        any::<i16>().prop_map(AMQPValue::ShortInt),
        any::<u16>().prop_map(AMQPValue::ShortUInt),
        any::<i32>().prop_map(AMQPValue::LongInt),
        any::<u32>().prop_map(AMQPValue::LongUInt),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        (-1e30f32..1e30).prop_map(AMQPValue::Float),
        (-1e300f64..1e300).prop_map(AMQPValue::Double),
        (any::<u8>(), any::<u32>())
            .prop_map(|(scale, value)| AMQPValue::DecimalValue(DecimalValue { scale, value })),
        any::<Vec<u8>>().prop_map(|octets| AMQPValue::LongString(LongString::from(octets))),
        any::<Vec<u8>>().prop_map(|octets| AMQPValue::ByteArray(ByteArray::from(octets))),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        Just(AMQPValue::Void),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5)
                .prop_map(|values| AMQPValue::FieldArray(FieldArray::from(values))),
            entries(inner).prop_map(AMQPValue::FieldTable),
        ]
    })
}

fn entries(value: impl Strategy<Value = AMQPValue>) -> impl Strategy<Value = FieldTable> {
    proptest::collection::btree_map(name(), value, 0..6).prop_map(|entries| {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert(short(&name), value);
        }
        table
    })
}

fn assert_same_table(ours: Table<'_>, theirs: &FieldTable) {
    assert_eq!(ours.iter().count(), theirs.inner().len());
    for ((name, value), (other_name, other)) in ours.iter().zip(theirs) {
        assert_eq!(name, other_name.as_str());
        assert_same(value, other);
    }
}

fn assert_same(ours: Value<'_>, theirs: &AMQPValue) {
    match (ours, theirs) {
        (Value::Table(table), AMQPValue::FieldTable(other)) => assert_same_table(table, other),
        (Value::Array(array), AMQPValue::FieldArray(other)) => {
            assert_eq!(array.iter().count(), other.as_slice().len());
            array.iter().zip(other.as_slice()).for_each(|(a, b)| assert_same(a, b));
        }
        (leaf, other) => assert_eq!(leaf, leaf_of(other).unwrap()),
    }
}

fn leaf_of(value: &AMQPValue) -> Option<Value<'_>> {
    Some(match value {
        AMQPValue::Boolean(value) => Value::Bool(*value),
        AMQPValue::ShortShortInt(number) => Value::I8(*number),
        AMQPValue::ShortShortUInt(number) => Value::U8(*number),
        AMQPValue::ShortInt(number) => Value::I16(*number),
        AMQPValue::ShortUInt(number) => Value::U16(*number),
        AMQPValue::LongInt(number) => Value::I32(*number),
        AMQPValue::LongUInt(number) => Value::U32(*number),
        AMQPValue::LongLongInt(number) => Value::I64(*number),
        AMQPValue::Float(number) => Value::F32(*number),
        AMQPValue::Double(number) => Value::F64(*number),
        AMQPValue::DecimalValue(decimal) => {
            Value::Decimal { scale: decimal.scale, value: decimal.value }
        }
        AMQPValue::LongString(octets) => Value::LongStr(octets.as_bytes()),
        AMQPValue::ByteArray(octets) => Value::Bytes(octets.as_slice()),
        AMQPValue::Timestamp(seconds) => Value::Timestamp(*seconds),
        AMQPValue::Void => Value::Void,
        _ => return None,
    })
}

/// Our encoding of their table.
fn build(table: &FieldTable) -> TableBuilder {
    let mut out = TableBuilder::new();
    for (name, value) in table {
        match value {
            AMQPValue::FieldTable(inner) => {
                out.insert(name.as_str(), build(inner).as_table());
            }
            AMQPValue::FieldArray(inner) => {
                out.insert(name.as_str(), build_array(inner).as_array());
            }
            leaf => {
                out.insert(name.as_str(), leaf_of(leaf).unwrap());
            }
        }
    }
    out
}

fn build_array(array: &FieldArray) -> ArrayBuilder {
    let mut out = ArrayBuilder::new();
    for value in array.as_slice() {
        match value {
            AMQPValue::FieldTable(inner) => out.push(build(inner).as_table()),
            AMQPValue::FieldArray(inner) => out.push(build_array(inner).as_array()),
            leaf => out.push(leaf_of(leaf).unwrap()),
        };
    }
    out
}

/// Feeds one method on channel 1 and hands the event to `check`.
fn read_method(class: AMQPClass, check: impl FnOnce(Method<'_>)) {
    let octets = encode(&AMQPFrame::Method(1, class));
    let mut client = Client::running();
    let mut input = octets.as_slice();
    match client.server.poll_event(client.now, &mut input) {
        Some(Event::Method { channel: 1, method, .. }) => check(method),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn declares_and_binds_are_read(
        names in (name(), name(), name()),
        bits in any::<[bool; 5]>(),
        arguments in entries(value()),
    ) {
        let [passive, durable, third, fourth, nowait] = bits;
        let (first, second, key) = (names.0.as_str(), names.1.as_str(), names.2.as_str());
        let declare = queue::Declare {
            queue: short(first), passive, durable, exclusive: third, auto_delete: fourth, nowait,
            arguments: arguments.clone(),
        };
        read_method(AMQPClass::Queue(queue::AMQPMethod::Declare(declare)), |method| {
            let Method::QueueDeclare(ours) = method else { panic!("{method:?}") };
            let read = (ours.queue, ours.passive, ours.durable, ours.exclusive, ours.auto_delete);
            assert_eq!(read, (first, passive, durable, third, fourth));
            assert_eq!(ours.no_wait, nowait);
            assert_same_table(ours.arguments, &arguments);
        });
        let declare = exchange::Declare {
            exchange: short(first), kind: short(second), passive, durable, auto_delete: third,
            internal: fourth, nowait, arguments: arguments.clone(),
        };
        read_method(AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare)), |method| {
            let Method::ExchangeDeclare(ours) = method else { panic!("{method:?}") };
            assert_eq!((ours.exchange, ours.kind, ours.passive), (first, second, passive));
            assert_eq!((ours.durable, ours.auto_delete, ours.internal), (durable, third, fourth));
            assert_same_table(ours.arguments, &arguments);
        });
        let bind = queue::Bind {
            queue: short(first), exchange: short(second), routing_key: short(key), nowait,
            arguments: arguments.clone(),
        };
        read_method(AMQPClass::Queue(queue::AMQPMethod::Bind(bind)), |method| {
            let Method::QueueBind(ours) = method else { panic!("{method:?}") };
            let read = (ours.queue, ours.exchange, ours.routing_key, ours.no_wait);
            assert_eq!(read, (first, second, key, nowait));
            assert_same_table(ours.arguments, &arguments);
        });
        let unbind = queue::Unbind {
            queue: short(first), exchange: short(second), routing_key: short(key),
            arguments: arguments.clone(),
        };
        read_method(AMQPClass::Queue(queue::AMQPMethod::Unbind(unbind)), |method| {
            let Method::QueueUnbind(ours) = method else { panic!("{method:?}") };
            assert_eq!((ours.queue, ours.exchange, ours.routing_key), (first, second, key));
        });
        let bind = exchange::Bind {
            destination: short(first), source: short(second), routing_key: short(key), nowait,
            arguments: arguments.clone(),
        };
        read_method(AMQPClass::Exchange(exchange::AMQPMethod::Bind(bind)), |method| {
            let Method::ExchangeBind(ours) = method else { panic!("{method:?}") };
            let read = (ours.destination, ours.source, ours.routing_key, ours.no_wait);
            assert_eq!(read, (first, second, key, nowait));
        });
        let consume = basic::Consume {
            queue: short(first), consumer_tag: short(second), no_local: passive, no_ack: durable,
            exclusive: third, nowait, arguments: arguments.clone(),
        };
        read_method(AMQPClass::Basic(basic::AMQPMethod::Consume(consume)), |method| {
            let Method::BasicConsume(ours) = method else { panic!("{method:?}") };
            assert_eq!((ours.queue, ours.consumer_tag), (first, second));
            let read = (ours.no_local, ours.no_ack, ours.exclusive, ours.no_wait);
            assert_eq!(read, (passive, durable, third, nowait));
            assert_same_table(ours.arguments, &arguments);
        });
    }

    #[test]
    fn small_methods_are_read(name in name(), bits in any::<[bool; 3]>(), count in any::<u16>()) {
        let [a, b, nowait] = bits;
        let delete = queue::Delete { queue: short(&name), if_unused: a, if_empty: b, nowait };
        read_method(AMQPClass::Queue(queue::AMQPMethod::Delete(delete)), |method| {
            let Method::QueueDelete(ours) = method else { panic!("{method:?}") };
            let read = (ours.queue, ours.if_unused, ours.if_empty, ours.no_wait);
            assert_eq!(read, (name.as_str(), a, b, nowait));
        });
        let purge = queue::Purge { queue: short(&name), nowait };
        read_method(AMQPClass::Queue(queue::AMQPMethod::Purge(purge)), |method| {
            let Method::QueuePurge(ours) = method else { panic!("{method:?}") };
            assert_eq!((ours.queue, ours.no_wait), (name.as_str(), nowait));
        });
        let delete = exchange::Delete { exchange: short(&name), if_unused: a, nowait };
        read_method(AMQPClass::Exchange(exchange::AMQPMethod::Delete(delete)), |method| {
            let Method::ExchangeDelete(ours) = method else { panic!("{method:?}") };
            let read = (ours.exchange, ours.if_unused, ours.no_wait);
            assert_eq!(read, (name.as_str(), a, nowait));
        });
        let qos = basic::Qos { prefetch_count: count, global: a };
        read_method(AMQPClass::Basic(basic::AMQPMethod::Qos(qos)), |method| {
            let Method::BasicQos(ours) = method else { panic!("{method:?}") };
            assert_eq!((ours.prefetch_count, ours.global), (count, a));
        });
        let get = basic::Get { queue: short(&name), no_ack: a };
        read_method(AMQPClass::Basic(basic::AMQPMethod::Get(get)), |method| {
            let Method::BasicGet(ours) = method else { panic!("{method:?}") };
            assert_eq!((ours.queue, ours.no_ack), (name.as_str(), a));
        });
        let cancel = basic::Cancel { consumer_tag: short(&name), nowait };
        read_method(AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)), |method| {
            let Method::BasicCancel(ours) = method else { panic!("{method:?}") };
            assert_eq!((ours.consumer_tag, ours.no_wait), (name.as_str(), nowait));
        });
    }

    #[test]
    fn tables_are_read_and_written_alike(table in entries(value())) {
        let ours = build(&table);
        let parsed = Table::parse(ours.as_table().as_encoded(), TableLimits::default()).unwrap();
        assert_same_table(parsed, &table);
        let mut copy = TableBuilder::new();
        copy.extend(parsed);
        prop_assert_eq!(&copy, &ours);
        // Their encoding of it, out of a header frame.
        let properties = basic::AMQPProperties::default().with_headers(table);
        let header = AMQPContentHeader { class_id: 60, body_size: 0, properties };
        let frame = encode(&AMQPFrame::Header(1, header));
        let theirs = Properties::parse(&frame[19..frame.len() - 1], TableLimits::default()).unwrap();
        prop_assert_eq!(theirs.headers().unwrap(), ours.as_table());
    }

    #[test]
    fn properties_are_read_and_written_alike(
        texts in proptest::collection::vec(proptest::option::of(name()), 10),
        octets in any::<[Option<u8>; 2]>(),
        timestamp in any::<Option<u64>>(),
        body_size in 1..1000u64,
    ) {
        let text = |index: usize| texts[index].as_deref();
        let built = PropertiesBuilder {
            content_type: text(0), content_encoding: text(1), headers: None,
            delivery_mode: octets[0], priority: octets[1], correlation_id: text(2),
            reply_to: text(3), expiration: text(4), message_id: text(5), timestamp,
            kind: text(6), user_id: text(7), app_id: text(8), cluster_id: text(9),
        };
        let encoded = built.encode();
        let payload = [&[0, 60, 0, 0][..], &body_size.to_be_bytes(), &encoded].concat();
        let frames = decode(&crate::client::frame(2, 1, &payload));
        let AMQPFrame::Header(1, theirs) = &frames[0] else { panic!("{frames:?}") };
        let read = &theirs.properties;
        let same = |ours: Option<&str>, theirs: &Option<ShortString>| {
            assert_eq!(ours, theirs.as_ref().map(|text| text.as_str()));
        };
        prop_assert_eq!(theirs.body_size, body_size);
        same(built.content_type, read.content_type());
        same(built.content_encoding, read.content_encoding());
        same(built.correlation_id, read.correlation_id());
        same(built.reply_to, read.reply_to());
        same(built.expiration, read.expiration());
        same(built.message_id, read.message_id());
        same(built.kind, read.kind());
        same(built.user_id, read.user_id());
        same(built.app_id, read.app_id());
        same(built.cluster_id, read.cluster_id());
        prop_assert_eq!(built.delivery_mode, *read.delivery_mode());
        prop_assert_eq!(built.priority, *read.priority());
        prop_assert_eq!(built.timestamp, *read.timestamp());
        prop_assert_eq!(&encode(&frames[0])[19..19 + encoded.len()], &encoded[..]);
        let parsed = Properties::parse(&encoded, TableLimits::default()).unwrap();
        prop_assert_eq!(PropertiesBuilder::from(parsed), built);
    }

    #[test]
    fn deliveries_are_written(
        names in (name(), name(), name()),
        octets in proptest::collection::vec(any::<u8>(), 0..100),
        redelivered in any::<bool>(),
    ) {
        let mut client = Client::running();
        let body = Bytes::from(octets);
        let (consumer_tag, exchange) = (names.0.as_str(), names.1.as_str());
        let routing_key = names.2.as_str();
        let (properties, shared) = (&[0x18, 0, 2, 5][..], Some(&body));
        let content = Content { exchange, routing_key, properties, body: &body, shared };
        let delivery = Delivery { consumer: 1, entry: 1 };
        let no_ack = false;
        let deliver = Deliver { consumer_tag, delivery, no_ack, redelivered, content };
        client.server.deliver(1, &deliver);
        let frames = decode(&client.octets());
        let expected = basic::Deliver {
            consumer_tag: short(consumer_tag), delivery_tag: 1, redelivered,
            exchange: short(exchange), routing_key: short(routing_key),
        };
        let class = AMQPClass::Basic(basic::AMQPMethod::Deliver(expected));
        prop_assert_eq!(&frames[0], &AMQPFrame::Method(1, class));
        let properties =
            basic::AMQPProperties::default().with_delivery_mode(2).with_priority(5);
        let body_size = body.len() as u64;
        let header = AMQPContentHeader { class_id: 60, body_size, properties };
        prop_assert_eq!(&frames[1], &AMQPFrame::Header(1, header));
        if !body.is_empty() {
            prop_assert_eq!(&frames[2], &AMQPFrame::Body(1, body.to_vec()));
        }
    }

    #[test]
    fn replies_are_written(name in name(), counts in any::<(u32, u32)>()) {
        let (message_count, consumer_count) = counts;
        let mut client = Client::running();
        let tag = name.as_str();
        let replies = [
            (ServerMethod::QueueDeclareOk { queue: tag, message_count, consumer_count },
             AMQPClass::Queue(queue::AMQPMethod::DeclareOk(queue::DeclareOk {
                 queue: short(tag), message_count, consumer_count }))),
            (ServerMethod::QueuePurgeOk { message_count },
             AMQPClass::Queue(queue::AMQPMethod::PurgeOk(queue::PurgeOk { message_count }))),
            (ServerMethod::QueueDeleteOk { message_count },
             AMQPClass::Queue(queue::AMQPMethod::DeleteOk(queue::DeleteOk { message_count }))),
            (ServerMethod::QueueBindOk,
             AMQPClass::Queue(queue::AMQPMethod::BindOk(queue::BindOk {}))),
            (ServerMethod::QueueUnbindOk,
             AMQPClass::Queue(queue::AMQPMethod::UnbindOk(queue::UnbindOk {}))),
            (ServerMethod::ExchangeDeclareOk,
             AMQPClass::Exchange(exchange::AMQPMethod::DeclareOk(exchange::DeclareOk {}))),
            (ServerMethod::ExchangeUnbindOk,
             AMQPClass::Exchange(exchange::AMQPMethod::UnbindOk(exchange::UnbindOk {}))),
            (ServerMethod::BasicConsumeOk { consumer_tag: tag },
             AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(basic::ConsumeOk {
                 consumer_tag: short(tag) }))),
            (ServerMethod::BasicCancelOk { consumer_tag: tag },
             AMQPClass::Basic(basic::AMQPMethod::CancelOk(basic::CancelOk {
                 consumer_tag: short(tag) }))),
            (ServerMethod::BasicCancel { consumer_tag: tag },
             AMQPClass::Basic(basic::AMQPMethod::Cancel(basic::Cancel {
                 consumer_tag: short(tag), nowait: true }))),
            (ServerMethod::BasicGetEmpty,
             AMQPClass::Basic(basic::AMQPMethod::GetEmpty(basic::GetEmpty {}))),
            (ServerMethod::BasicQosOk,
             AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {}))),
        ];
        for (ours, theirs) in replies {
            client.server.reply(1, ours);
            prop_assert_eq!(decode(&client.octets()), [AMQPFrame::Method(1, theirs)]);
        }
    }
}
