//! What plain search finds: the files that any of the words stands in.

use crate::release_tree::ReleaseTree;

/// Words that nobody searches for.
const COMMON: [&str; 24] = [
    "the", "and", "for", "with", "from", "that", "this", "when", "not", "are", "was", "now", "fix",
    "fixed", "fixes", "add", "added", "adds", "use", "using", "all", "has", "have", "into",
];

/// What a search finds, in two orders of indices of files.
pub(crate) struct SearchOrders {
    /// The files with any of the words, as plain search prints them.
    pub(crate) by_path: Vec<usize>,
    /// The same by how many of their lines have one.
    pub(crate) by_hits: Vec<usize>,
}

/// Searches the files of `tree` for the words of `line`.
pub(crate) fn search_files(tree: &ReleaseTree, line: &str) -> SearchOrders {
    let lower = line.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.len() >= 3 && !COMMON.contains(word))
        .collect();
    let hits: Vec<usize> = tree
        .texts
        .iter()
        .map(|text| {
            let text = text.to_lowercase();
            let lines = text.lines();
            lines
                .filter(|line| words.iter().any(|word| line.contains(word)))
                .count()
        })
        .collect();
    let by_path: Vec<usize> = (0..hits.len()).filter(|file| hits[*file] > 0).collect();
    let mut by_hits = by_path.clone();
    by_hits.sort_by_key(|file| std::cmp::Reverse(hits[*file]));
    SearchOrders { by_path, by_hits }
}
