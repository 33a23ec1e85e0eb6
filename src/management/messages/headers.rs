//! The properties of a message as headers of HTTP.
//!
//! | header | property |
//! |---|---|
//! | `Content-Type`, `Content-Encoding` | `content_type`, `content_encoding` |
//! | `X-Delivery-Mode`, `X-Priority`, `X-Timestamp` | numbers |
//! | `X-Expiration`, `X-Correlation-Id`, `X-Reply-To`, `X-Message-Id`, `X-Type`, `X-App-Id` | texts |
//! | `X-Header-<name>` | a header of the message, its name in lower case |

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value, json};

use crate::management::error::Refusal;
use crate::management::reply::Reply;

/// The properties that a request's headers name, in the form of JSON. Messages are persistent unless
/// they say otherwise.
///
/// # Errors
/// If a header is not UTF-8, or no number where it has to be one.
pub fn to_properties(headers: &HeaderMap) -> Result<Map<String, Value>, Refusal> {
    let mut properties = Map::new();
    properties.insert("delivery_mode".to_owned(), json!(2));
    let mut table = Map::new();
    for (name, value) in headers {
        let name = name.as_str();
        let value = || {
            let text = std::str::from_utf8(value.as_bytes());
            text.map_err(|_| Refusal::bad_request(format!("header {name} is not UTF-8")))
        };
        if let Some(name) = name.strip_prefix(OF_MESSAGE) {
            table.insert(name.to_owned(), json!(value()?));
        } else if let Some((_, property)) = TEXTS.iter().find(|(known, _)| *known == name) {
            // That is what curl says of every body that it is not told about.
            if value()? != FORM {
                properties.insert((*property).to_owned(), json!(value()?));
            }
        } else if let Some((_, property)) = NUMBERS.iter().find(|(known, _)| *known == name) {
            let number: Result<u64, _> = value()?.parse();
            let wrong = |_| Refusal::bad_request(format!("header {name} must be a whole number"));
            properties.insert((*property).to_owned(), json!(number.map_err(wrong)?));
        }
    }
    if !table.is_empty() {
        properties.insert("headers".to_owned(), Value::Object(table));
    }
    Ok(properties)
}

/// Adds the headers for properties in the form of JSON. What no header can say is left out.
pub fn add_properties(mut reply: Reply, properties: &Value) -> Reply {
    let mut room = HEADERS_BYTES_MAX;
    let mut add = |mut reply: Reply, name: &str, value: &Value| {
        let text = as_text(value);
        let (Ok(name), Some(left)) =
            (HeaderName::try_from(name), room.checked_sub(name.len() + text.len()))
        else {
            return reply;
        };
        room = left;
        if name == header::CONTENT_TYPE {
            reply = reply.without_header(&name);
        }
        reply.with_header(name, header_value(&text))
    };
    for (name, property) in TEXTS.iter().chain(NUMBERS) {
        if let Some(value) = properties.get(property) {
            reply = add(reply, name, value);
        }
    }
    for (name, value) in properties["headers"].as_object().into_iter().flatten() {
        reply = add(reply, &format!("{OF_MESSAGE}{}", name.to_lowercase()), value);
    }
    reply
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// A text as a header: control characters, which headers cannot hold, are percent-encoded.
pub fn header_value(text: &str) -> HeaderValue {
    let mut bytes = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte.is_ascii_control() {
            true => bytes.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            false => bytes.push(byte),
        }
    }
    HeaderValue::from_bytes(&bytes).expect("no control characters are left")
}

const TEXTS: &[(&str, &str)] = &[
    ("content-type", "content_type"),
    ("content-encoding", "content_encoding"),
    ("x-expiration", "expiration"),
    ("x-correlation-id", "correlation_id"),
    ("x-reply-to", "reply_to"),
    ("x-message-id", "message_id"),
    ("x-type", "type"),
    ("x-app-id", "app_id"),
];
const NUMBERS: &[(&str, &str)] = &[
    ("x-delivery-mode", "delivery_mode"),
    ("x-priority", "priority"),
    ("x-timestamp", "timestamp"),
];
const OF_MESSAGE: &str = "x-header-";
const FORM: &str = "application/x-www-form-urlencoded";
/// What the headers of one answer may take together: clients have limits, too.
const HEADERS_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_become_properties() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/csv"),
            ("x-priority", "3"),
            ("x-header-Source", "é"),
            ("accept", "*/*"),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.insert(HeaderName::try_from(name).unwrap(), value);
        }
        let expected = json!({
            "delivery_mode": 2, "content_type": "text/csv", "priority": 3,
            "headers": {"source": "é"},
        });
        assert_eq!(Value::Object(to_properties(&headers).unwrap()), expected);
        headers.insert("x-priority", HeaderValue::from_static("high"));
        assert!(to_properties(&headers).is_err());
        headers.insert("x-priority", HeaderValue::from_bytes(&[0xff]).unwrap());
        assert!(to_properties(&headers).is_err());
    }

    #[test]
    fn what_curl_says_of_a_body_by_itself_is_no_content_type() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FORM));
        assert_eq!(to_properties(&headers).unwrap().len(), 1);
    }

    #[test]
    fn a_header_cannot_be_split_by_what_it_says() {
        assert_eq!(header_value("a\r\nb\u{7f}é").as_bytes(), "a%0D%0Ab%7Fé".as_bytes());
    }
}
