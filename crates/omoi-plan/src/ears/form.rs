//! Whether the keywords of a sentence stand where the notation has them.

use crate::ears::sentence::{EarsModality, EarsTrigger, parse_sentence};

/// A keyword where none belongs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MisplacedKeyword {
    /// In a condition.
    #[error(
        "`{word}` stands within the condition `{text}`; one keyword opens a condition, and SHALL \
         follows THE SYSTEM only"
    )]
    InCondition {
        /// The keyword.
        word: String,
        /// The condition.
        text: String,
    },
    /// In what the system does.
    #[error(
        "`{word}` stands within what the system does; conditions come before THE SYSTEM, and one \
         SHALL says what it does"
    )]
    InAction {
        /// The keyword.
        word: String,
    },
}

/// The first keyword in capitals within a condition or within what the system does.
///
/// None for what is no EARS sentence at all, which [`parse_sentence`] tells. Quoted words are no keywords.
pub fn misplaced_keyword(sentence: &str) -> Option<MisplacedKeyword> {
    let parsed = parse_sentence(sentence).ok()?;
    for clause in &parsed.clauses {
        if let Some(word) = find_keyword(&clause.text) {
            return Some(MisplacedKeyword::InCondition {
                word,
                text: clause.text.clone(),
            });
        }
    }
    find_keyword(&parsed.action).map(|word| MisplacedKeyword::InAction { word })
}

fn find_keyword(text: &str) -> Option<String> {
    let triggers = EarsTrigger::ALL.into_iter().map(EarsTrigger::as_str);
    let modalities = EarsModality::ALL.into_iter().map(EarsModality::as_str);
    let keywords: Vec<&str> = triggers.chain(modalities).collect();
    let plain = text.split('`').step_by(2);
    let mut words = plain.flat_map(|part| part.split(|c: char| !c.is_alphanumeric()));
    words
        .find(|word| keywords.contains(word))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_belong_to_the_frame() {
        for sentence in [
            "THE SYSTEM SHALL WHEN SHALL IF SHALL.",
            "WHEN SHALL MAY IF warn, THE SYSTEM SHALL print it.",
            "WHEN a tag is added, THE SYSTEM SHALL store it WHERE SHALL 2.",
        ] {
            assert!(misplaced_keyword(sentence).is_some(), "{sentence}");
        }
        for sentence in [
            "WHEN a query holds `WHERE`, THE SYSTEM SHALL run `IF`.",
            "IF the file is missing, THEN THE SYSTEM SHALL NOT create it when it may be read.",
            "WHILE a, WHEN b, THE SYSTEM SHALL print NULL.",
            "no sentence at all SHALL",
        ] {
            assert_eq!(misplaced_keyword(sentence), None, "{sentence}");
        }
    }
}
