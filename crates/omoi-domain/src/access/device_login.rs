//! The code by which a person knows the machine that they let sign in: it stands on its terminal and on the page.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How often a machine asks whether it was let in.
pub const ASK_EVERY: Duration = Duration::from_secs(3);
/// Characters of a machine's name, at most.
pub const MACHINE_CHARS_MAX: usize = 64;

/// Letters of a code: no vowels, so that it spells no word, and none that looks like another or like a digit.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters of a code.
const CODE_LETTERS: usize = 8;

/// A code as people compare it: `BCDF-GHJK`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCode(String);

/// A text is no such code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code has 8 letters, as `BCDF-GHJK`")]
pub struct BadUserCode;

/// A text is no name of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a machine has 1 to {MACHINE_CHARS_MAX} characters, in one line")]
pub struct BadMachineName;

impl UserCode {
    /// The code of random bits.
    pub fn from_random(random: u64) -> Self {
        let n_letters = LETTERS.len() as u64;
        let letter = |(rest, text): (u64, String), _| {
            // 20⁸ codes of 2⁶⁴: none is likelier than another by more than one in 10⁸.
            let at = (rest % n_letters) as usize;
            (
                rest / n_letters,
                text + &char::from(LETTERS[at]).to_string(),
            )
        };
        let (_, letters) = (0..CODE_LETTERS).fold((random, String::new()), letter);
        Self(letters)
    }

    /// What is stored and looked for: the letters alone.
    pub fn plain_letters(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, two) = self.0.split_at(CODE_LETTERS / 2);
        write!(f, "{one}-{two}")
    }
}

impl FromStr for UserCode {
    type Err = BadUserCode;

    /// As people type it: in small letters too, with a hyphen or blanks between.
    fn from_str(text: &str) -> Result<Self, BadUserCode> {
        let letters: String = text
            .chars()
            .filter(|c| !matches!(c, '-' | ' '))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let is_letter = |byte: u8| LETTERS.contains(&byte);
        match letters.len() == CODE_LETTERS && letters.bytes().all(is_letter) {
            true => Ok(Self(letters)),
            false => Err(BadUserCode),
        }
    }
}

/// The name that a machine gives itself, unless it could pretend to be more than a name where people read it.
///
/// # Errors
/// [`BadMachineName`] for an empty one, a long one, or one with control characters.
pub fn machine_name(text: &str) -> Result<String, BadMachineName> {
    let text = text.trim();
    let n_chars = text.chars().count();
    let is_plain =
        (1..=MACHINE_CHARS_MAX).contains(&n_chars) && !text.chars().any(char::is_control);
    match is_plain {
        true => Ok(text.to_owned()),
        false => Err(BadMachineName),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for random in [0, 1, 19, 20, u64::MAX, 0x1234_5678_9abc_def0] {
            let code = UserCode::from_random(random);
            let shown = code.to_string();
            assert_eq!(shown.len(), 9, "{shown}");
            let typed = [
                shown.clone(),
                shown.to_lowercase(),
                shown.replace('-', ""),
                shown.replace('-', " "),
            ];
            for text in typed {
                assert_eq!(text.parse(), Ok(code.clone()), "{text}");
            }
        }
        assert_ne!(UserCode::from_random(1), UserCode::from_random(2));
        for text in [
            "",
            "BCDF-GHJ",
            "BCDF-GHJKL",
            "ACDF-GHJK",
            "BCDF-GHJ0",
            "BCDF-GHJ\u{c9}",
        ] {
            assert_eq!(text.parse::<UserCode>(), Err(BadUserCode), "{text}");
        }
    }

    #[test]
    fn a_machine_has_a_name_in_one_line() {
        assert_eq!(
            machine_name(" ada's laptop "),
            Ok("ada's laptop".to_owned())
        );
        for text in ["", "  ", "a\r\nb", "a\u{1b}[2Jb", &"x".repeat(65)] {
            assert_eq!(machine_name(text), Err(BadMachineName), "{text}");
        }
    }
}
