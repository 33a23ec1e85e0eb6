//! The same packets through another implementation, whose client talks to our server.

use bytes::Bytes;
use leveret_mqtt::{
    Config, ConnAck, Deliver, Delivery, Event, Qos, Reason, ReasonCode, SessionState, Version,
};
use mqtt_protocol_core::mqtt;
use mqtt_protocol_core::mqtt::packet::{GenericPacket, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::prelude::*;
use proptest::prelude::*;

use crate::support::*;

type Client = mqtt::Connection<mqtt::role::Client>;

/// The other implementation's client next to our server.
struct Pair {
    client: Client,
    server: Server,
}

impl Pair {
    fn connected(version: Version) -> Self {
        let theirs =
            if version == Version::V3 { mqtt::Version::V3_1_1 } else { mqtt::Version::V5_0 };
        let mut client = Client::new(theirs);
        client.set_auto_pub_response(true);
        let events = match version {
            Version::V31 | Version::V3 => client.checked_send(
                v3_1_1::Connect::builder()
                    .client_id("me")
                    .unwrap()
                    .clean_session(true)
                    .keep_alive(60)
                    .build()
                    .unwrap(),
            ),
            Version::V5 => client.checked_send(
                v5_0::Connect::builder()
                    .client_id("me")
                    .unwrap()
                    .clean_start(true)
                    .keep_alive(60)
                    .build()
                    .unwrap(),
            ),
        };
        let mut pair = Self { client, server: Server::new(Config::default()) };
        assert_eq!(pair.server.send(&sent(&events)), [Seen::Connect("me".into())]);
        let connack = ConnAck { assigned_client_id: Some("x"), ..ConnAck::default() };
        pair.server.connection.accept(pair.server.now, connack, SessionState::default()).unwrap();
        let received = pair.pass_to_client();
        assert_eq!(received.len(), 1, "{received:?}");
        pair
    }

    /// Hands our output to the client and its answers to us, until both are silent.
    fn pass_to_client(&mut self) -> Vec<GenericPacket<u16>> {
        let mut received = Vec::new();
        loop {
            let bytes = self.server.out();
            if bytes.is_empty() {
                return received;
            }
            let mut cursor = mqtt::common::Cursor::new(&bytes[..]);
            while (cursor.position() as usize) < bytes.len() {
                let events = self.client.recv(&mut cursor);
                let answers = sent(&events);
                received.extend(events.into_iter().filter_map(packet_of));
                self.pass_to_server(&answers);
            }
        }
    }

    /// Hands bytes to us; every event is answered at once.
    fn pass_to_server(&mut self, bytes: &[u8]) -> Vec<Seen> {
        let seen = self.server.send(bytes);
        for event in &seen {
            let connection = &mut self.server.connection;
            match event {
                Seen::Publish(it) => {
                    connection.publish_ack(it.packet_id, it.qos, ReasonCode::Success)
                }
                Seen::Release(id) => connection.release_done(*id),
                Seen::Received(_, id) => connection.pubrel(*id),
                Seen::Subscribe(id, _, filters) => {
                    connection.suback(*id, &vec![ReasonCode::GrantedQos1; filters.len()], "");
                }
                _ => (),
            }
        }
        seen
    }
}

fn packet_of(event: mqtt::connection::Event) -> Option<GenericPacket<u16>> {
    match event {
        mqtt::connection::Event::NotifyPacketReceived(packet) => Some(packet),
        mqtt::connection::Event::NotifyError(error) => panic!("the client objects: {error:?}"),
        _ => None,
    }
}

fn sent(events: &[mqtt::connection::Event]) -> Vec<u8> {
    let packets = events.iter().filter_map(|event| match event {
        mqtt::connection::Event::RequestSendPacket { packet, .. } => Some(packet),
        _ => None,
    });
    packets.flat_map(|packet| packet.to_continuous_buffer()).collect()
}

fn theirs(qos: Qos) -> mqtt::packet::Qos {
    match qos {
        Qos::AtMostOnce => mqtt::packet::Qos::AtMostOnce,
        Qos::AtLeastOnce => mqtt::packet::Qos::AtLeastOnce,
        Qos::ExactlyOnce => mqtt::packet::Qos::ExactlyOnce,
    }
}

const ALL_QOS: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

#[test]
fn their_client_publishes_to_us_with_every_qos() {
    for (version, qos) in BOTH.into_iter().flat_map(|it| ALL_QOS.map(|qos| (it, qos))) {
        let mut pair = Pair::connected(version);
        let id = (qos != Qos::AtMostOnce).then(|| pair.client.acquire_packet_id().unwrap());
        let events = match version {
            Version::V31 | Version::V3 => {
                let builder = v3_1_1::Publish::builder().topic_name("a/b").unwrap();
                let builder = builder.qos(theirs(qos)).payload(b"hi");
                let builder = if let Some(id) = id { builder.packet_id(id) } else { builder };
                pair.client.checked_send(builder.build().unwrap())
            }
            Version::V5 => {
                let builder = v5_0::Publish::builder().topic_name("a/b").unwrap();
                let builder = builder.qos(theirs(qos)).payload(b"hi");
                let builder = if let Some(id) = id { builder.packet_id(id) } else { builder };
                pair.client.checked_send(builder.build().unwrap())
            }
        };
        let seen = pair.pass_to_server(&sent(&events));
        let [Seen::Publish(message)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!((&*message.topic, &*message.payload), ("a/b", &b"hi"[..]));
        assert_eq!((message.qos, message.packet_id), (qos, id.unwrap_or(0)));
        let answers = pair.pass_to_client().len();
        assert_eq!(answers, [0, 1, 2][qos as usize]);
    }
}

#[test]
fn we_publish_to_their_client_with_every_qos() {
    for (version, qos) in BOTH.into_iter().flat_map(|it| ALL_QOS.map(|qos| (it, qos))) {
        let mut pair = Pair::connected(version);
        let payload = Bytes::from_static(b"hi");
        let packet_id = if qos == Qos::AtMostOnce { 0 } else { 9 };
        let delivery = pair.server.connection.deliver(&Deliver {
            qos,
            packet_id,
            properties: &[1, 1, 38, 0, 1, b'k', 0, 1, b'v'],
            message_expiry: Some(30),
            subscription_ids: &[1, 200_000],
            ..message(&payload)
        });
        assert_eq!(delivery, Delivery::Sent);
        let received = pair.pass_to_client();
        assert_eq!(received.len(), if qos == Qos::ExactlyOnce { 2 } else { 1 });
        let (topic, theirs) = match &received[0] {
            GenericPacket::V3_1_1Publish(it) => (it.topic_name(), it.payload().as_slice()),
            GenericPacket::V5_0Publish(it) => (it.topic_name(), it.payload().as_slice()),
            other => panic!("{other:?}"),
        };
        assert_eq!((topic, theirs), ("a/b", &b"hi"[..]));
        let free = pair.server.deliver(Qos::AtLeastOnce, 9, 1);
        assert_eq!(free, Delivery::Sent, "the handshake is over");
    }
}

#[test]
fn their_client_understands_every_packet_that_we_write() {
    let codes = [ReasonCode::GrantedQos2, ReasonCode::TopicFilterInvalid];
    let mut server = Server::connected(Version::V5);
    server.connection.suback(1, &codes, "");
    server.connection.unsuback(2, &[ReasonCode::NoSubscriptionExisted], "");
    let out = server.out();
    assert!(v5_0::Suback::parse(&out[2..7]).is_ok_and(|(_, len)| len == 5));
    assert!(v5_0::Unsuback::parse(&out[9..]).is_ok());
    server.connection.disconnect(ReasonCode::ServerShuttingDown);
    assert!(v5_0::Disconnect::parse(&server.out()[2..]).is_ok());
    for reason in (0x80..=0xa2).filter_map(ReasonCode::from_u8) {
        let mut server = Server::new(Config::default());
        server.send(&connect(Version::V5));
        server.connection.refuse(reason);
        let connack = server.out();
        let theirs = v5_0::Connack::parse(&connack[2..]);
        let is_listed =
            matches!(reason as u8, 0x80..=0x8a | 0x8c | 0x90 | 0x95 | 0x97 | 0x99..=0x9d | 0x9f);
        assert_eq!(theirs.is_ok(), is_listed, "{reason}");
    }
}

#[test]
fn their_client_understands_what_we_explain() {
    let why = Reason::new(ReasonCode::NotAuthorized, "the user may not");
    let mut server = Server::connected(Version::V5);
    server.send(&publish(Version::V5, Qos::AtLeastOnce, 1));
    server.connection.publish_ack(1, Qos::AtLeastOnce, why);
    assert!(v5_0::Puback::parse(&server.out()[2..]).is_ok_and(|(it, _)| it.props().is_some()));
    server.connection.suback(2, &[why.code], why.text);
    assert!(v5_0::Suback::parse(&server.out()[2..]).is_ok_and(|(it, _)| it.props().len() == 1));
    server.connection.unsuback(3, &[why.code], why.text);
    assert!(v5_0::Unsuback::parse(&server.out()[2..]).is_ok_and(|(it, _)| it.props().len() == 1));
    server.connection.disconnect(why);
    assert!(v5_0::Disconnect::parse(&server.out()[2..]).is_ok_and(|(it, _)| it.props().is_some()));

    let mut server = Server::new(Config::default());
    let method = [&[0x15][..], &field("M")].concat();
    server.send(&connect_with(5, 2, &method, &[&field("me")]));
    server.connection.challenge(b"more").unwrap();
    assert!(v5_0::Auth::parse(&server.out()[2..]).is_ok_and(|(it, _)| it.props().is_some()));
}

proptest! {
    /// Whatever we take, they take too and read the same; they may take more, since we refuse
    /// control characters and more user properties than configured.
    #[test]
    fn a_damaged_publish_means_the_same_to_both(
        qos in 0..3u8,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let properties = [1, 1, 2, 0, 0, 0, 9, 3, 0, 1, b't', 8, 0, 1, b'r', 38, 0, 1, b'k', 0, 0];
        let mut bytes = publish_with(Version::V5, qos << 1, 5, &properties);
        for (index, byte) in damage {
            // The header stays: both get the same flags and length.
            let index = 2 + index.index(bytes.len() - 2);
            bytes[index] = byte;
        }
        let mut server = Server::connected(Version::V5);
        let mut input = &bytes[..];
        let event = server.connection.poll_event(server.now, &mut input);
        let body: std::sync::Arc<[u8]> = bytes[2..].into();
        if let Some(Event::Publish(ours)) = event {
            let (theirs, _) = v5_0::Publish::parse(bytes[0] & 0xf, body).expect("we took it");
            prop_assert_eq!(&*ours.topic, theirs.topic_name());
            prop_assert_eq!(ours.payload, theirs.payload().as_slice());
            prop_assert_eq!(ours.packet_id, theirs.packet_id().unwrap_or(0));
        }
    }

    #[test]
    fn their_subscribe_is_ours(
        filters in prop::collection::vec("[a-z]{1,5}(/[a-z]{1,5}){0,3}(/#)?", 1..5),
        id in 1..=u16::MAX,
    ) {
        let entries = filters.iter().map(|filter| {
            mqtt::packet::SubEntry::new(filter, mqtt::packet::SubOpts::new()).unwrap()
        });
        let subscribe =
            v5_0::Subscribe::builder().packet_id(id).entries(entries.collect::<Vec<_>>()).build().unwrap();
        let mut server = Server::connected(Version::V5);
        let seen = server.send(&subscribe.to_continuous_buffer());
        let [Seen::Subscribe(ours, None, results)] = &seen[..] else { panic!("{seen:?}") };
        prop_assert_eq!((*ours, results.len()), (id, filters.len()));
        for (result, filter) in results.iter().zip(&filters) {
            let quoted = format!("{filter:?}");
            prop_assert!(result.as_ref().is_ok_and(|it| it.contains(&quoted)));
        }
    }
}
