//! Who may log in.
//!
//! By password or certificate (`logins`, `password.rs`, `backends`), or as users of the topology by
//! SCRAM-SHA-256, whose keys stand beside the hash if the password itself was there when they could be made.

use std::fmt::Display;
use std::net::IpAddr;

use super::Node;
use super::scram::{Exchange, Keys, ScramError};

/// The user that exists from the first start.
pub const GUEST: &str = "guest";

impl Node {
    /// Takes the first message of a SCRAM client; gives the answer to it.
    ///
    /// # Errors
    /// If it is not one. That there is no such user is found out at the end only.
    pub fn begin_scram(&self, client_first: &[u8]) -> Result<(Exchange, String), ScramError> {
        let topology = self.topology();
        let knows = self.backends().knows_internal();
        let keys_of = |name: &str| topology.user(name).filter(|_| knows)?.scram_keys.parse().ok();
        Exchange::begin(client_first, topology.secret(), keys_of)
    }

    /// Takes the last message of a SCRAM client from this address; gives the answer to it.
    ///
    /// # Errors
    /// If the client is not who it says, or may not be here.
    pub fn finish_scram(
        &self,
        exchange: &Exchange,
        client_final: &[u8],
        from: IpAddr,
    ) -> Result<String, ScramError> {
        let user = exchange.user();
        if !self.may_try(from.into()) {
            tracing::warn!(user, %from, "login refused: too many of this address have failed");
            return Err(ScramError::Refused);
        }
        let answer = exchange.finish(client_final).and_then(|answer| {
            let is_allowed = self.may_come_from(user, from);
            is_allowed.then_some(answer).ok_or(ScramError::Refused)
        });
        answer.inspect_err(|error| {
            let why = if self.lacks_scram_keys(user) { &NO_KEYS as &dyn Display } else { error };
            tracing::warn!(user, %from, error = %why, "login refused");
            self.note_failure(from.into());
        })
    }

    fn lacks_scram_keys(&self, user: &str) -> bool {
        let topology = self.topology();
        topology.user(user).is_some_and(|user| user.scram_keys.parse::<Keys>().is_err())
    }

    /// Whether a user may come from this address.
    pub fn may_come_from(&self, user: &str, from: IpAddr) -> bool {
        from.to_canonical().is_loopback() || !self.is_local_only(user)
    }

    fn is_local_only(&self, user: &str) -> bool {
        self.config.loopback_users.iter().any(|local| local == user)
    }
}

/// For the log alone: the client is told the same as one that guesses.
const NO_KEYS: &str = "the user has no SCRAM keys; set its password again";
