//! What a proxy says of the client that it connects for: the header of the PROXY protocol.
//!
//! ```text
//! version 1:  PROXY TCP4 192.0.2.1 192.0.2.9 56324 5672\r\n     at most 107 octets
//!             PROXY TCP6 …, PROXY UNKNOWN …
//! version 2:  signature (12) | version, command (1) | family, transport (1) | length (2) | length octets:
//!             source and destination address, source and destination port, then what is not looked at
//! ```
//!
//! Nothing here reads: octets come in as they have arrived, and [`needed`] says how many more are part of
//! the header for certain, so that none of what follows it is ever taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whom a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The proxy itself.
    Local,
    /// A client of which nothing is known.
    Unknown,
    /// A client at this address. Where it connected to is the proxy's business.
    Client(SocketAddr),
}

/// What has arrived is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It begins with something else.
    #[error("the connection does not begin with a PROXY protocol header")]
    Absent,
    /// Its line does not end.
    #[error("a PROXY protocol line is longer than {LINE_BYTES_MAX} octets")]
    LineTooLong,
    /// Its line says something else.
    #[error("a PROXY protocol line is not of the form that it has to have")]
    Line,
    /// A version, command, family or transport that there is not.
    #[error("a PROXY protocol header has the unknown version, command or family {0:#04x}")]
    Unassigned(u8),
    /// It has no room for its addresses, or more than anybody needs.
    #[error("a PROXY protocol header cannot have {0} octets of addresses")]
    Length(u16),
}

/// How many octets behind those that have arrived belong to the header, at least; 0 if it is whole.
///
/// # Errors
/// If it can become none.
pub fn needed(arrived: &[u8]) -> Result<usize, HeaderError> {
    if arrived.is_empty() {
        return Ok(LINE_BYTES_MIN);
    }
    let begins = |with: &[u8]| arrived.iter().zip(with).all(|(a, b)| a == b);
    if begins(SIGNATURE) {
        return needed_of_binary(arrived);
    }
    if !begins(WORD) {
        return Err(HeaderError::Absent);
    }
    match (arrived.iter().position(|&it| it == b'\n'), arrived.len()) {
        (Some(end), LINE_BYTES_MIN..) if end + 1 == arrived.len() => Ok(0),
        (Some(_), _) => Err(HeaderError::Line),
        (None, 0..LINE_BYTES_MIN) => Ok(LINE_BYTES_MIN - arrived.len()),
        (None, LINE_BYTES_MAX..) => Err(HeaderError::LineTooLong),
        (None, _) => Ok(1),
    }
}

fn needed_of_binary(arrived: &[u8]) -> Result<usize, HeaderError> {
    if let Some(&command) = arrived.get(12).filter(|&&it| it >> 4 != VERSION || it & 0xF > PROXY) {
        return Err(HeaderError::Unassigned(command));
    }
    let family = arrived.get(13).copied();
    if let Some(family) = family.filter(|it| it >> 4 > FAMILY_MAX || it & 0xF > TRANSPORT_MAX) {
        return Err(HeaderError::Unassigned(family));
    }
    let Some(&[high, low]) = arrived.get(14..FIXED_BYTES) else {
        return Ok(FIXED_BYTES - arrived.len());
    };
    let len = u16::from_be_bytes([high, low]);
    if len > BLOCK_BYTES_MAX {
        return Err(HeaderError::Length(len));
    }
    Ok((FIXED_BYTES + usize::from(len)).saturating_sub(arrived.len()))
}

impl Header {
    /// A header that is whole.
    ///
    /// # Errors
    /// If it says what cannot be.
    pub fn parse(header: &[u8]) -> Result<Header, HeaderError> {
        match header.strip_prefix(SIGNATURE) {
            Some(rest) => Header::parse_binary(rest),
            None => Header::parse_line(header),
        }
    }

    fn parse_line(line: &[u8]) -> Result<Header, HeaderError> {
        let line = line.strip_prefix(WORD).and_then(|line| line.strip_suffix(b"\r\n"));
        let line = line.ok_or(HeaderError::Line)?;
        if line == UNKNOWN || line.starts_with(b"UNKNOWN ") {
            return Ok(Header::Unknown);
        }
        let line = std::str::from_utf8(line).map_err(|_| HeaderError::Line)?;
        let words: Vec<&str> = line.split(' ').collect();
        let [family, source, destination, source_port, destination_port] = words[..] else {
            return Err(HeaderError::Line);
        };
        let address = |text: &str, port: &str| {
            let ip = match family {
                "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
                "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
                _ => None,
            };
            ip.zip(parse_port(port)).map(SocketAddr::from).ok_or(HeaderError::Line)
        };
        address(destination, destination_port)?;
        address(source, source_port).map(Header::Client)
    }

    fn parse_binary(rest: &[u8]) -> Result<Header, HeaderError> {
        let Some((&[command, family, high, low], block)) = rest.split_first_chunk::<4>() else {
            return Err(HeaderError::Length(0));
        };
        let len = u16::from_be_bytes([high, low]);
        match (command & 0xF, family) {
            (LOCAL, _) => Ok(Header::Local),
            (_, TCP4) => addresses::<4>(block).ok_or(HeaderError::Length(len)),
            (_, TCP6) => addresses::<16>(block).ok_or(HeaderError::Length(len)),
            _ => Ok(Header::Unknown),
        }
    }
}

/// Decimal digits without a zero in front.
fn parse_port(text: &str) -> Option<u16> {
    let is_canonical = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_canonical)
}

fn addresses<const N: usize>(block: &[u8]) -> Option<Header>
where
    IpAddr: From<[u8; N]>,
{
    let (source, block) = block.split_first_chunk::<N>()?;
    let (_destination, block) = block.split_first_chunk::<N>()?;
    let (&source_port, block) = block.split_first_chunk::<2>()?;
    let (_destination_port, _) = block.split_first_chunk::<2>()?;
    let source_port = u16::from_be_bytes(source_port);
    Some(Header::Client(SocketAddr::new(IpAddr::from(*source), source_port)))
}

const WORD: &[u8] = b"PROXY ";
const UNKNOWN: &[u8] = b"UNKNOWN";
const LINE_BYTES_MIN: usize = "PROXY UNKNOWN\r\n".len();
/// What the specification says a line needs at most.
const LINE_BYTES_MAX: usize = 107;
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What stands in front of the addresses.
const FIXED_BYTES: usize = 16;
/// Addresses, and what some proxies add: the longest is a client's certificate.
const BLOCK_BYTES_MAX: u16 = 16 * 1024;
const VERSION: u8 = 2;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;
const FAMILY_MAX: u8 = 3;
const TRANSPORT_MAX: u8 = 2;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes octets as they come, in pieces of the length that is asked for; what is left of them.
    fn read(octets: &[u8]) -> Result<(Header, &[u8]), HeaderError> {
        let mut len = 0;
        loop {
            match needed(&octets[..len])? {
                0 => return Ok((Header::parse(&octets[..len])?, &octets[len..])),
                more if len + more > octets.len() => panic!("{more} octets too few"),
                more => len += more,
            }
        }
    }

    fn client(source: &str) -> Header {
        Header::Client(source.parse().unwrap())
    }

    fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let len = (block.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family], &len, block].concat()
    }

    #[test]
    fn a_line_names_its_client_and_nothing_behind_it_is_taken() {
        for (line, expected) in [
            ("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", client("192.168.0.1:56324")),
            (
                "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
                client("255.255.255.255:65535"),
            ),
            ("PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n", client("1.2.3.4:0")),
            ("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", client("[2001:db8::1]:1")),
            ("PROXY UNKNOWN\r\n", Header::Unknown),
            ("PROXY UNKNOWN ffff::1 what ever\r\n", Header::Unknown),
        ] {
            let octets = format!("{line}AMQP\0\0\x09\x01");
            assert_eq!(read(octets.as_bytes()), Ok((expected, &b"AMQP\0\0\x09\x01"[..])), "{line}");
        }
    }

    #[test]
    fn a_line_of_107_octets_is_read_and_one_of_108_is_not() {
        let line = |len: usize| format!("PROXY UNKNOWN {}\r\n", "f".repeat(len - 16));
        assert_eq!(read(line(107).as_bytes()), Ok((Header::Unknown, &b""[..])));
        assert_eq!(read(line(108).as_bytes()), Err(HeaderError::LineTooLong));
    }

    #[test]
    fn a_line_that_is_not_exact_is_refused() {
        for line in [
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 \r\n",
            "PROXY TCP4  192.168.0.1 192.168.0.11 56324 443\r\n",
            "PROXY TCP4 192.168.0.01 192.168.0.11 56324 443\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.256 56324 443\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 056324 443\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 +5632 443\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 65536 443\r\n",
            "PROXY TCP4 ::1 ::1 56324 443\r\n",
            "PROXY TCP6 192.168.0.1 192.168.0.11 1 2\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11\t1 2\r\n",
            "PROXY TCP5 192.168.0.1 192.168.0.11 1 2\r\n",
            "PROXY tcp4 192.168.0.1 192.168.0.11 1 2\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY TCP4 192.168.0.1\n192.168.0.11 1 2\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 1 2\n",
            "PROXY UNKNOWN \n",
        ] {
            assert_eq!(read(line.as_bytes()), Err(HeaderError::Line), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_known_by_its_first_octets() {
        assert_eq!(needed(b"PROXY \r\n"), Err(HeaderError::Line));
        for octets in ["A", "AMQP", "PROXX", "PROXY\t", "proxy ", "\r\n\r\nX", "\0", "GET / "] {
            assert_eq!(needed(octets.as_bytes()), Err(HeaderError::Absent), "{octets:?}");
        }
    }

    #[test]
    fn a_binary_header_names_its_client_and_what_it_adds_is_skipped() {
        let v4 = [192, 0, 2, 1, 192, 0, 2, 9, 0xDC, 4, 0x16, 0x28];
        let expected = client("192.0.2.1:56324");
        let mut v6 = [0; 36];
        (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 3, 4);
        for (octets, expected) in [
            (binary(0x21, 0x11, &v4), expected),
            (binary(0x21, 0x11, &[&v4[..], &[4, 0, 1, 9]].concat()), expected),
            (binary(0x21, 0x11, &[&v4[..], &[0xFF; 600]].concat()), expected),
            (binary(0x21, 0x21, &v6), client("[::1]:3")),
            (binary(0x20, 0x00, &[]), Header::Local),
            (binary(0x20, 0x11, &v4), Header::Local),
            (binary(0x20, 0x11, &[1]), Header::Local),
            (binary(0x21, 0x00, &[]), Header::Unknown),
            (binary(0x21, 0x00, &[7; 40]), Header::Unknown),
            (binary(0x21, 0x12, &v4), Header::Unknown),
            (binary(0x21, 0x31, &[b'/'; 216]), Header::Unknown),
        ] {
            let octets = [&octets[..], b"next"].concat();
            assert_eq!(read(&octets), Ok((expected, &b"next"[..])), "{octets:?}");
        }
    }

    #[test]
    fn a_binary_header_that_cannot_be_is_refused_before_its_addresses_come() {
        for (command, family) in [(0x11, 0x11), (0x31, 0x11), (0x22, 0x11), (0x2F, 0x11)] {
            let octets = binary(command, family, &[]);
            assert_eq!(needed(&octets[..13]), Err(HeaderError::Unassigned(command)));
        }
        for family in [0x41, 0x13, 0xFF] {
            let octets = binary(0x21, family, &[]);
            assert_eq!(needed(&octets[..14]), Err(HeaderError::Unassigned(family)));
        }
        for (family, len) in [(0x11, 0), (0x11, 11), (0x21, 35), (0x21, 12)] {
            let octets = binary(0x21, family, &vec![0; len]);
            assert_eq!(read(&octets), Err(HeaderError::Length(len as u16)));
        }
        let max = usize::from(BLOCK_BYTES_MAX);
        assert!(read(&binary(0x21, 0x11, &vec![0; max])).is_ok());
        let over = binary(0x21, 0x11, &vec![0; max + 1]);
        assert_eq!(needed(&over[..16]), Err(HeaderError::Length(BLOCK_BYTES_MAX + 1)));
    }

    proptest::proptest! {
        #[test]
        fn no_octets_are_asked_for_that_a_header_does_not_have(
            octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64),
            front in 0..4usize,
        ) {
            let front = [&b""[..], WORD, SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"][front];
            let octets = [front, &octets].concat();
            for len in 0..octets.len() {
                if needed(&octets[..len]) == Ok(0) {
                    // It may be refused, and does not panic.
                    let _ = Header::parse(&octets[..len]);
                }
            }
        }
    }
}
