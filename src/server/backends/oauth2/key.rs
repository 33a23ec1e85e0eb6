//! The keys that tokens are signed with. A key can do only what its type can: that a token names another
//! algorithm, or none, is of no use to whoever has made it up.
//!
//! ```text
//! RSA      RS256 RS384 RS512 PS256 PS384 PS512      2,048 to 8,192 bits
//! EC       P-256: ES256      P-384: ES384
//! Ed25519  EdDSA
//! oct      HS256 HS384 HS512                         out of files only, of 256 bits at least
//! ```

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo};
use x509_parser::public_key::PublicKey;

/// A key that signatures are checked with.
#[derive(Debug, Clone)]
pub struct Key {
    id: Option<String>,
    /// The one algorithm that it is for, if it says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// As an uncompressed point.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
    Secret(Vec<u8>),
}

impl Key {
    /// The keys of a file: a public key in PEM, or keys in JSON (RFC 7517).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_file(content: &[u8]) -> Result<Vec<Key>, &'static str> {
        if content.trim_ascii_start().starts_with(b"{") {
            return match Key::of_json(content, true) {
                Some(keys) if !keys.is_empty() => Ok(keys),
                _ => Err("no key in it that can be used"),
            };
        }
        let keys: Result<Vec<_>, _> = SubjectPublicKeyInfoDer::pem_slice_iter(content).collect();
        let keys = keys.map_err(|_| "neither a public key in PEM nor JSON")?;
        if keys.is_empty() {
            return Err("no public key in it");
        }
        let material = |key: &SubjectPublicKeyInfoDer<'_>| Material::of_public_key(key);
        let keys = keys
            .iter()
            .map(|key| material(key).map(|material| Key { id: None, algorithm: None, material }));
        keys.collect::<Option<_>>().ok_or("a key of a type that is not used")
    }

    /// The keys of a set, or the one key, that can be used. `None` if it is none. Secrets are no keys of a
    /// set that anybody may read.
    pub fn of_json(json: &[u8], with_secrets: bool) -> Option<Vec<Key>> {
        let json: Value = serde_json::from_slice(json).ok()?;
        let keys = match json.get("keys") {
            Some(keys) => keys.as_array()?.as_slice(),
            None if json.get("kty").is_some() => std::slice::from_ref(&json),
            None => return None,
        };
        let keys = keys.iter().take(KEYS_MAX).filter_map(Key::of_jwk);
        let is_used = |key: &Key| with_secrets || !matches!(key.material, Material::Secret(_));
        Some(keys.filter(is_used).collect())
    }

    fn of_jwk(jwk: &Value) -> Option<Key> {
        let text = |name| jwk.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        let octets = |name| {
            let text = text(name)?.trim_end_matches('=');
            URL_SAFE_NO_PAD.decode(text).ok()
        };
        let point = |len| {
            let (x, y) = (octets("x")?, octets("y")?);
            (x.len() == len && y.len() == len).then(|| [&[UNCOMPRESSED][..], &x, &y].concat())
        };
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::rsa(&octets("n")?, &octets("e")?),
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(octets("x")?),
            ("oct", _) => Material::Secret(octets("k").filter(|it| it.len() >= SECRET_BYTES_MIN)?),
            _ => return None,
        };
        let (id, algorithm) = (text("kid").map(str::to_owned), text("alg").map(str::to_owned));
        Some(Key { id, algorithm, material })
    }

    /// Whether a token that names this key may mean it: a key without a name is any.
    pub fn is_named(&self, id: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(id)) => own == id,
            _ => true,
        }
    }

    /// Whether it has signed a message with an algorithm.
    pub fn has_signed(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        if self.algorithm.as_deref().is_some_and(|own| own != algorithm) {
            return false;
        }
        let is_by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        match (&self.material, algorithm) {
            (Material::Rsa(key), _) => rsa(algorithm)
                .is_some_and(|parameters| key.verify(parameters, message, signature).is_ok()),
            (Material::P256(key), "ES256") => is_by(&ECDSA_P256_SHA256_FIXED, key),
            (Material::P384(key), "ES384") => is_by(&ECDSA_P384_SHA384_FIXED, key),
            (Material::Ed25519(key), "EdDSA" | "Ed25519") => is_by(&ED25519, key),
            (Material::Secret(secret), _) => hmac(algorithm).is_some_and(|algorithm| {
                let key = hmac::Key::new(algorithm, secret);
                hmac::verify(&key, message, signature).is_ok()
            }),
            _ => false,
        }
    }
}

impl Material {
    fn rsa(modulus: &[u8], exponent: &[u8]) -> Material {
        let without_zeros = |octets: &[u8]| {
            octets.iter().copied().skip_while(|octet| *octet == 0).collect::<Vec<u8>>()
        };
        let (n, e) = (without_zeros(modulus), without_zeros(exponent));
        Material::Rsa(RsaPublicKeyComponents { n, e })
    }

    fn of_public_key(der: &[u8]) -> Option<Material> {
        let (_, key) = SubjectPublicKeyInfo::from_der(der).ok()?;
        let octets = key.subject_public_key.data.to_vec();
        match key.algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.1" => {
                let PublicKey::RSA(key) = key.parsed().ok()? else { return None };
                Some(Material::rsa(key.modulus, key.exponent))
            }
            "1.2.840.10045.2.1" => match octets.len() {
                65 => Some(Material::P256(octets)),
                97 => Some(Material::P384(octets)),
                _ => None,
            },
            "1.3.101.112" => Some(Material::Ed25519(octets)),
            _ => None,
        }
    }
}

/// Says what it is, and of a secret nothing else.
impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Material::Rsa(_) => "RSA",
            Material::P256(_) => "P-256",
            Material::P384(_) => "P-384",
            Material::Ed25519(_) => "Ed25519",
            Material::Secret(_) => "oct",
        })
    }
}

fn rsa(algorithm: &str) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "PS384" => &RSA_PSS_2048_8192_SHA384,
        "PS512" => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn hmac(algorithm: &str) -> Option<hmac::Algorithm> {
    Some(match algorithm {
        "HS256" => hmac::HMAC_SHA256,
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => return None,
    })
}

/// Keys of a set that are looked at.
const KEYS_MAX: usize = 64;
/// What every algorithm with a secret wants at least (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;
/// What stands before the coordinates of a point (SEC 1).
const UNCOMPRESSED: u8 = 4;
