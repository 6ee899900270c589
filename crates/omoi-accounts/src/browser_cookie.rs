//! What a browser keeps of a sign-in: a cookie that names the session, and a word that pages send beside it.
//!
//! Both are MACs over the session's id by keys of the ring, so that nothing of them is stored; the cookie is good while
//! its session lasts and its key is in the ring. The word beside it shows that a page of ours asks: other sites have the
//! browser send the cookie, and cannot read the word.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use omoi_domain::id::SignInSessionId;
use secrecy::SecretString;
use uuid::Uuid;

use crate::key_ring::{KeyPurpose, KeyRing, RingKey};

/// How the value of a cookie begins, which no token of another kind does.
pub const COOKIE_PREFIX: &str = "omc_";
/// Bytes of a session's id.
const ID_BYTES: usize = 16;

/// The value of the cookie of `session`.
pub fn cookie_value(ring: &KeyRing, session: SignInSessionId) -> SecretString {
    let id = *session.as_uuid().as_bytes();
    let mac = hmac::sign(&mac_key(ring.signing_key(), KeyPurpose::Cookie), &id);
    let bytes = [&id[..], mac.as_ref()].concat();
    format!("{COOKIE_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)).into()
}

/// The session that a genuine cookie names.
pub fn read_cookie(ring: &KeyRing, value: &str) -> Option<SignInSessionId> {
    let encoded = value.strip_prefix(COOKIE_PREFIX)?;
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let (id, mac) = bytes.split_at_checked(ID_BYTES)?;
    let keys = ring.verifying_keys().iter();
    let is_made_with =
        |key: &RingKey| hmac::verify(&mac_key(key, KeyPurpose::Cookie), id, mac).is_ok();
    keys.into_iter().find(|key| is_made_with(key))?;
    Uuid::from_slice(id).ok().map(SignInSessionId::from_uuid)
}

/// What pages send beside the cookie of `session`.
pub fn csrf_token(ring: &KeyRing, session: SignInSessionId) -> String {
    let id = *session.as_uuid().as_bytes();
    let mac = hmac::sign(&mac_key(ring.signing_key(), KeyPurpose::Csrf), &id);
    URL_SAFE_NO_PAD.encode(mac)
}

/// Whether `token` goes with the cookie of `session`.
pub fn is_csrf_token(ring: &KeyRing, session: SignInSessionId, token: &str) -> bool {
    let id = *session.as_uuid().as_bytes();
    let Ok(mac) = URL_SAFE_NO_PAD.decode(token) else {
        return false;
    };
    let mut keys = ring.verifying_keys().iter();
    keys.any(|key| hmac::verify(&mac_key(key, KeyPurpose::Csrf), &id, &mac).is_ok())
}

fn mac_key(key: &RingKey, purpose: KeyPurpose) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &key.derived_key(purpose))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_runtime::rng::Rng;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_cookie_names_its_session_while_its_key_is_in_the_ring() {
        let rng = Rng::seeded(1);
        let (old, new) = (KeyRing::draw_text(&rng), KeyRing::draw_text(&rng));
        let both = format!("{},{}", new.expose_secret(), old.expose_secret());
        let [old, new, both] = [old, new, both.into()].map(|text| KeyRing::parse(&text).unwrap());
        let session = SignInSessionId::from_uuid(Uuid::from_u128(7));
        let other = SignInSessionId::from_uuid(Uuid::from_u128(8));
        let cookie = cookie_value(&old, session);
        let text = cookie.expose_secret();
        assert_eq!(read_cookie(&old, text), Some(session));
        assert_eq!(read_cookie(&both, text), Some(session));
        assert_eq!(read_cookie(&new, text), None);
        for at in 0..text.len() {
            let mut forged = text.to_owned();
            let letter = if &text[at..=at] == "x" { "y" } else { "x" };
            forged.replace_range(at..=at, letter);
            assert_eq!(read_cookie(&old, &forged), None, "{at}");
        }
        for text in ["", "omc_", "omc_AAAA", &text[..30], &format!("{text}A")] {
            assert_eq!(read_cookie(&old, text), None, "{text}");
        }
        let token = csrf_token(&old, session);
        assert!(is_csrf_token(&old, session, &token) && is_csrf_token(&both, session, &token));
        for (ring, of, token) in [
            (&new, session, token.as_str()),
            (&old, other, &token),
            (&old, session, ""),
            (&old, session, &text[4..]),
        ] {
            assert!(!is_csrf_token(ring, of, token), "{token}");
        }
    }
}
