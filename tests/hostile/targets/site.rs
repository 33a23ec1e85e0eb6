//! A broker and requests to its management API: one for many inputs, until something makes it
//! unusable, such as the deletion of its only user.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use leveret::config::{ByteSize, Engine};
use leveret::{Broker, Config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

thread_local! {
    static SITE: RefCell<Option<Site>> = const { RefCell::new(None) };
}

pub struct Site {
    runtime: Runtime,
    broker: Broker,
}

/// The head of an answer, and as much of its body as came before the end or the limit.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Lends the broker of this thread; `false` means that it has had its day.
pub fn with(run: impl FnOnce(&Site) -> bool) {
    SITE.with_borrow_mut(|site| {
        if !run(site.get_or_insert_with(Site::start)) {
            *site = None;
        }
    });
}

impl Site {
    fn start() -> Site {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let config = Config {
            storage_engine: Engine::Memory,
            shards: 2,
            disk_free_min: ByteSize(0),
            memory_max: ByteSize(u64::MAX),
            ..Config::local("not-used")
        };
        let broker = runtime.block_on(async {
            // Without a `main` of Rust's, it would end the process.
            _ = signal(SignalKind::pipe()).expect("a signal can be handled");
            Broker::start(config).await.expect("nothing is in its way")
        });
        Site { runtime, broker }
    }

    /// A request as guest, with a body of JSON.
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: here\r\nAuthorization: {GUEST}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let answer = self.exchange(&[head.as_bytes(), body].concat(), false);
        answer.expect("a request that is whole is answered")
    }

    /// Sends octets, and then perhaps that there are no more. The first answer, if there is one.
    pub fn exchange(&self, octets: &[u8], then_end: bool) -> Option<Answer> {
        self.runtime.block_on(ask(self.broker.http_address(), octets, then_end))
    }
}

/// The same at any address.
pub async fn ask(address: SocketAddr, octets: &[u8], then_end: bool) -> Option<Answer> {
    let exchange = async {
        let mut socket = TcpStream::connect(address).await.expect("it listens");
        // Who answers before it has read all of it may close the connection.
        _ = socket.write_all(octets).await;
        if then_end {
            _ = socket.shutdown().await;
        }
        let mut received = Vec::new();
        while !is_enough(&received) && received.len() < ANSWER_BYTES_MAX {
            match socket.read_buf(&mut received).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        received
    };
    let received = timeout(DEADLINE, exchange).await;
    Answer::read(&received.expect("the broker answers, or ends the connection"))
}

impl Answer {
    fn read(received: &[u8]) -> Option<Answer> {
        let status = received.strip_prefix(b"HTTP/1.1 ").or(received.strip_prefix(b"HTTP/1.0 "))?;
        let status = str::from_utf8(status.get(..3)?).ok()?.parse().ok()?;
        let head = head_len(received)?;
        Some(Answer { status, body: received[head..].to_vec() })
    }
}

/// Whether it is an answer of which no more has to be waited for: some go on for as long as one listens.
fn is_enough(received: &[u8]) -> bool {
    let Some(head) = head_len(received) else { return false };
    let text = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let len = text.split("content-length: ").nth(1).and_then(|it| it.lines().next());
    match len.and_then(|len| len.trim().parse::<usize>().ok()) {
        Some(len) => received.len() >= head + len,
        None => true,
    }
}

fn head_len(received: &[u8]) -> Option<usize> {
    received.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

const GUEST: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";
const DEADLINE: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: usize = 4 << 20;
