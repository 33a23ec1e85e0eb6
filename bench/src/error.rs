//! What can go wrong, in words for whoever runs the program.

use std::io;

/// Why a run ended, or did not begin.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Options do not go together.
    #[error("{0}")]
    Options(String),
    /// Nobody listens, or the name is unknown.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// Where to.
        address: String,
        /// What the operating system says.
        reason: String,
    },
    /// The broker does not let us in.
    #[error("the broker refuses the connection: {0}")]
    Refused(String),
    /// The broker closed the connection or the channel, and said why.
    #[error("the broker closed the connection: {0}")]
    Closed(String),
    /// The broker refuses one thing.
    #[error("the broker refuses to {what}: {reason}")]
    Denied {
        /// What was asked for.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The connection is gone.
    #[error("the connection is gone: {0}")]
    Gone(String),
    /// The broker sent what the protocol does not allow.
    #[error("the broker sent what is no {protocol}: {what}")]
    Protocol {
        /// AMQP or MQTT.
        protocol: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// No answer came.
    #[error("the broker has not answered for {seconds} s: {what}")]
    Silent {
        /// What was asked for.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The broker's process cannot be looked at.
    #[error("cannot read about process {pid}: {reason}")]
    Process {
        /// Its id.
        pid: u32,
        /// What the operating system says.
        reason: String,
    },
    /// This process lacks something.
    #[error("{0}")]
    Local(String),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Gone(error.to_string())
    }
}
