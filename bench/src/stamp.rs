//! What the first 16 octets of every message say: who sent it as which of its messages, and when.
//!
//! ```text
//!  0        2         4                  9                      16
//!  ┌────────┬─────────┬──────────────────┬──────────────────────┐
//!  │ run    │ stream  │ sequence         │ intended send time   │  big endian
//!  │ 16 bit │ 16 bit  │ 40 bit           │ 56 bit, nanoseconds  │
//!  └────────┴─────────┴──────────────────┴──────────────────────┘
//! ```
//!
//! The run is a random number, so that what is left in a queue from another run is not taken for a
//! message of this one. Times count from the start of the run, by the clock of this process.

use crate::clock::Moment;

/// Octets of a stamp, and so the least size of a message.
pub const LENGTH: usize = 16;

/// One run of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run(pub u16);

/// The messages of one publisher to one queue or topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream(pub u16);

/// The stamp of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The run that it belongs to.
    pub run: Run,
    /// The stream that it belongs to.
    pub stream: Stream,
    /// How many messages of the stream were sent before it.
    pub sequence: u64,
    /// When it should have been sent.
    pub intended: Moment,
}

impl Stamp {
    /// Writes it over the first octets of a body.
    pub fn write(self, body: &mut [u8; LENGTH]) {
        body[0..2].copy_from_slice(&self.run.0.to_be_bytes());
        body[2..4].copy_from_slice(&self.stream.0.to_be_bytes());
        body[4..9].copy_from_slice(&self.sequence.to_be_bytes()[3..]);
        body[9..16].copy_from_slice(&self.intended.0.to_be_bytes()[1..]);
    }

    /// Reads it from the first octets of a body.
    pub fn read(body: &[u8; LENGTH]) -> Stamp {
        let (mut sequence, mut intended) = ([0; 8], [0; 8]);
        sequence[3..].copy_from_slice(&body[4..9]);
        intended[1..].copy_from_slice(&body[9..16]);
        Stamp {
            run: Run(u16::from_be_bytes([body[0], body[1]])),
            stream: Stream(u16::from_be_bytes([body[2], body[3]])),
            sequence: u64::from_be_bytes(sequence),
            intended: Moment(u64::from_be_bytes(intended)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let stamp = Stamp {
            run: Run(0xfedc),
            stream: Stream(u16::MAX),
            sequence: (1 << 40) - 2,
            intended: Moment((1 << 56) - 3),
        };
        let mut body = [0; LENGTH];
        stamp.write(&mut body);
        assert_eq!(Stamp::read(&body), stamp);
    }
}
