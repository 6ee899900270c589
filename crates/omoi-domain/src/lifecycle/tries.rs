//! How often the platform tries work of its own before it gives up.

use crate::attempt::AttemptState;
use crate::time::Timestamp;

/// An earlier attempt of the platform at the same subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierRun {
    /// Where it stands.
    pub state: AttemptState,
    /// The round of the subject it was made in.
    pub round: u32,
    /// When it began.
    pub begun_at: Timestamp,
    /// What it failed of.
    pub error: Option<String>,
}

/// Which failed runs count, and how many are enough.
#[derive(Clone, Copy, Debug)]
pub struct TryLimit {
    /// Failed runs after which there is no other.
    pub max: usize,
    /// Only runs of this round count.
    pub round: Option<u32>,
    /// Only runs that began no earlier count: whoever a person had go on has all tries again.
    pub since: Option<Timestamp>,
}

/// What the last of `runs` failed of, when no try is left. A run that was lost or stopped says nothing
/// about its subject and does not count.
pub fn spent_tries(runs: &[EarlierRun], limit: TryLimit) -> Option<String> {
    let counts = |run: &&EarlierRun| {
        run.state == AttemptState::Failed
            && limit.round.is_none_or(|round| run.round == round)
            && limit.since.is_none_or(|since| run.begun_at >= since)
    };
    let failed: Vec<&EarlierRun> = runs.iter().filter(counts).collect();
    let last = failed.last().filter(|_| failed.len() >= limit.max)?;
    Some(last.error.clone().unwrap_or_else(|| "it failed".to_owned()))
}

/// Whether the last of `runs` goes on; only one may at a time.
pub(super) fn is_under_way(runs: &[EarlierRun]) -> bool {
    runs.last().is_some_and(|last| last.state.is_live())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failed_runs_of_this_time_and_round_count() {
        use AttemptState::{Failed, Lost, Succeeded};
        let run = |state, round, begun_at| EarlierRun {
            state,
            round,
            begun_at: Timestamp::from_micros(begun_at),
            error: Some(format!("error of {begun_at}")),
        };
        let limit = |round, since: Option<i64>| TryLimit {
            max: 2,
            round,
            since: since.map(Timestamp::from_micros),
        };
        let failed = [run(Failed, 0, 1), run(Failed, 0, 2), run(Failed, 1, 3)];
        let other = [run(Failed, 0, 1), run(Lost, 0, 2), run(Succeeded, 0, 3)];
        for (runs, limit, expected) in [
            (&failed[..], limit(None, None), Some("error of 3")),
            (&failed[..1], limit(None, None), None),
            (&failed[..], limit(Some(0), None), Some("error of 2")),
            (&failed[..], limit(Some(1), None), None),
            (&failed[..], limit(None, Some(2)), Some("error of 3")),
            (&failed[..], limit(None, Some(3)), None),
            (&other[..], limit(None, None), None),
            (&[], limit(None, None), None),
        ] {
            assert_eq!(spent_tries(runs, limit).as_deref(), expected, "{limit:?}");
        }
    }
}
