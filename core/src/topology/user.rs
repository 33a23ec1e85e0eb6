//! Users and what they may do. Passwords and patterns are checked elsewhere; this only keeps them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Applied, Outcome, Topology, TopologyError};

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// `base64(salt ‖ SHA-256(salt ‖ password))` with 4 bytes of salt; empty for no password login.
    pub password_hash: String,
    /// Tags such as `administrator`.
    pub tags: Vec<String>,
    /// What the user may do, by virtual host. Where there is no entry the user has no access.
    pub permissions: BTreeMap<Arc<str>, Permissions>,
}

/// Regular expressions over names of exchanges and queues, searched without anchors; an empty one
/// matches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// What may be declared and deleted.
    pub configure: String,
    /// What may be published and bound to.
    pub write: String,
    /// What may be consumed and bound from.
    pub read: String,
}

impl Topology {
    /// A user by name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// All users, by name.
    pub fn users(&self) -> impl Iterator<Item = (&str, &User)> {
        self.users.iter().map(|(name, user)| (&**name, user))
    }

    pub(super) fn put_user(
        &mut self,
        name: Arc<str>,
        password_hash: String,
        tags: Vec<String>,
    ) -> Applied {
        let outcome = match self.users.get(&name) {
            None => Outcome::Created,
            Some(user) if user.password_hash == password_hash && user.tags == tags => {
                Outcome::Unchanged
            }
            Some(_) => Outcome::Replaced,
        };
        let user = self.users.entry(name).or_default();
        user.password_hash = password_hash;
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
        self.vhost(&vhost)?;
        let Some(user) = self.users.get_mut(&user) else {
            return Err(TopologyError::UserNotFound(user));
        };
        let outcome = match user.permissions.insert(vhost, permissions.clone()) {
            None => Outcome::Created,
            Some(before) if before == permissions => Outcome::Unchanged,
            Some(_) => Outcome::Replaced,
        };
        Ok(outcome.into())
    }

    pub(super) fn clear_permissions(&mut self, user: &str, vhost: &str) -> Applied {
        let user = self.users.get_mut(user);
        deleted(user.is_some_and(|user| user.permissions.remove(vhost).is_some()))
    }
}

fn deleted(existed: bool) -> Applied {
    if existed { Outcome::Deleted.into() } else { Outcome::Absent.into() }
}
