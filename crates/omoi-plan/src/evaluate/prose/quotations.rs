//! Text taken over word for word.

use std::collections::BTreeSet;

use crate::wording::split_words;

/// Texts that others may have been taken from, as runs of a few words.
#[derive(Clone, Debug)]
pub(in crate::evaluate) struct Quotations {
    run: usize,
    runs: BTreeSet<Vec<String>>,
}

impl Quotations {
    /// Finds what shares runs of `run` words with `sources`.
    pub(in crate::evaluate) fn new<'a>(
        run: usize,
        sources: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let runs = sources
            .into_iter()
            .flat_map(|source| {
                let words = split_words(source);
                words
                    .windows(run)
                    .map(<[String]>::to_vec)
                    .collect::<Vec<_>>()
            })
            .collect();
        Self { run, runs }
    }

    /// The words of `text`, and how many of them stand in runs that were taken over; none of either
    /// where there is nothing to take from.
    pub(in crate::evaluate) fn count_taken(&self, text: &str) -> (usize, usize) {
        if self.runs.is_empty() {
            return (0, 0);
        }
        let words = split_words(text);
        let mut taken = vec![false; words.len()];
        for (at, run) in words.windows(self.run).enumerate() {
            if self.runs.contains(run) {
                taken[at..at + self.run].fill(true);
            }
        }
        let n_taken = taken.iter().filter(|is| **is).count();
        (words.len(), n_taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_over_is_counted() {
        let request = Quotations::new(3, ["Add a flag that prints the list as JSON."]);
        assert_eq!(
            request.count_taken("(1) Add a flag that prints the list"),
            (8, 7)
        );
        assert_eq!(request.count_taken("The list is printed as JSON"), (6, 0));
        assert_eq!(request.count_taken("as JSON"), (2, 0));
    }
}
