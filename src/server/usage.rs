//! How many connections and channels virtual hosts and users have, against how many they may have.
//!
//! What is counted is a [`Slot`], which is given back when it is dropped. A limit that becomes lower
//! ends nothing: it holds for what comes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use leveret_core::Limit;

use super::Node;
use super::connections::Peer;
use super::limits::Limit as Named;

/// The counts of a node.
#[derive(Debug, Default)]
pub struct Usage(Mutex<BTreeMap<Counted, u64>>);

/// What is counted, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    ConnectionsOfVhost(Arc<str>),
    ConnectionsOfUser(Arc<str>),
    ChannelsOfUser(Arc<str>),
    Channels,
}

/// One of those that are counted.
#[derive(Debug)]
pub struct Slot {
    usage: Arc<Usage>,
    counted: Counted,
}

/// The place of a connection: among those of its virtual host, and of its user.
#[derive(Debug)]
pub struct Admission {
    _vhost: Slot,
    _user: Slot,
}

/// The place of a channel: among those of the node, and of its user.
#[derive(Debug)]
pub struct ChannelAdmission {
    _node: Slot,
    _user: Slot,
}

/// There are as many as there may be. The texts are RabbitMQ's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts are the documentation")]
pub enum LimitReached {
    #[error("connection refused: node connection limit ({max}) is reached")]
    NodeConnections { max: u64 },
    #[error("connection refused: connection limit of the client's address ({max}) is reached")]
    AddressConnections { max: u32 },
    #[error("connection refused: the client's address makes more than {max} connections a second")]
    AddressRate { max: u32 },
    #[error(
        "access to vhost '{vhost}' refused for user '{user}': connection limit ({max}) is reached"
    )]
    VhostConnections { vhost: Arc<str>, user: Arc<str>, max: u64 },
    #[error("connection refused for user '{user}': user connection limit ({max}) is reached")]
    UserConnections { user: Arc<str>, max: u64 },
    #[error(
        "number of channels opened for user '{user}' has reached the maximum allowed user limit of \
         ({max})"
    )]
    UserChannels { user: Arc<str>, max: u64 },
    #[error(
        "number of channels opened on the node has reached the maximum allowed limit of ({max})"
    )]
    NodeChannels { max: u64 },
}

impl Usage {
    /// A slot, unless there are `max` already: then that number.
    fn take(self: &Arc<Self>, counted: Counted, max: Option<u64>) -> Result<Slot, u64> {
        let mut counts = self.lock();
        let count = counts.get(&counted).copied().unwrap_or_default();
        if let Some(max) = max.filter(|&max| count >= max) {
            return Err(max);
        }
        counts.insert(counted.clone(), count + 1);
        Ok(Slot { usage: self.clone(), counted })
    }

    /// How many channels there are.
    pub fn channels(&self) -> u64 {
        self.lock().get(&Counted::Channels).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Counted, u64>> {
        self.0.lock().expect("nothing panics while it holds the counts")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.usage.lock();
        if let Some(count) = counts.get_mut(&self.counted) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.counted);
            }
        }
    }
}

impl Node {
    /// Lets a connection into a virtual host.
    ///
    /// # Errors
    /// If the node, the virtual host or the user has as many as it may.
    pub fn admit(
        &self,
        peer: &Peer,
        user: &Arc<str>,
        vhost: &Arc<str>,
    ) -> Result<Admission, LimitReached> {
        // Counted when it came.
        if let Some(reached) = &peer.surplus {
            return Err(LimitReached::clone(reached));
        }
        let admitted = self.admit_to(vhost, user);
        admitted.inspect_err(|reached| self.refusals.note(Named::from(reached)))
    }

    fn admit_to(&self, vhost: &Arc<str>, user: &Arc<str>) -> Result<Admission, LimitReached> {
        let [of_vhost, of_user] = {
            let topology = self.topology();
            [topology.vhost_limits(vhost), topology.user_limits(user)]
                .map(|limits| Limit::MaxConnections.max(limits))
        };
        let slot = self.usage.take(Counted::ConnectionsOfVhost(vhost.clone()), of_vhost);
        let vhost_slot = slot.map_err(|max| {
            let (vhost, user) = (vhost.clone(), user.clone());
            LimitReached::VhostConnections { vhost, user, max }
        })?;
        let slot = self.usage.take(Counted::ConnectionsOfUser(user.clone()), of_user);
        let user_slot =
            slot.map_err(|max| LimitReached::UserConnections { user: user.clone(), max })?;
        Ok(Admission { _vhost: vhost_slot, _user: user_slot })
    }

    /// Lets a user open a channel.
    ///
    /// # Errors
    /// If the user or the node has as many as it may.
    pub fn admit_channel(&self, user: &Arc<str>) -> Result<ChannelAdmission, LimitReached> {
        let admitted = self.take_channel(user);
        admitted.inspect_err(|reached| self.refusals.note(Named::from(reached)))
    }

    fn take_channel(&self, user: &Arc<str>) -> Result<ChannelAdmission, LimitReached> {
        let max = Limit::MaxChannels.max(self.topology().user_limits(user));
        let slot = self.usage.take(Counted::ChannelsOfUser(user.clone()), max);
        let user_slot =
            slot.map_err(|max| LimitReached::UserChannels { user: user.clone(), max })?;
        let slot = self.usage.take(Counted::Channels, Some(self.config.channels_max.into()));
        let node_slot = slot.map_err(|max| LimitReached::NodeChannels { max })?;
        Ok(ChannelAdmission { _node: node_slot, _user: user_slot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str) -> Counted {
        Counted::ChannelsOfUser(user.into())
    }

    #[test]
    fn a_slot_that_is_given_back_can_be_taken_again() {
        let usage = Arc::new(Usage::default());
        let first = usage.take(of("a"), Some(2)).unwrap();
        let second = usage.take(of("a"), Some(2)).unwrap();
        assert_eq!(usage.take(of("a"), Some(2)).unwrap_err(), 2);
        assert!(usage.take(of("b"), Some(1)).is_ok(), "others have their own");
        assert!(usage.take(of("a"), None).is_ok());
        drop(first);
        let third = usage.take(of("a"), Some(2)).unwrap();
        drop((second, third));
        assert!(usage.lock().is_empty(), "nothing is kept of those that are gone");
    }

    #[test]
    fn a_limit_of_none_lets_nobody_in() {
        assert_eq!(Arc::new(Usage::default()).take(of("a"), Some(0)).unwrap_err(), 0);
    }
}
