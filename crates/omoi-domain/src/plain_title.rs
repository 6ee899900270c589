//! Titles on one line, safe to print and to put into a commit message.

/// Puts `text` on one line: white space becomes single blanks; terminal escape sequences, other
/// control characters and characters that reorder what is shown are left out.
///
/// Titles come from models, from agents and from people, and end up as commit subjects, branch names
/// and table cells.
pub fn plain_title(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // Control sequence: ESC [ parameters, ended by a character from `@` to `~`.
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                while characters
                    .next()
                    .is_some_and(|part| !('\u{40}'..='\u{7e}').contains(&part))
                {}
            }
            // Operating system command, such as a window title: ESC ] text, ended by BEL or ESC.
            '\u{1b}' if characters.peek() == Some(&']') => {
                while characters
                    .next()
                    .is_some_and(|part| part != '\u{7}' && part != '\u{1b}')
                {}
            }
            character if character.is_whitespace() => plain.push(' '),
            character if character.is_control() || reorders_text(character) => {}
            character => plain.push(character),
        }
    }
    plain.split(' ').filter(|word| !word.is_empty()).fold(
        String::with_capacity(plain.len()),
        |mut title, word| {
            if !title.is_empty() {
                title.push(' ');
            }
            title.push_str(word);
            title
        },
    )
}

/// Characters of a title that a person gives.
const GIVEN_CHARS_MAX: usize = 500;

/// Why a title that a person gives is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTitle {
    /// Nothing that can be shown is in it.
    #[error("a title needs at least one character that can be shown")]
    Empty,
    /// It is too long.
    #[error("a title has at most {GIVEN_CHARS_MAX} characters")]
    Long,
}

/// A title as a person gives it, on one line.
///
/// # Errors
/// [`BadTitle`] when nothing of it is left, or too much.
pub fn given_title(text: &str) -> Result<String, BadTitle> {
    let title = plain_title(text);
    match title.chars().count() {
        0 => Err(BadTitle::Empty),
        1..=GIVEN_CHARS_MAX => Ok(title),
        _ => Err(BadTitle::Long),
    }
}

/// Characters of a name that a person gives to an organisation or a project.
const NAME_CHARS_MAX: usize = 255;

/// Why a name that a person gives is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGivenName {
    /// Nothing that can be shown is in it.
    #[error("a name needs at least one character that can be shown")]
    Empty,
    /// It is too long.
    #[error("a name has at most {NAME_CHARS_MAX} characters")]
    Long,
}

/// The name of an organisation or a project as a person gives it, on one line: it stands in mails and in tables.
///
/// # Errors
/// [`BadGivenName`] when nothing of it is left, or too much.
pub fn given_name(text: &str) -> Result<String, BadGivenName> {
    let name = plain_title(text);
    match name.chars().count() {
        0 => Err(BadGivenName::Empty),
        1..=NAME_CHARS_MAX => Ok(name),
        _ => Err(BadGivenName::Long),
    }
}

/// Whether the character changes the order in which its neighbours are shown.
fn reorders_text(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_title_says_something_and_fits_a_line() {
        assert_eq!(given_title(" Add\ntags "), Ok("Add tags".to_owned()));
        assert_eq!(given_title("\u{1b}[0m \n"), Err(BadTitle::Empty));
        assert!(given_title(&"ä".repeat(500)).is_ok());
        assert_eq!(given_title(&"ä".repeat(501)), Err(BadTitle::Long));
    }

    #[test]
    fn a_given_name_says_something_and_fits_a_line() {
        assert_eq!(given_name("Acme\r\nBcc: x"), Ok("Acme Bcc: x".to_owned()));
        assert_eq!(given_name("\u{202e}"), Err(BadGivenName::Empty));
        assert!(given_name(&"ä".repeat(255)).is_ok());
        assert_eq!(given_name(&"ä".repeat(256)), Err(BadGivenName::Long));
    }

    #[test]
    fn titles_lose_all_that_is_not_text() {
        for (text, title) in [
            ("Add tags", "Add tags"),
            ("  Add\r\n\ttags \u{2028}", "Add tags"),
            ("Add\n\nSigned-off-by: x", "Add Signed-off-by: x"),
            ("\u{1b}[31;1mRed\u{1b}[0m alert", "Red alert"),
            ("\u{1b}]0;owned\u{7}Title", "Title"),
            ("a\u{0}b\u{8}c\u{9b}", "abc"),
            ("evil \u{202e}txt.exe", "evil txt.exe"),
            ("Größe 日本語 🎉", "Größe 日本語 🎉"),
            ("\u{1b}[", ""),
            ("\u{1b}", ""),
        ] {
            assert_eq!(plain_title(text), title, "{text:?}");
        }
    }
}
