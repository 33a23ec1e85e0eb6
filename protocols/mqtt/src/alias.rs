//! Topic aliases: numbers for topics, for the time of one connection [MQTT-3.3.2-7].

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::{Error, ReasonCode};

/// The topic of a message that a client publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic<'a> {
    /// As it stands in the packet.
    Name(&'a str),
    /// What an alias stands for.
    Alias(Arc<str>),
}

impl Deref for Topic<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Alias(name) => name,
        }
    }
}

/// The aliases that a client has set, up to the maximum that was announced to it.
#[derive(Debug, Default)]
pub(crate) struct InboundAliases {
    names: Vec<Option<Arc<str>>>,
}

impl InboundAliases {
    /// The topic of a PUBLISH with this alias. A name that is not empty becomes what the alias stands
    /// for.
    pub(crate) fn resolve<'a>(
        &mut self,
        alias: u16,
        name: &'a str,
        max: u16,
    ) -> Result<Topic<'a>, Error> {
        if alias == 0 || alias > max {
            return Err(Error::rule(
                ReasonCode::TopicAliasInvalid,
                "topic alias is 0 or above the announced maximum [MQTT-3.3.2-8, -9]",
            ));
        }
        let at = usize::from(alias) - 1;
        if name.is_empty() {
            let known = self.names.get(at).cloned().flatten();
            return known
                .map(Topic::Alias)
                .ok_or(Error::Protocol("topic alias stands for nothing"));
        }
        if self.names.len() <= at {
            self.names.resize(at + 1, None);
        }
        self.names[at] = Some(name.into());
        Ok(Topic::Name(name))
    }
}

/// The aliases that a client was told: first come, first served.
#[derive(Debug, Default)]
pub(crate) struct OutboundAliases {
    /// Nothing before one was set.
    #[allow(clippy::box_collection, reason = "most connections have none: it takes 8 bytes")]
    numbers: Option<Box<HashMap<Box<str>, u16>>>,
    max: u16,
}

/// How the topic of a PUBLISH is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// By its name.
    Name,
    /// By its name, with the alias that stands for it from now on.
    New(u16),
    /// By its alias alone.
    Alias(u16),
}

impl OutboundAliases {
    pub(crate) fn set_max(&mut self, max: u16) {
        self.max = max;
    }

    /// How a topic is to be sent. A new alias stands once it was [`set`](Self::set).
    #[inline]
    pub(crate) fn find(&self, topic: &str) -> Sent {
        if self.max == 0 {
            return Sent::Name;
        }
        let Some(numbers) = &self.numbers else { return Sent::New(1) };
        match numbers.get(topic) {
            Some(&alias) => Sent::Alias(alias),
            None if numbers.len() < usize::from(self.max) => Sent::New(numbers.len() as u16 + 1),
            None => Sent::Name,
        }
    }

    pub(crate) fn set(&mut self, topic: &str, alias: u16) {
        self.numbers.get_or_insert_default().insert(topic.into(), alias);
    }
}
