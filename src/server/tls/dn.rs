//! Distinguished names as text, by RFC 4514: the last part comes first, as in RabbitMQ.

use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name};

/// Two names that differ have texts that differ.
pub fn to_text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name.iter_rdn().map(part).collect();
    parts.reverse();
    parts.join(",")
}

fn part(part: &RelativeDistinguishedName<'_>) -> String {
    part.iter().map(attribute).collect::<Vec<_>>().join("+")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type();
    let key = oid2abbrev(oid, oid_registry());
    let key = key.map_or_else(|_| oid.to_id_string(), str::to_owned);
    match attribute.as_str() {
        Ok(text) => format!("{key}={}", escaped(text)),
        Err(_) => format!("{key}={}", in_hex(attribute.as_slice())),
    }
}

/// RFC 4514 §2.4.
fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(text.len());
    for (at, letter) in text.chars().enumerate() {
        let is_special = match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => true,
            '#' => at == 0,
            ' ' => at == 0 || at == last,
            _ => false,
        };
        match letter {
            '\0' => escaped += "\\00",
            _ if is_special => escaped.extend(['\\', letter]),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// What is no text that we know.
fn in_hex(octets: &[u8]) -> String {
    let digits = octets.iter().map(|octet| format!("{octet:02x}"));
    format!("#{}", digits.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_of_its_own_is_escaped() {
        assert_eq!(escaped("Müller, Söhne + Co"), r"Müller\, Söhne \+ Co");
        assert_eq!(escaped("#1 "), r"\#1\ ");
        assert_eq!(escaped(" "), r"\ ");
        assert_eq!(escaped("a#b c"), "a#b c");
        assert_eq!(escaped("a\0"), r"a\00");
        assert_eq!(escaped(""), "");
        assert_eq!(in_hex(&[0, 255]), "#00ff");
    }
}
