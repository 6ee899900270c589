//! Secrets that others gave, as they are kept: encrypted, and bound to the place that they belong to.
//!
//! Each secret has a key of its own (AES-256-GCM), which a key of the deployment's ring encrypts. Both are bound to the
//! organisation and to what the secret is for: what is copied from one row into another opens nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use omoi_domain::id::OrgId;
use omoi_runtime::rng::Rng;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::key_ring::{KeyPurpose, KeyRing, RingKey};

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// What a secret belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedPlace<'a> {
    /// Whose it is.
    pub org: OrgId,
    /// The provider that it is for.
    pub provider: &'a str,
}

/// A secret as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// The key of the ring that opens it.
    pub ring_key: String,
    /// The secret's own key, encrypted by that.
    pub wrapped_key: Vec<u8>,
    /// The secret, encrypted by its own key.
    pub sealed: Vec<u8>,
}

/// Why a secret cannot be kept or read. It never tells the secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// The key that would open it is not in the ring.
    #[error("it is encrypted by the key `{0}`, which `auth.encryption_keys` does not have")]
    UnknownKey(String),
    /// It was changed, or is none of this organisation and provider.
    #[error("it is not what was kept for this organisation and this provider")]
    Altered,
    /// The library refused to encrypt.
    #[error("it could not be encrypted")]
    Unsealable,
}

impl SealedSecret {
    /// Encrypts `secret` by the newest key of `ring`.
    ///
    /// # Errors
    /// [`SealError::Unsealable`].
    pub fn seal_text(
        ring: &KeyRing,
        rng: &Rng,
        place: SealedPlace<'_>,
        secret: &SecretString,
    ) -> Result<Self, SealError> {
        let mut own = Zeroizing::new([0; KEY_BYTES]);
        rng.fill_bytes(own.as_mut());
        let text = secret.expose_secret().as_bytes();
        let sealed = encrypt(&own, rng, &place.bound_text(), text)?;
        Self::wrap(ring, rng, place, sealed, &own)
    }

    /// The secret, where `self` is what was kept of it in `place`.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`], [`SealError::Altered`].
    pub fn open(&self, ring: &KeyRing, place: SealedPlace<'_>) -> Result<SecretString, SealError> {
        let own = self.unwrap_key(ring, place)?;
        let text = decrypt(&own, &place.bound_text(), &self.sealed)?;
        let text = std::str::from_utf8(&text).map_err(|_| SealError::Altered)?;
        Ok(text.to_owned().into())
    }

    /// The same secret, opened by the newest key of `ring`; none where it is already.
    ///
    /// # Errors
    /// As [`SealedSecret::open`] and [`SealedSecret::seal_text`].
    pub fn wrap_again(
        &self,
        ring: &KeyRing,
        rng: &Rng,
        place: SealedPlace<'_>,
    ) -> Result<Option<Self>, SealError> {
        if self.ring_key == ring.signing_key().key_name() {
            return Ok(None);
        }
        let own = self.unwrap_key(ring, place)?;
        Self::wrap(ring, rng, place, self.sealed.clone(), &own).map(Some)
    }

    fn wrap(
        ring: &KeyRing,
        rng: &Rng,
        place: SealedPlace<'_>,
        sealed: Vec<u8>,
        own: &[u8; KEY_BYTES],
    ) -> Result<Self, SealError> {
        let newest = ring.signing_key();
        let name = newest.key_name().to_owned();
        let wrapped_key = encrypt(&master_key(newest), rng, &place.wrap_text(&name), own)?;
        Ok(Self {
            ring_key: name,
            wrapped_key,
            sealed,
        })
    }

    fn unwrap_key(
        &self,
        ring: &KeyRing,
        place: SealedPlace<'_>,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, SealError> {
        let name = &self.ring_key;
        let unknown = || SealError::UnknownKey(name.clone());
        let master = ring.find_key(name).ok_or_else(unknown)?;
        let bound = place.wrap_text(name);
        let own = decrypt(&master_key(master), &bound, &self.wrapped_key)?;
        let own = <[u8; KEY_BYTES]>::try_from(own.as_slice()).map_err(|_| SealError::Altered)?;
        Ok(Zeroizing::new(own))
    }
}

impl SealedPlace<'_> {
    /// What the secret is bound to.
    fn bound_text(&self) -> String {
        let Self { org, provider } = self;
        format!("omoios provider key\0{org}\0{provider}")
    }

    /// What its own key is bound to, encrypted by the key `name` of the ring.
    fn wrap_text(&self, name: &str) -> String {
        format!("{}\0key\0{name}", self.bound_text())
    }
}

fn master_key(key: &RingKey) -> Zeroizing<[u8; KEY_BYTES]> {
    Zeroizing::new(key.derived_key(KeyPurpose::Seal))
}

/// A nonce, and behind it what becomes of `text`.
fn encrypt(
    key: &[u8; KEY_BYTES],
    rng: &Rng,
    bound: &str,
    text: &[u8],
) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_LEN];
    rng.fill_bytes(&mut nonce);
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealError::Unsealable)?;
    let mut sealed = text.to_vec();
    LessSafeKey::new(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(bound.as_bytes()),
            &mut sealed,
        )
        .map_err(|_| SealError::Unsealable)?;
    Ok([&nonce[..], &sealed].concat())
}

fn decrypt(
    key: &[u8; KEY_BYTES],
    bound: &str,
    kept: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let altered = |_| SealError::Altered;
    let (nonce, sealed) = kept.split_at_checked(NONCE_LEN).ok_or(SealError::Altered)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(altered)?;
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(altered)?;
    let mut text = Zeroizing::new(sealed.to_vec());
    let bound = Aad::from(bound.as_bytes());
    let opened = LessSafeKey::new(key).open_in_place(nonce, bound, &mut text);
    let n_bytes = opened.map_err(altered)?.len();
    text.truncate(n_bytes);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old:kJ3f0vQmZ8xw-Tq41LrYb7NcUe5sGhPd";
    const NEW: &str = "new:Wz8d1tBnX6yu-Rp52MsAc9KfVg4jHqLe";
    const SECRET: &str = "sk-ant-0123456789x4f9";
    const ACME: OrgId = OrgId::LOCAL;

    fn ring(text: &str) -> KeyRing {
        KeyRing::parse(&text.to_owned().into()).unwrap()
    }

    fn place(org: OrgId, provider: &str) -> SealedPlace<'_> {
        SealedPlace { org, provider }
    }

    fn sealed(ring: &KeyRing, org: OrgId, provider: &str) -> SealedSecret {
        let rng = Rng::seeded(7);
        SealedSecret::seal_text(ring, &rng, place(org, provider), &SECRET.into()).unwrap()
    }

    fn opened(kept: &SealedSecret, ring: &KeyRing, org: OrgId) -> Result<String, SealError> {
        let opened = kept.open(ring, place(org, "anthropic"));
        opened.map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn what_is_kept_opens_at_its_place_alone() {
        let old = ring(OLD);
        let kept = sealed(&old, ACME, "anthropic");
        assert_eq!(opened(&kept, &old, ACME).unwrap(), SECRET);
        let text = format!("{kept:?}");
        assert!(!text.contains(SECRET), "{text}");
        assert!(!kept.sealed.windows(4).any(|part| part == b"x4f9"));

        assert_eq!(
            opened(&kept, &ring(NEW), ACME),
            Err(SealError::UnknownKey("old".to_owned()))
        );
        // Another secret of the same name.
        let false_ring = ring(&NEW.replace("new:", "old:"));
        assert_eq!(opened(&kept, &false_ring, ACME), Err(SealError::Altered));
        // The row of another organisation, or for another provider.
        assert_eq!(
            opened(&kept, &old, OrgId::PLATFORM),
            Err(SealError::Altered)
        );
        let other = sealed(&old, ACME, "openai");
        assert_eq!(opened(&other, &old, ACME), Err(SealError::Altered));
        // A secret under the key of another row.
        let mixed = SealedSecret {
            wrapped_key: other.wrapped_key,
            ..kept.clone()
        };
        assert_eq!(opened(&mixed, &old, ACME), Err(SealError::Altered));
    }

    #[test]
    fn a_changed_or_cut_byte_opens_nothing() {
        let old = ring(OLD);
        let kept = sealed(&old, ACME, "anthropic");
        let altered = |change: &dyn Fn(&mut SealedSecret)| {
            let mut kept = kept.clone();
            change(&mut kept);
            opened(&kept, &old, ACME)
        };
        for at in 0..kept.sealed.len() {
            assert_eq!(
                altered(&|kept| kept.sealed[at] ^= 1),
                Err(SealError::Altered),
                "{at}"
            );
        }
        for at in 0..kept.wrapped_key.len() {
            assert_eq!(
                altered(&|kept| kept.wrapped_key[at] ^= 1),
                Err(SealError::Altered)
            );
        }
        for n_bytes in [0, 1, NONCE_LEN, kept.sealed.len() - 1] {
            assert_eq!(
                altered(&|kept| kept.sealed.truncate(n_bytes)),
                Err(SealError::Altered)
            );
        }
    }

    #[test]
    fn a_second_key_takes_the_place_of_the_first() {
        let (old, new) = (ring(OLD), ring(NEW));
        let both = ring(&format!("{NEW},{OLD}"));
        let kept = sealed(&old, ACME, "anthropic");
        assert_eq!(opened(&kept, &both, ACME).unwrap(), SECRET);
        let (rng, here) = (Rng::seeded(9), place(ACME, "anthropic"));
        let moved = kept.wrap_again(&both, &rng, here).unwrap().unwrap();
        assert_eq!(
            (moved.ring_key.as_str(), &moved.sealed),
            ("new", &kept.sealed)
        );
        assert_eq!(opened(&moved, &new, ACME).unwrap(), SECRET);
        assert_eq!(moved.wrap_again(&both, &rng, here), Ok(None));
        assert_eq!(
            kept.wrap_again(&new, &rng, here),
            Err(SealError::UnknownKey("old".to_owned()))
        );
    }
}
