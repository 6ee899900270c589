//! How much a worker may have stored of its turns. It is inside of its sandbox: what it promises to keep to, it
//! may not.

use serde_json::Value;

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::work_limits::WorkLimits;
use omoi_protocol::worker::{
    SESSION_BYTES_MAX, SESSION_PART_BYTES_MAX, TURN_BYTES_MAX, TURNS_BYTES_MAX, TurnRecord,
};
use omoi_store::attempts::StoredTurns;

use super::IntakeError;

/// Turns that may be stored beyond those that an agent may take.
const TURNS_SPARE: u32 = 8;

/// Bytes of one turn as they would be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TurnSize {
    n: u32,
    told: u64,
    session: u64,
}

impl TurnSize {
    pub(super) fn of_turn(turn: &TurnRecord) -> Self {
        let session = turn.session.as_ref();
        Self {
            n: turn.n,
            told: json_bytes(&turn.response) + json_bytes(&turn.tool_results),
            session: session.map_or(0, |part| part.added.len() as u64),
        }
    }

    /// Whether a turn of its number is among those that are `stored`.
    pub(super) const fn is_among(self, stored: StoredTurns) -> bool {
        self.n < stored.n
    }

    /// What is stored with it after `before`, where an agent may take `turns_max` turns.
    ///
    /// # Errors
    /// [`IntakeError::Refused`] with the limit that it goes beyond.
    pub(super) fn add_to(
        self,
        before: StoredTurns,
        turns_max: u32,
    ) -> Result<StoredTurns, IntakeError> {
        let after = StoredTurns {
            n: before.n + 1,
            told_bytes: before.told_bytes + self.told,
            session_bytes: before.session_bytes + self.session,
        };
        let n_max = u64::from(turns_max.saturating_add(TURNS_SPARE));
        for (value, max, what) in [
            (u64::from(self.n) + 1, n_max, "turns"),
            (
                self.told,
                TURN_BYTES_MAX,
                "bytes of answer and tool results in a turn",
            ),
            (
                after.told_bytes,
                TURNS_BYTES_MAX,
                "bytes of answers and tool results in all",
            ),
            (
                self.session,
                SESSION_PART_BYTES_MAX,
                "bytes of session in a turn",
            ),
            (
                after.session_bytes,
                SESSION_BYTES_MAX,
                "bytes of session in all",
            ),
        ] {
            if value > max {
                return Err(IntakeError::Refused(format!(
                    "{value} {what}, at most {max}"
                )));
            }
        }
        Ok(after)
    }
}

/// Turns that an agent may take at `subject`.
pub(super) const fn turns_max(limits: &WorkLimits, subject: AttemptSubject) -> u32 {
    match subject {
        AttemptSubject::SpecPhase { .. } => limits.phase.turns_max,
        AttemptSubject::Task { .. }
        | AttemptSubject::TaskChecks { .. }
        | AttemptSubject::BaseSuite
        | AttemptSubject::PlanProofs
        | AttemptSubject::PlanOpinion
        | AttemptSubject::HeadChecks
        | AttemptSubject::Merge { .. } => limits.task.turns_max,
    }
}

fn json_bytes(value: &Value) -> u64 {
    value.to_string().len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: TurnSize = TurnSize {
        n: 3,
        told: 100,
        session: 10,
    };
    const BEFORE: StoredTurns = StoredTurns {
        n: 3,
        told_bytes: 1_000,
        session_bytes: 50,
    };

    #[test]
    fn a_turn_is_stored_up_to_each_limit_and_no_further() {
        let at = |told, session| TurnSize {
            told,
            session,
            ..TURN
        };
        let nth = |n| TurnSize { n, ..TURN };
        let (told_left, session_left) = (TURNS_BYTES_MAX - 1_000, SESSION_BYTES_MAX - 50);
        let full = StoredTurns {
            told_bytes: TURNS_BYTES_MAX - 100,
            session_bytes: SESSION_BYTES_MAX - 10,
            ..BEFORE
        };
        assert!(told_left > TURN_BYTES_MAX && session_left > SESSION_PART_BYTES_MAX);
        for (turn, before, refused) in [
            (TURN, BEFORE, None),
            (TURN, full, None),
            (nth(57), BEFORE, None),
            (nth(58), BEFORE, Some("59 turns, at most 58")),
            (at(TURN_BYTES_MAX, SESSION_PART_BYTES_MAX), BEFORE, None),
            (
                at(TURN_BYTES_MAX + 1, 0),
                BEFORE,
                Some("33554433 bytes of answer and tool results in a turn, at most 33554432"),
            ),
            (
                at(101, 0),
                full,
                Some("134217729 bytes of answers and tool results in all, at most 134217728"),
            ),
            (
                at(0, SESSION_PART_BYTES_MAX + 1),
                BEFORE,
                Some("33554433 bytes of session in a turn, at most 33554432"),
            ),
            (
                at(0, 11),
                full,
                Some("50000001 bytes of session in all, at most 50000000"),
            ),
        ] {
            let found = turn.add_to(before, 50);
            let told = found.as_ref().err().map(ToString::to_string);
            assert_eq!(told.as_deref(), refused, "{turn:?} {before:?}");
            if let Ok(after) = found {
                assert_eq!(after.told_bytes, before.told_bytes + turn.told);
                assert_eq!(after.session_bytes, before.session_bytes + turn.session);
            }
        }
    }
}
