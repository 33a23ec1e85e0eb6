//! Requests to the management API, one connection for each.
//!
//! What comes back is bounded in size and in time. A refusal becomes a [`Failure`] that says what was
//! refused, where, and what to do.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

use crate::args::Global;
use crate::failure::Failure;
use crate::target::{Login, Target};

/// See the module's documentation.
pub struct Client {
    target: Target,
    login: Option<Login>,
    timeout: Duration,
    runtime: tokio::runtime::Runtime,
}

/// A request.
pub struct Ask<'a> {
    method: Method,
    path: String,
    about: &'a str,
    body: Bytes,
    reason: Option<&'a str>,
}

/// An answer that is no refusal, or one that the caller wants to see.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl<'a> Ask<'a> {
    /// Reads something; `path` is below `/api`. `about` is what it is about, as
    /// `queue 'q' in vhost '/'`.
    pub fn read(path: impl Into<String>, about: &'a str) -> Self {
        Ask { method: Method::GET, path: path.into(), about, body: Bytes::new(), reason: None }
    }

    /// Makes or changes something.
    pub fn put(path: impl Into<String>, about: &'a str, body: &Value) -> Self {
        Ask { method: Method::PUT, body: body.to_string().into(), ..Ask::read(path, about) }
    }

    /// Has something done.
    pub fn post(path: impl Into<String>, about: &'a str, body: impl Into<Bytes>) -> Self {
        Ask { method: Method::POST, body: body.into(), ..Ask::read(path, about) }
    }

    /// Deletes something.
    pub fn delete(path: impl Into<String>, about: &'a str) -> Self {
        Ask { method: Method::DELETE, ..Ask::read(path, about) }
    }

    /// With a reason that others are told.
    pub fn because(self, reason: Option<&'a str>) -> Self {
        Ask { reason, ..self }
    }
}

impl Answer {
    /// Whether something was made that was not there before.
    pub fn created(&self) -> bool {
        self.status == 201
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Failure::new("the answer is no JSON; is this a management API?"))
    }
}

impl Client {
    /// A client for the broker that the options name.
    pub fn new(global: &Global) -> Result<Client, Failure> {
        let target = Target::of(global)?;
        let login = Login::of(global, &target)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(error.to_string()))?;
        Ok(Client { target, login, timeout: Duration::from_secs(global.timeout.into()), runtime })
    }

    /// Sends a request that has to succeed.
    pub fn send(&self, ask: Ask<'_>) -> Result<Answer, Failure> {
        let about = ask.about;
        let answer = self.send_any(ask)?;
        match answer.status {
            200..300 => Ok(answer),
            _ => Err(self.refused(&answer, about)),
        }
    }

    /// Sends a request that has to succeed with an answer in JSON.
    pub fn json(&self, ask: Ask<'_>) -> Result<Value, Failure> {
        self.send(ask)?.json()
    }

    /// Sends a request that may be refused.
    pub fn send_any(&self, ask: Ask<'_>) -> Result<Answer, Failure> {
        let done = async { tokio::time::timeout(self.timeout, self.exchange(ask)).await };
        self.runtime.block_on(done).unwrap_or_else(|_| {
            let seconds = self.timeout.as_secs();
            Err(Failure::new(format!(
                "no answer from {} in {seconds} s. Is the broker busy? Wait longer with --timeout.",
                self.target
            )))
        })
    }

    /// What a refusal means.
    pub fn refused(&self, answer: &Answer, about: &str) -> Failure {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let reason = match &body["reason"] {
            Value::String(reason) => reason.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let user = self.login.as_ref().map(|login| login.user.as_str());
        Failure::new(explain(answer.status, &reason, about, (&self.target, user)))
    }

    async fn exchange(&self, ask: Ask<'_>) -> Result<Answer, Failure> {
        let unreachable = |error: io::Error| Failure::new(cannot_reach(&self.target, &error));
        match &self.target {
            Target::Socket(path) => {
                let socket = UnixStream::connect(path).await.map_err(unreachable)?;
                self.exchange_over(socket, ask).await
            }
            Target::Http { host, port, .. } => {
                let socket = TcpStream::connect((&**host, *port)).await.map_err(unreachable)?;
                self.exchange_over(socket, ask).await
            }
        }
    }

    async fn exchange_over<S>(&self, socket: S, ask: Ask<'_>) -> Result<Answer, Failure>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |error: &dyn std::fmt::Display| {
            Failure::new(format!("the connection to {} failed: {error}", self.target))
        };
        let request = self.request(ask)?;
        let shaken = http1::handshake(TokioIo::new(socket)).await;
        let (mut sender, connection) = shaken.map_err(|error| broken(&error))?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| broken(&error))?.to_bytes().to_vec();
        Ok(Answer { status, body })
    }

    fn request(&self, ask: Ask<'_>) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("{}/api/{}", self.target.prefix(), ask.path))
            .header(HOST, self.target.authority())
            .header(CONNECTION, "close")
            .header(CONTENT_TYPE, "application/json");
        if let Some(Login { user, password }) = &self.login {
            let login = STANDARD.encode(format!("{user}:{password}"));
            request = request.header(AUTHORIZATION, format!("Basic {login}"));
        }
        if let Some(reason) = ask.reason {
            request = request.header("x-reason", reason);
        }
        let wrong = |_| Failure::usage("the reason or the address holds what HTTP cannot say");
        request.body(Full::new(ask.body)).map_err(wrong)
    }
}

fn cannot_reach(target: &Target, error: &io::Error) -> String {
    let hint = match (target, error.kind()) {
        (Target::Socket(_), io::ErrorKind::PermissionDenied) => {
            "Only root and the user that the broker runs as may open it; name an address with --url."
        }
        (Target::Socket(_), _) => "Is the broker running? Name another socket with --socket.",
        (Target::Http { .. }, _) => "Is the broker running? Name another address with --url.",
    };
    let error = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::NotFound => "it is not there".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    format!("cannot reach {target}: {error}. {hint}")
}

/// What a status code and a reason mean to the person who has asked.
fn explain(
    status: u16,
    reason: &str,
    about: &str,
    (target, user): (&Target, Option<&str>),
) -> String {
    let who = user.map_or("the operator".to_owned(), |user| format!("user '{user}'"));
    match (status, reason) {
        (401, "Not_Authorized" | "") => match user {
            None => format!("{target} asks for a login. Name a user with --user."),
            Some("guest") => format!(
                "{target} does not let user 'guest' in: its password is another one, or guest may come \
                 from the broker's own machine only. Name a user with --user."
            ),
            Some(_) => {
                format!("{target} does not let {who} in: the name or the password is wrong.")
            }
        },
        (401 | 403, "Not management user") => format!(
            "{who} may not use the management API: an administrator can give it the tag management \
             with `leveretctl user tags`."
        ),
        (401 | 403, "Access refused.") => format!(
            "{who} may not do this with {about}: permissions are missing, see \
             `leveretctl list permissions`."
        ),
        (401 | 403, _) => format!("{who} may not do this with {about}: {}.", trimmed(reason)),
        (404, "Not Found" | "") => format!("there is no {about}."),
        (404, "vhost_not_found") => {
            format!("there is no such virtual host ({about}); see `leveretctl list vhosts`.")
        }
        (404, "queue_not_found" | "exchange_not_found") => format!("there is no {about}."),
        (405, _) => {
            format!("this broker cannot do that with {about}; is it older than leveretctl?")
        }
        (400, "not_json") => format!("{about}: what was sent is no JSON object."),
        (400, "") => format!("the broker does not accept {about}."),
        (400, _) => format!("{about}: {}.", trimmed(reason)),
        (_, "") => format!("{about}: {target} answers with status {status}."),
        _ => format!("{about}: {} (status {status}).", trimmed(reason)),
    }
}

fn trimmed(reason: &str) -> &str {
    reason.trim_end().trim_end_matches('.')
}

/// The largest answer that is taken.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let target = Target::Socket("/s".into());
        let explain = |status, reason, user| {
            explain(status, reason, "queue 'q' in vhost '/'", (&target, user))
        };
        for (text, wanted) in [
            (explain(401, "Not_Authorized", Some("guest")), "--user"),
            (explain(401, "Not_Authorized", Some("jo")), "password is wrong"),
            (explain(401, "Not_Authorized", None), "asks for a login"),
            (
                explain(401, "Access refused.", Some("jo")),
                "user 'jo' may not do this with queue 'q'",
            ),
            (explain(404, "Not Found", None), "there is no queue 'q' in vhost '/'."),
            (explain(404, "no queue 'q' in vhost '/'", None), "no queue 'q'"),
            (explain(400, "inequivalent arg", None), "queue 'q' in vhost '/': inequivalent arg."),
            (explain(400, "not_json", None), "is no JSON object"),
            (explain(502, "", None), "answers with status 502"),
        ] {
            assert!(text.contains(wanted), "{text}");
        }
    }
}
