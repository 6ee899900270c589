//! The phase a spec is to work on.

use std::collections::BTreeMap;

use super::{PhaseAction, stale_phase};
use crate::phase::Phase;
use crate::spec::PhaseState;

/// What is stored of a phase, as far as it can be stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPhase {
    /// The phase.
    pub phase: Phase,
    /// Where it stands.
    pub state: PhaseState,
    /// Digest of what it read.
    pub input_digest: Option<String>,
    /// Digest of its accepted output.
    pub output_digest: Option<String>,
}

/// The first phase that has not passed with its present inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPhase {
    /// The phase.
    pub phase: Phase,
    /// Digest of its present inputs.
    pub input_digest: String,
    /// Whether it was begun with other inputs: what it made of them is of no use.
    pub is_stale: bool,
    /// Whether it was begun with these.
    pub is_fresh: bool,
}

impl OpenPhase {
    /// Has the spec, which stands at phase `current`, work on it. `state` is where the phase stands; nothing
    /// changes where the spec works on it already.
    pub fn open_actions(&self, state: PhaseState, current: Phase) -> Vec<PhaseAction> {
        if self.is_fresh && self.phase == current {
            return Vec::new();
        }
        let mut actions = match self.is_stale {
            true => stale_phase(state),
            false => Vec::new(),
        };
        actions.push(PhaseAction::SetInputDigest(self.input_digest.clone()));
        actions.push(PhaseAction::SetCurrentPhase(self.phase));
        actions
    }
}

/// Finds the phase to work on; none when every phase has passed with its present inputs. `digest` is that
/// of a phase's inputs, from the digests of the outputs before it.
pub fn open_phase(
    stored: &[StoredPhase],
    digest: impl Fn(Phase, &BTreeMap<Phase, String>) -> String,
) -> Option<OpenPhase> {
    let mut passed = BTreeMap::new();
    for phase in Phase::ALL_WORKING {
        let found = stored.iter().find(|stored| stored.phase == phase);
        let input_digest = digest(phase, &passed);
        let begun_with = found.and_then(|found| found.input_digest.as_ref());
        let is_fresh = begun_with == Some(&input_digest);
        match found {
            Some(found) if is_fresh && found.state == PhaseState::Passed => {
                passed.insert(phase, found.output_digest.clone().unwrap_or_default());
            }
            _ => {
                return Some(OpenPhase {
                    phase,
                    is_stale: begun_with.is_some() && !is_fresh,
                    is_fresh,
                    input_digest,
                });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A digest that names the inputs.
    fn digest(phase: Phase, passed: &BTreeMap<Phase, String>) -> String {
        let inputs = phase.inputs().iter().filter_map(|input| passed.get(input));
        let inputs: Vec<&str> = inputs.map(String::as_str).collect();
        format!("{phase}({})", inputs.join(","))
    }

    /// Every phase passed, each with the outputs that stood before it.
    fn all_passed() -> Vec<StoredPhase> {
        let mut passed = BTreeMap::new();
        let all = Phase::ALL_WORKING.into_iter().map(|phase| {
            let input_digest = digest(phase, &passed);
            passed.insert(phase, format!("{phase}1"));
            StoredPhase {
                phase,
                state: PhaseState::Passed,
                input_digest: Some(input_digest),
                output_digest: Some(format!("{phase}1")),
            }
        });
        all.collect()
    }

    #[test]
    fn the_first_phase_whose_inputs_changed_is_open() {
        assert_eq!(open_phase(&all_passed(), digest), None);
        let open = |change: &dyn Fn(&mut Vec<StoredPhase>)| {
            let mut stored = all_passed();
            change(&mut stored);
            open_phase(&stored, digest).map(|open| (open.phase, open.is_stale, open.is_fresh))
        };
        assert_eq!(open(&Vec::clear), Some((Phase::Explore, false, false)));
        // Another output of the design makes the tasks stale, and sync after them.
        let other_design = open(&|stored| stored[3].output_digest = Some("other".to_owned()));
        assert_eq!(other_design, Some((Phase::Tasks, true, false)));
        for state in [PhaseState::Running, PhaseState::Backoff, PhaseState::Failed] {
            let begun = open(&|stored| stored[2].state = state);
            assert_eq!(begun, Some((Phase::Requirements, false, true)), "{state}");
        }
        let not_begun = open(&|stored| stored.truncate(5));
        assert_eq!(not_begun, Some((Phase::Sync, false, false)));
    }

    #[test]
    fn a_spec_is_changed_only_where_it_works_on_something_else() {
        let open = |is_stale, is_fresh| OpenPhase {
            phase: Phase::Tasks,
            input_digest: "inputs".to_owned(),
            is_stale,
            is_fresh,
        };
        for (is_stale, is_fresh, current, n_actions) in [
            (false, true, Phase::Tasks, 0),
            (false, true, Phase::Design, 2),
            (false, false, Phase::Tasks, 2),
            (true, false, Phase::Tasks, 6),
        ] {
            let actions = open(is_stale, is_fresh).open_actions(PhaseState::Running, current);
            assert_eq!(actions.len(), n_actions, "{actions:?}");
            let drops = actions.contains(&PhaseAction::DropOutput);
            assert_eq!(drops, is_stale);
        }
    }
}
