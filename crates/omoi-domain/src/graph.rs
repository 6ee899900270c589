//! Dependency graphs: building, cycles, order, levels, critical path and the ready set.
//!
//! A [`Graph`] may hold anything a plan can say, cycles included, so that every fault can be
//! reported at once. [`Graph::into_dag`] proves that there is no cycle and gives a [`Dag`], which
//! answers questions of order; [`DagProgress`] follows one run through it, one completion at a time.
//! Nothing recurses, so depth costs no stack.

mod cycles;
mod dag;
mod overlaps;
mod progress;
mod summary;

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

pub use cycles::Cycle;
pub use dag::{CriticalPath, Dag, DagError};
pub use overlaps::FileOverlap;
pub use progress::{DagProgress, UnknownNode};
pub use summary::{EdgeDirection, GraphSummary};

/// Most nodes one graph may have.
pub const NODES_MAX: usize = 100_000;
/// Longest chain a [`Dag`] may have, in nodes.
pub const DEPTH_MAX: u32 = 1_000;

/// What can name a node: a row id, or a `String` for identifiers local to a plan.
pub trait NodeKey: Clone + Ord + Hash + Debug {}
impl<K: Clone + Ord + Hash + Debug> NodeKey for K {}

/// `before` must be satisfied before `after` may start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge<K> {
    /// The node that must be satisfied first.
    pub before: K,
    /// The node that waits for `before`.
    pub after: K,
}

impl<K> Edge<K> {
    /// The edge from prerequisite `before` to dependent `after`.
    pub const fn new(before: K, after: K) -> Self {
        Self { before, after }
    }
}

/// A fault found while building a graph; the faulty part is left out, the rest is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphProblem<K: Debug> {
    /// More than [`NODES_MAX`] nodes; the surplus is dropped.
    #[error("the graph has {count} nodes, at most {NODES_MAX} are allowed")]
    TooManyNodes {
        /// How many were given.
        count: usize,
    },
    /// The same node was given twice.
    #[error("node {0:?} is given twice")]
    DuplicateNode(K),
    /// A node depends on itself. [`Graph::cycles`] reports it too.
    #[error("node {0:?} depends on itself")]
    SelfEdge(K),
    /// An edge names a node that does not exist.
    #[error("{after:?} depends on {before:?}, but {missing:?} does not exist")]
    Dangling {
        /// The prerequisite that the edge names.
        before: K,
        /// The dependent that the edge names.
        after: K,
        /// The one of the two that does not exist.
        missing: K,
    },
}

/// Nodes and their dependency edges, cycles allowed. Nodes keep the order they were given in.
#[derive(Clone, Debug)]
pub struct Graph<K> {
    keys: Vec<K>,
    index: HashMap<K, u32>,
    /// Prerequisite → dependents, sorted, without duplicates and self edges.
    dependents: Vec<Vec<u32>>,
    /// Dependent → prerequisites, sorted, without duplicates and self edges.
    prerequisites: Vec<Vec<u32>>,
    self_edges: Vec<u32>,
}

impl<K: NodeKey> Graph<K> {
    /// Builds a graph and lists every fault met on the way, in the order of the input.
    pub fn build(
        nodes: impl IntoIterator<Item = K>,
        edges: impl IntoIterator<Item = Edge<K>>,
    ) -> (Self, Vec<GraphProblem<K>>) {
        let mut problems = Vec::new();
        let mut graph = Self::from_nodes(nodes, &mut problems);
        for edge in edges {
            graph.insert_edge(edge, &mut problems);
        }
        for list in graph.dependents.iter_mut().chain(&mut graph.prerequisites) {
            list.sort_unstable();
            list.dedup();
        }
        graph.self_edges.sort_unstable();
        graph.self_edges.dedup();
        (graph, problems)
    }

    /// Number of nodes in the graph.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no node at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether `node` is in the graph.
    pub fn contains(&self, node: &K) -> bool {
        self.index.contains_key(node)
    }

    /// All nodes in the order given.
    pub fn nodes(&self) -> &[K] {
        &self.keys
    }

    /// All edges, ordered by prerequisite, then dependent.
    pub fn edges(&self) -> impl Iterator<Item = Edge<K>> + '_ {
        self.dependents
            .iter()
            .enumerate()
            .flat_map(move |(from, tos)| {
                tos.iter()
                    .map(move |&to| Edge::new(self.keys[from].clone(), self.node_key(to).clone()))
            })
    }

    /// Direct prerequisites of `node`; empty for an unknown node.
    pub fn prerequisites<'a>(&'a self, node: &K) -> impl Iterator<Item = &'a K> + use<'a, K> {
        self.node_neighbours(&self.prerequisites, node)
    }

    /// Direct dependents of `node`; empty for an unknown node.
    pub fn dependents<'a>(&'a self, node: &K) -> impl Iterator<Item = &'a K> + use<'a, K> {
        self.node_neighbours(&self.dependents, node)
    }

    /// A shortest chain of dependents that leads from `from` to `to`, both included.
    ///
    /// A new edge `before → after` closes a cycle exactly when this finds `after … before`.
    pub fn shortest_path(&self, from: &K, to: &K) -> Option<Vec<K>> {
        let (from, to) = (*self.index.get(from)?, *self.index.get(to)?);
        self.search_path(from, to, |_| true)
            .map(|path| path.into_iter().map(|i| self.node_key(i).clone()).collect())
    }

    /// The nodes that are not satisfied although all their prerequisites are, in the order given.
    pub fn ready_nodes(&self, is_satisfied: impl Fn(&K) -> bool) -> Vec<K> {
        let done: Vec<bool> = self.keys.iter().map(is_satisfied).collect();
        let free =
            |i: &usize| !done[*i] && self.prerequisites[*i].iter().all(|p| done[*p as usize]);
        (0..self.len())
            .filter(free)
            .map(|i| self.keys[i].clone())
            .collect()
    }

    fn from_nodes(nodes: impl IntoIterator<Item = K>, problems: &mut Vec<GraphProblem<K>>) -> Self {
        let mut keys: Vec<K> = Vec::new();
        let mut index = HashMap::new();
        let mut surplus = 0;
        for key in nodes {
            if index.contains_key(&key) {
                problems.push(GraphProblem::DuplicateNode(key));
            } else if keys.len() == NODES_MAX {
                surplus += 1;
            } else {
                index.insert(key.clone(), keys.len() as u32);
                keys.push(key);
            }
        }
        if surplus > 0 {
            let count = NODES_MAX + surplus;
            problems.push(GraphProblem::TooManyNodes { count });
        }
        let n = keys.len();
        Self {
            keys,
            index,
            dependents: vec![Vec::new(); n],
            prerequisites: vec![Vec::new(); n],
            self_edges: Vec::new(),
        }
    }

    fn insert_edge(&mut self, edge: Edge<K>, problems: &mut Vec<GraphProblem<K>>) {
        let Edge { before, after } = edge;
        match (self.index.get(&before), self.index.get(&after)) {
            (Some(&from), Some(&to)) if from == to => {
                self.self_edges.push(from);
                problems.push(GraphProblem::SelfEdge(before));
            }
            (Some(&from), Some(&to)) => {
                self.dependents[from as usize].push(to);
                self.prerequisites[to as usize].push(from);
            }
            (found, _) => {
                let missing = if found.is_none() { &before } else { &after }.clone();
                problems.push(GraphProblem::Dangling {
                    before,
                    after,
                    missing,
                });
            }
        }
    }

    fn node_key(&self, i: u32) -> &K {
        &self.keys[i as usize]
    }

    fn node_neighbours<'a>(
        &'a self,
        lists: &'a [Vec<u32>],
        node: &K,
    ) -> impl Iterator<Item = &'a K> + use<'a, K> {
        let list = self.index.get(node).map(|i| lists[*i as usize].as_slice());
        list.unwrap_or_default().iter().map(|i| self.node_key(*i))
    }

    /// Breadth-first search along dependents through nodes that pass `inside`; when `from == to`
    /// the way back to it is sought, so at least one edge is walked.
    fn search_path(&self, from: u32, to: u32, inside: impl Fn(u32) -> bool) -> Option<Vec<u32>> {
        let mut came_from: HashMap<u32, u32> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            for &next in &self.dependents[at as usize] {
                if next == to {
                    let mut path = vec![to, at];
                    let mut back = at;
                    while back != from {
                        back = came_from[&back];
                        path.push(back);
                    }
                    path.reverse();
                    return Some(path);
                }
                if next != from && inside(next) && !came_from.contains_key(&next) {
                    came_from.insert(next, at);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
