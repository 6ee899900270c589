//! A graph as people look at it: what is around a node, and what is told of the whole.

use std::collections::{BTreeSet, VecDeque};

use super::{CriticalPath, Graph, NodeKey};

/// What is told of a whole graph.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphSummary<K> {
    /// Nodes on the longest chain; none where a cycle has no end, or the chain is longer than a [`super::Dag`] may have.
    pub depth: Option<u32>,
    /// The chain that takes longest; none where there is no `depth`.
    pub critical_path: Option<CriticalPath<K>>,
    /// One path through every cycle.
    pub cycles: Vec<Vec<K>>,
}

/// Which way edges are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeDirection {
    /// To what a node waits for.
    Prerequisites,
    /// To what waits for a node.
    Dependents,
    /// Both ways.
    Both,
}

impl<K: NodeKey> Graph<K> {
    /// `focus` and every node that is at most `distance` edges away from it; nothing for an unknown node.
    pub fn nodes_around(&self, focus: &K, direction: EdgeDirection, distance: u32) -> BTreeSet<K> {
        let mut found = BTreeSet::new();
        if !self.contains(focus) {
            return found;
        }
        found.insert(focus.clone());
        let mut queue = VecDeque::from([(focus.clone(), 0)]);
        while let Some((node, away)) = queue.pop_front() {
            if away == distance {
                continue;
            }
            let up = self.prerequisites(&node);
            let up = up.filter(|_| direction != EdgeDirection::Dependents);
            let down = self.dependents(&node);
            let down = down.filter(|_| direction != EdgeDirection::Prerequisites);
            for next in up.chain(down) {
                if found.insert(next.clone()) {
                    queue.push_back((next.clone(), away + 1));
                }
            }
        }
        found
    }

    /// What is told of the graph, where a node takes as long as `weight` says, in hours.
    pub fn summarize_graph(self, weight: impl Fn(&K) -> f64) -> GraphSummary<K> {
        let cycles = self.cycles().into_iter().map(|cycle| cycle.path).collect();
        let dag = self.into_dag().ok();
        GraphSummary {
            depth: dag.as_ref().map(super::Dag::depth),
            critical_path: dag.map(|dag| dag.critical_path(weight)),
            cycles,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Edge;
    use super::*;

    fn graph(edges: &[(u32, u32)]) -> Graph<u32> {
        let edges = edges
            .iter()
            .map(|(before, after)| Edge::new(*before, *after));
        Graph::build(1..=6, edges).0
    }

    #[test]
    fn a_chain_is_weighed_and_a_cycle_is_named() {
        let summary = graph(&[(1, 2), (2, 4), (1, 3), (3, 4)]).summarize_graph(|n| f64::from(*n));
        assert_eq!(summary.depth, Some(3));
        let path = summary.critical_path.unwrap();
        assert_eq!(path.nodes, [1, 3, 4]);
        assert!((path.hours - 8.0).abs() < f64::EPSILON);
        assert!(summary.cycles.is_empty());
        let summary = graph(&[(1, 2), (2, 3), (3, 1), (5, 6)]).summarize_graph(|_| 1.0);
        assert_eq!((summary.depth, summary.critical_path), (None, None));
        assert_eq!(summary.cycles.len(), 1);
        assert_eq!(
            summary.cycles[0].iter().copied().collect::<BTreeSet<_>>(),
            BTreeSet::from([1, 2, 3])
        );
    }

    #[test]
    fn what_is_around_a_node_ends_at_the_distance() {
        use EdgeDirection::{Both, Dependents, Prerequisites};
        let chain = graph(&[(1, 2), (2, 3), (3, 4), (4, 5)]);
        for (direction, distance, expected) in [
            (Both, 0, vec![3]),
            (Both, 1, vec![2, 3, 4]),
            (Prerequisites, 1, vec![2, 3]),
            (Prerequisites, 9, vec![1, 2, 3]),
            (Dependents, 9, vec![3, 4, 5]),
        ] {
            let found: Vec<_> = chain
                .nodes_around(&3, direction, distance)
                .into_iter()
                .collect();
            assert_eq!(found, expected, "{direction:?} {distance}");
        }
        assert!(chain.nodes_around(&9, Both, 9).is_empty());
        // A cycle ends too.
        let cycle = graph(&[(1, 2), (2, 1)]);
        assert_eq!(
            cycle.nodes_around(&1, Dependents, 9),
            BTreeSet::from([1, 2])
        );
    }
}
