//! Reasoning that may come back: sealed when it is given, so that a text or a maker that was exchanged on
//! the way is noticed, as vendors notice it.

use sha2::{Digest as _, Sha256};

const PREFIX: &str = "sim1.";
const DIGEST_CHARS: usize = 64;

/// The seal of a reasoning text.
pub(super) fn seal_text(text: &str) -> String {
    format!("{PREFIX}{}", hex::encode(Sha256::digest(text.as_bytes())))
}

/// Whether `seal` was given with exactly this text.
pub(super) fn is_seal_of(seal: &str, text: &str) -> bool {
    seal == seal_text(text)
}

/// Whether `seal` was given by this server at all.
pub(super) fn is_seal(seal: &str) -> bool {
    let digest = seal.strip_prefix(PREFIX).unwrap_or_default();
    digest.len() == DIGEST_CHARS && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}
