//! rumqttc's client for MQTT 5.

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::qos;
use rumqttc::v5::mqttbytes::v5::{LastWill, Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::{Client, Connection, Event as Told, MqttOptions};

use crate::peer::{EVENT_MAX, Event, Message, Setup, Wire};

/// A client and its connection.
pub struct V5 {
    pub client: Client,
    connection: Connection,
    /// The last message with its properties.
    pub last: Option<Publish>,
}

impl Wire for V5 {
    fn new(port: u16, setup: &Setup) -> Self {
        let mut options = MqttOptions::new(setup.client_id, "127.0.0.1", port);
        options.set_clean_start(!setup.keep);
        options.set_session_expiry_interval(setup.keep.then_some(3600));
        if let Some((topic, payload)) = setup.will {
            options.set_last_will(LastWill::new(topic, payload, qos(1).unwrap(), false, None));
        }
        if let Some((user, password)) = setup.login {
            options.set_credentials(user, password);
        }
        let (client, connection) = Client::new(options, REQUESTS_MAX);
        Self { client, connection, last: None }
    }

    fn publish(&self, topic: &str, level: u8, retain: bool, payload: &str) {
        self.client.publish(topic, qos(level).unwrap(), retain, payload.to_owned()).unwrap();
    }

    fn subscribe(&self, filter: &str, level: u8) {
        self.client.subscribe(filter, qos(level).unwrap()).unwrap();
    }

    fn unsubscribe(&self, filter: &str) {
        self.client.unsubscribe(filter).unwrap();
    }

    fn disconnect(&self) {
        self.client.disconnect().unwrap();
    }

    fn next(&mut self) -> Result<Event, String> {
        let told = self.connection.recv_timeout(EVENT_MAX).expect("an event in time");
        Ok(match told.map_err(|error| error.to_string())? {
            Told::Incoming(Packet::ConnAck(connack)) => Event::Connected(connack.session_present),
            Told::Incoming(Packet::Publish(publish)) => {
                let message = message(&publish);
                self.last = Some(publish);
                Event::Message(message)
            }
            Told::Incoming(Packet::SubAck(suback)) => {
                Event::Subscribed(suback.return_codes.iter().map(granted).collect())
            }
            Told::Incoming(Packet::UnsubAck(_)) => Event::Unsubscribed,
            Told::Incoming(Packet::PubAck(_) | Packet::PubComp(_))
            | Told::Outgoing(Outgoing::Publish(0)) => Event::Published,
            _ => Event::Other,
        })
    }
}

fn message(publish: &Publish) -> Message {
    Message {
        topic: String::from_utf8(publish.topic.to_vec()).unwrap(),
        payload: String::from_utf8(publish.payload.to_vec()).unwrap(),
        qos: publish.qos as u8,
        retain: publish.retain,
    }
}

fn granted(code: &SubscribeReasonCode) -> Option<u8> {
    match code {
        SubscribeReasonCode::Success(qos) => Some(*qos as u8),
        _ => None,
    }
}

const REQUESTS_MAX: usize = 1_000;
