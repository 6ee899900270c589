//! Following one run through a [`Dag`]: which nodes are ready, updated one completion at a time.

use std::collections::BTreeSet;
use std::fmt::Debug;

use super::{Dag, NodeKey};

/// A completion named a node that is not in the graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {0:?} is not in the graph")]
pub struct UnknownNode<K: Debug>(pub K);

/// A [`Dag`] with the set of satisfied nodes.
///
/// A completion costs its number of dependents, not the size of the graph.
#[derive(Clone, Debug)]
pub struct DagProgress<K> {
    dag: Dag<K>,
    satisfied: Vec<bool>,
    /// Unsatisfied prerequisites of each node.
    waiting: Vec<u32>,
    ready: BTreeSet<u32>,
}

impl<K: NodeKey> DagProgress<K> {
    /// Starts from the nodes that are satisfied already.
    pub fn new(dag: Dag<K>, is_satisfied: impl Fn(&K) -> bool) -> Self {
        let graph = dag.graph();
        let satisfied: Vec<bool> = graph.keys.iter().map(is_satisfied).collect();
        let open = |list: &Vec<u32>| list.iter().filter(|p| !satisfied[**p as usize]).count();
        let waiting: Vec<u32> = graph.prerequisites.iter().map(|l| open(l) as u32).collect();
        let free = |i: &u32| !satisfied[*i as usize] && waiting[*i as usize] == 0;
        let ready = (0..graph.len() as u32).filter(free).collect();
        Self {
            dag,
            satisfied,
            waiting,
            ready,
        }
    }

    /// The graph whose nodes are completed.
    pub fn dag(&self) -> &Dag<K> {
        &self.dag
    }

    /// Marks `node` as satisfied and returns what became ready by it, in the order given.
    /// A second completion of the same node changes nothing.
    pub fn complete(&mut self, node: &K) -> Result<Vec<K>, UnknownNode<K>> {
        let graph = self.dag.graph();
        let Some(&at) = graph.index.get(node) else {
            return Err(UnknownNode(node.clone()));
        };
        if std::mem::replace(&mut self.satisfied[at as usize], true) {
            return Ok(Vec::new());
        }
        self.ready.remove(&at);
        let mut released = Vec::new();
        for &next in &graph.dependents[at as usize] {
            let waiting = &mut self.waiting[next as usize];
            *waiting -= 1;
            if *waiting == 0 && !self.satisfied[next as usize] {
                self.ready.insert(next);
                released.push(graph.node_key(next).clone());
            }
        }
        Ok(released)
    }

    /// Every ready node in the order given.
    pub fn ready_nodes(&self) -> impl Iterator<Item = &K> + '_ {
        self.ready.iter().map(|i| self.dag.graph().node_key(*i))
    }

    /// Whether every node is satisfied.
    pub fn is_complete(&self) -> bool {
        self.satisfied.iter().all(|done| *done)
    }
}
