//! Properties of an MQTT 5 PUBLISH: those that the broker can say itself are the same when it does.

use leveret_mqtt::{Properties, PropertiesBuilder, Property};

use super::{KIB, within};

pub fn run(octets: &[u8]) {
    within(16 * KIB + 256 * octets.len(), || {
        let said: Vec<_> = Properties::stored(octets).iter().filter(can_be_said).collect();
        let built = said.iter().fold(PropertiesBuilder::new(), say).build();
        let again: Vec<_> = Properties::stored(&built).iter().collect();
        assert_eq!(again, said);
    });
}

fn can_be_said(property: &Property<'_>) -> bool {
    match property {
        Property::ResponseTopic(topic) => !topic.is_empty() && !topic.contains(['+', '#']),
        Property::PayloadFormat(is_text) => *is_text,
        Property::MessageExpiry(_)
        | Property::ContentType(_)
        | Property::CorrelationData(_)
        | Property::User(..) => true,
        _ => false,
    }
}

fn say(so_far: PropertiesBuilder, property: &Property<'_>) -> PropertiesBuilder {
    match property {
        Property::PayloadFormat(_) => so_far.payload_is_text(),
        Property::MessageExpiry(seconds) => so_far.message_expiry(*seconds),
        Property::ContentType(text) => so_far.content_type(text),
        Property::ResponseTopic(topic) => so_far.response_topic(topic),
        Property::CorrelationData(data) => so_far.correlation_data(data),
        Property::User(name, value) => so_far.user(name, value),
        _ => so_far,
    }
}
