//! An attempt whose worker says that it is up.

use super::AttemptAction;
use crate::attempt::AttemptState;
use crate::sandbox::SandboxState;

/// Has an attempt in `state`, and its sandbox, run; told again, nothing changes.
pub fn worker_started(state: AttemptState) -> Vec<AttemptAction> {
    match state {
        AttemptState::Running => Vec::new(),
        _ => vec![
            AttemptAction::Move(AttemptState::Running),
            AttemptAction::MoveSandbox(SandboxState::Running),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn a_worker_starts_once() {
        let runs = [
            AttemptAction::Move(AttemptState::Running),
            AttemptAction::MoveSandbox(SandboxState::Running),
        ];
        assert_eq!(worker_started(AttemptState::Starting), runs);
        assert!(transition(AttemptState::Starting, AttemptState::Running).is_ok());
        assert!(transition(SandboxState::Creating, SandboxState::Running).is_ok());
        assert_eq!(worker_started(AttemptState::Running), []);
        // Its machine refuses one whose sandbox was never bound.
        assert_eq!(worker_started(AttemptState::Pending), runs);
        assert!(transition(AttemptState::Pending, AttemptState::Running).is_err());
    }
}
