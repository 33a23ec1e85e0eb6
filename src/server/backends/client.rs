//! Requests to the servers of backends: HTTP/1.1, with or without TLS.
//!
//! There are so many at a time; each has to be over in time, whatever it waits for. Connections are used again,
//! for a while: a server that has moved is found where it is now. Answers are short, redirections are not followed.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::uri::{PathAndQuery, Scheme};
use axum::http::{Method, Request, StatusCode, Uri, header};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use crate::server::clock;
use crate::server::tls::{TlsError, read_certificates};

/// Sends requests.
pub struct HttpClient {
    tls: Option<TlsConnector>,
    timeout: Duration,
    places: Semaphore,
    idle: Mutex<Vec<Connection>>,
    idle_max: usize,
}

/// A connection to a server.
struct Connection {
    to: Arc<Url>,
    opened_at: Instant,
    sender: SendRequest<Body>,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    is_secure: bool,
    host: String,
    port: u16,
    path: PathAndQuery,
}

/// What is wrong with a URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is no URL.
    #[error("it is no URL: {0}")]
    Form(#[from] axum::http::uri::InvalidUri),
    /// It is of something else.
    #[error("it has to begin with http:// or https:// and a host")]
    Scheme,
}

/// A request has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// There was no answer in time.
    #[error("no answer in time")]
    Timeout,
    /// There is no connection.
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    /// The connection was of no use.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// The request cannot be written.
    #[error(transparent)]
    Request(#[from] axum::http::Error),
    /// The answer is too long, or was cut off.
    #[error("the answer cannot be read: {0}")]
    Body(axum::Error),
    /// The server does not say what it was asked.
    #[error("the answer is {0}")]
    Status(StatusCode),
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let uri: Uri = text.parse()?;
        let is_secure = uri.scheme() == Some(&Scheme::HTTPS);
        if !is_secure && uri.scheme() != Some(&Scheme::HTTP) {
            return Err(UrlError::Scheme);
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(UrlError::Scheme)?.to_owned();
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let path = uri.path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Url { is_secure, host, port, path })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Url { is_secure, host, port, path } = self;
        write!(f, "http{}://{host}:{port}{}", if *is_secure { "s" } else { "" }, path.path())
    }
}

impl Url {
    /// Whether it needs TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    fn is_same_server(&self, other: &Url) -> bool {
        (self.is_secure, &self.host, self.port) == (other.is_secure, &other.host, other.port)
    }

    fn request(&self, method: &Method, form: Option<&str>) -> Result<Request<Body>, RequestError> {
        let builder = Request::builder()
            .method(method)
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::USER_AGENT, concat!("leveret/", env!("CARGO_PKG_VERSION")));
        let (path, form) = (self.path.as_str(), form.unwrap_or_default());
        if *method == Method::POST {
            let builder = builder.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            return Ok(builder.uri(path).body(Body::from(form.to_owned()))?);
        }
        let separator = match (form.is_empty(), self.path.query()) {
            (true, _) => "",
            (false, None) => "?",
            (false, Some(_)) => "&",
        };
        Ok(builder.uri(format!("{path}{separator}{form}")).body(Body::empty())?)
    }
}

impl HttpClient {
    /// So many requests at a time, each of which takes so long at the most. With TLS if there are
    /// certificates to trust.
    pub fn new(tls: Option<TlsConnector>, timeout: Duration, requests_max: usize) -> Self {
        let places = Semaphore::new(requests_max.clamp(1, Semaphore::MAX_PERMITS));
        HttpClient { tls, timeout, places, idle: Mutex::default(), idle_max: requests_max }
    }

    /// The body of the answer to a request, if the server says that all is well. The form stands in the body
    /// of a POST, and behind the path of anything else.
    ///
    /// # Errors
    /// If there is no such answer.
    pub async fn send(
        &self,
        url: &Arc<Url>,
        method: &Method,
        form: Option<&str>,
    ) -> Result<Bytes, RequestError> {
        let answer = tokio::time::timeout(self.timeout, self.send_in_turn(url, method, form));
        answer.await.unwrap_or(Err(RequestError::Timeout))
    }

    async fn send_in_turn(
        &self,
        url: &Arc<Url>,
        method: &Method,
        form: Option<&str>,
    ) -> Result<Bytes, RequestError> {
        let _place = self.places.acquire().await.expect("nobody closes it");
        while let Some(mut connection) = self.take_idle(url, clock::now()) {
            if connection.sender.ready().await.is_err() {
                continue;
            }
            // The server may close a connection just before it gets the request. Asking twice does no harm.
            let request = url.request(method, form)?;
            if let Ok(answer) = connection.sender.send_request(request).await {
                return self.read(connection, answer).await;
            }
        }
        let sender = self.connect(url).await?;
        let mut connection = Connection { to: url.clone(), opened_at: clock::now(), sender };
        let answer = connection.sender.send_request(url.request(method, form)?).await?;
        self.read(connection, answer).await
    }

    async fn read(
        &self,
        connection: Connection,
        answer: axum::http::Response<hyper::body::Incoming>,
    ) -> Result<Bytes, RequestError> {
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), ANSWER_BYTES_MAX).await;
        let body = body.map_err(RequestError::Body)?;
        self.put_idle(connection);
        match status {
            StatusCode::OK | StatusCode::CREATED => Ok(body),
            status => Err(RequestError::Status(status)),
        }
    }

    async fn connect(&self, url: &Url) -> Result<SendRequest<Body>, RequestError> {
        // An address of IPv6 stands in brackets.
        let host = url.host.trim_start_matches('[').trim_end_matches(']');
        let socket = TcpStream::connect((host, url.port)).await?;
        socket.set_nodelay(true)?;
        if !url.is_secure {
            return start(socket).await;
        }
        let Some(tls) = &self.tls else { return Err(no_tls().into()) };
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        start(tls.connect(name, socket).await?).await
    }

    fn take_idle(&self, url: &Url, now: Instant) -> Option<Connection> {
        let mut idle = self.lock();
        idle.retain(|it| {
            let age = now.saturating_duration_since(it.opened_at);
            !it.sender.is_closed() && age < CONNECTION_AGE_MAX
        });
        let at = idle.iter().rposition(|it| it.to.is_same_server(url))?;
        Some(idle.swap_remove(at))
    }

    fn put_idle(&self, connection: Connection) {
        let mut idle = self.lock();
        if !connection.sender.is_closed() && idle.len() < self.idle_max {
            idle.push(connection);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().expect("nothing panics while it holds the list")
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

async fn start<S>(socket: S) -> Result<SendRequest<Body>, RequestError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(socket)).await?;
    // It ends with its sender, or with the server; whoever waits for an answer then hears of it.
    tokio::spawn(async move { _ = connection.await });
    Ok(sender)
}

fn no_tls() -> std::io::Error {
    std::io::Error::other("there are no certificates to trust")
}

/// Trusts those whose certificates are in a file, or without one those whom the system trusts.
///
/// # Errors
/// If there are none.
pub fn tls(ca_path: &Path) -> Result<TlsConnector, TlsError> {
    let mut roots = RootCertStore::empty();
    if ca_path.as_os_str().is_empty() {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
    } else {
        for certificate in read_certificates(ca_path)? {
            roots.add(certificate).map_err(|error| TlsError::file(ca_path, error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Library)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// What an answer may be long: a set of keys is the longest.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// After this a connection is not used again, however busy it is: its server's name may mean another one by now.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn a_url_has_a_scheme_and_a_host() {
        let url: Url = "https://auth.example.org/user?realm=a".parse().unwrap();
        assert!(url.is_secure() && url.host == "auth.example.org" && url.port == 443);
        assert_eq!(url.to_string(), "https://auth.example.org:443/user");
        let url: Url = "http://[::1]:8000".parse().unwrap();
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("[::1]", 8000, "/"));
        for text in ["", "auth.example.org", "/user", "ftp://a/b", "http://", "http:///user"] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_connection_is_used_again_until_it_is_old() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let url: Arc<Url> = Arc::new(url.parse().unwrap());
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while socket.read_buf(&mut request).await.unwrap() > 0 {
                if request.ends_with(b"\r\n\r\n") {
                    request.clear();
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nallow";
                    socket.write_all(answer).await.unwrap();
                }
            }
        });
        let client = HttpClient::new(None, Duration::from_secs(30), 1);
        // The server takes one connection.
        for _ in 0..2 {
            assert_eq!(&*client.send(&url, &Method::GET, None).await.unwrap(), b"allow");
        }
        let connection = client.take_idle(&url, clock::now()).unwrap();
        let opened_at = connection.opened_at;
        client.put_idle(connection);
        let almost = CONNECTION_AGE_MAX - Duration::from_millis(1);
        let connection = client.take_idle(&url, opened_at + almost).unwrap();
        client.put_idle(connection);
        assert!(client.take_idle(&url, opened_at + CONNECTION_AGE_MAX).is_none());
        server.await.unwrap();
    }

    #[test]
    fn a_form_stands_behind_the_path_or_in_the_body() {
        let url: Url = "http://a/user?realm=a".parse().unwrap();
        let request = |method| url.request(&method, Some("username=b%26c")).unwrap();
        assert_eq!(request(Method::GET).uri().to_string(), "/user?realm=a&username=b%26c");
        assert_eq!(request(Method::POST).uri().to_string(), "/user?realm=a");
        let bare: Url = "http://a/user".parse().unwrap();
        let uri = |form| bare.request(&Method::GET, form).unwrap().uri().to_string();
        assert_eq!((uri(None), uri(Some("a=b"))), ("/user".to_owned(), "/user?a=b".to_owned()));
    }
}
