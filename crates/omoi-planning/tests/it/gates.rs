//! The gates of planning, measured with the outputs under `corpus/planning`.

mod spoil;

use spoil::{SPOILERS, Spoiler};

use omoi_runtime::rng::Rng;
use omoi_testkit::planning_corpus::{PlanningCorpus, WRITTEN};

/// Fewest cases of a kind that say something about a phase.
const CASES_MIN: usize = 20;
/// Least share of spoilt outputs that is caught, over all ways to spoil one.
const CAUGHT_MIN: f64 = 0.95;

#[test]
fn every_gate_meets_its_target() {
    let mut corpus = PlanningCorpus::of_clone();
    for phase in WRITTEN {
        let measured = corpus.measure(phase).unwrap();
        assert!(measured.honest.len() >= CASES_MIN, "{phase}");
        assert!(measured.gamed.len() >= CASES_MIN, "{phase}");
        let wrong: Vec<_> = measured.refused().chain(measured.missed()).collect();
        assert!(measured.meets_target(), "{phase}: {wrong:#?}");
    }
}

/// Honest outputs that a program spoils, each in one way, are caught as those of the corpus are.
#[test]
fn honest_outputs_that_are_spoilt_are_caught() {
    let mut corpus = PlanningCorpus::of_clone();
    let rng = Rng::seeded(1);
    for phase in WRITTEN {
        let (mut n_caught, mut passed) = (0, Vec::new());
        for Spoiler { name, spoil, .. } in SPOILERS.iter().filter(|s| s.phases.contains(&phase)) {
            let verdicts = corpus.spoilt(phase, |idea, output| spoil(&rng, idea, output));
            for verdict in verdicts.unwrap() {
                if verdict.passed {
                    passed.push(format!("{name}: {}", verdict.file));
                } else {
                    n_caught += 1;
                }
            }
        }
        let of = n_caught + passed.len();
        let share = f64::from(n_caught as u32) / f64::from(of as u32);
        println!("{phase}: {n_caught} of {of} caught; passed: {passed:#?}");
        assert!(
            of >= 3 * CASES_MIN && share >= CAUGHT_MIN,
            "{phase}: {share} {passed:#?}"
        );
    }
}
