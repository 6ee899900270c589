//! The gates of planning, measured with the outputs under `corpus/planning`.

#[path = "../../examples/gates/corpus.rs"]
#[allow(dead_code, reason = "shared with the program that prints the figures")]
mod corpus;

use corpus::{Corpus, WRITTEN};

/// Honest outputs pass.
#[test]
fn honest_outputs_of_the_corpus_pass() {
    let mut corpus = Corpus::of_clone();
    for phase in WRITTEN {
        let measured = corpus.measure(phase).unwrap();
        let refused: Vec<_> = measured.refused().collect();
        assert!(refused.is_empty(), "{phase}: {refused:#?}");
    }
}
