//! What people decide about a conflict that no agent resolved.

use std::fmt;

use super::taken_sides::TakenSides;
use crate::approval::ApprovalState;
use crate::id::HumanRef;
use crate::merge::ConflictSide;

/// Paths that a question names; of more it says how many.
const PATHS_NAMED_MAX: usize = 20;

/// What people are asked about a conflict. Shown, it says what they may decide.
#[derive(Clone, Debug)]
pub struct ConflictQuestion<'a> {
    /// `n` of the `TSK-n` whose commits conflict.
    pub number: i64,
    /// What it is called.
    pub title: &'a str,
    /// The paths in conflict.
    pub paths: &'a [String],
    /// Why nobody resolved it.
    pub error: &'a str,
}

impl fmt::Display for ConflictQuestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = HumanRef::task(self.number);
        write!(
            f,
            "{task} ({}) conflicts with what landed before it in: {}",
            self.title,
            name_paths(self.paths)
        )?;
        let [ours, theirs] = [ConflictSide::Ours, ConflictSide::Theirs];
        write!(
            f,
            ". {}.\nA yes has it tried again, with what you say as a note to its agent. The answer `{ours}` keeps what landed in \
             these files, `{theirs}` what {task} brings; a line `{ours} PATH` or `{theirs} PATH` decides one file. The checks of \
             both sides decide then. A no cancels {task}.",
            self.error.trim_end_matches('.'),
        )
    }
}

/// The first of `paths`, and how many more there are.
pub(super) fn name_paths(paths: &[String]) -> String {
    let named = &paths[..paths.len().min(PATHS_NAMED_MAX)];
    match paths.len() - named.len() {
        0 => named.join(", "),
        n_more => format!("{} and {n_more} more", named.join(", ")),
    }
}

/// What a person decided about a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConflictAnswer {
    /// Another agent tries, who is told this.
    Retry {
        /// What the person says.
        note: Option<String>,
    },
    /// Each file that conflicts becomes that of one side.
    TakeSides(TakenSides),
    /// The task whose commits conflict is given up.
    GiveUp {
        /// Why.
        reason: String,
    },
}

/// What follows from a question about a conflict that was closed like that; none where nobody decided.
pub fn conflict_answer(state: ApprovalState, comment: Option<&str>) -> Option<ConflictAnswer> {
    let said = comment.map(ToOwned::to_owned);
    match state {
        ApprovalState::Approved => Some(ConflictAnswer::Retry { note: said }),
        ApprovalState::Answered => {
            let taken = TakenSides::read_answer(comment?).ok()?;
            Some(ConflictAnswer::TakeSides(taken))
        }
        ApprovalState::Rejected => Some(ConflictAnswer::GiveUp {
            reason: said.unwrap_or_default(),
        }),
        ApprovalState::Pending | ApprovalState::TimedOut | ApprovalState::Withdrawn => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_decision_is_one_way_on() {
        let retry = |note: Option<&str>| ConflictAnswer::Retry {
            note: note.map(str::to_owned),
        };
        let reason = "not worth it".to_owned();
        let given_up = ConflictAnswer::GiveUp { reason };
        let take = |side| ConflictAnswer::TakeSides(TakenSides::same_for_all(side));
        let mixed = TakenSides::same_for_all(ConflictSide::Ours);
        let mixed = mixed.with_file("a", ConflictSide::Theirs).unwrap();
        for (state, comment, expected) in [
            (ApprovalState::Approved, None, Some(retry(None))),
            (
                ApprovalState::Approved,
                Some("Keep the tags."),
                Some(retry(Some("Keep the tags."))),
            ),
            (
                ApprovalState::Answered,
                Some("ours"),
                Some(take(ConflictSide::Ours)),
            ),
            (
                ApprovalState::Answered,
                Some("theirs"),
                Some(take(ConflictSide::Theirs)),
            ),
            (
                ApprovalState::Answered,
                Some("ours\ntheirs a"),
                Some(ConflictAnswer::TakeSides(mixed)),
            ),
            (ApprovalState::Answered, Some("both"), None),
            (
                ApprovalState::Rejected,
                Some("not worth it"),
                Some(given_up),
            ),
            (ApprovalState::Withdrawn, None, None),
        ] {
            assert_eq!(
                conflict_answer(state, comment),
                expected,
                "{state} {comment:?}"
            );
        }
    }

    #[test]
    fn a_question_says_what_conflicts_and_what_may_be_decided() {
        let paths: Vec<String> = (0..22).map(|n| format!("f{n}")).collect();
        let asked = ConflictQuestion {
            number: 4,
            title: "Add items",
            paths: &paths,
            error: "TSK-009 did not resolve it: no round left",
        };
        let text = asked.to_string();
        assert!(
            text.starts_with("TSK-004 (Add items) conflicts with what landed before it in: f0, f1"),
            "{text}"
        );
        for part in [
            "f19 and 2 more. TSK-009 did not resolve it: no round left.",
            "`ours`",
            "`theirs`",
            "`theirs PATH`",
            "A no cancels TSK-004.",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
