//! What publishers of both protocols share: which message is sent when, and what became of it.
//!
//! A message is a template, with the stamp and the packet identifier written over it: copying it is
//! all that there is to do, so that the broker is measured and not this program.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::clock::Moment;
use crate::drive::{OUTPUT, Phase, Wait};
use crate::pace::Pace;
use crate::stamp::{LENGTH, Run, Stamp, Stream};
use crate::tally::Tally;
use crate::window::{Sent, Window};

/// A message in its protocol's form.
#[derive(Debug, Clone)]
pub struct Template {
    /// All of it.
    pub octets: Vec<u8>,
    /// Where the body begins.
    pub stamp_at: usize,
    /// Where the packet identifier is, if there is one.
    pub identifier_at: Option<usize>,
}

/// The messages of a publisher to one queue or topic.
#[derive(Debug)]
pub struct Outgoing {
    /// Which stream of the run they are.
    pub stream: Stream,
    /// What is sent.
    pub template: Template,
    next: u64,
}

impl Outgoing {
    /// None is sent yet.
    pub fn new(stream: Stream, template: Template) -> Outgoing {
        Outgoing { stream, template, next: 0 }
    }
}

/// What a publisher does, apart from its protocol.
#[derive(Debug)]
pub struct Publisher {
    run: Run,
    streams: Vec<Outgoing>,
    turn: usize,
    pace: Pace,
    limit: Option<u64>,
    window: Option<Window>,
    tally: Arc<Tally>,
    confirm_times: Vec<Duration>,
    /// Whether it has been noted when its last message left.
    ended: bool,
}

impl Publisher {
    /// A publisher that sends at this pace, at most `limit` messages, of which at most a window is
    /// unsettled.
    pub fn new(
        tally: Arc<Tally>,
        streams: Vec<Outgoing>,
        pace: Pace,
        limit: Option<u64>,
        window: Option<Window>,
    ) -> Publisher {
        let run = tally.run;
        let confirm_times = Vec::new();
        Publisher { run, streams, turn: 0, pace, limit, window, tally, confirm_times, ended: false }
    }

    /// Writes the messages that are due.
    pub fn fill(&mut self, now: Moment, phase: Phase, out: &mut Vec<u8>) -> Wait {
        if phase != Phase::Run || self.is_done() {
            self.end(now);
            let settled = self.window.as_ref().is_none_or(Window::is_empty);
            return if settled || phase == Phase::End { Wait::Nothing } else { Wait::Input };
        }
        let (before, mut sent) = (out.len(), 0);
        let wait = loop {
            if out.len() >= OUTPUT {
                break Wait::Room;
            }
            if self.is_done() {
                // Looked at anew, when this has been written.
                break Wait::Room;
            }
            if self.window.as_ref().is_some_and(Window::is_full) {
                break Wait::Input;
            }
            let intended = self.pace.next(now);
            if intended > now {
                break Wait::Until(intended);
            }
            self.write(intended, out);
            sent += 1;
        };
        if sent > 0 {
            self.tally.published.fetch_add(sent, Relaxed);
            self.tally.published_octets.fetch_add((out.len() - before) as u64, Relaxed);
            self.tally.note_publish(now);
        }
        wait
    }

    /// Notes when the last message left. That may be long after it was written, if the broker reads
    /// slowly: only then is there room for more.
    fn end(&mut self, now: Moment) {
        if !self.ended {
            self.ended = true;
            self.tally.note_publish(now);
        }
    }

    /// What is counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The window of messages that were sent and not settled.
    pub fn window(&mut self) -> Option<&mut Window> {
        self.window.as_mut()
    }

    /// Whether it has sent all of its messages.
    fn is_done(&self) -> bool {
        self.limit.is_some_and(|limit| self.pace.done() >= limit)
    }

    fn write(&mut self, intended: Moment, out: &mut Vec<u8>) {
        let turn = self.turn;
        self.turn = (turn + 1) % self.streams.len();
        let outgoing = &mut self.streams[turn];
        let (stream, sequence) = (outgoing.stream, outgoing.next);
        outgoing.next += 1;
        let start = out.len();
        out.extend_from_slice(&outgoing.template.octets);
        let octets = &mut out[start..];
        let stamp = Stamp { run: self.run, stream, sequence, intended };
        let body = octets[at(outgoing.template.stamp_at, LENGTH)].first_chunk_mut();
        stamp.write(body.expect("it is that long"));
        if let Some(window) = &mut self.window {
            if let Some(place) = outgoing.template.identifier_at {
                octets[at(place, 2)].copy_from_slice(&window.next_identifier().to_be_bytes());
            }
            window.push(Sent { stream, intended });
        }
        self.pace.advance();
        self.tally.sent(stream);
    }

    /// The broker has taken responsibility for a message.
    pub fn confirmed(&mut self, now: Moment, sent: Sent) {
        self.confirm_times.push(now.since(sent.intended));
    }

    /// The broker has not.
    pub fn refused(&mut self, sent: Sent) {
        self.tally.refused(sent.stream);
    }

    /// Tells others what has been confirmed, once for all of an input.
    pub fn flush(&mut self) {
        self.tally.confirmed.fetch_add(self.confirm_times.len() as u64, Relaxed);
        self.tally.confirm_times.record(self.confirm_times.drain(..));
    }
}

fn at(start: usize, length: usize) -> Range<usize> {
    start..start + length
}
