//! The bundled scenarios plan what the gates accept, and have an answer for every turn of every task.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the files of a test need no care"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use omoi_domain::check::CheckKind;
use omoi_domain::phase::Phase;
use omoi_git::survey::{survey_dir, texts_of_dir};
use omoi_llm::scenario::{ReplyPart, RequestKeys, Scenario};
use omoi_plan::coverage::{PlannedOutputs, recompute_totals, sync_verdict};
use omoi_plan::evaluate::{EvaluationFacts, PhaseEvaluation, evaluate_output};
use omoi_plan::items::{ItemSubmission, OutputItem, assemble_output, validate_item};
use omoi_plan::outputs::{SyncOpinion, SyncOutput, TasksOutput};
use omoi_plan::repository::{RepoPaths, RepositoryFacts};
use omoi_planning::gate::{guidance, repository_facts};
use omoi_protocol::worker::COMPLETION_SIGNAL;

/// Turns after which an attempt must have ended.
const TURNS_MAX: u32 = 8;

/// What the planner of a scenario brings about.
struct Plan {
    facts: EvaluationFacts,
    /// Every attempt at every phase, in order.
    attempts: Vec<(Phase, PhaseEvaluation)>,
    sync: SyncOutput,
}

fn assets(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn load(path: &str) -> Scenario {
    Scenario::load_file(&assets(path)).unwrap_or_else(|errors| panic!("{path}\n{errors}"))
}

/// What the platform knows of the repository at `path`.
fn repository(path: &Path) -> Arc<RepositoryFacts> {
    let texts = texts_of_dir(path).unwrap();
    let files = texts.files.iter().map(|(path, _)| path.clone());
    let survey = survey_dir(path).unwrap();
    Arc::new(repository_facts(RepoPaths::new(files), &texts, &survey))
}

/// What one attempt at a phase hands in.
fn handed_in(scenario: &Scenario, phase: Phase, round: u32) -> Vec<(String, String, Value)> {
    let mut items = Vec::new();
    for turn in 0..TURNS_MAX {
        let keys = RequestKeys {
            role: Some("planner".to_owned()),
            phase: Some(phase.as_str().to_owned()),
            round: Some(round),
            turn,
            ..RequestKeys::default()
        };
        let (_, rule) = scenario
            .find_rule(&keys)
            .unwrap_or_else(|no| panic!("{no}"));
        for part in &rule.reply {
            match part {
                ReplyPart::Item {
                    section,
                    key,
                    value,
                } => {
                    items.push((section.clone(), key.clone(), value.clone()));
                }
                ReplyPart::Done => return items,
                _ => {}
            }
        }
    }
    panic!("{phase} is never done");
}

/// Plans as the platform does: items are checked one by one, phases are judged and tried again.
fn plan(scenario: &str, repo: &str) -> Plan {
    let scenario = load(scenario);
    let mut facts = EvaluationFacts {
        repo: repository(&assets(repo)),
        ..EvaluationFacts::default()
    };
    let mut attempts = Vec::new();
    for phase in Phase::ALL_WORKING {
        facts.instructions = guidance(phase);
        let mut journal: Vec<OutputItem> = Vec::new();
        for round in 1..=3 {
            for (section, key, value) in handed_in(&scenario, phase, round) {
                let submission = ItemSubmission {
                    phase,
                    section: &section,
                    key: &key,
                    value: &value,
                };
                let accepted = validate_item(submission, &facts.repo.paths);
                let accepted = accepted.unwrap_or_else(|refused| panic!("{phase}: {refused}"));
                assert_eq!(accepted.warnings, [], "{phase}");
                journal.push(accepted.item);
            }
            let whole =
                assemble_output(phase, &journal).unwrap_or_else(|m| panic!("{phase}: {m:?}"));
            let output = judged(phase, whole, &mut facts);
            let evaluation = evaluate_output(phase, &output, &facts);
            let passed = evaluation.passed;
            attempts.push((phase, evaluation));
            if passed {
                keep(phase, output, &mut facts);
                break;
            }
        }
    }
    let sync = sync(&facts, &SyncOpinion::default());
    Plan {
        facts,
        attempts,
        sync,
    }
}

/// The output as the platform judges it: totals and verdict are computed.
fn judged(phase: Phase, whole: Value, facts: &mut EvaluationFacts) -> Value {
    match phase {
        Phase::Tasks => {
            let mut tasks: TasksOutput = serde_json::from_value(whole).unwrap();
            recompute_totals(&mut tasks);
            // That proofs fail on the base commit is seen when the scenario runs.
            for task in &tasks.tasks {
                let exits = task.checks.iter().enumerate();
                facts
                    .base_exits
                    .extend(exits.map(|(n, _)| ((task.id.clone(), n), Some(1))));
            }
            serde_json::to_value(tasks).unwrap()
        }
        Phase::Sync => {
            let opinion: SyncOpinion = serde_json::from_value(whole).unwrap();
            serde_json::to_value(sync(facts, &opinion)).unwrap()
        }
        _ => whole,
    }
}

fn sync(facts: &EvaluationFacts, opinion: &SyncOpinion) -> SyncOutput {
    let planned = PlannedOutputs {
        requirements: facts
            .requirements
            .as_ref()
            .expect("requirements did not pass"),
        design: facts.design.as_ref().expect("design did not pass"),
        tasks: facts.tasks.as_ref().expect("tasks did not pass"),
    };
    sync_verdict(planned, opinion)
}

fn keep(phase: Phase, output: Value, facts: &mut EvaluationFacts) {
    match phase {
        Phase::Explore => facts.explore = serde_json::from_value(output).unwrap(),
        Phase::Prd => facts.prd = serde_json::from_value(output).unwrap(),
        Phase::Requirements => facts.requirements = serde_json::from_value(output).unwrap(),
        Phase::Design => facts.design = serde_json::from_value(output).unwrap(),
        Phase::Tasks => facts.tasks = serde_json::from_value(output).unwrap(),
        // Of a ticket's documents no scenario makes a plan.
        Phase::Sync | Phase::Complete | Phase::TicketRequirements | Phase::TicketDesign => {}
    }
}

/// Every attempt of these tasks ends with the completion signal.
fn every_task_ends(scenario: &str, tasks: &[(&str, String)]) {
    let rules = load(scenario);
    for (role, task) in tasks {
        for round in 1..=3 {
            let ends = (0..TURNS_MAX).any(|turn| {
                let keys = RequestKeys {
                    role: Some((*role).to_owned()),
                    task: Some(task.clone()),
                    round: Some(round),
                    turn,
                    ..RequestKeys::default()
                };
                let (_, rule) = rules
                    .find_rule(&keys)
                    .unwrap_or_else(|no| panic!("{scenario}: {no}"));
                match rule.reply.as_slice() {
                    [ReplyPart::Text(text)] => text.lines().last() == Some(COMPLETION_SIGNAL),
                    _ => false,
                }
            });
            assert!(ends, "{scenario}: {task} in round {round}");
        }
    }
}

fn tasks_of(plan: &Plan) -> &TasksOutput {
    plan.facts.tasks.as_ref().unwrap()
}

/// What is known of an attempt: its phase, whether it passed, and what stopped it.
fn story(plan: &Plan) -> Vec<(Phase, bool, BTreeSet<&str>)> {
    let told = plan.attempts.iter().map(|(phase, evaluation)| {
        let codes = evaluation.blockers.iter().map(|b| b.code.as_str());
        (*phase, evaluation.passed, codes.collect())
    });
    told.collect()
}

#[test]
fn the_demo_plans_with_one_refusal() {
    let plan = plan("assets/demo/scenario.yaml", "assets/demo/repo");
    let passed = |phase| (phase, true, BTreeSet::new());
    let refused = BTreeSet::from(["criterion_asks_nothing", "no_criterion", "unparsable_ears"]);
    assert_eq!(
        story(&plan),
        [
            passed(Phase::Explore),
            passed(Phase::Prd),
            (Phase::Requirements, false, refused),
            passed(Phase::Requirements),
            passed(Phase::Design),
            passed(Phase::Tasks),
            passed(Phase::Sync),
        ]
    );
    assert!(
        plan.attempts[2].1.score < 0.70,
        "{}",
        plan.attempts[2].1.score
    );
    for (phase, evaluation) in plan.attempts.iter().filter(|(_, e)| e.passed) {
        assert!(evaluation.score >= 0.9, "{phase}: {}", evaluation.feedback);
        let doubts: Vec<_> = evaluation.warnings.iter().collect();
        assert!(doubts.is_empty(), "{phase}: {doubts:#?}");
    }
    assert!(plan.sync.ready_for_execution);
    assert!(plan.sync.contradictions.is_empty());
}

#[test]
fn the_demo_shows_what_it_must() {
    let plan = plan("assets/demo/scenario.yaml", "assets/demo/repo");
    let tasks = tasks_of(&plan);
    assert!(tasks.tickets.len() >= 3 && tasks.tasks.len() >= 6);
    assert!(plan.sync.dependency_analysis.parallel_groups[0].len() >= 4);
    let mut proven: BTreeMap<&str, bool> = BTreeMap::new();
    for check in tasks.tasks.iter().flat_map(|t| &t.checks) {
        assert_eq!(check.kind, CheckKind::Proof);
        // A check without test files of its own runs what the task writes, unless it runs no test at all.
        let independent = !check.files.is_empty() || !check.command.contains("unittest");
        for criterion in &check.criteria {
            *proven.entry(criterion).or_default() |= independent;
        }
    }
    let requirements = &plan.facts.requirements.as_ref().unwrap().requirements;
    let criteria = requirements
        .iter()
        .flat_map(|r| (1..=r.acceptance_criteria.len()).map(move |n| format!("{}#{n}", r.id)));
    let criteria: BTreeSet<String> = criteria.collect();
    assert!(criteria.len() >= 10);
    assert!(
        proven
            .keys()
            .copied()
            .eq(criteria.iter().map(String::as_str))
    );
    let independent = proven.values().filter(|is| **is).count();
    assert!(independent * 2 >= criteria.len());
    let repo = &plan.facts.repo.paths;
    for file in tasks.tasks.iter().flat_map(|t| &t.files_to_create) {
        assert!(!repo.locate(file).exists(), "{file}");
    }
}

#[test]
fn every_variation_plans_the_same_and_has_all_answers() {
    let variations = [
        "scenario.yaml",
        "mutants/no_change.yaml",
        "mutants/weakened_test.yaml",
        "mutants/dropped_side.yaml",
        "mutants/never_fixed.yaml",
        "mutants/outside_workspace.yaml",
    ];
    let original = plan("assets/demo/scenario.yaml", "assets/demo/repo");
    for name in variations {
        let path = format!("assets/demo/{name}");
        let varied = plan(&path, "assets/demo/repo");
        assert_eq!(story(&varied), story(&original), "{name}");
        assert_eq!(tasks_of(&varied), tasks_of(&original), "{name}");
        let planned = tasks_of(&varied)
            .tasks
            .iter()
            .map(|t| ("implementer", t.id.clone()));
        let mut tasks: Vec<_> = planned.collect();
        tasks.push(("implementer", "DIS-001".to_owned()));
        tasks.push(("resolver", "RES-001".to_owned()));
        every_task_ends(&path, &tasks);
    }
}

#[test]
fn two_tasks_pass_every_gate_at_once() {
    let scenario = "tests/assets/two-tasks/scenario.yaml";
    let plan = plan(scenario, "tests/assets/two-tasks/repo");
    let passed = Phase::ALL_WORKING.map(|phase| (phase, true, BTreeSet::new()));
    assert_eq!(story(&plan), passed);
    assert!(plan.sync.ready_for_execution);
    let order = &plan.sync.dependency_analysis.task_dependency_graph;
    assert_eq!(order["TSK-002"], ["TSK-001"]);
    let tasks = tasks_of(&plan)
        .tasks
        .iter()
        .map(|t| ("implementer", t.id.clone()));
    every_task_ends(scenario, &tasks.collect::<Vec<_>>());
}
