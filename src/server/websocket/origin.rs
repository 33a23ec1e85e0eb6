//! Which web pages may connect.

use std::net::IpAddr;

use axum::http::Uri;

/// Whether pages of this origin may connect. `*` allows all. If none are named, all may from other
/// machines, and from this one those that came from it.
pub fn is_allowed(origin: &str, allowed: &[String], is_here: bool) -> bool {
    if allowed.is_empty() {
        return !is_here || is_of_this_machine(origin);
    }
    allowed.iter().any(|it| it == "*" || it.eq_ignore_ascii_case(origin))
}

/// The name in the origin counts, not what it stands for: whoever has a name can let it stand for this
/// machine.
fn is_of_this_machine(origin: &str) -> bool {
    let uri: Option<Uri> = origin.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let ip: Result<IpAddr, _> = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || host.ends_with(".localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_this_machine_only_its_own_pages_connect() {
        let own = [
            "http://localhost:8080",
            "https://app.localhost",
            "http://127.0.0.1",
            "http://[::1]:80",
        ];
        for origin in own {
            assert!(is_allowed(origin, &[], true), "{origin}");
        }
        let others = [
            "https://example.org",
            "null",
            "",
            "http://localhost.example.org",
            "http://127.0.0.1.nip.io",
        ];
        for origin in others {
            assert!(!is_allowed(origin, &[], true), "{origin}");
            assert!(is_allowed(origin, &[], false), "{origin}");
        }
    }

    #[test]
    fn origins_that_are_named_are_the_only_ones() {
        let allowed = ["https://example.org".to_owned()];
        for is_here in [true, false] {
            assert!(is_allowed("https://Example.org", &allowed, is_here));
            assert!(!is_allowed("https://example.org:444", &allowed, is_here));
            assert!(!is_allowed("http://localhost", &allowed, is_here));
            assert!(is_allowed("null", &["*".to_owned()], is_here));
        }
    }
}
