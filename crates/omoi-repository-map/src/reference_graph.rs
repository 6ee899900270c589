//! Files that refer to each other, ranked from those that a question points at.

use crate::tag_cache::CachedTags;

/// A name defined in more files than this says nothing about any of them.
const DEFINING_FILES_MAX: usize = 12;
/// Share of a rank that goes on along references.
const DAMPING: f64 = 0.6;
const ROUNDS: usize = 12;
/// Files that one file's references reach at most; the heaviest are kept.
const TARGETS_MAX: usize = 200;

/// A reference from one file to another, with its share of all that leave the first.
struct FileEdge {
    to: u32,
    share: f32,
}

/// Which file uses what which other defines.
pub(crate) struct ReferenceGraph {
    edges: Vec<Vec<FileEdge>>,
    /// How often each name is used in other files than define it.
    pub(crate) uses: Vec<u32>,
}

impl ReferenceGraph {
    /// The graph of files by their tags, over `n_names` names.
    pub(crate) fn new(files: &[Option<&CachedTags>], n_names: usize) -> Self {
        let mut defined_in: Vec<Vec<u32>> = vec![Vec::new(); n_names];
        for (file, tags) in (0_u32..).zip(files) {
            for definition in tags.iter().flat_map(|tags| &tags.definitions) {
                let files = &mut defined_in[definition.name as usize];
                if files.last() != Some(&file) {
                    files.push(file);
                }
            }
        }
        let mut uses = vec![0_u32; n_names];
        let mut weights = vec![0_f32; files.len()];
        let edges = (0_u32..).zip(files).map(|(file, tags)| {
            let mut targets = Vec::new();
            for used in tags.iter().flat_map(|tags| &tags.references) {
                let defining = &defined_in[used.name as usize];
                if defining.is_empty() || defining.contains(&file) {
                    continue;
                }
                uses[used.name as usize] += 1;
                if defining.len() > DEFINING_FILES_MAX {
                    continue;
                }
                let weight = (1.0 + (used.count as f32).ln()) / defining.len() as f32;
                for target in defining {
                    let known = &mut weights[*target as usize];
                    if *known == 0.0 {
                        targets.push(*target);
                    }
                    *known += weight;
                }
            }
            take_edges(targets, &mut weights)
        });
        let edges = edges.collect();
        Self { edges, uses }
    }

    /// The rank of each file when readers begin at files by `start`, which adds up to 1, and follow references.
    pub(crate) fn rank_from(&self, start: &[f64]) -> Vec<f64> {
        let mut ranks = start.to_vec();
        for _ in 0..ROUNDS {
            let mut next = vec![0.0; ranks.len()];
            let mut lost = 0.0;
            for (edges, rank) in self.edges.iter().zip(&ranks) {
                if edges.is_empty() {
                    lost += rank;
                }
                for edge in edges {
                    next[edge.to as usize] += rank * f64::from(edge.share);
                }
            }
            for (next, start) in next.iter_mut().zip(start) {
                *next = DAMPING * (*next + lost * start) + (1.0 - DAMPING) * start;
            }
            ranks = next;
        }
        ranks
    }
}

/// The edges to `targets` by their weights, which are cleared.
fn take_edges(targets: Vec<u32>, weights: &mut [f32]) -> Vec<FileEdge> {
    let mut edges: Vec<FileEdge> = targets
        .into_iter()
        .map(|to| FileEdge {
            to,
            share: std::mem::take(&mut weights[to as usize]),
        })
        .collect();
    edges.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.to.cmp(&b.to)));
    edges.truncate(TARGETS_MAX);
    let total: f32 = edges.iter().map(|edge| edge.share).sum();
    for edge in &mut edges {
        edge.share /= total;
    }
    edges
}
