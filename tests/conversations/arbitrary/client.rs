//! A client that knows what to expect: it does one thing at a time, and a round trip behind it shows
//! that the broker is done with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::channel::{Channel, Mode};
use super::frames::{Fields, Frame, Id, method};
use super::ledger::{Ledger, id_of};
use super::requests::{self, Request};
use super::step::{Action, KEPT};
use super::wire::Wire;

/// See the module's documentation.
pub struct Client {
    address: SocketAddr,
    frame_max: u32,
    kept: [String; KEPT],
    wire: Option<Wire>,
    channels: BTreeMap<u16, Channel>,
    /// A channel that is being closed: what still comes on it is not for anybody.
    closing: u16,
    content: Option<Content>,
}

/// A message on its way.
struct Content {
    channel: u16,
    /// A delivery or the answer to a get: its tag, and whether it comes again.
    delivery: Option<(u64, bool)>,
    no_ack: bool,
    size: usize,
    body: Vec<u8>,
}

/// What came of a request.
#[derive(Debug, Default)]
struct Outcome {
    replies: Vec<Id>,
    channel_error: Option<(u16, String)>,
    is_connection_closed: bool,
}

const FLOW: &[u8] = &[1];
const FLOW_OK: Id = (20, 21);

impl Client {
    pub fn new(address: SocketAddr, frame_max: u32, kept: [String; KEPT]) -> Self {
        let (channels, wire) = (BTreeMap::new(), None);
        Client { address, frame_max, kept, wire, channels, closing: 0, content: None }
    }

    pub async fn act(&mut self, ledger: &mut Ledger, channel: u16, action: &Action) {
        match action {
            Action::DropConnection => return self.drop_connection(ledger),
            Action::CloseConnection => return self.close(ledger).await,
            Action::CloseChannel if self.channels.contains_key(&channel) => {
                return self.close_channel(ledger, channel).await;
            }
            _ => {}
        }
        if !self.channels.contains_key(&channel) {
            self.open(channel, ledger).await;
        }
        self.request(ledger, channel, action).await;
    }

    /// Takes leave, whether there is a connection or not.
    pub async fn close(&mut self, ledger: &mut Ledger) {
        self.end_channels(ledger);
        if let Some(wire) = &mut self.wire {
            wire.send(&method(0, (10, 50), b"\x00\xc8\x00\x00\x00\x00\x00")).await;
            while let Some(frame) = wire.read().await {
                let is_last = frame.kind == 1 && frame.method().0 == (10, 51);
                if is_last {
                    break;
                }
            }
        }
        self.wire = None;
    }

    pub fn drop_connection(&mut self, ledger: &mut Ledger) {
        self.end_channels(ledger);
        self.wire = None;
    }

    fn end_channels(&mut self, ledger: &mut Ledger) {
        self.content = None;
        std::mem::take(&mut self.channels).values_mut().for_each(|channel| channel.end(ledger));
    }

    async fn open(&mut self, channel: u16, ledger: &mut Ledger) {
        if self.wire.is_none() {
            self.wire = Some(Wire::open(self.address, self.frame_max).await);
        }
        self.channels.insert(channel, Channel::default());
        let open = Request::new(method(channel, (20, 10), &[0])).answered_by((20, 11));
        let outcome = self.exchange(ledger, channel, &open).await;
        assert_eq!(outcome.replies, [(20, 11)], "a channel opens");
    }

    async fn close_channel(&mut self, ledger: &mut Ledger, channel: u16) {
        self.channels.remove(&channel).into_iter().for_each(|mut ended| ended.end(ledger));
        self.closing = channel;
        let Some(wire) = &mut self.wire else { return };
        wire.send(&method(channel, (20, 40), &[0; 7])).await;
        let mut outcome = Outcome::default();
        while !outcome.replies.contains(&(20, 41)) {
            let frame = self.read().await.expect("the connection is open");
            self.handle(ledger, frame, &mut outcome).await;
        }
        self.closing = 0;
    }

    async fn request(&mut self, ledger: &mut Ledger, number: u16, action: &Action) {
        let channel = self.channels.get_mut(&number).expect("it is open");
        let Some(request) = requests::write(action, (number, channel), ledger, &self.kept) else {
            return;
        };
        let outcome = self.exchange(ledger, number, &request).await;
        if let Some((code, text)) = &outcome.channel_error {
            assert!(request.may_fail, "{action:?}: {code} {text}");
            let expected = request.error.as_ref();
            assert!(expected.is_none_or(|error| text == error), "{text} is not {expected:?}");
            return;
        }
        assert!(!outcome.is_connection_closed || request.may_fail, "{action:?} ends all");
        if outcome.is_connection_closed {
            return;
        }
        assert_eq!(request.error, None, "{action:?} is no error");
        let is_answered = request.answers.is_empty()
            || request.answers.iter().any(|answer| outcome.replies.contains(answer));
        assert!(is_answered, "{action:?}: {outcome:?}");
        let channel = self.channels.get_mut(&number).expect("it is open still");
        note(channel, ledger, action);
        self.wait_for_confirms(ledger, number).await;
    }

    /// Sends, and reads until the broker is done with it.
    async fn exchange(&mut self, ledger: &mut Ledger, channel: u16, request: &Request) -> Outcome {
        let octets = [&request.octets[..], &method(channel, (20, 20), FLOW)].concat();
        self.wire.as_mut().expect("it is connected").send(&octets).await;
        let mut outcome = Outcome::default();
        while !outcome.replies.contains(&FLOW_OK)
            && outcome.channel_error.is_none()
            && !outcome.is_connection_closed
        {
            let frame = self.read().await.expect("the broker says why it closes");
            self.handle(ledger, frame, &mut outcome).await;
        }
        outcome.replies.retain(|reply| *reply != FLOW_OK);
        outcome
    }

    async fn wait_for_confirms(&mut self, ledger: &mut Ledger, number: u16) {
        let mut outcome = Outcome::default();
        while self.channels.get(&number).is_some_and(|channel| !channel.is_confirmed()) {
            let frame = self.read().await.expect("the broker confirms");
            self.handle(ledger, frame, &mut outcome).await;
        }
    }

    async fn read(&mut self) -> Option<Frame> {
        self.wire.as_mut()?.read().await
    }

    async fn handle(&mut self, ledger: &mut Ledger, frame: Frame, outcome: &mut Outcome) {
        match frame.kind {
            1 => {
                let (id, fields) = frame.method();
                self.handle_method(ledger, (frame.channel, id), fields, outcome).await;
            }
            2 => self.handle_header(ledger, &frame),
            3 => self.handle_body(ledger, &frame),
            kind => panic!("a frame of kind {kind}"),
        }
    }

    async fn handle_method(
        &mut self,
        ledger: &mut Ledger,
        (number, id): (u16, Id),
        mut fields: Fields<'_>,
        outcome: &mut Outcome,
    ) {
        assert!(self.content.is_none(), "{id:?} comes in the middle of a message");
        match id {
            (10, 50) => {
                let (code, text) = (fields.u16(), fields.short());
                assert!(matches!(code, 503 | 504 | 530 | 540), "{code} {text}");
                self.end_channels(ledger);
                let mut wire = self.wire.take().expect("it is connected");
                wire.send(&method(0, (10, 51), &[])).await;
                wire.read_to_end().await;
                outcome.is_connection_closed = true;
            }
            (20, 40) => {
                let error = (fields.u16(), fields.short().to_owned());
                let ended = self.channels.remove(&number);
                ended.expect("it was open").end(ledger);
                let close_ok = method(number, (20, 41), &[]);
                self.wire.as_mut().expect("it is connected").send(&close_ok).await;
                outcome.channel_error = Some(error);
            }
            (60, 60 | 71) => {
                let is_get = id == (60, 71);
                let tag = if is_get { "" } else { fields.short() };
                let delivery = (fields.u64(), fields.u8() == 1);
                self.begin_delivery(number, tag, delivery, is_get);
                outcome.replies.extend(is_get.then_some(id));
            }
            (60, 50) => self.begin_content(number, None),
            (60, 80 | 120) => {
                let (sequence, multiple) = (fields.u64(), id == (60, 80) && fields.u8() == 1);
                if let Some(channel) = self.channels.get_mut(&number) {
                    channel.confirm(sequence, multiple);
                }
            }
            (60, 30) => {
                let tag = fields.short();
                self.channels.entry(number).and_modify(|channel| {
                    channel.consumers.remove(tag);
                });
            }
            (60, 111) => {
                // What was on its way goes back, too.
                let channel = self.channels.get_mut(&number);
                channel.expect("it is open").recover(ledger);
                outcome.replies.push(id);
            }
            _ => outcome.replies.push(id),
        }
    }

    fn begin_delivery(&mut self, number: u16, tag: &str, delivery: (u64, bool), is_get: bool) {
        self.begin_content(number, Some(delivery));
        let Some(channel) = self.channels.get_mut(&number) else {
            return assert_eq!(number, self.closing, "a delivery on a channel that is closed");
        };
        channel.last_tag += 1;
        assert_eq!(channel.last_tag, delivery.0, "delivery tags count up");
        let no_ack = match is_get {
            true => channel.gets_no_ack,
            false => {
                let consumer = channel.consumers.get(tag);
                *consumer.unwrap_or_else(|| panic!("a delivery for {tag}, which is nobody"))
            }
        };
        self.content.iter_mut().for_each(|content| content.no_ack = no_ack);
    }

    fn begin_content(&mut self, channel: u16, delivery: Option<(u64, bool)>) {
        let (no_ack, body) = (false, Vec::new());
        self.content = Some(Content { channel, delivery, no_ack, size: usize::MAX, body });
    }

    fn handle_header(&mut self, ledger: &mut Ledger, frame: &Frame) {
        let content = self.content.as_mut().expect("a method announces a header");
        let mut fields = Fields(&frame.payload);
        fields.take(4);
        content.size = fields.u64() as usize;
        assert!(frame.payload.len() + 8 <= self.frame_max as usize);
        self.finish_content(ledger, frame.channel);
    }

    fn handle_body(&mut self, ledger: &mut Ledger, frame: &Frame) {
        let content = self.content.as_mut().expect("a header announces a body");
        content.body.extend_from_slice(&frame.payload);
        assert!(frame.payload.len() + 8 <= self.frame_max as usize);
        self.finish_content(ledger, frame.channel);
    }

    fn finish_content(&mut self, ledger: &mut Ledger, number: u16) {
        let Some(content) = self.content.take_if(|content| content.body.len() >= content.size)
        else {
            return;
        };
        assert_eq!((content.body.len(), content.channel), (content.size, number));
        let Some((tag, redelivered)) = content.delivery else { return };
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let id = id_of(&content.body);
        id.into_iter().for_each(|id| ledger.deliver(id, redelivered));
        match content.no_ack {
            true => id.into_iter().for_each(|id| ledger.settle(id)),
            false => _ = channel.held.insert(tag, id),
        }
    }
}

/// What a request has changed, now that the broker has carried it out.
fn note(channel: &mut Channel, ledger: &mut Ledger, action: &Action) {
    match action {
        Action::ConfirmSelect => channel.mode = Mode::Confirm,
        Action::TxSelect => channel.mode = Mode::Transactional,
        Action::TxCommit => channel.end_commit(ledger),
        Action::Forward { is_committed: true, .. } if channel.mode == Mode::Transactional => {
            channel.end_commit(ledger);
        }
        Action::TxRollback => channel.roll_back(),
        Action::Cancel { tag } => _ = channel.consumers.remove(*tag),
        _ => {}
    }
}
