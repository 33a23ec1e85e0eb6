//! The packets of a client.

/// Types of packets, in the upper half of their first octet.
pub const CONNACK: u8 = 2;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const PUBREC: u8 = 5;
pub const PUBREL: u8 = 6;
pub const PUBCOMP: u8 = 7;
pub const PINGRESP: u8 = 13;

pub const PINGREQ: [u8; 2] = [0xc0, 0];

pub fn packet(first: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = content.len();
    loop {
        let more = if left > 127 { 0x80 } else { 0 };
        out.push((left % 128) as u8 | more);
        left /= 128;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(content);
    out
}

pub fn text(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u16).to_be_bytes(), octets].concat()
}

/// A section of properties, which other versions than 5 have none of.
pub fn properties(version: u8, content: &[u8]) -> Vec<u8> {
    match version {
        5 => [&[content.len() as u8], content].concat(),
        _ => Vec::new(),
    }
}

pub fn acknowledgement(kind: u8, packet_id: u16) -> Vec<u8> {
    let flags = if kind == PUBREL { 2 } else { 0 };
    packet(kind << 4 | flags, &packet_id.to_be_bytes())
}

pub fn subscribe(version: u8, filter: &[u8], options: u8) -> Vec<u8> {
    packet(0x82, &[&[0, 9], &properties(version, &[])[..], &text(filter), &[options]].concat())
}

/// A packet of the server: its first octet and its content; `None` until all of it is there.
pub fn take(input: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (mut len, mut at) = (0, 1);
    loop {
        let octet = *input.get(at)?;
        assert!(at < 5, "a length of more than four octets");
        len |= usize::from(octet & 0x7f) << (7 * (at - 1));
        at += 1;
        if octet & 0x80 == 0 {
            break;
        }
    }
    let content = input.get(at..at + len)?.to_vec();
    let first = input[0];
    input.drain(..at + len);
    Some((first, content))
}

/// QoS and packet identifier of a PUBLISH.
pub fn packet_id((first, content): &(u8, Vec<u8>)) -> Option<u16> {
    let qos = first >> 1 & 3;
    assert!(qos < 3, "a PUBLISH with QoS 3");
    let topic_len = usize::from(u16::from_be_bytes([content[0], content[1]]));
    assert!(std::str::from_utf8(&content[2..2 + topic_len]).is_ok_and(|topic| !topic.is_empty()));
    (qos > 0).then(|| u16::from_be_bytes([content[2 + topic_len], content[3 + topic_len]]))
}
