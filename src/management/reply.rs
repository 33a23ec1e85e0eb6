//! Replies to requests that are carried out.

use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use leveret_core::Position;
use serde_json::Value;

/// What an endpoint has to say.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    body: Body,
    headers: HeaderMap,
    /// What has to be durable before the client is told.
    pub promise: Option<Position>,
}

impl Reply {
    fn new(status: StatusCode) -> Self {
        Reply { status, body: Body::empty(), headers: HeaderMap::new(), promise: None }
    }

    /// The code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Here it is.
    pub fn json(body: &Value) -> Self {
        Self::text(body.to_string().into_bytes())
    }

    /// Here it is, written as JSON already.
    pub fn text(json: Vec<u8>) -> Self {
        Self::content(JSON, json.into())
    }

    /// Here it is, in a form of its own.
    pub fn content(content_type: HeaderValue, body: Body) -> Self {
        let reply = Reply { body, ..Self::new(StatusCode::OK) };
        reply.with_header(header::CONTENT_TYPE, content_type)
    }

    /// A check has failed, and this is why.
    pub fn failed(body: &Value) -> Self {
        Reply { status: StatusCode::SERVICE_UNAVAILABLE, ..Self::json(body) }
    }

    /// It is new.
    pub fn created() -> Self {
        Self::new(StatusCode::CREATED)
    }

    /// It is done, and there is nothing to say.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT)
    }

    /// The answer to a PUT.
    pub fn put(is_new: bool) -> Self {
        if is_new { Self::created() } else { Self::no_content() }
    }

    /// Says it only once this position is durable.
    pub fn after(self, promise: Option<Position>) -> Self {
        Reply { promise, ..self }
    }

    /// Adds a header.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Takes a header away.
    pub fn without_header(mut self, name: &HeaderName) -> Self {
        self.headers.remove(name);
        self
    }

    /// Names what was made, relative to the request's path. The text has to be percent-encoded.
    pub fn at(self, location: &str) -> Self {
        match HeaderValue::from_str(location) {
            Ok(location) => self.with_header(header::LOCATION, location),
            Err(_) => self,
        }
    }

    /// Has browsers save it under a name.
    pub fn download_as(self, name: &str) -> Self {
        let is_plain = |c: &char| !c.is_control() && c.is_ascii() && !['"', '\\', '/'].contains(c);
        let name: String = name.chars().filter(is_plain).collect();
        match HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
            Ok(disposition) => self.with_header(header::CONTENT_DISPOSITION, disposition),
            Err(_) => self,
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        response.headers_mut().extend(self.headers);
        with_common_headers(response)
    }
}

/// A moment in milliseconds since the Unix epoch, as text: `2026-11-27T12:00:00Z`.
pub fn timestamp(at_ms: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(at_ms.min(MOMENT_MAX_MS));
    humantime::format_rfc3339_seconds(at).to_string()
}

/// A response with a JSON body.
pub fn json_response(status: StatusCode, body: &Value) -> Response {
    Reply { status, ..Reply::json(body) }.into_response()
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    put(headers, header::CACHE_CONTROL, "no-cache");
    put(headers, header::VARY, "accept-encoding, origin");
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(headers, header::X_FRAME_OPTIONS, "DENY");
    put(headers, header::CONTENT_SECURITY_POLICY, "default-src 'none'");
    response
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// The end of the year 9999, behind which a year has more than four digits.
const MOMENT_MAX_MS: u64 = 253_402_300_799_000;
