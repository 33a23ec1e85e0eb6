//! The version and the settings of the node.

use axum::body::Body;
use axum::http::HeaderValue;
use serde_json::json;

use super::call::{Answer, Call};
use super::reply::Reply;

/// `GET /version`: the one that clients compare with RabbitMQ's.
pub fn version(call: &Call) -> Answer {
    Ok(Reply::json(&json!(call.node().config.amqp_version)))
}

/// `GET /config/effective`: the settings as they would be written into the file.
pub fn effective(call: &Call) -> Answer {
    let lines = call.node().config.values().into_iter().map(|(name, value)| {
        let value = if is_secret(name) && !value.is_empty() { REDACTED } else { &value };
        format!("{name} = {}\n", json!(value))
    });
    let text: String = lines.collect();
    Ok(Reply::content(HeaderValue::from_static("text/plain; charset=utf-8"), Body::from(text)))
}

/// `DELETE /reset`, with or without the name of the node: forgets what rates were seen.
pub fn reset(call: &Call) -> Answer {
    call.check_node()?;
    call.api.rates.forget();
    Ok(Reply::no_content())
}

fn is_secret(name: &str) -> bool {
    ["password", "secret", "token"].iter().any(|word| name.contains(word))
}

const REDACTED: &str = "[redacted]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_setting_is_called_tells_whether_it_is_a_secret() {
        assert!(is_secret("tls_key_password") && is_secret("bridge_secret"));
        assert!(!is_secret("amqp_port"));
    }
}
