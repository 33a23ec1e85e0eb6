//! The management UI: its files, which the build embeds compressed.
//!
//! It is a client of the API like any other. The headers say that nothing but these files may run in
//! it, that it talks to nobody but this broker, and that no other page may frame it.

use std::io::Read as _;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::read::GzDecoder;

include!(concat!(env!("OUT_DIR"), "/admin_ui.rs"));

/// The routes of everything but the front page.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().filter(|(name, _)| *name != FRONT_PAGE).fold(Router::new(), |router, &file| {
        let path = format!("/{}", file.0);
        router.route(&path, get(async move |request: Request| respond(file, &request)))
    })
}

/// The front page, or why there is none.
pub fn front_page(request: &Request) -> Response {
    match FILES.iter().find(|(name, _)| *name == FRONT_PAGE) {
        Some(&file) => respond(file, request),
        None => {
            with_policy(missing_page(MISSING).into_response(), "text/html; charset=utf-8", true)
        }
    }
}

fn respond((name, packed): (&str, &'static [u8]), request: &Request) -> Response {
    let takes_gzip = request.headers().get(header::ACCEPT_ENCODING).is_some_and(|accepted| {
        accepted.to_str().is_ok_and(|accepted| accepted.split(',').any(is_gzip))
    });
    let mut response = match takes_gzip {
        true => packed.into_response(),
        false => unpack(packed),
    };
    if takes_gzip {
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
    }
    with_policy(response, media_type(name), name == FRONT_PAGE)
}

/// An item of `Accept-Encoding` that takes gzip (RFC 9110, 12.5.3).
fn is_gzip(item: &str) -> bool {
    let (coding, weight) = item.split_once(';').unwrap_or((item, "q=1"));
    let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok());
    matches!(coding.trim(), "gzip" | "*") && weight.unwrap_or(1.0_f32) > 0.0
}

fn unpack(packed: &[u8]) -> Response {
    let mut plain = Vec::new();
    match GzDecoder::new(packed).read_to_end(&mut plain) {
        Ok(_) => plain.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The front page names the other files, whose names change with what is in them: so it is asked for
/// each time, and they are kept.
fn with_policy(mut response: Response, media_type: &'static str, is_front: bool) -> Response {
    let caching = if is_front { "no-cache" } else { "public, max-age=31536000, immutable" };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, caching),
        (header::VARY, "accept-encoding"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn missing_page(reason: &str) -> String {
    let reason = reason.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html><html lang=\"en\"><title>Leveret</title><h1>Leveret</h1>\
        <p>This broker was built without its management UI: {reason}.</p>\
        <p>To have it, install Node.js with npm (version 18 or later) and build again. The API is \
        at <a href=\"api/overview\">/api</a>.</p></html>"
    )
}

const FRONT_PAGE: &str = "index.html";
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for accepted in ["gzip", " gzip ", "gzip;q=0.5", "*"] {
            assert!(is_gzip(accepted), "{accepted}");
        }
        for refused in ["br", "gzip;q=0", "identity", "gzip; q=0.0", ""] {
            assert!(!is_gzip(refused), "{refused}");
        }
    }

    #[test]
    fn a_reason_is_text_and_no_markup() {
        let page = missing_page("npm said <script>alert(1)</script> & left");
        assert!(page.contains("npm said &lt;script>alert(1)&lt;/script> &amp; left"));
    }
}
