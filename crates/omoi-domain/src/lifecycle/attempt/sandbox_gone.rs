//! The sandbox of an attempt that is over.

use std::time::Duration;

use super::AttemptAction;
use crate::sandbox::SandboxState;

/// What is known of a sandbox whose processes may still exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftSandbox {
    /// Whether its attempt lives.
    pub is_live: bool,
    /// Whether this process still follows the attempt.
    pub is_followed: bool,
    /// For how long the attempt has been over.
    pub over_for: Option<Duration>,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxStep {
    /// It goes by itself.
    Leave,
    /// It was asked to go, or has told its end, and does not go.
    Kill,
    /// Nobody follows it any more: it is gone.
    End,
}

/// Decides what becomes of a sandbox; `grace` is the time between the request to stop and the kill.
pub fn reap_sandbox(sandbox: LeftSandbox, grace: Duration) -> SandboxStep {
    let is_late = sandbox.over_for.is_some_and(|over_for| over_for >= grace);
    match (sandbox.is_live, sandbox.is_followed) {
        (true, _) => SandboxStep::Leave,
        (false, true) if is_late => SandboxStep::Kill,
        (false, true) => SandboxStep::Leave,
        (false, false) => SandboxStep::End,
    }
}

/// Notes that a sandbox in `state` is gone.
pub fn sandbox_gone(state: SandboxState) -> Vec<AttemptAction> {
    match state {
        SandboxState::Terminated => Vec::new(),
        _ => vec![AttemptAction::EndSandbox],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn a_sandbox_is_left_while_somebody_may_end_it() {
        use SandboxStep::{End, Kill, Leave};
        for (is_live, is_followed, over_for_s, expected) in [
            (true, true, None, Leave),
            (true, false, None, Leave),
            (false, true, Some(9), Leave),
            (false, true, Some(10), Kill),
            (false, true, None, Leave),
            (false, false, Some(0), End),
            (false, false, None, End),
        ] {
            let sandbox = LeftSandbox {
                is_live,
                is_followed,
                over_for: over_for_s.map(Duration::from_secs),
            };
            let step = reap_sandbox(sandbox, Duration::from_secs(10));
            assert_eq!(step, expected, "{sandbox:?}");
        }
    }

    #[test]
    fn a_sandbox_is_gone_once() {
        for state in SandboxState::ALL.iter().copied() {
            let actions = sandbox_gone(state);
            if state == SandboxState::Terminated {
                assert_eq!(actions, []);
                continue;
            }
            assert_eq!(actions, [AttemptAction::EndSandbox], "{state}");
            assert!(
                transition(state, SandboxState::Terminated).is_ok(),
                "{state}"
            );
        }
    }
}
