//! Which certificate a client sees: the one for the name that it asks for (SNI).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::files::Certificate;

/// Certificates by the host names that are in them.
#[derive(Debug)]
pub struct ByName {
    default: Arc<CertifiedKey>,
    named: HashMap<String, Arc<CertifiedKey>>,
}

impl ByName {
    /// Of these, the first one is for clients that ask for no name, or for one that none has. If two
    /// have a name, it is the first one's.
    pub fn new(certificates: &[Certificate]) -> Self {
        let mut named = HashMap::new();
        for certificate in certificates {
            for name in &certificate.names {
                named.entry(name.clone()).or_insert_with(|| certificate.key.clone());
            }
        }
        ByName { default: certificates[0].key.clone(), named }
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let (_, parent) = name.split_once('.').unwrap_or_default();
        self.named.get(&name).or_else(|| self.named.get(&format!("*.{parent}")))
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.find(name));
        Some(named.unwrap_or(&self.default).clone())
    }
}
