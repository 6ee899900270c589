//! A graph known to have no cycle: order, levels, critical path, parallel groups.

use std::collections::VecDeque;
use std::fmt::Debug;

use super::{Cycle, DEPTH_MAX, Graph, NodeKey};

/// Why a graph gives no order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DagError<K: Debug> {
    /// Some nodes wait for each other.
    #[error("{} circular dependencies: {:?}", .0.len(), .0.iter().map(|c| &c.path).collect::<Vec<_>>())]
    Cycles(Vec<Cycle<K>>),
    /// The longest chain is longer than [`DEPTH_MAX`].
    #[error("the longest chain has {depth} nodes, at most {DEPTH_MAX} are allowed")]
    TooDeep {
        /// Nodes on the longest chain.
        depth: u32,
    },
}

/// The longest chain by weight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CriticalPath<K> {
    /// Its nodes, first to last.
    pub nodes: Vec<K>,
    /// The sum of their weights.
    pub hours: f64,
}

/// A graph without cycles, with every node's level.
#[derive(Clone, Debug)]
pub struct Dag<K> {
    graph: Graph<K>,
    /// Longest distance from a node without prerequisites.
    levels: Vec<u32>,
    /// Nodes by (level, order given): a topological order, and the order merges are made in.
    order: Vec<u32>,
}

impl<K: NodeKey> Graph<K> {
    /// Proves that the graph has no cycle.
    pub fn into_dag(self) -> Result<Dag<K>, DagError<K>> {
        let mut waiting: Vec<u32> = self.prerequisites.iter().map(|p| p.len() as u32).collect();
        let mut levels = vec![0u32; self.len()];
        let free = |i: &u32| waiting[*i as usize] == 0;
        let mut queue: VecDeque<u32> = (0..self.len() as u32).filter(free).collect();
        let mut n_ordered = 0;
        while let Some(at) = queue.pop_front() {
            n_ordered += 1;
            for &next in &self.dependents[at as usize] {
                let next_at = next as usize;
                levels[next_at] = levels[next_at].max(levels[at as usize] + 1);
                waiting[next_at] -= 1;
                if waiting[next_at] == 0 {
                    queue.push_back(next);
                }
            }
        }
        if n_ordered < self.len() || !self.self_edges.is_empty() {
            return Err(DagError::Cycles(self.cycles()));
        }
        let depth = levels.iter().max().map_or(0, |level| level + 1);
        if depth > DEPTH_MAX {
            return Err(DagError::TooDeep { depth });
        }
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_by_key(|i| levels[*i as usize]);
        Ok(Dag {
            graph: self,
            levels,
            order,
        })
    }
}

impl<K: NodeKey> Dag<K> {
    /// The graph itself, for questions about neighbours.
    pub fn graph(&self) -> &Graph<K> {
        &self.graph
    }

    /// All nodes so that each stands after its prerequisites: by level, then in the order given.
    pub fn topological_order(&self) -> impl Iterator<Item = &K> + '_ {
        self.order.iter().map(|i| self.graph.node_key(*i))
    }

    /// The longest distance of `node` from a node without prerequisites.
    pub fn node_level(&self, node: &K) -> Option<u32> {
        let i = self.graph.index.get(node)?;
        Some(self.levels[*i as usize])
    }

    /// Nodes on the longest chain; zero for an empty graph.
    pub fn depth(&self) -> u32 {
        self.levels.iter().max().map_or(0, |level| level + 1)
    }

    /// Nodes by level, each level in the order given. No path joins two nodes of one level.
    pub fn levels(&self) -> Vec<Vec<K>> {
        let mut levels = vec![Vec::new(); self.depth() as usize];
        for &i in &self.order {
            levels[self.levels[i as usize] as usize].push(self.graph.node_key(i).clone());
        }
        levels
    }

    /// Groups of two or more nodes that may run at the same time.
    pub fn parallel_groups(&self) -> Vec<Vec<K>> {
        let mut groups = self.levels();
        groups.retain(|group| group.len() > 1);
        groups
    }

    /// The chain with the greatest sum of `weight`; among equals the one through earlier nodes.
    ///
    /// Weights below zero or not finite count as zero. A graph with nodes but no edge has a path
    /// of one node.
    pub fn critical_path(&self, weight: impl Fn(&K) -> f64) -> CriticalPath<K> {
        let n = self.graph.len();
        let (mut best, mut previous) = (vec![0.0f64; n], vec![None; n]);
        for &at in &self.order {
            let own = Some(weight(self.graph.node_key(at)))
                .filter(|w| w.is_finite())
                .map_or(0.0, |w| w.max(0.0));
            let mut longest: Option<u32> = None;
            for &p in &self.graph.prerequisites[at as usize] {
                if longest.is_none_or(|l| best[p as usize] > best[l as usize]) {
                    longest = Some(p);
                }
            }
            best[at as usize] = own + longest.map_or(0.0, |l| best[l as usize]);
            previous[at as usize] = longest;
        }
        let mut end: Option<u32> = None;
        for &at in &self.order {
            if end.is_none_or(|e| best[at as usize] > best[e as usize]) {
                end = Some(at);
            }
        }
        let hours = end.map_or(0.0, |e| best[e as usize]);
        let mut nodes: Vec<K> = std::iter::successors(end, |at| previous[*at as usize])
            .map(|i| self.graph.node_key(i).clone())
            .collect();
        nodes.reverse();
        CriticalPath { nodes, hours }
    }
}
