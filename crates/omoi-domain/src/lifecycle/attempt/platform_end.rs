//! An attempt of the platform's own that is over.

use super::AttemptAction;
use crate::attempt::{AttemptState, AttemptStopReason};

/// How a run of the platform ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnding<'a> {
    /// It did its work, whatever it found.
    Done,
    /// It could not do its work, and why.
    Failed(&'a str),
}

/// Ends a run that is in `state`; one that is over already, as after a lost lease, stays as it ended.
pub fn end_platform_run(state: AttemptState, ending: RunEnding<'_>) -> Vec<AttemptAction> {
    if !state.is_live() {
        return Vec::new();
    }
    let (stop_reason, message, to) = match ending {
        RunEnding::Done => (AttemptStopReason::Done, None, AttemptState::Succeeded),
        RunEnding::Failed(why) => {
            let message = Some(why.to_owned());
            (AttemptStopReason::Error, message, AttemptState::Failed)
        }
    };
    vec![
        AttemptAction::KeepEnd {
            stop_reason,
            class: None,
            message,
        },
        AttemptAction::Move(to),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::transition;

    #[test]
    fn a_run_ends_once() {
        use AttemptState::{Failed, Lost, Starting, Succeeded};
        let done = [
            AttemptAction::KeepEnd {
                stop_reason: AttemptStopReason::Done,
                class: None,
                message: None,
            },
            AttemptAction::Move(Succeeded),
        ];
        let failed = [
            AttemptAction::KeepEnd {
                stop_reason: AttemptStopReason::Error,
                class: None,
                message: Some("no disk".to_owned()),
            },
            AttemptAction::Move(Failed),
        ];
        for (state, ending, expected) in [
            (Starting, RunEnding::Done, &done[..]),
            (Starting, RunEnding::Failed("no disk"), &failed[..]),
            (Lost, RunEnding::Done, &[][..]),
            (Succeeded, RunEnding::Failed("no disk"), &[][..]),
        ] {
            assert_eq!(
                end_platform_run(state, ending),
                expected,
                "{state} {ending:?}"
            );
        }
        for to in [Succeeded, Failed] {
            assert!(transition(Starting, to).is_ok(), "{to}");
        }
    }
}
