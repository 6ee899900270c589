//! Comments on tickets, and whom they mention.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::id::UserId;

/// Characters of a comment at most.
pub const COMMENT_CHARS_MAX: usize = 20_000;
/// People that one comment may mention.
pub const MENTIONS_MAX: usize = 50;
/// Characters of an id as it is written.
const ID_CHARS: usize = 36;

/// Why a comment is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadComment {
    /// There is nothing in it.
    #[error("a comment says something")]
    Empty,
    /// It is too long.
    #[error("a comment has at most {COMMENT_CHARS_MAX} characters")]
    Long,
    /// It mentions too many people.
    #[error("a comment mentions at most {MENTIONS_MAX} people")]
    Mentions,
}

/// The people whom a comment mentions.
///
/// # Errors
/// [`BadComment`] where it cannot be taken.
pub fn check_comment(content: &str) -> Result<BTreeSet<UserId>, BadComment> {
    if content.trim().is_empty() {
        return Err(BadComment::Empty);
    }
    if content.chars().count() > COMMENT_CHARS_MAX {
        return Err(BadComment::Long);
    }
    let mentioned = mentioned_users(content);
    match mentioned.len() > MENTIONS_MAX {
        true => Err(BadComment::Mentions),
        false => Ok(mentioned),
    }
}

/// Whom `text` mentions: `@` and the id of a user, where neither is part of a longer word.
pub fn mentioned_users(text: &str) -> BTreeSet<UserId> {
    let is_word =
        |character: char| character.is_alphanumeric() || character == '-' || character == '_';
    let mentions = text.match_indices('@').filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let id = Uuid::try_parse(rest.get(..ID_CHARS)?).ok()?;
        let follows = rest[ID_CHARS..].chars().next();
        let leads = text[..at].chars().next_back();
        let is_alone = !follows.is_some_and(is_word) && !leads.is_some_and(is_word);
        is_alone.then(|| UserId::from_uuid(id))
    });
    mentions.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01930000-0000-7000-8000-000000000002";

    #[test]
    fn a_mention_is_an_at_and_an_id_that_stand_alone() {
        for (text, n) in [
            (format!("@{ID}"), 1),
            (format!("ask @{ID}, please; @{ID}!"), 1),
            (format!("(@{})", ID.to_uppercase()), 1),
            (format!("é@{ID}"), 0),
            (format!("mail@{ID}"), 0),
            (format!("@{ID}0"), 0),
            (format!("@{ID}-x"), 0),
            (format!("@ {ID}"), 0),
            ("@01930000-0000-7000-8000-0000000000ü2".to_owned(), 0),
            (format!("@{}", &ID[..35]), 0),
            (format!("@01930000-0000-7000-8000-000000000009 @{ID}"), 2),
        ] {
            assert_eq!(mentioned_users(&text).len(), n, "{text}");
        }
    }

    #[test]
    fn a_comment_says_something_and_has_bounds() {
        assert_eq!(check_comment(" \n"), Err(BadComment::Empty));
        assert_eq!(check_comment(&"ä".repeat(20_000)), Ok(BTreeSet::new()));
        assert_eq!(check_comment(&"ä".repeat(20_001)), Err(BadComment::Long));
        let many: Vec<String> = (0..51)
            .map(|n| format!("@{}", Uuid::from_u128(n)))
            .collect();
        assert_eq!(check_comment(&many.join(" ")), Err(BadComment::Mentions));
        assert_eq!(
            check_comment(&many[1..].join(" ")).map(|ids| ids.len()),
            Ok(50)
        );
    }
}
