//! An attempt that begins.

use super::AttemptAction;
use crate::attempt::AttemptState;
use crate::sandbox::{SandboxRung, SandboxState};

/// Has an attempt start, in a sandbox of kind `rung` whose row is written; the platform's own attempts
/// have none.
pub fn begin_attempt(rung: Option<SandboxRung>) -> Vec<AttemptAction> {
    let starts = AttemptAction::Move(AttemptState::Starting);
    match rung {
        None => vec![starts],
        Some(rung) => vec![
            AttemptAction::KeepRung(rung),
            starts,
            AttemptAction::MoveSandbox(SandboxState::Creating),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn an_attempt_starts_with_its_sandbox_where_it_has_one() {
        let starts = AttemptAction::Move(AttemptState::Starting);
        assert_eq!(begin_attempt(None), vec![starts.clone()]);
        for rung in SandboxRung::ALL.iter().copied() {
            let expected = [
                AttemptAction::KeepRung(rung),
                starts.clone(),
                AttemptAction::MoveSandbox(SandboxState::Creating),
            ];
            assert_eq!(begin_attempt(Some(rung)), expected);
        }
        assert!(transition(AttemptState::Pending, AttemptState::Starting).is_ok());
        assert!(transition(SandboxState::Pending, SandboxState::Creating).is_ok());
    }
}
