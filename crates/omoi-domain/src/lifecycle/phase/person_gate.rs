//! People look at what phases made before planning goes on.

use super::StoredPhase;
use crate::approval::{ApprovalKind, ApprovalState};
use crate::phase::Phase;

/// Phases whose output people look at, in order.
const LOOKED_AT: [(Phase, ApprovalKind); 2] = [
    (Phase::Requirements, ApprovalKind::SpecRequirements),
    (Phase::Design, ApprovalKind::SpecDesign),
];

/// A question to people about what a phase made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedOutput {
    /// What it is about.
    pub kind: ApprovalKind,
    /// Digest of the output.
    pub output_digest: Option<String>,
    /// Where it stands.
    pub state: ApprovalState,
}

/// What follows for a phase that is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonGate {
    /// It begins.
    Open,
    /// People are asked about the output of a phase before it.
    Ask {
        /// The question.
        kind: ApprovalKind,
        /// Digest of the output.
        output_digest: String,
    },
    /// They have not decided.
    Await,
}

/// The phase that a question is about; none for what is no output of a phase.
pub fn phase_asked_about(kind: ApprovalKind) -> Option<Phase> {
    let found = LOOKED_AT.iter().find(|(_, asked)| *asked == kind);
    found.map(|(phase, _)| *phase)
}

/// The question about the output of `phase`; none where nobody is asked.
pub fn question_about(phase: Phase) -> Option<ApprovalKind> {
    let found = LOOKED_AT.iter().find(|(looked_at, _)| *looked_at == phase);
    found.map(|(_, kind)| *kind)
}

/// Decides whether phase `open` may begin: a yes is to one output, and to no other.
pub fn person_gate(open: Phase, stored: &[StoredPhase], asked: &[AskedOutput]) -> PersonGate {
    for (phase, kind) in LOOKED_AT.into_iter().filter(|(phase, _)| *phase < open) {
        let made = stored.iter().find(|stored| stored.phase == phase);
        let Some(digest) = made.and_then(|made| made.output_digest.as_ref()) else {
            continue;
        };
        let about = |state| {
            asked.iter().any(|asked| {
                asked.kind == kind
                    && asked.state == state
                    && asked.output_digest.as_ref() == Some(digest)
            })
        };
        if about(ApprovalState::Approved) {
            continue;
        }
        return match about(ApprovalState::Pending) {
            true => PersonGate::Await,
            false => PersonGate::Ask {
                kind,
                output_digest: digest.clone(),
            },
        };
    }
    PersonGate::Open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::PhaseState;

    fn made(phase: Phase, digest: &str) -> StoredPhase {
        StoredPhase {
            phase,
            state: PhaseState::Passed,
            input_digest: None,
            output_digest: Some(digest.to_owned()),
        }
    }

    fn asked(kind: ApprovalKind, digest: &str, state: ApprovalState) -> AskedOutput {
        AskedOutput {
            kind,
            output_digest: Some(digest.to_owned()),
            state,
        }
    }

    #[test]
    fn nothing_begins_before_people_have_said_yes_to_what_it_reads() {
        use ApprovalKind::{SpecDesign, SpecRequirements};
        use ApprovalState::{Approved, Pending, Rejected, Withdrawn};
        let stored = [made(Phase::Requirements, "r2"), made(Phase::Design, "d1")];
        let ask = |kind, digest: &str| PersonGate::Ask {
            kind,
            output_digest: digest.to_owned(),
        };
        let yes = asked(SpecRequirements, "r2", Approved);
        for (open, questions, expected) in [
            (Phase::Requirements, vec![], PersonGate::Open),
            (Phase::Design, vec![], ask(SpecRequirements, "r2")),
            (
                Phase::Design,
                vec![asked(SpecRequirements, "r1", Approved)],
                ask(SpecRequirements, "r2"),
            ),
            (
                Phase::Design,
                vec![asked(SpecRequirements, "r1", Pending)],
                ask(SpecRequirements, "r2"),
            ),
            (
                Phase::Design,
                vec![asked(SpecRequirements, "r2", Rejected)],
                ask(SpecRequirements, "r2"),
            ),
            (
                Phase::Design,
                vec![asked(SpecRequirements, "r2", Withdrawn)],
                ask(SpecRequirements, "r2"),
            ),
            (
                Phase::Design,
                vec![asked(SpecRequirements, "r2", Pending)],
                PersonGate::Await,
            ),
            (Phase::Design, vec![yes.clone()], PersonGate::Open),
            (Phase::Tasks, vec![yes.clone()], ask(SpecDesign, "d1")),
            (
                Phase::Tasks,
                vec![yes.clone(), asked(SpecDesign, "d1", Approved)],
                PersonGate::Open,
            ),
            (
                Phase::Sync,
                vec![asked(SpecDesign, "d1", Approved)],
                ask(SpecRequirements, "r2"),
            ),
        ] {
            let gate = person_gate(open, &stored, &questions);
            assert_eq!(gate, expected, "{open} {questions:?}");
        }
        for (phase, kind) in LOOKED_AT {
            assert_eq!(question_about(phase), Some(kind));
            assert_eq!(phase_asked_about(kind), Some(phase));
        }
        assert_eq!(phase_asked_about(ApprovalKind::Ticket), None);
        assert_eq!(question_about(Phase::Prd), None);
    }
}
