//! The evaluators on 10,000 random outputs: no panic, a score within bounds, the same verdict twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value};

use omoi_domain::phase::Phase;
use omoi_plan::evaluate::{EvaluationFacts, PASS_THRESHOLD, evaluate_output};
use omoi_plan::items::{ItemSubmission, split_output, validate_item};
use omoi_plan::normalise::normalise_output;
use omoi_plan::repository::RepoPaths;
use omoi_testkit::plans::{HonestPlan, all_plans};

/// Ten thousand in all: values that are random from the root, and honest outputs bent at random, each of which takes as
/// long to judge as dozens of the others.
const RANDOM_CASES: u32 = 9_000;
const BENT_CASES: u32 = 1_000;

fn json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        any::<String>(),
        "[a-z ]{0,40}",
        prop::sample::select(vec![
            "",
            "TBD",
            "REQ-AB-FUNC-001",
            "TSK-001",
            "TKT-001",
            "US-001",
            "../x",
            "/",
            "GET",
            "WHEN a b, THE SYSTEM SHALL c d.",
            "CRITICAL",
            "graph TD\nA-->B",
        ])
        .prop_map(str::to_owned),
    ];
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::from(u64::MAX)),
    ];
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        2 => number,
        4 => word.prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop_oneof![2 => field_name(), 1 => "[a-z_]{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

/// Names the evaluators look for.
fn field_name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "id",
        "title",
        "text",
        "type",
        "name",
        "path",
        "tasks",
        "tickets",
        "requirements",
        "dependencies",
        "depends_on",
        "blocked_by",
        "blocks",
        "checks",
        "criteria",
        "files",
        "key_files",
        "structure",
        "user_stories",
        "open_questions",
        "coverage_matrix",
        "status",
        "spec_summary",
        "components",
        "data_models",
        "api_endpoints",
        "fields",
        "greenfield",
        "estimated_hours",
        "total_estimated_hours",
        "critical_path",
        "condition",
        "action",
        "deliverables",
        "primary",
        "goals",
        "users",
        "risks",
        "discovery_questions",
    ])
    .prop_map(str::to_owned)
}

/// One change somewhere in a value.
#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Remove,
    Double,
    Blank,
}

fn changes() -> impl Strategy<Value = Vec<(u64, Change)>> {
    let change = prop_oneof![
        json().prop_map(Change::Replace),
        Just(Change::Remove),
        Just(Change::Double),
        Just(Change::Blank),
    ];
    prop::collection::vec((any::<u64>(), change), 1..5)
}

/// Walks down `value`, choosing children by the digits of `way`, and changes what it comes to.
fn apply(value: &mut Value, way: u64, change: &Change) {
    let n_children = match value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    } as u64;
    let stop = n_children == 0 || way.is_multiple_of(7);
    let (pick, rest) = ((way / 7) % n_children.max(1), way / 7 / n_children.max(1));
    match (value, stop) {
        (Value::Array(items), false) => match change {
            Change::Remove if rest % 3 == 0 => drop(items.remove(pick as usize)),
            Change::Double if rest % 3 == 0 => items.push(items[pick as usize].clone()),
            _ => apply(&mut items[pick as usize], rest, change),
        },
        (Value::Object(fields), false) => {
            let name = fields.keys().nth(pick as usize).unwrap().clone();
            match change {
                Change::Remove if rest % 3 == 0 => drop(fields.shift_remove(&name)),
                _ => apply(fields.get_mut(&name).unwrap(), rest, change),
            }
        }
        (value, _) => {
            *value = match change {
                Change::Replace(other) => other.clone(),
                Change::Blank => Value::String(" ".to_owned()),
                Change::Remove => Value::Null,
                Change::Double => Value::Array(vec![value.clone(), value.clone()]),
            }
        }
    }
}

fn check(phase: Phase, output: &Value, facts: &EvaluationFacts) -> Result<(), TestCaseError> {
    let first = evaluate_output(phase, output, facts);
    prop_assert!((0.0..=1.0).contains(&first.score), "{}", first.score);
    prop_assert!(first.details.values().all(|s| (0.0..=1.0).contains(s)));
    let due = first.score + 1e-9 >= PASS_THRESHOLD && first.blockers.is_empty();
    prop_assert_eq!(first.passed, due);
    prop_assert_eq!(&evaluate_output(phase, output, facts), &first);
    let mut normal = output.clone();
    normalise_output(phase, &mut normal, &facts.repo.paths);
    let once = normal.clone();
    prop_assert_eq!(
        normalise_output(phase, &mut normal, &facts.repo.paths),
        vec![],
        "{}",
        once
    );
    prop_assert_eq!(&normal, &once);
    evaluate_output(phase, &normal, facts);
    for item in split_output(phase, output) {
        let submission = ItemSubmission {
            phase,
            section: &item.section,
            key: &item.key,
            value: &item.value,
        };
        let _ = validate_item(submission, &RepoPaths::default());
    }
    Ok(())
}

fn run<S: Strategy>(
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config).run(strategy, test).unwrap();
}

#[test]
fn random_json_is_judged_soundly() {
    let facts: Vec<EvaluationFacts> = all_plans().into_iter().map(|p| p.facts).collect();
    let phases = prop::sample::select(Phase::ALL.to_vec());
    run(
        RANDOM_CASES,
        &(phases, 0..=facts.len(), json()),
        |(phase, n, output)| {
            let none = EvaluationFacts::default();
            check(phase, &output, facts.get(n).unwrap_or(&none))
        },
    );
}

#[test]
fn bent_honest_outputs_are_judged_soundly() {
    let plans: Vec<HonestPlan> = all_plans();
    let phases = prop::sample::select(Phase::ALL_WORKING.to_vec());
    run(
        BENT_CASES,
        &(phases, 0..plans.len(), changes()),
        |(phase, n, changes)| {
            let mut output = plans[n].phase_output(phase).clone();
            for (way, change) in &changes {
                apply(&mut output, *way, change);
            }
            check(phase, &output, &plans[n].facts)
        },
    );
}
