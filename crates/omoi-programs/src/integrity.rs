//! Digests of downloads, as npm writes them: `sha512-` and base64.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};

const PREFIX: &str = "sha512-";

/// The SHA-512 of a file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileIntegrity([u8; 64]);

/// A text that is no digest of the one kind that is taken.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no integrity: expected `sha512-` and 64 bytes in base64")]
pub struct BadIntegrity(String);

impl FileIntegrity {
    /// The digest of what `hasher` has seen.
    pub(crate) fn of_hasher(hasher: Sha512) -> Self {
        Self(hasher.finalize().into())
    }
}

impl TryFrom<String> for FileIntegrity {
    type Error = BadIntegrity;

    fn try_from(text: String) -> Result<Self, BadIntegrity> {
        let bytes = text
            .strip_prefix(PREFIX)
            .and_then(|digest| STANDARD.decode(digest).ok())
            .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        bytes.map(Self).ok_or(BadIntegrity(text))
    }
}

impl From<FileIntegrity> for String {
    fn from(integrity: FileIntegrity) -> Self {
        integrity.to_string()
    }
}

impl fmt::Display for FileIntegrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for FileIntegrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn only_whole_sha512_digests_are_taken() {
        let good = FileIntegrity::of_hasher(Sha512::new_with_prefix(b"x")).to_string();
        let read = FileIntegrity::try_from(good.clone()).unwrap();
        assert_eq!(read.to_string(), good);
        for bad in [
            "",
            "sha512-",
            "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
            "sha512-2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
            &good[1..],
            &format!("{good} sha512-x"),
        ] {
            let refused = FileIntegrity::try_from(bad.to_owned());
            assert!(refused.is_err(), "{bad}");
        }
    }
}
