//! A client at a port for HTTP: whether the broker works for it, or waits for it.
//!
//! It keeps its place while its request is being answered. When the broker waits for it, and others wait
//! for a place, it may have to go: soon if it has not asked for anything, and later if the rest of its
//! request does not come, or it takes nothing of its answer. A request whose place is lost before it has
//! come whole is not carried out.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Error;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};

use crate::server::places::{A_WHILE, Place};

/// See the module's documentation.
pub struct Guest {
    place: Place,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    /// A request has come, and not all of its answer has been made.
    has_asked: bool,
    /// The next piece of its body has not come.
    owes_body: bool,
    /// The client has room for nothing more.
    is_full: bool,
}

/// The body of a request, as it comes.
struct Asked {
    body: Incoming,
    guest: Arc<Guest>,
}

/// The body of an answer, until all of it is made.
struct Answered {
    body: Body,
    guest: Arc<Guest>,
}

impl Guest {
    /// Has connected.
    pub fn new(place: Place) -> Arc<Self> {
        Arc::new(Guest { place, state: Mutex::default() })
    }

    /// Waits until the client has to go.
    pub async fn lost(&self) {
        self.place.lost().await;
    }

    /// The head of a request has come; gives its body, which is the client's to send.
    ///
    /// # Errors
    /// If the client has to go.
    pub fn asks(self: &Arc<Self>, body: Incoming) -> io::Result<Body> {
        match self.note(|state| state.has_asked = true) {
            true => Ok(Body::new(Asked { body, guest: self.clone() })),
            false => Err(lost()),
        }
    }

    /// The answer to the request.
    pub fn answer(self: &Arc<Self>, body: Body) -> Body {
        Body::new(Answered { body, guest: self.clone() })
    }

    /// Whether the client has room for what it is sent.
    pub fn set_full(&self, is_full: bool) {
        self.note(|state| state.is_full = is_full);
    }

    /// Says whether it still has its place.
    fn note(&self, change: impl FnOnce(&mut State)) -> bool {
        // Held until the place knows, so that it learns of changes in their order.
        let mut state = self.state.lock().expect("nothing panics while it holds the state");
        let before = *state;
        change(&mut state);
        if *state == before {
            return true;
        }
        match state.patience() {
            Some(patience) => self.place.wait(patience),
            None => return self.place.work(),
        }
        true
    }
}

impl State {
    /// How long the broker waits for the client at the least; none if it does not wait.
    fn patience(self) -> Option<Duration> {
        match self {
            State { is_full: true, .. } | State { owes_body: true, .. } => Some(LONG_WHILE),
            State { has_asked: true, .. } => None,
            State { .. } => Some(A_WHILE),
        }
    }
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match self.guest.note(|state| state.owes_body = frame.is_pending()) {
            true => frame.map_err(Error::new),
            false => Poll::Ready(Some(Err(Error::new(lost())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Asked {
    /// Nobody waits for the rest.
    fn drop(&mut self) {
        self.guest.note(|state| state.owes_body = false);
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.guest.note(|state| state.has_asked = false);
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "others wait, and the client has kept silent for long")
}

/// What a client has in any case for the next piece of a request, or to take some of an answer.
const LONG_WHILE: Duration = Duration::from_secs(10);
