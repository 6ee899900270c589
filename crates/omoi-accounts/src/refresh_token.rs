//! Refresh tokens: made of a session and its generation, and nothing of them is stored.
//!
//! `omr_` and base64url of the session's id, the generation and a MAC over both by a key of the ring. The same
//! generation always gives the same token, so two tabs that refresh at once get one successor; and a token of any
//! earlier generation is told from a forged one, which is what ends a family whose token was copied.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use omoi_domain::id::SignInSessionId;
use secrecy::SecretString;
use uuid::Uuid;

use crate::key_ring::{KeyPurpose, KeyRing, RingKey};

/// How a refresh token begins.
const PREFIX: &str = "omr_";
/// Bytes of the session's id and the generation.
const HEAD_BYTES: usize = 24;

/// What a genuine refresh token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedGeneration {
    /// The session.
    pub session: SignInSessionId,
    /// Which token of it.
    pub generation: i64,
}

/// The token of `named`, by `key`.
pub fn refresh_token(key: &RingKey, named: NamedGeneration) -> SecretString {
    let head = head_of(named);
    let mac = hmac::sign(&mac_key(key), &head);
    let bytes = [&head[..], mac.as_ref()].concat();
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)).into()
}

/// What `text` names, and the key of the ring that made it. Whether that session's token is made with that key is the
/// session's to say: a key that signs no more makes no newer tokens.
pub fn read_refresh_token<'a>(
    ring: &'a KeyRing,
    text: &str,
) -> Option<(NamedGeneration, &'a RingKey)> {
    let encoded = text.strip_prefix(PREFIX)?;
    // Decoding refuses bits that no token has: one token has one text.
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let (head, mac) = bytes.split_at_checked(HEAD_BYTES)?;
    let is_genuine = |key: &RingKey| hmac::verify(&mac_key(key), head, mac).is_ok();
    let key = ring.verifying_keys().iter().find(|key| is_genuine(key))?;
    let (session, generation) = head.split_at_checked(16)?;
    let named = NamedGeneration {
        session: Uuid::from_slice(session).ok()?.into(),
        generation: i64::from_be_bytes(generation.try_into().ok()?),
    };
    Some((named, key))
}

fn head_of(named: NamedGeneration) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..16].copy_from_slice(named.session.as_uuid().as_bytes());
    head[16..].copy_from_slice(&named.generation.to_be_bytes());
    head
}

fn mac_key(key: &RingKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &key.derived_key(KeyPurpose::Refresh))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_runtime::rng::Rng;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_token_names_its_generation_and_cannot_be_made_up() {
        let rng = Rng::seeded(1);
        let (old, new) = (KeyRing::draw_text(&rng), KeyRing::draw_text(&rng));
        let both = format!("{},{}", new.expose_secret(), old.expose_secret());
        let [old, new, both] = [old, new, both.into()].map(|text| KeyRing::parse(&text).unwrap());
        let session = SignInSessionId::from_uuid(Uuid::from_u128(7));
        let named = NamedGeneration {
            session,
            generation: 3,
        };
        let token = refresh_token(old.signing_key(), named);
        let text = token.expose_secret();
        let read = |ring: &KeyRing, text: &str| {
            let read = read_refresh_token(ring, text);
            read.map(|(named, key)| (named, key.key_name().to_owned()))
        };
        let made_by = old.signing_key().key_name().to_owned();
        assert_eq!(read(&old, text), Some((named, made_by.clone())));
        assert_eq!(read(&both, text), Some((named, made_by)));
        assert_eq!(read(&new, text), None);
        assert_eq!(
            refresh_token(old.signing_key(), named).expose_secret(),
            text
        );
        let next = NamedGeneration {
            generation: 4,
            ..named
        };
        assert_ne!(refresh_token(old.signing_key(), next).expose_secret(), text);
        for at in 0..text.len() {
            let mut forged = text.to_owned();
            let other = if &text[at..=at] == "x" { "y" } else { "x" };
            forged.replace_range(at..=at, other);
            assert_eq!(read(&old, &forged), None, "{at}");
        }
        for text in [
            "",
            "omr_",
            "omr_AAAA",
            &text[..40],
            &format!("{text}A"),
            &format!("{text}="),
        ] {
            assert_eq!(read(&old, text), None, "{text}");
        }
    }
}
