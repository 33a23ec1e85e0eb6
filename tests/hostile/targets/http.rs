//! Requests to the HTTP server: whatever they are, there is an answer, and it is no failure of the
//! broker, which goes on answering others. Octets that begin with `!` are sent as they are; others are
//! a request in lines, which is completed:
//!
//! ```text
//! PUT /api/queues/%2F/q
//! X-Reason: a header
//!
//! {"durable": true}
//! ```

use super::site::{self, Site};

pub fn run(octets: &[u8]) {
    site::with(|site| {
        match octets.strip_prefix(b"!") {
            Some(octets) => _ = site.exchange(octets, true),
            None => ask(site, octets),
        }
        let alive = site.request("GET", "/api/whoami", b"");
        assert!(alive.status < 500, "{alive:?}");
        alive.status == 200
    });
}

fn ask(site: &Site, octets: &[u8]) {
    let Some(request) = complete(octets) else { return };
    if let Some(answer) = site.exchange(&request, false) {
        let is_honest = answer.status < 500 || answer.status == 503;
        assert!(is_honest, "{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
}

/// The request of these lines, with a login, and a length that is right.
fn complete(octets: &[u8]) -> Option<Vec<u8>> {
    let end = octets.windows(2).position(|two| two == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&octets[..end], &octets[end + 2..]),
        None => (octets, &[][..]),
    };
    let mut lines = head.split(|octet| *octet == b'\n');
    let first = lines.next().filter(|line| !line.is_empty())?;
    let mut request = [first, b" HTTP/1.1\r\n"].concat();
    for line in lines.filter(|line| !line.is_empty() && !is_framing(line)) {
        request.extend([line, b"\r\n"].concat());
    }
    let last = format!("Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    request.extend(last.as_bytes());
    request.extend(body);
    Some(request)
}

/// Headers that would say where the request ends: then there might be no answer to it.
fn is_framing(line: &[u8]) -> bool {
    let name = line.split(|octet| *octet == b':').next().unwrap_or_default().to_ascii_lowercase();
    let name = name.trim_ascii();
    name == b"content-length" || name == b"transfer-encoding" || name == b"expect"
}
