//! SUBSCRIBE: filters and what is wanted of each.
//!
//! ```text
//! 1000 0010 │ remaining length │ packet id │ properties (MQTT 5) │ filter, options │ …
//! options: 0 0 │ retain handling (2 bits) │ retain as published │ no local │ QoS (2 bits)
//! ```

use super::{Qos, Rules, Version};
use crate::property::{self, Properties, Property};
use crate::read::Reader;
use crate::{Error, ReasonCode, topic};

/// A client's wish to subscribe. Answered by [`crate::Connection::suback`].
#[derive(Debug, Clone, Copy)]
pub struct Subscribe<'a> {
    /// What the answer is to name.
    pub packet_id: u16,
    /// To be sent along with every message that these subscriptions match.
    pub subscription_id: Option<u32>,
    /// All properties, among them those of the user.
    pub properties: Properties<'a>,
    /// At least one.
    pub filters: Filters<'a>,
}

/// One subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// Which topics; not empty, with wildcards in the right places.
    pub filter: &'a str,
    /// The highest QoS to deliver with.
    pub qos: Qos,
    /// Not the client's own messages.
    pub no_local: bool,
    /// Forward the publisher's retain flag.
    pub retain_as_published: bool,
    /// When to send the retained messages.
    pub retain_handling: RetainHandling,
}

/// When a subscription brings the matching retained messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// With every SUBSCRIBE [MQTT-3.3.1-9].
    Send = 0,
    /// If the subscription did not exist [MQTT-3.3.1-10].
    SendIfNew = 1,
    /// Never [MQTT-3.3.1-11].
    DoNotSend = 2,
}

/// The subscriptions of one SUBSCRIBE in order. One that cannot be granted is the reason code that
/// belongs in its place of the SUBACK.
#[derive(Debug, Clone, Copy)]
pub struct Filters<'a> {
    rest: Reader<'a>,
    rules: Rules,
}

impl<'a> Subscribe<'a> {
    pub(crate) fn parse(body: &'a [u8], rules: Rules) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let mut subscription_id = None;
        let section = match rules.version {
            Version::V31 | Version::V3 => &[],
            Version::V5 => reader.section()?,
        };
        let users_max = rules.user_properties_max;
        let properties = property::scan(section, property::SUBSCRIBE, users_max, |property| {
            if let Property::SubscriptionId(id) = property {
                subscription_id = Some(id);
            }
        })?;
        let filters = Filters { rest: reader, rules };
        filters.check()?;
        Ok(Self { packet_id, subscription_id, properties, filters })
    }
}

/// A [`Subscribe`] of an owner who could not deal with it at once.
#[derive(Debug, Clone)]
pub struct OwnedSubscribe {
    packet_id: u16,
    subscription_id: Option<u32>,
    properties: Box<[u8]>,
    filters: Box<[u8]>,
    rules: Rules,
}

impl Subscribe<'_> {
    /// The same, on its own.
    pub fn owned(&self) -> OwnedSubscribe {
        OwnedSubscribe {
            packet_id: self.packet_id,
            subscription_id: self.subscription_id,
            properties: self.properties.as_bytes().into(),
            filters: self.filters.rest.rest().into(),
            rules: self.filters.rules,
        }
    }
}

impl OwnedSubscribe {
    /// As it came.
    pub fn subscribe(&self) -> Subscribe<'_> {
        let rest = Reader::new(&self.filters);
        Subscribe {
            packet_id: self.packet_id,
            subscription_id: self.subscription_id,
            properties: Properties::stored(&self.properties),
            filters: Filters { rest, rules: self.rules },
        }
    }
}

impl<'a> Filters<'a> {
    /// Walks over all entries once, so that iterating cannot fail later.
    fn check(mut self) -> Result<(), Error> {
        if self.rest.is_empty() {
            return Err(Error::Protocol("SUBSCRIBE without a filter [MQTT-3.8.3-2]"));
        }
        while !self.rest.is_empty() {
            self.read()?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Subscription<'a>, Error> {
        let filter = self.rest.string()?;
        let options = self.rest.u8()?;
        if filter.is_empty() {
            return Err(Error::Protocol("topic filter is empty [MQTT-4.7.3-1]"));
        }
        let mut subscription = parse_options(filter, options, self.rules.version)?;
        if subscription.no_local && topic::is_shared(filter) {
            return Err(Error::Protocol("No Local on a shared subscription [MQTT-3.8.3-4]"));
        }
        subscription.no_local |= self.rules.is_bridge;
        subscription.retain_as_published |= self.rules.is_bridge;
        Ok(subscription)
    }
}

impl<'a> Iterator for Filters<'a> {
    type Item = Result<Subscription<'a>, ReasonCode>;

    fn next(&mut self) -> Option<Self::Item> {
        let subscription = self.read().ok()?;
        Some(topic::check_filter(subscription.filter).map(|()| subscription))
    }
}

fn parse_options(filter: &str, bits: u8, version: Version) -> Result<Subscription<'_>, Error> {
    let reserved = if version != Version::V5 { 0b1111_1100 } else { 0b1100_0000 };
    if bits & reserved != 0 {
        return Err(Error::Malformed("reserved subscription options [MQTT-3.8.3-5]"));
    }
    let qos = Qos::from_u8(bits & 3).ok_or(Error::Protocol("QoS of a subscription is 3"))?;
    let retain_handling = match bits >> 4 {
        0 => RetainHandling::Send,
        1 => RetainHandling::SendIfNew,
        2 => RetainHandling::DoNotSend,
        _ => return Err(Error::Protocol("Retain Handling is 3")),
    };
    Ok(Subscription {
        filter,
        qos,
        no_local: bits & 0b0100 != 0,
        retain_as_published: bits & 0b1000 != 0,
        retain_handling,
    })
}
