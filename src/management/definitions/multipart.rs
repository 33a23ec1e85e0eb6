//! Browsers send a file in a form (RFC 7578).

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;

use crate::management::error::Refusal;

/// The file in the body of a request, or the body itself if it is no form.
///
/// # Errors
/// If there is no field `file` in a form.
pub async fn file(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Refusal> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(Ok(boundary)) = media_type.map(multer::parse_boundary) else {
        return Ok(body.clone());
    };
    let body = Body::from(body.clone()).into_data_stream();
    let mut form = multer::Multipart::new(body, boundary);
    let malformed = |error: multer::Error| Refusal::bad_request(format!("form: {error}"));
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        if field.name() == Some(FILE) {
            return field.bytes().await.map_err(malformed);
        }
    }
    Err(Refusal::bad_request(format!("there is no field '{FILE}' in the form")))
}

const FILE: &str = "file";
