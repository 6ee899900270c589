//! The keys that tokens are signed with.

use aws_lc_rs::hmac;
use omoi_runtime::rng::Rng;
use secrecy::{ExposeSecret as _, SecretString};

use crate::secret_token::random_text;

/// Fewest characters of a key's secret.
pub const SECRET_CHARS_MIN: usize = 32;
/// Keys that are good at once: the newest signs, the one before it still verifies.
pub const KEYS_MAX: usize = 2;
/// Different characters below which nobody drew a secret at random.
const DIFFERENT_CHARS_MIN: usize = 10;
/// Parts of secrets that stand in examples.
const PLACEHOLDERS: &[&str] = &[
    "change-me",
    "change_me",
    "changeme",
    "change-in-production",
    "change_in_production",
    "your-secret",
    "your_secret",
    "placeholder",
    "example",
    "default",
];

omoi_domain::closed_set! {
    /// What a key is used for; each use has a key of its own, made from the ring's.
    KeyPurpose {
        /// Access tokens.
        Access = "access",
        /// Refresh tokens.
        Refresh = "refresh",
        /// Secrets of the way to a sign-in provider and back.
        Provider = "provider",
        /// Cursors of lists.
        Cursor = "cursor",
        /// Cookies of sessions.
        Cookie = "cookie",
        /// What pages send beside a cookie.
        Csrf = "csrf",
        /// The keys of secrets that others gave.
        Seal = "seal",
    }
}

/// The keys of a deployment, the newest first.
///
/// All processes have the same ones. A key that leaves the ring ends every token signed with it.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<RingKey>,
}

/// One key of the ring.
pub struct RingKey {
    kid: String,
    secret: hmac::Key,
}

/// Why a text is no key ring. The secrets themselves are never told.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyRingError {
    /// There is no key in it.
    #[error(
        "there is no key; write `name:secret`, and for a change of keys `new:secret,old:secret`"
    )]
    Empty,
    /// An entry is not a name and a secret.
    #[error("entry {0} is not of the form `name:secret`, with letters and digits in its name")]
    NoName(usize),
    /// A secret is short.
    #[error("the secret of key `{0}` has less than {SECRET_CHARS_MIN} characters")]
    Short(String),
    /// A secret was not drawn at random.
    #[error(
        "the secret of key `{0}` is one that others know; draw it, as with `openssl rand -base64 48`"
    )]
    Known(String),
    /// Two keys have one name.
    #[error("two keys are called `{0}`")]
    SameName(String),
    /// There are more than can be good at once.
    #[error("there are more than {KEYS_MAX} keys")]
    TooMany,
}

impl KeyRing {
    /// Reads `name:secret,name:secret`; the first key signs.
    ///
    /// # Errors
    /// [`KeyRingError`] says which key is not good, and why.
    pub fn parse(text: &SecretString) -> Result<Self, KeyRingError> {
        let entries = text.expose_secret().split(',').map(str::trim);
        let entries: Vec<&str> = entries.filter(|entry| !entry.is_empty()).collect();
        if entries.is_empty() {
            return Err(KeyRingError::Empty);
        }
        if entries.len() > KEYS_MAX {
            return Err(KeyRingError::TooMany);
        }
        let mut keys: Vec<RingKey> = Vec::new();
        for (number, entry) in (1..).zip(entries) {
            let key = RingKey::parse(entry, number)?;
            if keys.iter().any(|other| other.kid == key.kid) {
                return Err(KeyRingError::SameName(key.kid));
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }

    /// A text with one fresh key, as [`KeyRing::parse`] reads it.
    pub fn draw_text(rng: &Rng) -> SecretString {
        format!("k{:08x}:{}", rng.next_u64() >> 32, random_text(rng)).into()
    }

    /// The key that signs.
    pub fn signing_key(&self) -> &RingKey {
        // There is one: `parse` refuses an empty ring.
        &self.keys[0]
    }

    /// Every key that verifies.
    pub fn verifying_keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// The key called `kid`, while it is in the ring.
    pub fn find_key(&self, kid: &str) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}

impl RingKey {
    fn parse(entry: &str, number: usize) -> Result<Self, KeyRingError> {
        let (kid, secret) = entry.split_once(':').ok_or(KeyRingError::NoName(number))?;
        let is_name = !kid.is_empty()
            && kid
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        if !is_name || kid.len() > 32 {
            return Err(KeyRingError::NoName(number));
        }
        if secret.chars().count() < SECRET_CHARS_MIN {
            return Err(KeyRingError::Short(kid.to_owned()));
        }
        let lower = secret.to_lowercase();
        let n_different = lower
            .chars()
            .collect::<std::collections::BTreeSet<_>>()
            .len();
        let is_known = PLACEHOLDERS.iter().any(|part| lower.contains(part));
        if is_known || n_different < DIFFERENT_CHARS_MIN {
            return Err(KeyRingError::Known(kid.to_owned()));
        }
        Ok(Self {
            kid: kid.to_owned(),
            secret: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        })
    }

    /// Its name, which tokens carry.
    pub fn key_name(&self) -> &str {
        &self.kid
    }

    /// The key for one use. Who learns it learns nothing of the others.
    pub fn derived_key(&self, purpose: KeyPurpose) -> [u8; 32] {
        let label = format!("omoios {purpose}");
        let mut key = [0; 32];
        key.copy_from_slice(hmac::sign(&self.secret, label.as_bytes()).as_ref());
        key
    }
}

impl std::fmt::Debug for RingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RingKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    const GOOD: &str = "kJ3f0vQmZ8xw-Tq41LrYb7NcUe5sGhPd";

    fn check(text: &str, want: Result<&[&str], KeyRingError>) {
        let ring = KeyRing::parse(&text.to_owned().into());
        let kids = ring.as_ref().map(|ring| {
            ring.verifying_keys()
                .iter()
                .map(RingKey::key_name)
                .collect::<Vec<_>>()
        });
        assert_eq!(
            kids.map_err(|_| ()),
            want.as_ref().map(|kids| kids.to_vec()).map_err(|_| ()),
            "{text}"
        );
        if let (Err(got), Err(want)) = (ring, want) {
            assert_eq!(got, want);
            assert!(!got.to_string().contains(GOOD));
        }
    }

    #[test]
    fn a_ring_has_one_or_two_strong_keys() {
        check(&format!("a:{GOOD}"), Ok(&["a"]));
        check(&format!(" b:{GOOD} , a:{GOOD}x "), Ok(&["b", "a"]));
        check("", Err(KeyRingError::Empty));
        check(" , ", Err(KeyRingError::Empty));
        check(GOOD, Err(KeyRingError::NoName(1)));
        check(
            &format!("a:{GOOD},b c:{GOOD}"),
            Err(KeyRingError::NoName(2)),
        );
        check("a:short", Err(KeyRingError::Short("a".into())));
        let repeated = "ab".repeat(20);
        check(
            &format!("a:{repeated}"),
            Err(KeyRingError::Known("a".into())),
        );
        check(
            "a:dev-secret-key-Change-In-Production-1234",
            Err(KeyRingError::Known("a".into())),
        );
        check(
            &format!("a:{GOOD},a:{GOOD}"),
            Err(KeyRingError::SameName("a".into())),
        );
        check(
            &format!("a:{GOOD},b:{GOOD},c:{GOOD}"),
            Err(KeyRingError::TooMany),
        );
    }

    #[test]
    fn each_use_has_a_key_of_its_own() {
        let text = KeyRing::draw_text(&Rng::seeded(1));
        let ring = KeyRing::parse(&text).unwrap();
        let key = ring.signing_key();
        let keys = KeyPurpose::ALL
            .iter()
            .map(|purpose| key.derived_key(*purpose));
        let keys: std::collections::BTreeSet<_> = keys.collect();
        assert_eq!(keys.len(), KeyPurpose::ALL.len());
        assert!(ring.find_key(key.key_name()).is_some() && ring.find_key("x").is_none());
        assert!(!format!("{ring:?}").contains(text.expose_secret().split_once(':').unwrap().1));
    }
}
