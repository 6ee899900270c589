//! Which passwords an account may have.

use unicode_normalization::UnicodeNormalization as _;

use super::common_passwords::is_common_password;
use super::mail_address::MailAddress;

/// Fewest characters that a deployment may ask for.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Most characters of a password.
pub const PASSWORD_CHARS_MAX: usize = 100;
/// Most bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Letters from which on the name of a mail address counts.
const MAIL_NAME_CHARS_MIN: usize = 4;
/// What counts as a sign.
const SIGNS: &str = "!@#$%^&*(),.?\":{}|<>[]\\~`_+-=/;'";

crate::closed_set! {
    /// What is wrong with a password.
    PasswordFault {
        /// Fewer characters than asked for.
        TooShort = "too_short",
        /// More characters or bytes than allowed.
        TooLong = "too_long",
        /// No upper-case letter.
        NoUppercase = "no_uppercase",
        /// No lower-case letter.
        NoLowercase = "no_lowercase",
        /// No digit.
        NoDigit = "no_digit",
        /// No sign.
        NoSign = "no_sign",
        /// Among the most common ones, but for digits and signs.
        Common = "common",
        /// Holds the name of the mail address.
        HoldsMailName = "holds_mail_name",
    }
}

impl PasswordFault {
    /// What to do about it.
    pub const fn remedy_text(self) -> &'static str {
        match self {
            Self::TooShort => "use more characters",
            Self::TooLong => "use at most 100 characters",
            Self::NoUppercase => "use an upper-case letter",
            Self::NoLowercase => "use a lower-case letter",
            Self::NoDigit => "use a digit",
            Self::NoSign => "use a sign such as - or !",
            Self::Common => "do not decorate a common password",
            Self::HoldsMailName => "leave your mail address out",
        }
    }
}

/// What a deployment asks of passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordRules {
    /// Fewest characters; below [`PASSWORD_CHARS_MIN`] that one holds.
    pub chars_min: usize,
}

/// A password as it is hashed: the same whatever keyboard it was typed on.
pub fn normalise_password(password: &str) -> String {
    password.nfkc().collect()
}

/// Everything that is wrong with `password` for the account of `mail`; empty for a good one.
pub fn password_faults(
    rules: PasswordRules,
    password: &str,
    mail: &MailAddress,
) -> Vec<PasswordFault> {
    let password = normalise_password(password);
    let n_chars = password.chars().count();
    let chars_min = rules.chars_min.max(PASSWORD_CHARS_MIN);
    let has = |test: fn(char) -> bool| password.chars().any(test);
    let is_long = n_chars > PASSWORD_CHARS_MAX || password.len() > PASSWORD_BYTES_MAX;
    let holds_name = mail.local_part().chars().count() >= MAIL_NAME_CHARS_MIN
        && password.to_lowercase().contains(mail.local_part());
    let faults = [
        (n_chars < chars_min, PasswordFault::TooShort),
        (is_long, PasswordFault::TooLong),
        (!has(char::is_uppercase), PasswordFault::NoUppercase),
        (!has(char::is_lowercase), PasswordFault::NoLowercase),
        (!has(char::is_numeric), PasswordFault::NoDigit),
        (!has(|c| SIGNS.contains(c)), PasswordFault::NoSign),
        // The work of looking is bounded by the length.
        (
            !is_long && is_common_password(&password),
            PasswordFault::Common,
        ),
        (holds_name, PasswordFault::HoldsMailName),
    ];
    let faults = faults.into_iter().filter(|(is_there, _)| *is_there);
    faults.map(|(_, fault)| fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, want: &[PasswordFault]) {
        let rules = PasswordRules { chars_min: 8 };
        let mail = "Kettle.Maker@example.org".parse().unwrap();
        assert_eq!(password_faults(rules, password, &mail), want, "{password}");
    }

    #[test]
    fn a_password_has_each_kind_of_character_and_no_known_word() {
        use PasswordFault::{
            Common, HoldsMailName, NoDigit, NoLowercase, NoSign, NoUppercase, TooLong, TooShort,
        };
        check("Opal-Harbour-7", &[]);
        check("Ab1-xyz", &[TooShort]);
        check("", &[TooShort, NoUppercase, NoLowercase, NoDigit, NoSign]);
        check("opal-harbour-7", &[NoUppercase]);
        check("OPAL-HARBOUR-7", &[NoLowercase]);
        check("Opal-Harbour-x", &[NoDigit]);
        check("OpalHarbour7", &[NoSign]);
        check("Password-1", &[Common]);
        check("My-Kettle.Maker-7", &[HoldsMailName]);
        check(&format!("Aa1-{}", "xy".repeat(48)), &[]);
        check(&format!("Aa1-{}", "xyz".repeat(33)), &[TooLong]);
        check(&format!("Aa1-{}", "\u{1F600}".repeat(64)), &[TooLong]);
    }

    #[test]
    fn one_password_is_the_same_on_every_keyboard() {
        assert_eq!(normalise_password("e\u{301}"), normalise_password("\u{e9}"));
        assert_eq!(normalise_password("\u{ff21}"), "A");
    }

    #[test]
    fn a_deployment_asks_for_more_but_never_for_less() {
        let mail = "a@example.org".parse().unwrap();
        let faults =
            |chars_min| password_faults(PasswordRules { chars_min }, "Ab1-efgh", &mail).is_empty();
        assert!(faults(0) && faults(8) && !faults(9));
    }
}
