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
        // A repository of two files cannot name three: the rule is to ask for no more than there are.
        let of_few_files =
            |why: &String| why.starts_with("key_files_missing") && why.contains("2 of the cited");
        let refused: Vec<_> = measured
            .refused()
            .filter(|verdict| !verdict.reasons.iter().all(of_few_files))
            .collect();
        assert!(refused.is_empty(), "{phase}: {refused:#?}");
    }
}
