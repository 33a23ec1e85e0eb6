//! Users and what they may do. Passwords are checked elsewhere; this only keeps them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Applied, Limits, Outcome, TopicPermissions, Topology, TopologyError};
use crate::pattern::NamePattern;

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// A hash that says by its form what it was made with; empty for no password login. This crate
    /// only keeps it.
    pub password_hash: String,
    /// What SCRAM-SHA-256 needs to know of the password, in the form of RFC 5803; empty if that is
    /// not known.
    pub scram_keys: String,
    /// Tags such as `administrator`.
    pub tags: Vec<String>,
    /// What the user may do, by virtual host. Where there is no entry the user has no access.
    pub permissions: BTreeMap<Arc<str>, Permissions>,
    /// What the user may do with single topics, by virtual host and exchange. Where there is no entry
    /// the permissions for the exchange say it all.
    pub topic_permissions: BTreeMap<Arc<str>, BTreeMap<Arc<str>, TopicPermissions>>,
    /// How much the user may have at a time.
    pub limits: Limits,
}

/// Patterns for names of exchanges and queues.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// What may be declared and deleted.
    pub configure: NamePattern,
    /// What may be published and bound to.
    pub write: NamePattern,
    /// What may be consumed and bound from.
    pub read: NamePattern,
}

/// What is done with an exchange or a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Declare and delete.
    Configure,
    /// Publish and bind to.
    Write,
    /// Consume, get, purge and bind from.
    Read,
}

impl User {
    /// Whether the user has a tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|known| known == tag)
    }
}

impl Permissions {
    /// Those of a user who may do everything.
    pub fn everything() -> Self {
        let all = NamePattern::everything;
        Permissions { configure: all(), write: all(), read: all() }
    }

    /// Whether this may be done with what has this name.
    pub fn allow(&self, right: Right, name: &str) -> bool {
        match right {
            Right::Configure => self.configure.matches(name),
            Right::Write => self.write.matches(name),
            Right::Read => self.read.matches(name),
        }
    }
}

impl Topology {
    /// A user by name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// The name of a user: if there is that user, one that all share who ask for it.
    pub fn user_name(&self, name: &str) -> Arc<str> {
        self.users.get_key_value(name).map_or_else(|| name.into(), |(known, _)| known.clone())
    }

    /// All users, by name.
    pub fn users(&self) -> impl Iterator<Item = (&str, &User)> {
        self.users.iter().map(|(name, user)| (&**name, user))
    }

    /// What nobody but the broker knows, once it is set: unknown users are told something that is
    /// derived from it, the same every time.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    pub(super) fn set_secret(&mut self, secret: Arc<str>) -> Applied {
        let outcome = match &*self.secret {
            "" => Outcome::Created,
            before if *before == *secret => Outcome::Unchanged,
            _ => Outcome::Replaced,
        };
        self.secret = secret;
        outcome.into()
    }

    pub(super) fn put_user(
        &mut self,
        name: Arc<str>,
        (password_hash, scram_keys): (String, String),
        tags: Vec<String>,
    ) -> Applied {
        let outcome = match self.users.get(&name) {
            None => Outcome::Created,
            Some(user)
                if user.password_hash == password_hash
                    && user.scram_keys == scram_keys
                    && user.tags == tags =>
            {
                Outcome::Unchanged
            }
            Some(_) => Outcome::Replaced,
        };
        let user = self.users.entry(name).or_default();
        user.password_hash = password_hash;
        user.scram_keys = scram_keys;
        user.tags = tags;
        outcome.into()
    }

    pub(super) fn delete_user(&mut self, name: &str) -> Applied {
        deleted(self.users.remove(name).is_some())
    }

    pub(super) fn set_permissions(
        &mut self,
        user: Arc<str>,
        vhost: Arc<str>,
        permissions: Permissions,
    ) -> Result<Applied, TopologyError> {
        let user = self.user_in(&user, &vhost)?;
        Ok(put(&mut user.permissions, vhost, permissions))
    }

    pub(super) fn clear_permissions(&mut self, user: &str, vhost: &str) -> Applied {
        let user = self.users.get_mut(user);
        deleted(user.is_some_and(|user| user.permissions.remove(vhost).is_some()))
    }

    pub(super) fn set_topic_permissions(
        &mut self,
        user: Arc<str>,
        vhost: Arc<str>,
        exchange: Arc<str>,
        permissions: TopicPermissions,
    ) -> Result<Applied, TopologyError> {
        let user = self.user_in(&user, &vhost)?;
        Ok(put(user.topic_permissions.entry(vhost).or_default(), exchange, permissions))
    }

    /// For one exchange, or for all.
    pub(super) fn clear_topic_permissions(
        &mut self,
        user: &str,
        vhost: &str,
        exchange: Option<&str>,
    ) -> Applied {
        let Some(user) = self.users.get_mut(user) else { return Outcome::Absent.into() };
        let by_vhost = &mut user.topic_permissions;
        let Some(exchange) = exchange else { return deleted(by_vhost.remove(vhost).is_some()) };
        let Some(by_exchange) = by_vhost.get_mut(vhost) else { return Outcome::Absent.into() };
        let existed = by_exchange.remove(exchange).is_some();
        if by_exchange.is_empty() {
            by_vhost.remove(vhost);
        }
        deleted(existed)
    }

    /// A user, for something that concerns a virtual host.
    fn user_in(&mut self, user: &Arc<str>, vhost: &str) -> Result<&mut User, TopologyError> {
        self.vhost(vhost)?;
        self.users.get_mut(user).ok_or_else(|| TopologyError::UserNotFound(Arc::clone(user)))
    }
}

/// Puts something under a name, and says what that did.
pub(super) fn put<K: Ord, T: PartialEq>(into: &mut BTreeMap<K, T>, name: K, value: T) -> Applied {
    match into.get_mut(&name) {
        None => _ = into.insert(name, value),
        Some(before) if *before == value => return Outcome::Unchanged.into(),
        Some(before) => {
            *before = value;
            return Outcome::Replaced.into();
        }
    }
    Outcome::Created.into()
}

pub(super) fn deleted(existed: bool) -> Applied {
    if existed { Outcome::Deleted.into() } else { Outcome::Absent.into() }
}
