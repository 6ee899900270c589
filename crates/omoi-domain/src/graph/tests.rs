#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

use proptest::prelude::*;

use super::*;

fn graph(n: u32, edges: &[(u32, u32)]) -> Graph<u32> {
    let (graph, problems) = Graph::build(0..n, edges.iter().map(|e| Edge::new(e.0, e.1)));
    assert_eq!(problems, vec![]);
    graph
}

fn ring(nodes: std::ops::Range<u32>) -> Vec<(u32, u32)> {
    let last = nodes.end - 1;
    let start = nodes.start;
    nodes
        .map(|i| (i, if i == last { start } else { i + 1 }))
        .collect()
}

#[test]
fn faults_are_listed_and_left_out() {
    let s = |t: &str| t.to_owned();
    let (graph, problems) = Graph::build(
        ["A", "B", "A"].map(s),
        [("A", "A"), ("A", "B"), ("A", "B"), ("X", "B"), ("B", "Y")]
            .map(|(a, b)| Edge::new(s(a), s(b))),
    );
    assert_eq!(
        problems,
        vec![
            GraphProblem::DuplicateNode(s("A")),
            GraphProblem::SelfEdge(s("A")),
            GraphProblem::Dangling {
                before: s("X"),
                after: s("B"),
                missing: s("X")
            },
            GraphProblem::Dangling {
                before: s("B"),
                after: s("Y"),
                missing: s("Y")
            },
        ]
    );
    assert_eq!(
        graph.edges().collect::<Vec<_>>(),
        [Edge::new(s("A"), s("B"))]
    );
    assert_eq!(graph.cycles()[0].path, ["A", "A"]);
    assert!(matches!(graph.into_dag(), Err(DagError::Cycles(c)) if c.len() == 1));

    let (graph, problems) = Graph::build(0..NODES_MAX as u32 + 2, []);
    assert_eq!(graph.len(), NODES_MAX);
    assert_eq!(
        problems,
        [GraphProblem::TooManyNodes {
            count: NODES_MAX + 2
        }]
    );
}

#[test]
fn every_cycle_is_reported_with_its_path() {
    let cycle = |members: Vec<u32>| {
        let mut path = members.clone();
        path.push(members[0]);
        Cycle { members, path }
    };
    assert_eq!(graph(2, &ring(0..2)).cycles(), [cycle(vec![0, 1])]);
    let fifty = graph(60, &ring(5..55));
    assert_eq!(fifty.cycles(), [cycle((5..55).collect())]);
    let two = graph(6, &[(4, 5), (5, 4), (0, 1), (1, 2), (2, 0), (2, 4)]);
    let both = [cycle(vec![0, 1, 2]), cycle(vec![4, 5])];
    assert_eq!(two.cycles(), both);
    assert_eq!(two.into_dag().unwrap_err(), DagError::Cycles(both.to_vec()));
    assert_eq!(graph(3, &[(0, 1), (1, 2), (0, 2)]).cycles(), []);
}

#[test]
fn ten_thousand_nodes_need_no_stack() {
    assert_eq!(
        graph(10_000, &ring(0..10_000)).cycles()[0].members.len(),
        10_000
    );
    let chain: Vec<_> = (0..9_999).map(|i| (i, i + 1)).collect();
    let long = graph(10_000, &chain);
    assert_eq!(long.cycles(), []);
    assert_eq!(long.shortest_path(&0, &9_999).unwrap().len(), 10_000);
    assert_eq!(
        long.into_dag().unwrap_err(),
        DagError::TooDeep { depth: 10_000 }
    );
    let wide: Vec<_> = (0..10_000)
        .filter(|i| i % 1_000 != 999)
        .map(|i| (i, i + 1))
        .collect();
    let dag = graph(10_000, &wide).into_dag().unwrap();
    assert_eq!((dag.depth(), dag.levels()[0].len()), (1_000, 10));
    assert!((dag.critical_path(|_| 1.0).hours - 1_000.0).abs() < 1e-9);
}

#[test]
fn order_levels_groups_and_paths_of_a_diamond() {
    // 0 → {1, 2} → 3, and 4 alone.
    let g = graph(5, &[(0, 1), (0, 2), (1, 3), (2, 3)]);
    assert_eq!(g.ready_nodes(|n| *n == 0), [1, 2, 4]);
    assert_eq!(g.shortest_path(&0, &3).unwrap(), [0, 1, 3]);
    assert_eq!(
        (g.shortest_path(&3, &0), g.shortest_path(&4, &4)),
        (None, None)
    );
    assert_eq!(g.prerequisites(&3).collect::<Vec<_>>(), [&1, &2]);
    let dag = g.into_dag().unwrap();
    assert_eq!(
        dag.topological_order().copied().collect::<Vec<_>>(),
        [0, 4, 1, 2, 3]
    );
    assert_eq!(
        (dag.node_level(&4), dag.node_level(&3), dag.node_level(&9)),
        (Some(0), Some(2), None)
    );
    assert_eq!(dag.parallel_groups(), [vec![0, 4], vec![1, 2]]);
    let path = dag.critical_path(|n| [1.0, 0.5, 2.0, 1.0, 3.0][*n as usize]);
    assert_eq!(
        path,
        CriticalPath {
            nodes: vec![0, 2, 3],
            hours: 4.0
        }
    );
    let alone = graph(3, &[]).into_dag().unwrap().critical_path(|_| 1.0);
    assert_eq!(alone.nodes, [0]);
    assert_eq!(
        graph(0, &[]).into_dag().unwrap().critical_path(|_| 1.0),
        CriticalPath::default()
    );
}

#[test]
fn completion_is_idempotent_and_refuses_strangers() {
    let dag = graph(3, &[(0, 1), (1, 2)]).into_dag().unwrap();
    let mut progress = DagProgress::new(dag, |_| false);
    assert_eq!(progress.complete(&7), Err(UnknownNode(7)));
    assert_eq!(progress.complete(&0).unwrap(), [1]);
    assert_eq!(progress.complete(&0).unwrap(), Vec::<u32>::new());
    assert_eq!(progress.ready_nodes().collect::<Vec<_>>(), [&1]);
    assert!(!progress.is_complete());
}

/// A random acyclic graph: edges only lead from smaller to greater numbers, then names are mixed.
fn acyclic(n_max: u32) -> impl Strategy<Value = (u32, Vec<(u32, u32)>, Vec<f64>)> {
    (1..=n_max).prop_flat_map(|n| {
        let edges = prop::collection::vec((0..n, 0..n), 0..(n * 3) as usize);
        let names = Just((0..n).collect::<Vec<_>>()).prop_shuffle();
        let hours = prop::collection::vec(0.25..4.0f64, n as usize);
        (Just(n), edges, names, hours).prop_map(|(n, edges, names, hours)| {
            let forward = edges.into_iter().filter(|(a, b)| a < b);
            let named = forward.map(|(a, b)| (names[a as usize], names[b as usize]));
            (n, named.collect(), hours)
        })
    })
}

/// Longest chain by trying every walk.
fn brute_force(g: &Graph<u32>, at: u32, hours: &[f64]) -> f64 {
    let rest = g.dependents(&at).map(|next| brute_force(g, *next, hours));
    hours[at as usize] + rest.fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn critical_path_equals_brute_force((n, edges, hours) in acyclic(12)) {
        let dag = graph(n, &edges).into_dag().unwrap();
        let path = dag.critical_path(|k| hours[*k as usize]);
        let best = (0..n).map(|k| brute_force(dag.graph(), k, &hours)).fold(0.0, f64::max);
        prop_assert!((path.hours - best).abs() < 1e-9);
        prop_assert!((path.nodes.iter().map(|k| hours[*k as usize]).sum::<f64>() - best).abs() < 1e-9);
        for pair in path.nodes.windows(2) {
            prop_assert!(dag.graph().dependents(&pair[0]).any(|k| *k == pair[1]));
        }
    }

    #[test]
    fn incremental_equals_recomputation((n, edges, _) in acyclic(30), picks in prop::collection::vec(any::<prop::sample::Index>(), 30)) {
        let g = graph(n, &edges);
        let mut progress = DagProgress::new(g.clone().into_dag().unwrap(), |_| false);
        let mut done = std::collections::HashSet::new();
        for pick in picks {
            let before = g.ready_nodes(|k| done.contains(k));
            prop_assert_eq!(progress.ready_nodes().copied().collect::<Vec<_>>(), before.clone());
            let Some(next) = before.get(pick.index(before.len().max(1))) else { break };
            done.insert(*next);
            let released = progress.complete(next).unwrap();
            let after = g.ready_nodes(|k| done.contains(k));
            let expected: Vec<u32> = after.into_iter().filter(|k| !before.contains(k)).collect();
            prop_assert_eq!(released, expected);
        }
        prop_assert_eq!(progress.is_complete(), done.len() == n as usize);
    }

    #[test]
    fn the_order_respects_every_edge((n, edges, _) in acyclic(20)) {
        let dag = graph(n, &edges).into_dag().unwrap();
        let order: Vec<u32> = dag.topological_order().copied().collect();
        let place = |k: u32| order.iter().position(|o| *o == k).unwrap();
        prop_assert_eq!(order.len(), n as usize);
        for (a, b) in edges {
            prop_assert!(place(a) < place(b));
            prop_assert!(dag.node_level(&a) < dag.node_level(&b));
        }
    }
}

#[test]
fn tasks_overlap_in_files_both_name_unless_one_waits_for_the_other() {
    // 0 → 1 → 3, and 2 beside them.
    let files = [
        vec!["a.py"],
        vec!["b.py", "c.py"],
        vec!["c.py", "b.py", "a.py"],
        vec!["a.py", "d/c.py"],
    ]
    .map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let overlaps = graph(4, &[(0, 1), (1, 3)]).file_overlaps(|n| &files[*n as usize]);
    let overlap = |first, second, files: &[&str]| FileOverlap {
        first,
        second,
        files: files.iter().map(|name| (*name).to_owned()).collect(),
    };
    assert_eq!(
        overlaps,
        [
            overlap(0, 2, &["a.py"]),
            overlap(1, 2, &["b.py", "c.py"]),
            overlap(2, 3, &["a.py"]),
        ]
    );
}
