//! A consumer: the messages, and its acknowledgements.

use crate::amqp::client::{CHANNEL, unexpected};
use crate::amqp::publisher::ACK;
use crate::amqp::wire::{self, Arguments, Frame, MethodId};
use crate::clock::Moment;
use crate::consumer::{Body, Consumer};
use crate::drive::{Peer, Phase, Wait};
use crate::error::Error;
use crate::stamp::LENGTH;

const DELIVER: MethodId = (60, 60);

/// The consumer of an AMQP connection: it may consume from several queues. Its consumer tags are the
/// numbers of their ledgers.
#[derive(Debug)]
pub struct AmqpConsumer {
    consumer: Consumer,
    /// After how many messages an acknowledgement is sent; none at all for automatic ones.
    ack_every: Option<u32>,
    unacked: u32,
    tag: u64,
    ledger: usize,
    /// How much of the body has not come yet.
    missing: u64,
    length: u64,
    head: [u8; LENGTH],
    head_length: usize,
}

impl AmqpConsumer {
    /// Acknowledges after so many messages.
    pub fn new(consumer: Consumer, ack_every: Option<u32>) -> AmqpConsumer {
        AmqpConsumer {
            consumer,
            ack_every,
            unacked: 0,
            tag: 0,
            ledger: 0,
            missing: 0,
            length: 0,
            head: [0; LENGTH],
            head_length: 0,
        }
    }

    fn frame(&mut self, now: Moment, frame: Frame<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        match frame {
            Frame::Method(DELIVER, arguments) => self.deliver(arguments)?,
            Frame::Method(id, arguments) => unexpected(id, arguments)?,
            Frame::Header(length) => {
                (self.missing, self.length, self.head_length) = (length, length, 0);
                if length == 0 {
                    self.received(now, out);
                }
            }
            Frame::Body(part) => self.body(now, part, out)?,
            Frame::Heartbeat => {}
        }
        Ok(())
    }

    fn deliver(&mut self, mut arguments: Arguments<'_>) -> Result<(), Error> {
        let digits = arguments.short_string()?.iter();
        let decimal =
            |sum: usize, digit: &u8| sum.wrapping_mul(10).wrapping_add((digit & 15).into());
        self.ledger = digits.fold(0, decimal);
        self.tag = arguments.long_long()?;
        Ok(())
    }

    fn body(&mut self, now: Moment, part: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let left = self.missing.checked_sub(part.len() as u64);
        self.missing = left.ok_or(wire::protocol("a body is longer than its header says"))?;
        let wanted = (LENGTH - self.head_length).min(part.len());
        self.head[self.head_length..][..wanted].copy_from_slice(&part[..wanted]);
        self.head_length += wanted;
        if self.missing == 0 {
            self.received(now, out);
        }
        Ok(())
    }

    fn received(&mut self, now: Moment, out: &mut Vec<u8>) {
        let body = Body { head: &self.head[..self.head_length], length: self.length };
        self.consumer.received(now, self.ledger, body);
        let Some(every) = self.ack_every else { return };
        self.unacked += 1;
        if self.unacked >= every {
            self.ack(out);
        }
    }

    fn ack(&mut self, out: &mut Vec<u8>) {
        let multiple = self.unacked > 1;
        wire::method(out, CHANNEL, ACK, |out| {
            out.extend(self.tag.to_be_bytes());
            out.push(u8::from(multiple));
        });
        self.unacked = 0;
    }
}

impl Peer for AmqpConsumer {
    fn fill(&mut self, _: Moment, phase: Phase, out: &mut Vec<u8>) -> Wait {
        if phase != Phase::End {
            return Wait::Input;
        }
        if self.unacked > 0 {
            self.ack(out);
        }
        Wait::Nothing
    }

    fn take(&mut self, now: Moment, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Error> {
        let mut taken = 0;
        while let Some((frame, used)) = wire::frame(&input[taken..])? {
            self.frame(now, frame, out)?;
            taken += used;
        }
        self.consumer.flush(now);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;
    use crate::ledger::Ledger;
    use crate::stamp::{Run, Stamp, Stream};
    use crate::tally::Tally;

    /// A delivery of message `sequence` as it comes from a broker, its body in small frames.
    fn delivery(tag: u64, sequence: u64) -> Vec<u8> {
        let mut body = [0; 40];
        let stamp = Stamp { run: Run(9), stream: Stream(0), sequence, intended: Moment(5) };
        stamp.write(body.first_chunk_mut().unwrap());
        let mut out = Vec::new();
        wire::method(&mut out, CHANNEL, DELIVER, |out| {
            wire::short_string(out, "0");
            out.extend(tag.to_be_bytes());
            out.push(0);
            wire::short_string(out, "");
            wire::short_string(out, "q");
        });
        wire::content(&mut out, CHANNEL, &body, (false, 13));
        out
    }

    fn fed(input: &[u8], chunk: usize, ack_every: Option<u32>) -> (Arc<Tally>, Vec<u8>) {
        let ledgers = vec![Ledger::new("q".to_owned(), 0, 1, 1)];
        let tally = Arc::new(Tally::new(Run(9), 1, ledgers));
        let mut consumer = AmqpConsumer::new(Consumer::new(Arc::clone(&tally)), ack_every);
        let (mut pending, mut out) = (Vec::new(), Vec::new());
        for part in input.chunks(chunk) {
            pending.extend_from_slice(part);
            let taken = consumer.take(Moment(8), &pending, &mut out).unwrap();
            pending.drain(..taken);
        }
        assert_eq!(consumer.fill(Moment(9), Phase::End, &mut out), Wait::Nothing);
        (tally, out)
    }

    #[test]
    fn lost_doubled_and_late_messages_are_told_apart_however_the_input_is_cut() {
        let sequences = [0, 1, 3, 2, 3, 6];
        let input: Vec<u8> =
            (1..).zip(sequences).flat_map(|(tag, seq)| delivery(tag, seq)).collect();
        for chunk in [1, 7, 64, input.len()] {
            let (tally, _) = fed(&input, chunk, None);
            let page = tally.ledgers[0].lock();
            assert_eq!((page.received, page.duplicated, page.out_of_order), (5, 1, 1), "{chunk}");
            assert_eq!((tally.received.load(Relaxed), tally.unique.load(Relaxed)), (6, 5));
            assert_eq!(tally.received_octets.load(Relaxed), 6 * 40);
        }
    }

    #[test]
    fn acknowledgements_come_every_so_many_and_at_the_end() {
        let input: Vec<u8> = (1..=5).flat_map(|tag| delivery(tag, tag)).collect();
        let (_, out) = fed(&input, input.len(), Some(2));
        let (mut rest, mut acks) = (&out[..], Vec::new());
        while let Some((Frame::Method(ACK, mut arguments), used)) = wire::frame(rest).unwrap() {
            acks.push((arguments.long_long().unwrap(), arguments.octet().unwrap()));
            rest = &rest[used..];
        }
        assert_eq!(acks, [(2, 1), (4, 1), (5, 0)]);
    }

    #[test]
    fn a_body_that_is_too_long_is_an_error() {
        let mut consumer =
            AmqpConsumer::new(Consumer::new(Arc::new(Tally::new(Run(0), 0, vec![]))), None);
        assert!(consumer.frame(Moment(0), Frame::Header(3), &mut vec![]).is_ok());
        assert!(consumer.frame(Moment(0), Frame::Body(b"four"), &mut vec![]).is_err());
    }
}
