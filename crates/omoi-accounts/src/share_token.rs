//! Tokens of links that show something to whoever has them.
//!
//! A token names the organisation, so that the row behind it is looked for where it lies: rows of organisations are seen
//! within one alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use omoi_domain::id::OrgId;
use omoi_runtime::rng::Rng;
use secrecy::SecretString;
use uuid::Uuid;

use crate::secret_token::secret_digest;

/// Random bytes of a token.
const RANDOM_BYTES: usize = 16;

/// A fresh token.
#[derive(Debug)]
pub struct ShareToken {
    /// What the link carries; nobody can read it again.
    pub token: SecretString,
    /// What is stored.
    pub digest: String,
}

/// Where a token leads, if it leads anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareAddress {
    /// The organisation.
    pub org: OrgId,
    /// What the token is looked for by there.
    pub digest: String,
}

impl ShareToken {
    /// Draws a token of 128 random bits for something of `org`.
    pub fn draw_token(org: OrgId, rng: &Rng) -> Self {
        let mut bytes = [0; RANDOM_BYTES];
        rng.fill_bytes(&mut bytes);
        let text = URL_SAFE_NO_PAD.encode([&org.as_uuid().as_bytes()[..], &bytes].concat());
        Self {
            digest: secret_digest(&text),
            token: SecretString::from(text),
        }
    }
}

/// Where `text` leads; `None` for a text that is no such token.
pub fn share_address(text: &str) -> Option<ShareAddress> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (org, random) = bytes.split_first_chunk::<16>()?;
    (random.len() == RANDOM_BYTES).then(|| ShareAddress {
        org: OrgId::from_uuid(Uuid::from_bytes(*org)),
        digest: secret_digest(text),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_token_leads_to_its_organisation_and_nothing_else_does() {
        let org = OrgId::from_uuid(Uuid::from_u128(7));
        let rng = Rng::seeded(1);
        let one = ShareToken::draw_token(org, &rng);
        let text = one.token.expose_secret();
        assert_eq!(text.len(), 43);
        let digest = one.digest.clone();
        assert_eq!(share_address(text), Some(ShareAddress { org, digest }));
        assert_ne!(ShareToken::draw_token(org, &rng).digest, one.digest);
        for text in ["", "abc", "***", &text[1..], &format!("{text}AAAA")] {
            assert_eq!(share_address(text), None, "{text}");
        }
    }
}
