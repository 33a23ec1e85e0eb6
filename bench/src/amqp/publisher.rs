//! A publisher: the messages, and the confirms that come back.

use std::sync::atomic::Ordering::Relaxed;

use crate::amqp::client::{CHANNEL, Client, unexpected};
use crate::amqp::wire::{self, Arguments, Frame, MethodId};
use crate::clock::Moment;
use crate::drive::{Peer, Phase, Wait};
use crate::error::Error;
use crate::publisher::{Publisher, Template};

pub const PUBLISH: MethodId = (60, 40);
pub const ACK: MethodId = (60, 80);
const NACK: MethodId = (60, 120);
const BLOCKED: MethodId = (10, 60);

/// The publisher of an AMQP connection.
#[derive(Debug)]
pub struct AmqpPublisher(pub Publisher);

impl Peer for AmqpPublisher {
    fn fill(&mut self, now: Moment, phase: Phase, out: &mut Vec<u8>) -> Wait {
        self.0.fill(now, phase, out)
    }

    fn take(&mut self, now: Moment, input: &[u8], _: &mut Vec<u8>) -> Result<usize, Error> {
        let mut taken = 0;
        while let Some((frame, used)) = wire::frame(&input[taken..])? {
            if let Frame::Method(id, arguments) = frame {
                self.method(now, id, arguments)?;
            }
            taken += used;
        }
        self.0.flush();
        Ok(taken)
    }
}

impl AmqpPublisher {
    fn method(
        &mut self,
        now: Moment,
        id: MethodId,
        mut arguments: Arguments<'_>,
    ) -> Result<(), Error> {
        match id {
            ACK | NACK => {
                let (tag, bits) = (arguments.long_long()?, arguments.octet()?);
                self.settle(now, tag, bits & 1 != 0, id == ACK);
            }
            BLOCKED => {
                self.0.tally().blocked.fetch_add(1, Relaxed);
            }
            _ => unexpected(id, arguments)?,
        }
        Ok(())
    }

    fn settle(&mut self, now: Moment, tag: u64, multiple: bool, confirmed: bool) {
        let Some(window) = self.0.window() else { return };
        let mut settled = Vec::new();
        match multiple {
            true => window.settle_through(tag, |sent| settled.push(sent)),
            false => settled.extend(window.settle(tag)),
        }
        for sent in settled {
            match confirmed {
                true => self.0.confirmed(now, sent),
                false => self.0.refused(sent),
            }
        }
    }
}

/// A message to a queue, through the default exchange.
pub fn template(client: &Client, queue: &str, size: usize, persistent: bool) -> Template {
    let mut octets = Vec::new();
    wire::method(&mut octets, CHANNEL, PUBLISH, |out| {
        out.extend([0, 0]);
        wire::short_string(out, "");
        wire::short_string(out, queue);
        out.push(0);
    });
    let body = vec![b'x'; size];
    let stamp_at = wire::content(&mut octets, CHANNEL, &body, (persistent, client.frame_max));
    Template { octets, stamp_at, identifier_at: None }
}
