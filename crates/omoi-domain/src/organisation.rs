//! What organisations are called, and how many agents they may have at work.

use std::fmt;
use std::str::FromStr;

/// Tasks of a new organisation that may be at work at once, until somebody sets another number.
pub const AGENTS_OF_NEW_ORGANISATION: i64 = 5;
/// The most that an organisation may be given.
pub const ORGANISATION_AGENTS_MAX: i64 = 100;
/// Characters of a slug.
const SLUG_CHARS_MAX: usize = 255;

/// The name of an organisation in addresses: small letters of ASCII, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrganisationSlug(String);

/// Why a text is no slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a slug has 1 to {SLUG_CHARS_MAX} characters: small letters, digits and `-`")]
pub struct BadOrganisationSlug;

impl OrganisationSlug {
    /// The slug as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrganisationSlug {
    type Err = BadOrganisationSlug;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=SLUG_CHARS_MAX).contains(&text.len());
        if fits && text.bytes().all(is_good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadOrganisationSlug)
        }
    }
}

impl fmt::Display for OrganisationSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_of_few_characters() {
        let long = "a".repeat(SLUG_CHARS_MAX);
        for good in ["a", "7", "acme-2", "-", long.as_str()] {
            let slug = good.parse::<OrganisationSlug>();
            assert_eq!(slug.map(|slug| slug.to_string()), Ok(good.to_owned()));
        }
        let longer = format!("{long}a");
        for bad in [
            "",
            "Acme",
            "a b",
            "a_b",
            "a/b",
            "ä",
            "a\r\n",
            longer.as_str(),
        ] {
            assert_eq!(
                bad.parse::<OrganisationSlug>(),
                Err(BadOrganisationSlug),
                "{bad:?}"
            );
        }
    }
}
