//! The form of keys.
//!
//! `sk_live_` or `sk_agent_`, 43 random characters, 6 of a checksum: scanners of secrets know them by sight, and a
//! mistyped one costs no look at the database.

use omoi_domain::access::api_key::ApiKeyKind;
use omoi_runtime::rng::Rng;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret_token::{random_text, secret_digest};

/// Characters that a list shows of a key.
pub const SHOWN_CHARS: usize = 12;
/// Random characters of a key.
const RANDOM_CHARS: usize = 43;
/// Characters of its checksum.
const CHECKSUM_CHARS: usize = 6;

/// A fresh key.
#[derive(Debug)]
pub struct FreshApiKey {
    /// What its owner is told, once.
    pub key: SecretString,
    /// Its beginning, for lists.
    pub prefix: String,
    /// What is stored.
    pub digest: String,
}

const fn prefix_of(kind: ApiKeyKind) -> &'static str {
    match kind {
        ApiKeyKind::Person | ApiKeyKind::Organization => "sk_live_",
        ApiKeyKind::Agent => "sk_agent_",
    }
}

impl FreshApiKey {
    /// Draws a key of `kind`.
    pub fn draw_key(kind: ApiKeyKind, rng: &Rng) -> Self {
        let body = format!("{}{}", prefix_of(kind), random_text(rng));
        let key = SecretString::from(format!("{body}{}", checksum_of(&body)));
        let digest = secret_digest(key.expose_secret());
        let prefix = body.chars().take(SHOWN_CHARS).collect();
        Self {
            key,
            prefix,
            digest,
        }
    }
}

/// The digest by which a key that came is looked for; `None` for a text that is no key.
pub fn api_key_digest(text: &str) -> Option<String> {
    let prefix = ["sk_live_", "sk_agent_"]
        .into_iter()
        .find(|prefix| text.starts_with(prefix))?;
    let is_long = text.is_ascii() && text.len() == prefix.len() + RANDOM_CHARS + CHECKSUM_CHARS;
    let (body, checksum) = text.split_at_checked(text.len().checked_sub(CHECKSUM_CHARS)?)?;
    (is_long && checksum_of(body) == checksum).then(|| secret_digest(text))
}

fn checksum_of(body: &str) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(Sha256::digest(body.as_bytes()));
    text.truncate(CHECKSUM_CHARS);
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn a_key_is_known_by_its_form_and_a_mistyped_one_is_none() {
        let rng = Rng::seeded(1);
        for kind in ApiKeyKind::ALL.iter().copied() {
            let fresh = FreshApiKey::draw_key(kind, &rng);
            let text = fresh.key.expose_secret();
            assert_eq!(api_key_digest(text), Some(fresh.digest.clone()));
            assert_eq!(fresh.prefix, text[..SHOWN_CHARS]);
            for at in 0..text.len() {
                let mut mistyped = text.to_owned();
                let other = if &text[at..=at] == "x" { "y" } else { "x" };
                mistyped.replace_range(at..=at, other);
                assert_eq!(api_key_digest(&mistyped), None, "{at}");
            }
            assert_eq!(api_key_digest(&format!("{text}x")), None);
        }
        for text in ["", "sk_live_", "omr_x", "sk_live_ä", "sk_live_aaaaaé"] {
            assert_eq!(api_key_digest(text), None, "{text}");
        }
    }
}
