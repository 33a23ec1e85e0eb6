//! Hashes of passwords. A hash says by its form what it was made with, so that the hash is all that is
//! kept of a password:
//!
//! ```text
//! $argon2id$v=19$m=…,t=…,p=…$salt$hash    leveret_argon2id: new passwords
//! $2b$cost$salt and hash                  leveret_bcrypt
//! base64(salt ‖ digest(salt ‖ password))  RabbitMQ's, with 4 octets of salt; the length names the digest
//! ```
//!
//! RabbitMQ's are fast, to make and to guess. The others are slow, each in time and Argon2 in memory as
//! well; what a hash may cost is limited, since its parameters are its own.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::scram::random;

/// What a hash was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Argon2id, for new passwords.
    Argon2id,
    /// bcrypt.
    Bcrypt,
    /// RabbitMQ's of today.
    Sha256,
    /// RabbitMQ's, if its configuration says so.
    Sha512,
    /// RabbitMQ's before 3.6.
    Md5,
}

impl Algorithm {
    const ALL: [Algorithm; 5] = [
        Algorithm::Argon2id,
        Algorithm::Bcrypt,
        Algorithm::Sha256,
        Algorithm::Sha512,
        Algorithm::Md5,
    ];

    /// What a hash was made with, as its form says. `None` if it is none, or costs too much.
    pub fn of(hash: &str) -> Option<Algorithm> {
        if hash.starts_with("$argon2id$") {
            return is_affordable_argon2(hash).then_some(Algorithm::Argon2id);
        }
        if hash.starts_with("$2") {
            return is_affordable_bcrypt(hash).then_some(Algorithm::Bcrypt);
        }
        match STANDARD.decode(hash).ok()?.len().checked_sub(SALT_LEN)? {
            16 => Some(Algorithm::Md5),
            32 => Some(Algorithm::Sha256),
            64 => Some(Algorithm::Sha512),
            _ => None,
        }
    }

    /// The one that definitions and requests name. Others than RabbitMQ's are known by the end.
    pub fn named(name: &str) -> Option<Algorithm> {
        let is_named = |it: &Algorithm| match it {
            Algorithm::Argon2id => name.ends_with("argon2id"),
            Algorithm::Bcrypt => name.ends_with("bcrypt"),
            _ => name == it.name(),
        };
        Algorithm::ALL.into_iter().find(is_named)
    }

    /// Its name in definitions.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Argon2id => "leveret_argon2id",
            Algorithm::Bcrypt => "leveret_bcrypt",
            Algorithm::Sha256 => "rabbit_password_hashing_sha256",
            Algorithm::Sha512 => "rabbit_password_hashing_sha512",
            Algorithm::Md5 => "rabbit_password_hashing_md5",
        }
    }

    /// Whether it takes so long that nothing else should wait for it.
    pub fn is_slow(self) -> bool {
        matches!(self, Algorithm::Argon2id | Algorithm::Bcrypt)
    }

    /// Hashes a new password. `None` if it is not used for new ones.
    pub fn hash(self, password: &[u8]) -> Option<String> {
        match self {
            Algorithm::Argon2id => Some(hash(password)),
            Algorithm::Sha256 => Some(rabbit_hash::<Sha256>(password)),
            Algorithm::Sha512 => Some(rabbit_hash::<Sha512>(password)),
            Algorithm::Bcrypt | Algorithm::Md5 => None,
        }
    }
}

/// Hashes a new password.
pub fn hash(password: &[u8]) -> String {
    let salt = SaltString::encode_b64(&random::<16>()).expect("16 octets are a salt");
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("the parameters are in range");
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password(password, &salt).expect("no password is too long").to_string()
}

/// Whether a password is the one that was hashed. An empty hash is of none.
pub fn verify(hash: &str, password: &[u8]) -> bool {
    match Algorithm::of(hash) {
        None => false,
        Some(Algorithm::Argon2id) => PasswordHash::new(hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
        Some(Algorithm::Bcrypt) => bcrypt::verify(password, hash).unwrap_or(false),
        Some(Algorithm::Sha256) => rabbit_verify::<Sha256>(hash, password),
        Some(Algorithm::Sha512) => rabbit_verify::<Sha512>(hash, password),
        Some(Algorithm::Md5) => rabbit_verify::<Md5>(hash, password),
    }
}

fn rabbit_hash<D: Digest>(password: &[u8]) -> String {
    let mut hashed = random::<SALT_LEN>().to_vec();
    let digest = D::new().chain_update(&hashed).chain_update(password).finalize();
    hashed.extend_from_slice(&digest);
    STANDARD.encode(hashed)
}

fn rabbit_verify<D: Digest>(hash: &str, password: &[u8]) -> bool {
    let Ok(bytes) = STANDARD.decode(hash) else { return false };
    let Some((salt, expected)) = bytes.split_at_checked(SALT_LEN) else { return false };
    let digest = D::new().chain_update(salt).chain_update(password).finalize();
    digest.as_slice().ct_eq(expected).into()
}

fn is_affordable_argon2(hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    let is_cheap = |params: Params| {
        let cost = u64::from(params.m_cost()) * u64::from(params.t_cost());
        params.m_cost() <= MEMORY_KIB_MAX && cost <= COST_MAX && params.p_cost() <= LANES_MAX
    };
    hash.salt.is_some() && hash.hash.is_some() && Params::try_from(&hash).is_ok_and(is_cheap)
}

fn is_affordable_bcrypt(hash: &str) -> bool {
    hash.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() <= BCRYPT_COST_MAX)
}

/// What Argon2 takes of memory for a new password, and how often it goes over it.
const MEMORY_KIB: u32 = 4096;
const PASSES: u32 = 3;
/// The most that a hash from elsewhere may take.
const MEMORY_KIB_MAX: u32 = 64 * 1024;
const COST_MAX: u64 = 4 * MEMORY_KIB_MAX as u64;
const LANES_MAX: u32 = 8;
const BCRYPT_COST_MAX: u32 = 14;

/// RabbitMQ's.
const SALT_LEN: usize = 4;

/// The hash of no password that anybody knows. It takes as long as that of a user.
pub const NOBODY: &str = "$argon2id$v=19$m=4096,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA\
    $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_hash_and_no_other() {
        for algorithm in [Algorithm::Argon2id, Algorithm::Sha256, Algorithm::Sha512] {
            let hash = algorithm.hash(b"secret").unwrap();
            assert_eq!(Algorithm::of(&hash), Some(algorithm));
            assert_ne!(algorithm.hash(b"secret").unwrap(), hash, "the salt is another one");
            assert!(verify(&hash, b"secret"));
            assert!(!verify(&hash, b"Secret") && !verify(&hash, b""));
        }
        for nonsense in ["", "not base64!", "AAAA", "$argon2id$", "$2b$", "$argon2id$v=19$m=8"] {
            assert_eq!(Algorithm::of(nonsense), None, "{nonsense}");
            assert!(!verify(nonsense, b""), "{nonsense}");
        }
    }

    #[test]
    fn hashes_made_elsewhere_are_understood() {
        for (algorithm, hash, password) in [
            // The example of RabbitMQ's documentation: salt 908DC60A.
            (Algorithm::Sha256, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", "test12"),
            // Made with Python's hashlib.
            (
                Algorithm::Sha512,
                "AQIDBPhTH2L5HGYB1LWOrn+YpvuQmVOXKGqgsuiJRIZTILRoEvblSJo/WAsym3IZTfuaIaK5KR2o5Kw\
                 FfTv6KsxfMIE=",
                "secret",
            ),
            (Algorithm::Md5, "AQIDBDgk9ci8Lfh6CKE9Y0AUfmU=", "secret"),
            // From the tests of the first implementation of bcrypt.
            (
                Algorithm::Bcrypt,
                "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
                "U*U",
            ),
        ] {
            assert_eq!(Algorithm::of(hash), Some(algorithm));
            assert!(verify(hash, password.as_bytes()), "{}", algorithm.name());
            assert!(!verify(hash, b"another"), "{}", algorithm.name());
        }
    }

    #[test]
    fn a_hash_that_costs_too_much_is_none() {
        let argon2 = |m: u32, t: u32, p: u32| {
            format!(
                "$argon2id$v=19$m={m},t={t},p={p}{}",
                &NOBODY[NOBODY.find("p=1").unwrap() + 3..]
            )
        };
        assert_eq!(argon2(MEMORY_KIB, PASSES, 1), NOBODY);
        for (hash, is_fine) in [
            (argon2(MEMORY_KIB_MAX, 4, 1), true),
            (argon2(MEMORY_KIB_MAX + 1, 1, 1), false),
            (argon2(MEMORY_KIB_MAX, 5, 1), false),
            (argon2(MEMORY_KIB, 3, LANES_MAX + 1), false),
            ("$2b$14$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(), true),
            ("$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(), false),
        ] {
            assert_eq!(Algorithm::of(&hash).is_some(), is_fine, "{hash}");
        }
    }

    #[test]
    fn algorithms_are_found_by_their_names() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::named(algorithm.name()), Some(algorithm));
        }
        assert_eq!(Algorithm::named("lavinmq_bcrypt"), Some(Algorithm::Bcrypt));
        assert_eq!(Algorithm::named("rabbit_password_hashing_sha1"), None);
    }
}
