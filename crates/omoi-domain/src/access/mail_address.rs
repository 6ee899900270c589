//! Mail addresses of accounts.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization as _;

/// Most bytes of an address.
const BYTES_MAX: usize = 254;
/// Most bytes before the at sign.
const NAME_BYTES_MAX: usize = 64;

/// A mail address in the one form in which accounts are found: lower case, NFKC.
///
/// It holds no character that could end a header of a mail, and nothing but one address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailAddress(String);

/// A text is no mail address.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("that is not a mail address such as name@example.org")]
pub struct BadMailAddress;

impl MailAddress {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the at sign.
    pub fn local_part(&self) -> &str {
        self.0.split_once('@').map_or("", |(name, _)| name)
    }
}

impl FromStr for MailAddress {
    type Err = BadMailAddress;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.trim().nfkc().collect::<String>().to_lowercase();
        let (name, host) = address.rsplit_once('@').ok_or(BadMailAddress)?;
        let is_name = !name.is_empty()
            && name.len() <= NAME_BYTES_MAX
            && !name.starts_with('.')
            && !name.ends_with('.')
            && !name.contains("..")
            && name.chars().all(is_name_char);
        let is_good = is_name && address.len() <= BYTES_MAX && is_host(host);
        is_good.then_some(Self(address)).ok_or(BadMailAddress)
    }
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// Labels with a dot between them; a name without one is no address on the internet.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |c: char| c.is_alphanumeric() || c == '-';
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.contains('.') && host.split('.').all(is_label)
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Logs name users by id; an address is theirs.
impl fmt::Debug for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form_and_cannot_add_a_header() {
        let address: MailAddress = " Ada.Byron+x@Example.ORG ".parse().unwrap();
        assert_eq!(address.as_str(), "ada.byron+x@example.org");
        assert_eq!(address.local_part(), "ada.byron+x");
        assert_eq!(format!("{address:?}"), "MailAddress(…)");
        assert!("jürgen@büro.example".parse::<MailAddress>().is_ok());
        let long = format!("{}@example.org", "x".repeat(65));
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@example",
            "ada@@example.org",
            "a b@example.org",
            "ada@example.org\r\nBcc: eve@example.org",
            "ada\0@example.org",
            "<ada@example.org>",
            "ada,eve@example.org",
            "\"a\"@example.org",
            ".ada@example.org",
            "a..b@example.org",
            "ada@-x.org",
            "ada@x..org",
            long.as_str(),
        ] {
            assert_eq!(bad.parse::<MailAddress>(), Err(BadMailAddress), "{bad:?}");
        }
    }
}
