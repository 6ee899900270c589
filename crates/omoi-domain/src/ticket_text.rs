//! What tickets say: what of it is taken, and which say the same.

use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

use crate::plain_title::plain_title;

/// Characters of a description at most.
pub const DESCRIPTION_CHARS_MAX: usize = 50_000;
/// Labels of a ticket at most.
const LABELS_MAX: usize = 20;
/// Characters of a label at most.
const LABEL_CHARS_MAX: usize = 50;

/// Commands that show that a ticket is done, at most.
const COMMANDS_MAX: usize = 10;
/// Characters of such a command at most.
const COMMAND_CHARS_MAX: usize = 4_000;

/// Labels that a ticket cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ticket has at most {LABELS_MAX} labels, each of 1 to {LABEL_CHARS_MAX} characters")]
pub struct BadLabels;

/// The labels that a person gives, each on one line and once, in the order given.
///
/// # Errors
/// [`BadLabels`] where there are too many, or one is empty or too long.
pub fn given_labels(labels: &[String]) -> Result<Vec<String>, BadLabels> {
    let mut given: Vec<String> = Vec::new();
    for label in labels {
        let label = plain_title(label);
        if !(1..=LABEL_CHARS_MAX).contains(&label.chars().count()) {
            return Err(BadLabels);
        }
        if !given.contains(&label) {
            given.push(label);
        }
    }
    match given.len() <= LABELS_MAX {
        true => Ok(given),
        false => Err(BadLabels),
    }
}

/// Commands that cannot show that a ticket is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a ticket has at most {COMMANDS_MAX} commands, each of 1 to {COMMAND_CHARS_MAX} characters without NUL"
)]
pub struct BadCommands;

/// The commands that a person gives to show that a ticket is done, each once, in the order given.
///
/// # Errors
/// [`BadCommands`] where there are too many, or one is empty or too long.
pub fn given_commands(commands: &[String]) -> Result<Vec<String>, BadCommands> {
    let mut given: Vec<String> = Vec::new();
    for command in commands {
        let command = command.trim();
        if !(1..=COMMAND_CHARS_MAX).contains(&command.chars().count()) || command.contains('\0') {
            return Err(BadCommands);
        }
        if !given.iter().any(|known| known == command) {
            given.push(command.to_owned());
        }
    }
    match given.len() <= COMMANDS_MAX {
        true => Ok(given),
        false => Err(BadCommands),
    }
}

/// A command that a project cannot have as the check of its deployments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a deploy check is one command of 1 to {COMMAND_CHARS_MAX} characters without NUL")]
pub struct BadDeployCheck;

/// The command that a person gives to show that what was handed over is deployed.
///
/// # Errors
/// [`BadDeployCheck`] where it is empty or too long.
pub fn given_deploy_check(command: &str) -> Result<String, BadDeployCheck> {
    let given = given_commands(&[command.to_owned()]).map_err(|_| BadDeployCheck)?;
    given.into_iter().next().ok_or(BadDeployCheck)
}

/// The digest of what a ticket says, the same for texts that differ in case, in white space or in how their characters
/// are composed.
pub fn text_digest(title: &str, description: &str) -> String {
    let mut digest = Sha256::new();
    for text in [title, description] {
        let plain = normalized(text);
        digest.update((plain.len() as u64).to_be_bytes());
        digest.update(plain);
    }
    hex::encode(digest.finalize())
}

fn normalized(text: &str) -> String {
    let composed: String = text.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_taken_once_and_have_limits() {
        let all = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|one| (*one).to_owned()).collect();
            given_commands(&given)
        };
        assert_eq!(
            all(&[" make a ", "make b", "make a"]).unwrap(),
            ["make a", "make b"]
        );
        let many: Vec<String> = (0..=COMMANDS_MAX).map(|n| format!("make {n}")).collect();
        assert_eq!(given_commands(&many), Err(BadCommands));
        for bad in [" ", "a\0b", &"x".repeat(COMMAND_CHARS_MAX + 1)] {
            assert_eq!(all(&[bad]), Err(BadCommands), "{bad:.10}");
            assert_eq!(given_deploy_check(bad), Err(BadDeployCheck), "{bad:.10}");
        }
    }

    #[test]
    fn labels_are_short_lines_each_once() {
        let given = |labels: &[&str]| {
            let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
            given_labels(&labels)
        };
        assert_eq!(
            given(&[" a\nb", "c", "a b"]),
            Ok(vec!["a b".to_owned(), "c".to_owned()])
        );
        assert_eq!(given(&["\u{1b}[0m"]), Err(BadLabels));
        assert_eq!(given(&["ä".repeat(51).as_str()]), Err(BadLabels));
        let many: Vec<String> = (0..21).map(|n| n.to_string()).collect();
        assert_eq!(given_labels(&many), Err(BadLabels));
        assert_eq!(given_labels(&many[1..]).map(|labels| labels.len()), Ok(20));
    }

    #[test]
    fn texts_are_the_same_whatever_their_case_space_and_composition() {
        let first = text_digest("Täglich  Export", "Of all\n\ttodos");
        for (title, description, is_same) in [
            ("ta\u{308}glich export", " of ALL todos ", true),
            ("ＴÄＧＬＩＣＨ export", "of all todos", true),
            ("täglich", "export of all todos", false),
            ("täglich export of", "all todos", false),
            ("täglich export", "of all todo", false),
        ] {
            assert_eq!(
                text_digest(title, description) == first,
                is_same,
                "{title}: {description}"
            );
        }
    }
}
