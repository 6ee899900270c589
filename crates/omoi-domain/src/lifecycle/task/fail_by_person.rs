//! A task that a person gives up as failed.

use super::TaskAction;

/// Fails a task for good because a person says so, and blocks what waits for it. Whatever runs for it is stopped by the
/// reaper.
pub fn fail_by_person(reason: &str) -> Vec<TaskAction> {
    let reason = format!("failed by a person: {reason}");
    vec![
        TaskAction::KeepError {
            class: None,
            message: reason.clone(),
        },
        TaskAction::FailPermanently { reason },
        TaskAction::BlockDependents,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_reason_and_stops_what_waits_for_it() {
        let reason = "failed by a person: wrong idea".to_owned();
        let expected = [
            TaskAction::KeepError {
                class: None,
                message: reason.clone(),
            },
            TaskAction::FailPermanently { reason },
            TaskAction::BlockDependents,
        ];
        assert_eq!(fail_by_person("wrong idea"), expected);
    }
}
