//! Topic names and filters: what is well formed. Matching is the broker's business.

use crate::{Error, ReasonCode, string};

/// The topic name in `bytes`: UTF-8, not empty, without wildcards.
#[inline]
pub(crate) fn parse_name(bytes: &[u8]) -> Result<&str, Error> {
    let name = std::str::from_utf8(bytes).map_err(|_| string::ILL_FORMED)?;
    if string::any_word(bytes, |word| string::has_unusual(word) | has_wildcard(word)) {
        check_name(name)?;
    }
    if name.is_empty() {
        return Err(Error::Protocol("topic name is empty [MQTT-4.7.3-1]"));
    }
    Ok(name)
}

#[inline]
const fn has_wildcard(word: u64) -> u64 {
    string::has_byte(word, b'+') | string::has_byte(word, b'#')
}

#[cold]
fn check_name(name: &str) -> Result<(), Error> {
    string::check(name)?;
    if name.bytes().any(is_wildcard) {
        return Err(Error::rule(
            ReasonCode::TopicNameInvalid,
            "wildcard in a topic name [MQTT-3.3.2-2]",
        ));
    }
    Ok(())
}

const fn is_wildcard(byte: u8) -> bool {
    byte == b'+' || byte == b'#'
}

/// Whether a response topic can be published to: not empty and without wildcards.
pub(crate) fn is_name(topic: &str) -> bool {
    !topic.is_empty() && !topic.bytes().any(is_wildcard)
}

/// Whether a subscription to `filter` can be granted at all.
pub(crate) fn check_filter(filter: &str) -> Result<(), ReasonCode> {
    if !is_shared(filter) {
        return check_levels(filter);
    }
    let (name, inner) = split_shared(filter).ok_or(ReasonCode::TopicFilterInvalid)?;
    if !is_name(name) || inner.is_empty() {
        return Err(ReasonCode::TopicFilterInvalid);
    }
    check_levels(inner)
}

/// The name and the filter of a shared subscription, `$share/name/filter`; `None` for another filter.
///
/// ```
/// assert_eq!(leveret_mqtt::split_shared("$share/workers/jobs/#"), Some(("workers", "jobs/#")));
/// assert_eq!(leveret_mqtt::split_shared("jobs/#"), None);
/// ```
pub fn split_shared(filter: &str) -> Option<(&str, &str)> {
    filter.strip_prefix(SHARE)?.split_once('/')
}

/// Whether `filter` asks for a shared subscription.
pub(crate) fn is_shared(filter: &str) -> bool {
    filter.starts_with(SHARE)
}

/// Wildcards fill whole levels and `#` is the last one [MQTT-4.7.1-1, -2].
fn check_levels(filter: &str) -> Result<(), ReasonCode> {
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let is_wildcard_level = level == "+" || (level == "#" && levels.peek().is_none());
        let has_wildcard = level.bytes().any(is_wildcard);
        if has_wildcard && !is_wildcard_level {
            return Err(ReasonCode::TopicFilterInvalid);
        }
    }
    Ok(())
}

const SHARE: &str = "$share/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_for_filters_only() {
        for name in ["a", "/", "a//b", "é/x", "$SYS/x", "a b"] {
            assert_eq!(parse_name(name.as_bytes()), Ok(name));
        }
        for name in ["+", "a/#", "a+", "é#"] {
            let error = parse_name(name.as_bytes()).unwrap_err();
            assert_eq!(error.reason(), ReasonCode::TopicNameInvalid);
        }
        assert_eq!(parse_name(b"").unwrap_err().reason(), ReasonCode::ProtocolError);
        assert_eq!(parse_name(b"a\0+").unwrap_err().reason(), ReasonCode::MalformedPacket);
    }

    #[test]
    fn a_wildcard_fills_a_level_and_the_last_one_swallows_the_rest() {
        for filter in ["#", "+", "+/+", "/+", "a/#", "a/+/b", "+/#", "a//b", "$SYS/#", "/"] {
            assert_eq!(check_filter(filter), Ok(()), "{filter}");
        }
        for filter in ["a#", "a/#/b", "#/", "a+", "+a/b", "a/b+", "##", "++"] {
            assert_eq!(check_filter(filter), Err(ReasonCode::TopicFilterInvalid), "{filter}");
        }
    }

    #[test]
    fn a_shared_subscription_is_told_apart_from_a_broken_one() {
        for filter in ["$share/g/#", "$share/g/a/+", "$share/g//"] {
            assert_eq!(check_filter(filter), Ok(()), "{filter}");
        }
        for filter in ["$share/x", "$share//t", "$share/g/", "$share/g+/t", "$share/g/a#"] {
            assert_eq!(check_filter(filter), Err(ReasonCode::TopicFilterInvalid), "{filter}");
        }
    }
}
