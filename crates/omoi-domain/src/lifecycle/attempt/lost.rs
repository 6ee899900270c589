//! An attempt that the platform ends.

use super::{AttemptAction, AttemptLoss, ended_state};
use crate::attempt::AttemptState;

/// Ends an attempt in `state` as `loss` says; one that is over stays as it ended.
pub fn end_lost(state: AttemptState, loss: &AttemptLoss) -> Vec<AttemptAction> {
    if !state.is_live() {
        return Vec::new();
    }
    vec![
        AttemptAction::KeepEnd {
            stop_reason: loss.stop_reason,
            class: Some(loss.class),
            message: Some(loss.message.clone()),
        },
        AttemptAction::Move(ended_state(state, loss.state)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::AttemptStopReason;
    use crate::machine::transition;
    use crate::retry::ErrorClass;

    #[test]
    fn a_live_attempt_ends_as_the_platform_says() {
        use AttemptState::{Failed, Interrupted, Lost, Pending, Running, Starting, Succeeded};
        for (state, to, expected) in [
            (Pending, Failed, Some(Failed)),
            (Starting, Lost, Some(Lost)),
            (Running, Interrupted, Some(Interrupted)),
            (Succeeded, Lost, None),
            (Lost, Failed, None),
        ] {
            let loss = AttemptLoss {
                state: to,
                stop_reason: AttemptStopReason::SandboxLost,
                class: ErrorClass::SandboxLost,
                message: "it is gone".to_owned(),
                counts: true,
            };
            let actions = end_lost(state, &loss);
            let Some(to) = expected else {
                assert_eq!(actions, [], "{state}");
                continue;
            };
            let kept = AttemptAction::KeepEnd {
                stop_reason: AttemptStopReason::SandboxLost,
                class: Some(ErrorClass::SandboxLost),
                message: Some("it is gone".to_owned()),
            };
            assert_eq!(actions, [kept, AttemptAction::Move(to)], "{state}");
            assert!(transition(state, to).is_ok(), "{state} -> {to}");
        }
    }
}
