//! Which nodes may be worked on at once and want the same files: where merges may conflict.

use std::collections::BTreeSet;

use super::{Graph, NodeKey};

/// Two nodes, neither of which waits for the other, that name the same files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOverlap<K> {
    /// The one given first.
    pub first: K,
    /// The one given later.
    pub second: K,
    /// What both name, in order.
    pub files: Vec<String>,
}

impl<K: NodeKey> Graph<K> {
    /// Every overlap, in the order the nodes were given. `files` are paths from the repository's
    /// root; two paths overlap when they are equal.
    pub fn file_overlaps<'a>(&self, files: impl Fn(&K) -> &'a [String]) -> Vec<FileOverlap<K>> {
        let named: Vec<BTreeSet<&String>> = self
            .keys
            .iter()
            .map(|k| files(k).iter().collect())
            .collect();
        let mut found = Vec::new();
        for (i, first) in self.keys.iter().enumerate() {
            for (j, second) in self.keys.iter().enumerate().skip(i + 1) {
                let mut both = named[i].intersection(&named[j]).peekable();
                if both.peek().is_none() || self.is_ordered(first, second) {
                    continue;
                }
                found.push(FileOverlap {
                    first: first.clone(),
                    second: second.clone(),
                    files: both.map(|file| (*file).clone()).collect(),
                });
            }
        }
        found
    }

    fn is_ordered(&self, one: &K, other: &K) -> bool {
        self.shortest_path(one, other).is_some() || self.shortest_path(other, one).is_some()
    }
}
