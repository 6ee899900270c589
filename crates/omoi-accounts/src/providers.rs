//! The providers by which people sign in here.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use omoi_domain::access::provider_identity::{IdentityProvider, allowed_return};
use omoi_integrations::oauth::{SignInProvider, SignInSecrets};

use crate::key_ring::{KeyPurpose, RingKey};

/// The providers of a deployment, and where people come back to. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SignInProviders {
    by_name: BTreeMap<IdentityProvider, Arc<dyn SignInProvider>>,
    /// Origins that a browser may be sent to, such as `https://omoi.example.org`.
    origins: Vec<String>,
}

impl SignInProviders {
    /// These providers; browsers end at a path of this server, or below one of `origins`.
    pub fn new(
        by_name: BTreeMap<IdentityProvider, Arc<dyn SignInProvider>>,
        origins: Vec<String>,
    ) -> Self {
        Self { by_name, origins }
    }

    /// The provider called so, where it is set up.
    pub fn find_provider(&self, name: IdentityProvider) -> Option<&Arc<dyn SignInProvider>> {
        self.by_name.get(&name)
    }

    /// Whether browsers reach this server over TLS alone, so that a cookie may say so.
    pub fn is_encrypted(&self) -> bool {
        self.origins
            .iter()
            .all(|origin| origin.starts_with("https://"))
    }

    /// Where a browser that asks for `return_to` ends, unless that leads elsewhere.
    pub fn return_address<'a>(&self, return_to: &'a str) -> Option<&'a str> {
        let origins: Vec<&str> = self.origins.iter().map(String::as_str).collect();
        allowed_return(return_to, &origins)
    }
}

/// The secrets of a way to a provider and back, made again from its state: none of them is stored.
pub(crate) fn flow_secrets(key: &RingKey, state: &[u8; 32]) -> SignInSecrets {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.derived_key(KeyPurpose::Provider));
    let derived = |label: &[u8]| {
        let mut context = hmac::Context::with_key(&key);
        context.update(label);
        context.update(state);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        bytes
    };
    SignInSecrets::from_random(&[*state, derived(b"code_verifier"), derived(b"nonce")])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use crate::key_ring::KeyRing;

    use super::*;

    #[test]
    fn secrets_of_a_flow_are_made_again_and_say_nothing_of_each_other() {
        let ring = KeyRing::parse(&"k:kJ3f0vQmZ8xw-Tq41LrYb7NcUe5sGhPd".to_owned().into()).unwrap();
        let key = ring.signing_key();
        let made = flow_secrets(key, &[1; 32]);
        assert_eq!(made, flow_secrets(key, &[1; 32]));
        let other = flow_secrets(key, &[2; 32]);
        let all = [
            &made.state,
            &made.code_verifier,
            &made.nonce,
            &other.code_verifier,
            &other.nonce,
        ];
        for (n, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 43);
            assert!(all.iter().skip(n + 1).all(|later| later != one));
        }
    }
}
