//! The way of a scrape to its client: a piece at a time, compressed if the client takes that.
//!
//! What is written and not sent is one piece; whoever writes waits for the client. A client that stops
//! reading loses its scrape, and one whose scrape is not whole is told so.

use std::future::Future;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::text::Text;

/// Where a scrape is written to.
pub struct Output {
    /// What is not sent yet.
    pub text: Text,
    gzip: Option<GzEncoder<Vec<u8>>>,
    to: mpsc::Sender<Piece>,
}

/// Nobody wants the rest.
#[derive(Debug)]
pub struct Gone;

enum Piece {
    Bytes(Bytes),
    /// There is no more.
    End,
}

/// What the client gets.
struct Pieces {
    from: mpsc::Receiver<Piece>,
    has_ended: bool,
}

/// Answers with what `write` writes, and what it has to say at the end.
pub fn respond<W>(headers: &HeaderMap, write: impl FnOnce(Output) -> W) -> Response
where
    W: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let is_compressed = accepts_gzip(headers);
    let (to, from) = mpsc::channel(1);
    let gzip = is_compressed.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    let written = write(Output { text: Text::default(), gzip, to });
    // Without its end, the client knows that what it has is not all. That nobody wants it is no news.
    tokio::spawn(async move { _ = tokio::time::timeout(TIMEOUT, written).await });
    let mut response = Body::new(Pieces { from, has_ended: false }).into_response();
    let headers = response.headers_mut();
    let mut put = |name, value| headers.insert(name, HeaderValue::from_static(value));
    put(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    put(header::CACHE_CONTROL, "no-cache");
    put(header::VARY, "accept-encoding");
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if is_compressed {
        put(header::CONTENT_ENCODING, "gzip");
    }
    response
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = values.filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(','));
    codings.any(|coding| {
        let (name, quality) = coding.split_once(";q=").unwrap_or((coding, "1"));
        name.trim().eq_ignore_ascii_case("gzip")
            && quality.trim().parse::<f32>().is_ok_and(|quality| quality > 0.0)
    })
}

impl Output {
    /// Lets others work, and sends what is written if that is enough for a piece.
    ///
    /// # Errors
    /// If the client has gone.
    pub async fn pause(&mut self) -> Result<(), Gone> {
        if self.text.len() < PIECE_BYTES {
            tokio::task::yield_now().await;
            return Ok(());
        }
        let text = self.text.take();
        let bytes = match &mut self.gzip {
            None => text.into_bytes(),
            Some(gzip) => {
                gzip.write_all(text.as_bytes()).expect("a Vec takes it all");
                std::mem::take(gzip.get_mut())
            }
        };
        self.send(Piece::Bytes(bytes.into())).await
    }

    /// Sends the rest.
    ///
    /// # Errors
    /// If the client has gone.
    pub async fn finish(mut self) -> Result<(), Gone> {
        let text = self.text.take();
        let rest = match self.gzip.take() {
            None => text.into_bytes(),
            Some(mut gzip) => {
                gzip.write_all(text.as_bytes()).expect("a Vec takes it all");
                gzip.finish().expect("a Vec takes it all")
            }
        };
        self.send(Piece::Bytes(rest.into())).await?;
        self.send(Piece::End).await
    }

    async fn send(&self, piece: Piece) -> Result<(), Gone> {
        self.to.send(piece).await.map_err(|_| Gone)
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        self.from.poll_recv(cx).map(|piece| match piece {
            Some(Piece::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => {
                self.has_ended = true;
                None
            }
            None => {
                self.has_ended = true;
                Some(Err(io::ErrorKind::TimedOut.into()))
            }
        })
    }
}

/// What is sent at once.
const PIECE_BYTES: usize = 32 * 1024;
/// The time that a scrape may take, with all its waiting.
const TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scrape_is_whole_only_if_it_was_written_to_its_end() {
        let answer = respond(&HeaderMap::new(), |mut out| async move {
            for _ in 0..10_000 {
                out.text.sample(&[], "0123456789");
                out.pause().await?;
            }
            out.finish().await
        });
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body.len(), 120_000);
        let broken_off = respond(&HeaderMap::new(), |mut out| async move {
            out.text.sample(&[], 1);
            Err(Gone)
        });
        assert!(axum::body::to_bytes(broken_off.into_body(), usize::MAX).await.is_err());
    }

    #[test]
    fn gzip_is_used_for_those_who_accept_it() {
        let accepts = |value: &'static str| {
            let header = (header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            accepts_gzip(&[header].into_iter().collect())
        };
        assert!(accepts("gzip") && accepts("deflate, GZip;q=0.5, br"));
        assert!(!accepts("gzip;q=0") && !accepts("identity") && !accepts("gzip;q=x"));
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
