//! The messages of a SCRAM client: nobody who does not know the password gets in. The first octet is the
//! length of the first message; in the last one `%` is the nonce of both sides. All of it is tried as
//! the keys that definitions may bring, too.

use std::sync::OnceLock;

use leveret::internals::scram::{Exchange, Keys};

use super::{KIB, cut, within};

pub fn run(octets: &[u8]) {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    let keys = KEYS.get_or_init(|| Keys::of_password("a password"));
    let (first, last) = cut(octets);
    within(64 * KIB + 16 * octets.len(), || {
        for known in [Some(keys.clone()), None] {
            let Ok((exchange, answer)) = Exchange::begin(first, "secret", |_| known) else {
                return;
            };
            assert!(!exchange.user().is_empty());
            let nonce = answer.strip_prefix("r=").and_then(|it| it.split(",s=").next());
            let nonce = nonce.expect("it begins with a nonce");
            let last = String::from_utf8_lossy(last).replacen('%', nonce, 1);
            assert!(exchange.finish(last.as_bytes()).is_err());
        }
    });
    read_keys(octets);
}

fn read_keys(octets: &[u8]) {
    let Ok(text) = str::from_utf8(octets) else { return };
    if let Ok(keys) = text.parse::<Keys>() {
        assert_eq!(keys.to_string().parse(), Ok(keys));
    }
}
