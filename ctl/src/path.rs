//! Paths of the API.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Fills the parts in braces of a template, in their order. Whatever is in a name, it is one segment.
pub fn fill(template: &str, parts: &[&str]) -> String {
    let mut parts = parts.iter();
    let segments = template.split('/').map(|segment| match segment.starts_with('{') {
        true => encoded(parts.next().copied().unwrap_or_default()),
        false => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// How many parts a template has, without that of the virtual host.
pub fn names(template: &str) -> usize {
    template.split('/').filter(|segment| segment.starts_with('{') && *segment != "{vhost}").count()
}

/// A text in a query, or as a segment of a path.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// What a segment and a query cannot hold: everything but RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_whatever_is_in_it() {
        let path = fill("queues/{vhost}/{name}", &["/", "a b/ü%?"]);
        assert_eq!(path, "queues/%2F/a%20b%2F%C3%BC%25%3F");
        assert_eq!(names("parameters/{component}/{vhost}/{name}"), 2);
    }
}
