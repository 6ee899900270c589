//! A spec with nothing open, whose last checks may begin.

use super::SpecStop;
use crate::lifecycle::tries::{EarlierRun, TryLimit, is_under_way, spent_tries};
use crate::time::Timestamp;

/// Times the last checks may fail to run at all.
pub const PROOF_TRIES_MAX: usize = 3;

/// What becomes of the last checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofStart {
    /// They run already.
    Wait,
    /// They begin.
    Begin,
    /// They could not be run often enough.
    GiveUp(SpecStop),
}

/// Decides whether the last checks begin; a spec that was resumed has all its tries `since` then.
pub fn start_proof(runs: &[EarlierRun], since: Option<Timestamp>) -> ProofStart {
    if is_under_way(runs) {
        return ProofStart::Wait;
    }
    let limit = TryLimit {
        max: PROOF_TRIES_MAX,
        round: None,
        since,
    };
    spent_tries(runs, limit).map_or(ProofStart::Begin, |why| {
        ProofStart::GiveUp(SpecStop::fail(why))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::AttemptState::{self, Failed, Lost, Starting};

    #[test]
    fn the_last_checks_have_three_tries() {
        let give_up = || ProofStart::GiveUp(SpecStop::fail("the disk is full"));
        for (states, since, expected) in [
            (vec![], None, ProofStart::Begin),
            (vec![Failed, Failed], None, ProofStart::Begin),
            (vec![Failed, Failed, Failed], None, give_up()),
            (vec![Failed, Failed, Failed], Some(0), give_up()),
            (vec![Failed, Failed, Failed], Some(1), ProofStart::Begin),
            (vec![Lost, Lost, Lost], None, ProofStart::Begin),
            (vec![Failed, Starting], None, ProofStart::Wait),
        ] {
            let run = |state: &AttemptState| EarlierRun {
                state: *state,
                round: 0,
                begun_at: Timestamp::from_micros(0),
                error: Some("the disk is full".to_owned()),
            };
            let runs: Vec<_> = states.iter().map(run).collect();
            let since = since.map(Timestamp::from_micros);
            assert_eq!(start_proof(&runs, since), expected, "{states:?}");
        }
    }
}
