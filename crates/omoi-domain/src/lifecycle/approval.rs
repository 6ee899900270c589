//! What people decide, and what becomes of what they are asked about.

use crate::approval::{ApprovalDecision, ApprovalKind, ApprovalState};
use crate::lifecycle::merge::{SidesFault, TakenSides};
use crate::ticket::ApprovalStatus;

/// Why a decision is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalRefusal {
    /// It was decided before, or nobody did in time.
    #[error("it is {0} already")]
    Closed(ApprovalState),
    /// Nobody decided in time, although that is not written down yet.
    #[error("the time to decide about it is over")]
    Overdue,
    /// What it is about is another by now.
    #[error("what it is about changed since it was asked")]
    Outdated,
    /// A no that does not say why.
    #[error("a rejection says why")]
    NoComment,
    /// An answer that says nothing.
    #[error("an answer says something")]
    NoAnswer,
    /// An answer that is none of those that there are.
    #[error("a question about {kind} is answered by {choices}")]
    OtherAnswer {
        /// What it is about.
        kind: ApprovalKind,
        /// What may be answered.
        choices: &'static str,
    },
    /// An answer about a conflict that does not settle it.
    #[error(transparent)]
    Sides(#[from] SidesFault),
    /// Files are chosen for what is no conflict.
    #[error("only an answer about a conflict says what becomes of files")]
    NoConflict,
    /// It is not decided in this way.
    #[error("a question about {kind} is not decided by {decision}")]
    OtherDecision {
        /// What it is about.
        kind: ApprovalKind,
        /// How it was to be decided.
        decision: ApprovalDecision,
    },
}

/// A question that is decided now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedQuestion {
    /// What it is about.
    pub kind: ApprovalKind,
    /// Where it stands.
    pub state: ApprovalState,
    /// Whether the time to decide is over.
    pub is_overdue: bool,
    /// Whether what it is about is another by now.
    pub is_outdated: bool,
}

/// What people may decide about a question of this kind.
pub const fn allowed_decisions(kind: ApprovalKind) -> &'static [ApprovalDecision] {
    match kind {
        ApprovalKind::Ticket
        | ApprovalKind::SpecRequirements
        | ApprovalKind::SpecDesign
        | ApprovalKind::PhaseGate
        | ApprovalKind::RepositoryTrust => &[ApprovalDecision::Approve, ApprovalDecision::Reject],
        ApprovalKind::Question => &[ApprovalDecision::Answer],
        ApprovalKind::MergeConflict => &[
            ApprovalDecision::Approve,
            ApprovalDecision::Answer,
            ApprovalDecision::Reject,
        ],
    }
}

/// Where a question stands once a person has decided. What is closed stays as it is.
///
/// # Errors
/// [`ApprovalRefusal`] says what is against it.
pub fn decide_approval(
    question: AskedQuestion,
    decision: ApprovalDecision,
    comment: Option<&str>,
) -> Result<ApprovalState, ApprovalRefusal> {
    if question.state != ApprovalState::Pending {
        return Err(ApprovalRefusal::Closed(question.state));
    }
    if question.is_overdue {
        return Err(ApprovalRefusal::Overdue);
    }
    if question.is_outdated {
        return Err(ApprovalRefusal::Outdated);
    }
    if !allowed_decisions(question.kind).contains(&decision) {
        return Err(ApprovalRefusal::OtherDecision {
            kind: question.kind,
            decision,
        });
    }
    match (decision, comment) {
        (ApprovalDecision::Approve, _) => Ok(ApprovalState::Approved),
        (ApprovalDecision::Reject, None) => Err(ApprovalRefusal::NoComment),
        (ApprovalDecision::Reject, Some(_)) => Ok(ApprovalState::Rejected),
        (ApprovalDecision::Answer, None) => Err(ApprovalRefusal::NoAnswer),
        (ApprovalDecision::Answer, Some(answer)) => {
            if question.kind == ApprovalKind::MergeConflict {
                let taken = TakenSides::read_answer(answer);
                taken.map_err(|fault| refuse_answer(question.kind, fault))?;
            }
            Ok(ApprovalState::Answered)
        }
    }
}

fn refuse_answer(kind: ApprovalKind, fault: SidesFault) -> ApprovalRefusal {
    match fault {
        SidesFault::Unreadable => ApprovalRefusal::OtherAnswer {
            kind,
            choices: "ours or theirs, or by a line like `ours PATH` for each file",
        },
        other => other.into(),
    }
}

/// What a ticket is once the question about it stands like that.
pub const fn approval_of_ticket(state: ApprovalState) -> ApprovalStatus {
    match state {
        ApprovalState::Pending => ApprovalStatus::PendingReview,
        ApprovalState::Approved | ApprovalState::Answered => ApprovalStatus::Approved,
        ApprovalState::Rejected => ApprovalStatus::Rejected,
        ApprovalState::TimedOut | ApprovalState::Withdrawn => ApprovalStatus::TimedOut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn a_question_is_decided_once_and_a_no_says_why() {
        for kind in ApprovalKind::ALL.iter().copied() {
            for state in ApprovalState::ALL.iter().copied() {
                for decision in ApprovalDecision::ALL.iter().copied() {
                    for comment in [None, Some("why"), Some("ours")] {
                        check_decision(kind, state, decision, comment);
                    }
                }
            }
        }
    }

    fn check_decision(
        kind: ApprovalKind,
        state: ApprovalState,
        decision: ApprovalDecision,
        comment: Option<&str>,
    ) {
        let asked = |is_overdue, is_outdated| AskedQuestion {
            kind,
            state,
            is_overdue,
            is_outdated,
        };
        assert!(decide_approval(asked(true, false), decision, comment).is_err());
        assert!(decide_approval(asked(false, true), decision, comment).is_err());
        let decided = decide_approval(asked(false, false), decision, comment);
        let is_conflict = kind == ApprovalKind::MergeConflict;
        let is_answer = decision == ApprovalDecision::Answer;
        let is_asked_for = is_conflict || (kind == ApprovalKind::Question) == is_answer;
        let is_whole = match (is_conflict, decision) {
            (true, ApprovalDecision::Answer) => comment == Some("ours"),
            _ => decision == ApprovalDecision::Approve || comment.is_some(),
        };
        let is_open = state == ApprovalState::Pending;
        assert_eq!(
            decided.is_ok(),
            is_open && is_asked_for && is_whole,
            "{kind} {state} {decision}"
        );
        if let Ok(to) = decided {
            assert!(transition(state, to).is_ok(), "{state} {to}");
        }
    }

    #[test]
    fn every_end_of_a_question_has_its_ticket() {
        for state in ApprovalState::ALL {
            let is_open = *state == ApprovalState::Pending;
            let ticket = approval_of_ticket(*state);
            assert_eq!(ticket == ApprovalStatus::PendingReview, is_open, "{state}");
        }
    }
}
