//! Refusals: the body that every tool decodes, `{"error": …, "reason": …}`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use leveret_core::{TopologyError, TopologyErrorKind};
use serde_json::json;

use super::reply::json_response;
use crate::server::control::DeleteError;

/// Why a request is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    error: &'static str,
    reason: String,
    /// Whether the client is asked to log in.
    challenge: bool,
}

impl Refusal {
    fn new(status: StatusCode, error: &'static str, reason: impl Into<String>) -> Self {
        Refusal { status, error, reason: reason.into(), challenge: false }
    }

    /// The code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The client said something that makes no sense.
    pub fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", reason)
    }

    /// The body is not a JSON object.
    pub fn not_json() -> Self {
        Self::bad_request("not_json")
    }

    /// The page that is asked for is not there.
    pub fn page_out_of_range(page: usize, page_size: usize, len: usize) -> Self {
        let reason = format!("Page out of range, page: {page} page size: {page_size}, len: {len}");
        Self::new(StatusCode::BAD_REQUEST, "page_out_of_range", reason)
    }

    /// A page that cannot be.
    pub fn invalid_pagination(page: &str, page_size: &str) -> Self {
        let reason =
            format!("Invalid pagination parameters: page number {page}, page size {page_size}");
        Self::new(StatusCode::BAD_REQUEST, "invalid_pagination_parameters", reason)
    }

    /// Nobody has logged in.
    pub fn login_wanted() -> Self {
        Refusal { challenge: true, ..Self::login_refused() }
    }

    /// The login is wrong.
    pub fn login_refused() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not_authorized", "Not_Authorized")
    }

    /// A user who may not do this.
    pub fn not_authorised(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not_authorised", reason)
    }

    /// A page of another site.
    pub fn other_site() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "pages of other sites may not ask")
    }

    /// A cookie, without what pages of other sites cannot send.
    pub fn no_page_of_ours() -> Self {
        let reason = "with a cookie, this needs the header X-Requested-With: leveret";
        Self::new(StatusCode::FORBIDDEN, "forbidden", reason)
    }

    /// There is no such route, or nothing of this name.
    pub fn no_such_object() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Object Not Found", "Not Found")
    }

    /// There is nothing of this name; `what` is such as `exchange_not_found`.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", what)
    }

    /// The route is there, but not for this method.
    pub fn no_such_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "Method Not Allowed")
    }

    /// It is in a state in which this cannot be.
    pub fn precondition_failed(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", reason)
    }

    /// The body is longer than it may be.
    pub fn body_too_large(max: usize) -> Self {
        let reason = format!("request body is larger than {max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", reason)
    }

    /// Something did not come in time.
    pub fn timeout(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "timeout", reason)
    }

    /// A resource is short; it may be tried again later.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", reason)
    }

    /// The broker's fault.
    pub fn internal(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", reason)
    }
}

/// A declaration, deletion or binding that the topology refuses.
impl From<TopologyError> for Refusal {
    fn from(error: TopologyError) -> Self {
        match error {
            TopologyError::VhostNotFound(_) => Refusal::not_found("vhost_not_found"),
            TopologyError::VhostProtected(_) => Refusal::precondition_failed(error.to_string()),
            _ => match error.kind() {
                TopologyErrorKind::NotFound => Refusal::not_found(error.to_string()),
                TopologyErrorKind::AccessRefused | TopologyErrorKind::NotAllowed => {
                    Refusal::not_authorised("Access refused.")
                }
                TopologyErrorKind::PreconditionFailed | TopologyErrorKind::ResourceLocked => {
                    Refusal::bad_request(error.to_string())
                }
            },
        }
    }
}

impl From<DeleteError> for Refusal {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Topology(error) => error.into(),
            DeleteError::InUse(_) | DeleteError::NotEmpty(_) => {
                Refusal::bad_request(error.to_string())
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "reason": self.reason });
        let mut response = json_response(self.status, &body);
        if self.challenge {
            let realm = HeaderValue::from_static("Basic realm=\"RabbitMQ Management\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_core::Resource;

    #[test]
    fn what_amqp_closes_a_channel_for_becomes_an_http_status() {
        let queue = || Resource::queue("q", "/");
        for (error, status, reason) in [
            (TopologyError::NotFound(queue()), 404, "no queue 'q' in vhost '/'"),
            (TopologyError::VhostNotFound("v".into()), 404, "vhost_not_found"),
            (TopologyError::ReservedName(queue()), 401, "Access refused."),
            (TopologyError::InUse(queue()), 400, "queue 'q' in vhost '/' in use"),
        ] {
            let refusal = Refusal::from(error);
            assert_eq!((refusal.status.as_u16(), &*refusal.reason), (status, reason));
        }
    }
}
