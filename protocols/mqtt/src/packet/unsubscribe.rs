//! UNSUBSCRIBE: filters to forget.
//!
//! ```text
//! 1010 0010 │ remaining length │ packet id │ properties (MQTT 5) │ filter │ …
//! ```

use super::{Rules, Version};
use crate::property::{self, Properties};
use crate::read::Reader;
use crate::{Error, ReasonCode, topic};

/// A client's wish to unsubscribe. Answered by [`crate::Connection::unsuback`].
#[derive(Debug, Clone, Copy)]
pub struct Unsubscribe<'a> {
    /// What the answer is to name.
    pub packet_id: u16,
    /// Properties of the user.
    pub properties: Properties<'a>,
    /// At least one.
    pub filters: UnsubscribeFilters<'a>,
}

/// The filters of one UNSUBSCRIBE in order; an impossible one is the reason code that belongs in
/// its place of the UNSUBACK.
#[derive(Debug, Clone, Copy)]
pub struct UnsubscribeFilters<'a> {
    rest: Reader<'a>,
}

impl<'a> Unsubscribe<'a> {
    pub(crate) fn parse(body: &'a [u8], rules: Rules) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let section = match rules.version {
            Version::V31 | Version::V3 => &[],
            Version::V5 => reader.section()?,
        };
        let users_max = rules.user_properties_max;
        let properties = property::scan(section, property::UNSUBSCRIBE, users_max, |_| ())?;
        let filters = UnsubscribeFilters { rest: reader };
        filters.check()?;
        Ok(Self { packet_id, properties, filters })
    }
}

impl<'a> UnsubscribeFilters<'a> {
    /// Walks over all entries once, so that iterating cannot fail later.
    fn check(mut self) -> Result<(), Error> {
        if self.rest.is_empty() {
            return Err(Error::Protocol("UNSUBSCRIBE without a filter [MQTT-3.10.3-2]"));
        }
        while !self.rest.is_empty() {
            self.read()?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<&'a str, Error> {
        let filter = self.rest.string()?;
        if filter.is_empty() {
            return Err(Error::Protocol("topic filter is empty [MQTT-4.7.3-1]"));
        }
        Ok(filter)
    }
}

impl<'a> Iterator for UnsubscribeFilters<'a> {
    type Item = Result<&'a str, ReasonCode>;

    fn next(&mut self) -> Option<Self::Item> {
        let filter = self.read().ok()?;
        Some(topic::check_filter(filter).map(|()| filter))
    }
}
