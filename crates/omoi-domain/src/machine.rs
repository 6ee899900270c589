//! State machines as tables.
//!
//! Every status in the database moves only along a row of its machine's table, and each row names
//! the event that tells of it. A pair that is not in the table is an error everywhere.

use crate::closed_set::ClosedSet;
use crate::event::EventKind;

/// One row of a machine's table: an allowed move.
#[derive(Clone, Copy, Debug)]
pub struct TransitionRule<S: 'static> {
    /// Status before the move.
    pub from: S,
    /// Status after the move.
    pub to: S,
    /// The event written with the move.
    pub event: EventKind,
}

/// A closed set of statuses with its table of moves.
pub trait StateMachine: ClosedSet {
    /// The machine's name, as in errors.
    const NAME: &'static str;
    /// The machine's table: every allowed move.
    const RULES: &'static [TransitionRule<Self>];
}

/// The move is not in the machine's table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {machine} cannot go from `{from}` to `{to}`")]
pub struct InvalidTransition {
    /// Name of the machine whose table was asked.
    pub machine: &'static str,
    /// Status that the row has.
    pub from: &'static str,
    /// Status that the caller wanted.
    pub to: &'static str,
}

/// The event of the move `from` → `to`.
///
/// # Errors
/// [`InvalidTransition`] when the table has no such row.
pub fn transition<S: StateMachine>(from: S, to: S) -> Result<EventKind, InvalidTransition> {
    S::RULES
        .iter()
        .find(|rule| rule.from == from && rule.to == to)
        .map(|rule| rule.event)
        .ok_or(InvalidTransition {
            machine: S::NAME,
            from: from.as_str(),
            to: to.as_str(),
        })
}

/// Declares a status enum with its stored texts and its table of moves.
#[macro_export]
macro_rules! machine {
    (
        $(#[doc = $doc:literal])+
        $name:ident ($label:literal) {
            $($(#[doc = $vdoc:literal])+ $variant:ident = $text:literal,)+
        }
        $($from:ident => $($to:ident : $event:ident),+ ;)*
    ) => {
        $crate::closed_set! {
            $(#[doc = $doc])+
            $name { $($(#[doc = $vdoc])+ $variant = $text,)+ }
        }

        impl $crate::machine::StateMachine for $name {
            const NAME: &'static str = $label;
            const RULES: &'static [$crate::machine::TransitionRule<Self>] = &[
                $($($crate::machine::TransitionRule {
                    from: Self::$from,
                    to: Self::$to,
                    event: $crate::event::EventKind::$event,
                },)+)*
            ];
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::ApprovalState;
    use crate::attempt::AttemptState;
    use crate::merge::MergeState;
    use crate::sandbox::SandboxState;
    use crate::spec::{PhaseState, SpecStatus};
    use crate::task::TaskStatus;
    use crate::thread::ThreadStatus;
    use crate::ticket::TicketStatus;
    use crate::work_result::{VerificationStatus, WorkflowResultStatus};

    fn check<S: StateMachine>() {
        for (i, rule) in S::RULES.iter().enumerate() {
            assert_ne!(rule.from, rule.to, "{}: self move {rule:?}", S::NAME);
            let twin = S::RULES[i + 1..]
                .iter()
                .any(|r| r.from == rule.from && r.to == rule.to);
            assert!(!twin, "{}: {rule:?} stands twice", S::NAME);
        }
        for from in S::ALL {
            assert_eq!(S::parse(from.as_str()), Some(*from));
            for to in S::ALL {
                let listed = S::RULES.iter().any(|r| r.from == *from && r.to == *to);
                assert_eq!(transition(*from, *to).is_ok(), listed);
            }
        }
    }

    #[test]
    fn tables_are_sound() {
        check::<TaskStatus>();
        check::<TicketStatus>();
        check::<SpecStatus>();
        check::<PhaseState>();
        check::<ApprovalState>();
        check::<AttemptState>();
        check::<SandboxState>();
        check::<MergeState>();
        check::<ThreadStatus>();
        check::<VerificationStatus>();
        check::<WorkflowResultStatus>();
    }
}
