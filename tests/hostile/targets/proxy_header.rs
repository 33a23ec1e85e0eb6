//! The header of a proxy: however it arrives, no octet behind it is asked for, and what it says does not
//! depend on them.

use leveret::internals::header::{Header, needed};

use super::{KIB, within};

pub fn run(octets: &[u8]) {
    within(8 * KIB, || {
        let mut arrived = 0;
        loop {
            match needed(&octets[..arrived]) {
                Err(_) => return,
                Ok(0) => break,
                Ok(more) if more > octets.len() - arrived => return,
                Ok(more) => arrived += more,
            }
        }
        assert!(arrived <= HEADER_BYTES_MAX);
        let header = &octets[..arrived];
        // A line that is whole ends where it says; a block is as long as its header says.
        if header.starts_with(b"PROXY ") {
            assert!(header.ends_with(b"\n") && !header[..arrived - 1].contains(&b'\n'));
        } else {
            assert_eq!(usize::from(u16::from_be_bytes([header[14], header[15]])) + 16, arrived);
        }
        if let Ok(Header::Client(address)) = Header::parse(header) {
            assert_eq!(Header::parse(&again(address, header)), Ok(Header::Client(address)));
        }
    });
}

/// A header of the other version that says the same.
fn again(client: std::net::SocketAddr, header: &[u8]) -> Vec<u8> {
    use std::net::IpAddr::{V4, V6};
    if !header.starts_with(b"PROXY ") {
        let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
        let (ip, port) = (client.ip(), client.port());
        return format!("PROXY {family} {ip} {ip} {port} 5672\r\n").into_bytes();
    }
    let (family, octets) = match client.ip() {
        V4(ip) => (0x11, ip.octets().to_vec()),
        V6(ip) => (0x21, ip.octets().to_vec()),
    };
    let len = u16::try_from(2 * octets.len() + 4).unwrap().to_be_bytes();
    let ports = [client.port().to_be_bytes(), 5672_u16.to_be_bytes()].concat();
    [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family][..], &len, &octets, &octets, &ports].concat()
}

/// The longest header that is taken: the fixed part of version 2 and its block.
const HEADER_BYTES_MAX: usize = 16 + 16 * 1024;
