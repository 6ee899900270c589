//! Random secrets that are shown once, and what the database keeps of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use omoi_runtime::rng::Rng;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// A fresh secret with its digest.
#[derive(Debug)]
pub struct FreshSecret {
    /// What its holder is told, once.
    pub secret: SecretString,
    /// What is stored.
    pub digest: String,
}

impl FreshSecret {
    /// Draws a secret that begins with `prefix`.
    pub fn draw_secret(prefix: &str, rng: &Rng) -> Self {
        let secret = SecretString::from(format!("{prefix}{}", random_text(rng)));
        let digest = secret_digest(secret.expose_secret());
        Self { secret, digest }
    }
}

/// The digest by which a secret that came is looked for.
///
/// Plain SHA-256: what is digested was drawn at random and cannot be guessed.
pub fn secret_digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// 256 random bits as 43 characters of base64url.
pub(crate) fn random_text(rng: &Rng) -> String {
    let mut bytes = [0; SECRET_BYTES];
    rng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_and_its_digest_is_not_it() {
        let rng = Rng::seeded(1);
        let (one, two) = (
            FreshSecret::draw_secret("omw_", &rng),
            FreshSecret::draw_secret("omw_", &rng),
        );
        assert_ne!(one.digest, two.digest);
        let text = one.secret.expose_secret();
        assert_eq!((text.len(), &text[..4]), (47, "omw_"));
        assert_eq!(one.digest, secret_digest(text));
        assert!(!format!("{one:?}").contains(text));
    }
}
