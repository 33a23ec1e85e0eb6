//! Random histories against small models of what the standard says.

use std::collections::BTreeMap;

use leveret_mqtt::{Config, Delivery, Qos, ReasonCode, Version};
use proptest::prelude::*;

use crate::support::*;

const WINDOW: u16 = 4;

#[derive(Debug, Clone, Copy)]
enum Step {
    Deliver(u16, Qos),
    /// First byte of the packet, identifier, whether it carries a failure.
    Ack(u8, u16, bool),
    Release(u16),
}

/// What a delivery waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    Puback,
    Pubrec,
    Broker,
    Pubcomp,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 1..7u16;
    let qos = prop::sample::select(vec![Qos::AtLeastOnce, Qos::ExactlyOnce]);
    let acks = prop::sample::select(vec![PUBACK, PUBREC, PUBREC, PUBCOMP]);
    prop_oneof![
        2 => (id(), qos).prop_map(|(id, qos)| Step::Deliver(id, qos)),
        3 => (acks, id(), prop::bool::weighted(0.1)).prop_map(|(it, id, bad)| Step::Ack(it, id, bad)),
        2 => id().prop_map(Step::Release),
    ]
}

/// What an acknowledgement does: `Err` for a protocol error, else the events.
fn acknowledge(
    flights: &mut BTreeMap<u16, Waits>,
    (first, id, is_bad): (u8, u16, bool),
) -> Result<Vec<Seen>, ()> {
    let Some(waits) = flights.get_mut(&id) else { return Ok(vec![]) };
    match (first, *waits) {
        (PUBACK, Waits::Puback) | (PUBCOMP, Waits::Pubcomp) => {
            flights.remove(&id);
            Ok(vec![Seen::Settled(u64::from(id))])
        }
        (PUBREC, Waits::Pubrec) if is_bad => {
            flights.remove(&id);
            Ok(vec![Seen::Settled(u64::from(id))])
        }
        (PUBREC, Waits::Pubrec) => {
            *waits = Waits::Broker;
            Ok(vec![Seen::Received(u64::from(id), id)])
        }
        (PUBREC, Waits::Broker | Waits::Pubcomp) if !is_bad => Ok(vec![]),
        _ => Err(()),
    }
}

fn ack_bytes(first: u8, id: u16, is_bad: bool) -> Vec<u8> {
    match (first, is_bad) {
        (PUBCOMP, true) => packet(first, &[&id.to_be_bytes(), &[0x92]]),
        (_, true) => packet(first, &[&id.to_be_bytes(), &[0x80]]),
        _ => ack(first, id),
    }
}

proptest! {
    #[test]
    fn deliveries_follow_their_model(steps in prop::collection::vec(step(), 1..60)) {
        let config = Config { in_flight_max: WINDOW, ..Config::default() };
        let mut server = Server::configured(Version::V5, config);
        let mut flights = BTreeMap::new();
        for step in steps {
            match step {
                Step::Deliver(id, qos) => {
                    let is_free = !flights.contains_key(&id) && flights.len() < usize::from(WINDOW);
                    let expected = if is_free { Delivery::Sent } else { Delivery::Blocked };
                    prop_assert_eq!(server.deliver(qos, id, u64::from(id)), expected);
                    let waits = if qos == Qos::AtLeastOnce { Waits::Puback } else { Waits::Pubrec };
                    if is_free {
                        flights.insert(id, waits);
                    }
                }
                Step::Ack(first, id, is_bad) => {
                    let seen = server.send(&ack_bytes(first, id, is_bad));
                    match acknowledge(&mut flights, (first, id, is_bad)) {
                        Ok(expected) => prop_assert_eq!(seen, expected),
                        Err(()) => {
                            prop_assert_eq!(reason(&seen), ReasonCode::ProtocolError);
                            return Ok(());
                        }
                    }
                }
                Step::Release(id) => {
                    server.out();
                    server.connection.pubrel(id);
                    let is_due = flights.get(&id) == Some(&Waits::Broker);
                    let expected = if is_due { ack(PUBREL, id) } else { vec![] };
                    prop_assert_eq!(server.out(), expected);
                    if is_due {
                        flights.insert(id, Waits::Pubcomp);
                    }
                }
            }
        }
    }

    #[test]
    fn answers_in_any_order_leave_in_the_order_of_the_messages(
        messages in prop::collection::vec((any::<bool>(), any::<bool>()), 1..40),
        order in Just((0..40).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let mut server = Server::connected(Version::V5);
        let ids = 1..;
        let messages: Vec<_> = ids.zip(messages).map(|(id, (is_qos1, is_refused))| {
            let qos = if is_qos1 { Qos::AtLeastOnce } else { Qos::ExactlyOnce };
            let code = if is_refused { ReasonCode::NotAuthorized } else { ReasonCode::Success };
            (id, qos, code)
        }).collect();
        for &(id, qos, _) in &messages {
            server.send(&publish(Version::V5, qos, id));
        }
        let mut answered = vec![false; messages.len()];
        let mut due = 0;
        for index in order.into_iter().filter(|&index| index < messages.len()) {
            let (id, qos, code) = messages[index];
            server.connection.publish_ack(id, qos, code);
            answered[index] = true;
            let mut expected = Vec::new();
            while answered.get(due) == Some(&true) {
                let (id, qos, code) = messages[due];
                let first = if qos == Qos::AtLeastOnce { PUBACK } else { PUBREC };
                let code = if code.is_failure() { &[code as u8][..] } else { &[] };
                expected.extend(packet(first, &[&id.to_be_bytes(), code]));
                due += 1;
            }
            prop_assert_eq!(server.out(), expected);
        }
        prop_assert_eq!(due, messages.len());
    }
}
