//! The proof checks of a plan, which must fail on the base commit.

use crate::lifecycle::tries::{EarlierRun, TryLimit, is_under_way, spent_tries};
use crate::time::Timestamp;

/// Times the proofs of one output may fail to run at all.
const PROOF_RUNS_MAX: usize = 3;

/// What is known of the proofs of a plan.
#[derive(Clone, Copy, Debug)]
pub struct ProofFacts<'a> {
    /// Whether any has not been tried.
    pub has_open: bool,
    /// Earlier runs of such proofs.
    pub runs: &'a [EarlierRun],
    /// When the attempt began that made the plan: it has all its tries since then.
    pub since: Timestamp,
}

/// What is next for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofStep {
    /// All are known.
    GoOn,
    /// They are on their way.
    Await,
    /// They are run.
    Run,
    /// They failed to run too often, the last time for this reason.
    GiveUp(String),
}

/// Decides what is next for the proofs of a plan.
pub fn proof_step(facts: ProofFacts<'_>) -> ProofStep {
    if !facts.has_open {
        return ProofStep::GoOn;
    }
    if is_under_way(facts.runs) {
        return ProofStep::Await;
    }
    let limit = TryLimit {
        max: PROOF_RUNS_MAX,
        round: None,
        since: Some(facts.since),
    };
    spent_tries(facts.runs, limit).map_or(ProofStep::Run, ProofStep::GiveUp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::AttemptState;

    #[test]
    fn open_proofs_are_run_until_their_tries_are_spent() {
        use AttemptState::{Failed, Lost, Starting, Succeeded};
        let give_up = || ProofStep::GiveUp("no sandbox".to_owned());
        for (has_open, states, since, expected) in [
            (false, vec![Failed, Failed, Failed], 0, ProofStep::GoOn),
            (true, vec![], 0, ProofStep::Run),
            (true, vec![Succeeded], 0, ProofStep::Run),
            (true, vec![Failed, Starting], 0, ProofStep::Await),
            (true, vec![Failed, Failed], 0, ProofStep::Run),
            (true, vec![Failed, Failed, Failed], 0, give_up()),
            (true, vec![Failed, Lost, Lost], 0, ProofStep::Run),
            // They belong to an earlier output.
            (true, vec![Failed, Failed, Failed], 6, ProofStep::Run),
        ] {
            let run = |state: &AttemptState| EarlierRun {
                state: *state,
                round: 0,
                begun_at: Timestamp::from_micros(5),
                error: Some("no sandbox".to_owned()),
            };
            let runs: Vec<_> = states.iter().map(run).collect();
            let step = proof_step(ProofFacts {
                has_open,
                runs: &runs,
                since: Timestamp::from_micros(since),
            });
            assert_eq!(step, expected, "{has_open} {states:?}");
        }
    }
}
