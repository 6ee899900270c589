//! Strongly connected components: every cycle of a graph, each with one path through it.

use super::{Graph, NodeKey};

/// Nodes that all wait for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle<K> {
    /// Every node of the component, in the order the nodes were given.
    pub members: Vec<K>,
    /// One closed walk through it, first node repeated at the end: `[a, b, a]`, each before the next.
    pub path: Vec<K>,
}

impl<K: NodeKey> Graph<K> {
    /// Every strongly connected component that is a cycle, self edges included, in the order of
    /// its first node.
    pub fn cycles(&self) -> Vec<Cycle<K>> {
        let component = self.component_roots();
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); self.len()];
        for (node, root) in component.iter().enumerate() {
            members[*root as usize].push(node as u32);
        }
        let loops = |m: &Vec<u32>| m.len() > 1 || self.self_edges.binary_search(&m[0]).is_ok();
        let mut found: Vec<Vec<u32>> = members.into_iter().filter(|m| !m.is_empty()).collect();
        found.retain(loops);
        found.sort_by_key(|m| m[0]);
        found
            .iter()
            .map(|m| self.describe_cycle(m, &component))
            .collect()
    }

    fn describe_cycle(&self, members: &[u32], component: &[u32]) -> Cycle<K> {
        let first = members[0];
        let root = component[first as usize];
        let path = self
            .search_path(first, first, |n| component[n as usize] == root)
            .unwrap_or_else(|| vec![first, first]);
        let keys = |ids: &[u32]| ids.iter().map(|i| self.node_key(*i).clone()).collect();
        Cycle {
            members: keys(members),
            path: keys(&path),
        }
    }

    /// Tarjan's algorithm with its own stack: for each node the root of its component.
    fn component_roots(&self) -> Vec<u32> {
        const UNSEEN: u32 = u32::MAX;
        let n = self.len();
        let (mut order, mut low) = (vec![UNSEEN; n], vec![0u32; n]);
        let (mut root_of, mut open) = (vec![UNSEEN; n], Vec::new());
        let mut clock = 0;
        // Each frame is a node and how many of its edges were already followed.
        let mut frames: Vec<(u32, usize)> = Vec::new();
        for start in 0..n as u32 {
            if order[start as usize] != UNSEEN {
                continue;
            }
            frames.push((start, 0));
            while let Some((node, followed)) = frames.last_mut() {
                let at = *node as usize;
                if *followed == 0 {
                    order[at] = clock;
                    low[at] = clock;
                    clock += 1;
                    open.push(at as u32);
                }
                if let Some(&next) = self.dependents[at].get(*followed) {
                    *followed += 1;
                    if order[next as usize] == UNSEEN {
                        frames.push((next, 0));
                    } else if root_of[next as usize] == UNSEEN {
                        low[at] = low[at].min(order[next as usize]);
                    }
                    continue;
                }
                if low[at] == order[at] {
                    while let Some(member) = open.pop() {
                        root_of[member as usize] = at as u32;
                        if member as usize == at {
                            break;
                        }
                    }
                }
                frames.pop();
                if let Some((parent, _)) = frames.last() {
                    low[*parent as usize] = low[*parent as usize].min(low[at]);
                }
            }
        }
        root_of
    }
}
