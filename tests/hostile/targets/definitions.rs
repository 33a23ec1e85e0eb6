//! Documents of definitions: one is taken as a whole or not at all, and what is exported afterwards
//! changes nothing when it is imported.

use super::site::{self, Site};

pub fn run(octets: &[u8]) {
    site::with(|site| {
        let Some(before) = export(site) else { return false };
        let imported = site.request("POST", DEFINITIONS, octets);
        let Some(after) = export(site) else { return false };
        match imported.status {
            200..300 => {
                let again = site.request("POST", DEFINITIONS, &after);
                assert!(again.status < 300, "{}", String::from_utf8_lossy(&again.body));
                assert_eq!(export(site).map(|it| text(&it)), Some(text(&after)));
            }
            400..500 => assert_eq!(text(&after), text(&before), "half of it is there"),
            _ => panic!("{} {}", imported.status, text(&imported.body)),
        }
        after.len() < DOCUMENT_BYTES_MAX
    });
}

/// `None` if guest, who asks, may not.
fn export(site: &Site) -> Option<Vec<u8>> {
    let answer = site.request("GET", DEFINITIONS, b"");
    match answer.status {
        200 => Some(answer.body),
        401 | 403 => None,
        status => panic!("{status} {}", text(&answer.body)),
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

const DEFINITIONS: &str = "/api/definitions";
/// What gathers until a new broker begins.
const DOCUMENT_BYTES_MAX: usize = 32 * 1024;
