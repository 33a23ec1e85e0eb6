//! What is noted: logins, entries into virtual hosts, changes.

use super::{Audit, Record};
use crate::server::Node;
use crate::server::address::Address;
use crate::server::connections::Peer;
use crate::server::counts::Dialect;

/// A client that wants to be somebody.
#[derive(Debug, Clone, Copy)]
pub struct LoginAttempt<'a> {
    /// Who.
    pub user: &'a str,
    /// What it speaks.
    pub dialect: Dialect,
    /// How it shows that: `PLAIN`, `SCRAM-SHA-256`, …
    pub mechanism: &'static str,
    /// Whether it is let in.
    pub is_user: bool,
}

/// Something that somebody did to the broker or to what is in it.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What: `queue.delete`, …
    pub action: &'static str,
    /// The virtual host.
    pub vhost: &'a str,
    /// To what.
    pub name: &'a str,
}

impl Node {
    /// Notes an event, if events are noted at all.
    pub fn audit(&self, record: impl FnOnce() -> Record) {
        if let Some(audit) = self.audit.get() {
            audit.note(record());
        }
    }

    /// Whether events are noted.
    pub fn is_audited(&self) -> bool {
        self.audit.get().is_some()
    }

    /// How many events were lost, if events are noted.
    pub fn audit_events_lost(&self) -> Option<u64> {
        self.audit.get().map(Audit::lost)
    }

    /// Goes on in a new file if the one that was written has been moved away; says whether there is one.
    /// Waits for the disk.
    pub fn reopen_audit(&self) -> bool {
        self.audit.get().map(Audit::reopen).is_some()
    }

    /// The broker stops, and everything that was noted is to be in the file.
    pub fn end_audit(&self) {
        if let Some(audit) = self.audit.get() {
            audit.note(Record::new("stop"));
            audit.close();
        }
    }

    /// A client has logged in, or was refused.
    pub fn audit_login(&self, peer: &Peer, attempt: LoginAttempt<'_>) {
        self.audit(|| {
            let certificate = peer.link.tls.as_ref().and_then(|tls| tls.client());
            let record = of_login(&peer.link.peer, attempt);
            match certificate {
                Some(certificate) => record.text("certificate", &certificate.subject),
                None => record,
            }
        });
    }

    /// Somebody has logged in at the management API, or was refused and told why.
    pub fn audit_http_login(&self, peer: &Address, user: &str, refused: Option<&str>) {
        let is_user = refused.is_none();
        let attempt = LoginAttempt { user, dialect: Dialect::Http, mechanism: "PLAIN", is_user };
        self.audit(|| match refused {
            Some(reason) => of_login(peer, attempt).text("reason", reason),
            None => of_login(peer, attempt),
        });
    }

    /// A client is in its virtual host, or was told why not.
    pub fn audit_entry(&self, peer: &Peer, (user, vhost): (&str, &str), refused: Option<&str>) {
        self.audit(|| {
            let record = Record::new("open").text("outcome", outcome(refused.is_none()));
            let record = record.text("user", user).text("peer", &peer.link.peer.to_string());
            let record = record.text("vhost", vhost);
            match refused {
                Some(reason) => record.text("reason", reason),
                None => record,
            }
        });
    }

    /// A client has changed something, or was told why it may not.
    pub fn audit_change(&self, peer: &Peer, user: &str, change: Change<'_>) {
        self.audit(|| {
            let Change { action, vhost, name } = change;
            let record = Record::new("change").text("outcome", outcome(true)).text("user", user);
            let record = record.text("peer", &peer.link.peer.to_string()).text("action", action);
            record.text("vhost", vhost).text("name", name)
        });
    }

    /// A client was refused something for want of permissions.
    pub fn audit_refusal(&self, peer: &Peer, (user, vhost): (&str, &str), reason: &str) {
        self.audit(|| {
            let record = Record::new("refused").text("outcome", outcome(false)).text("user", user);
            let record = record.text("peer", &peer.link.peer.to_string());
            record.text("vhost", vhost).text("reason", reason)
        });
    }
}

fn of_login(peer: &Address, attempt: LoginAttempt<'_>) -> Record {
    let LoginAttempt { user, dialect, mechanism, is_user } = attempt;
    Record::new("login")
        .text("outcome", outcome(is_user))
        .text("user", user)
        .text("peer", &peer.to_string())
        .text("protocol", dialect.name())
        .text("mechanism", mechanism)
}

/// How something ended.
pub fn outcome(is_done: bool) -> &'static str {
    if is_done { "success" } else { "failure" }
}
