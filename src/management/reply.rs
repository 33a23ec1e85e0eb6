//! Replies to requests that are carried out.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use leveret_core::Position;
use serde_json::Value;

/// What an endpoint has to say.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    /// JSON.
    body: Option<Vec<u8>>,
    location: Option<HeaderValue>,
    /// What has to be durable before the client is told.
    pub promise: Option<Position>,
}

impl Reply {
    fn new(status: StatusCode, body: Option<Vec<u8>>) -> Self {
        Reply { status, body, location: None, promise: None }
    }

    /// Here it is.
    pub fn json(body: &Value) -> Self {
        Self::text(body.to_string().into_bytes())
    }

    /// Here it is, written as JSON already.
    pub fn text(json: Vec<u8>) -> Self {
        Self::new(StatusCode::OK, Some(json))
    }

    /// It is new.
    pub fn created() -> Self {
        Self::new(StatusCode::CREATED, None)
    }

    /// It is done, and there is nothing to say.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, None)
    }

    /// The answer to a PUT.
    pub fn put(is_new: bool) -> Self {
        if is_new { Self::created() } else { Self::no_content() }
    }

    /// Says it only once this position is durable.
    pub fn after(self, promise: Option<Position>) -> Self {
        Reply { promise, ..self }
    }

    /// Names what was made, relative to the request's path. The text has to be percent-encoded.
    pub fn at(self, location: &str) -> Self {
        Reply { location: HeaderValue::from_str(location).ok(), ..self }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => with_json(self.status, body),
            None => with_common_headers((self.status, Body::empty()).into_response()),
        };
        if let Some(location) = self.location {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// A response with a JSON body.
pub fn json_response(status: StatusCode, body: &Value) -> Response {
    with_json(status, body.to_string().into_bytes())
}

fn with_json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = (status, body).into_response();
    put(response.headers_mut(), header::CONTENT_TYPE, "application/json");
    with_common_headers(response)
}

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
