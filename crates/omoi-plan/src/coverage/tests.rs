#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]
#![allow(clippy::float_cmp, reason = "halves and wholes are exact")]

use omoi_domain::check::CheckKind;
use omoi_domain::phase::Phase;
use omoi_domain::task::Priority;

use super::*;
use crate::coverage::fixtures::{check, planned_sample, s};
use crate::outputs::tasks::PlannedTaskType;

fn codes(output: &SyncOutput) -> Vec<(&str, Phase)> {
    output
        .blockers
        .iter()
        .map(|b| (b.code.as_str(), b.phase))
        .collect()
}

fn judged(sample: &fixtures::PlanSample) -> SyncOutput {
    sync_verdict(sample.planned(), &SyncOpinion::default())
}

#[test]
fn a_complete_plan_is_ready() {
    let sample = planned_sample();
    let output = judged(&sample);
    assert_eq!(output.blockers, []);
    assert!(output.ready_for_execution);
    let v = &output.validation_results;
    assert!(v.all_requirements_covered && v.all_design_components_have_tasks);
    assert!(v.dependency_order_valid && v.no_circular_dependencies && v.all_ids_valid);
    assert_eq!(
        output.traceability_stats.requirements.coverage_percent,
        100.0
    );
    let deps = &output.dependency_analysis;
    assert_eq!(deps.critical_path, ["TSK-001", "TSK-002", "TSK-003"]);
    assert!((deps.critical_path_hours - 3.0).abs() < 1e-9);
    assert_eq!(deps.parallel_groups, [["TSK-003", "TSK-004"]]);
    assert_eq!(deps.task_dependency_graph["TSK-003"], ["TSK-002"]);
    assert_eq!(output.spec_summary.files_to_create, 4);
}

#[test]
fn three_full_and_one_partial_give_87_5() {
    let mut sample = planned_sample();
    // Written down and proven, but nobody builds it.
    sample.tasks.tasks[3].kind = PlannedTaskType::Documentation;
    let output = judged(&sample);
    let stats = &output.traceability_stats.requirements;
    assert_eq!(
        (stats.total, stats.fully_covered, stats.partially_covered),
        (4, 3, 1)
    );
    assert_eq!(stats.coverage_percent, 87.5);
    assert!(output.ready_for_execution, "{:?}", output.blockers);
}

#[test]
fn a_requirement_without_proof_or_builder_is_partial() {
    let mut sample = planned_sample();
    for (kind, checks, expected) in [
        (PlannedTaskType::Test, vec![], CoverageStatus::Partially),
        (
            PlannedTaskType::Test,
            vec![CheckKind::Proof],
            CoverageStatus::Partially,
        ),
        (
            PlannedTaskType::Documentation,
            vec![CheckKind::Proof],
            CoverageStatus::Partially,
        ),
        (
            PlannedTaskType::Bugfix,
            vec![CheckKind::Suite],
            CoverageStatus::Partially,
        ),
        (
            PlannedTaskType::Infrastructure,
            vec![CheckKind::Proof],
            CoverageStatus::Fully,
        ),
    ] {
        sample.tasks.tasks[3].kind = kind;
        let criteria = ["REQ-TAGS-SEC-001#1", "REQ-TAGS-SEC-001#2"];
        sample.tasks.tasks[3].checks = checks
            .into_iter()
            .map(|kind| check(kind, &criteria))
            .collect();
        assert_eq!(
            judged(&sample).coverage_matrix[3].status,
            expected,
            "{kind}"
        );
    }
    // A test task beside the building one covers nothing by itself; its proof does.
    sample.tasks.tasks[3].kind = PlannedTaskType::Implementation;
    sample.tasks.tasks[3].checks.clear();
    sample.tasks.tasks[2].kind = PlannedTaskType::Test;
    sample.tasks.tasks[2]
        .requirements_addressed
        .push(s("REQ-TAGS-SEC-001"));
    assert_eq!(
        judged(&sample).coverage_matrix[3].status,
        CoverageStatus::Partially
    );
    let criteria = ["REQ-TAGS-SEC-001#1", "REQ-TAGS-SEC-001#2"];
    sample.tasks.tasks[2]
        .checks
        .push(check(CheckKind::Proof, &criteria));
    assert_eq!(
        judged(&sample).coverage_matrix[3].status,
        CoverageStatus::Fully
    );
    // One criterion left out is enough to lose it.
    sample.tasks.tasks[2].checks[1].criteria.pop();
    assert_eq!(
        judged(&sample).coverage_matrix[3].status,
        CoverageStatus::Partially
    );
}

#[test]
fn a_criterion_without_a_proof_keeps_the_plan_from_being_ready() {
    let mut sample = planned_sample();
    sample.tasks.tasks[3].checks[0].criteria.pop();
    let output = judged(&sample);
    assert_eq!(codes(&output), [("criterion_unproven", Phase::Tasks)]);
    let message = &output.blockers[0].message;
    assert!(
        message.contains("REQ-TAGS-SEC-001#2") && message.contains("Tags survive a restart."),
        "{message}"
    );
    sample.tasks.tasks[3]
        .checks
        .push(check(CheckKind::Regression, &["REQ-TAGS-SEC-001#2"]));
    let found = judged(&sample);
    assert_eq!(
        codes(&found),
        [
            ("criterion_unproven", Phase::Tasks),
            ("criteria_on_other_check", Phase::Tasks)
        ]
    );
    assert!(!found.ready_for_execution);
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn each_gap_names_the_phase_at_fault() {
    use Phase::{Design, Requirements, Tasks};
    type Case = (
        fn(&mut fixtures::PlanSample),
        &'static [(&'static str, Phase)],
    );
    let cases: &[Case] = &[
        (
            |p| p.tasks.tasks[0].requirements_addressed.clear(),
            &[
                ("requirement_not_covered", Tasks),
                ("coverage_too_low", Tasks),
            ],
        ),
        (
            |p| {
                p.tasks.tasks[3].kind = PlannedTaskType::Test;
                p.requirements.requirements[3].priority = Priority::High;
            },
            &[("urgent_requirement_not_fully_covered", Tasks)],
        ),
        (
            |p| p.requirements.requirements.clear(),
            &[
                ("no_requirements", Requirements),
                ("dangling_reference", Tasks),
            ],
        ),
        (
            |p| p.tasks.tickets[0].dependencies.blocked_by = vec![s("TKT-002")],
            &[
                ("circular_dependency", Tasks),
                ("circular_dependency", Tasks),
            ],
        ),
        (
            |p| p.tasks.tasks[1].dependencies.depends_on = vec![s("TSK-002"), s("TSK-001")],
            &[("self_dependency", Tasks)],
        ),
        (
            |p| p.tasks.tasks[1].dependencies.blocks = vec![s("TSK-777")],
            &[("dangling_reference", Tasks)],
        ),
        (
            |p| p.tasks.tasks[0].checks[0].criteria = vec![s("REQ-TAGS-FUNC-001#9")],
            &[
                ("urgent_requirement_not_fully_covered", Tasks),
                ("criterion_unproven", Tasks),
                ("dangling_reference", Tasks),
            ],
        ),
        (
            |p| p.tasks.tasks[1].parent_ticket = s("TKT-009"),
            &[("dangling_reference", Tasks)],
        ),
        (
            |p| p.tasks.tickets.push(fixtures::ticket("TKT-003")),
            &[("ticket_without_task", Tasks)],
        ),
        (
            |p| p.requirements.requirements[1].id = s("REQ-TAGS-FUNC-001"),
            &[
                ("duplicate_id", Requirements),
                ("dangling_reference", Tasks),
            ],
        ),
        (
            |p| {
                p.tasks.tickets[1].id = s("../x");
                p.tasks.tasks[2].parent_ticket = s("../x");
                p.tasks.tasks[3].parent_ticket = s("../x");
            },
            &[("invalid_id", Tasks)],
        ),
        (
            |p| p.tasks.tickets[1].design_components.clear(),
            &[("component_without_task", Design)],
        ),
        (
            |p| {
                p.tasks.tickets[1].design_components.clear();
                p.tasks.tickets.push(fixtures::ticket("TKT-003"));
                p.tasks.tickets[2].design_components = vec![s("tag api")];
            },
            &[
                ("ticket_without_task", Tasks),
                ("component_without_task", Tasks),
            ],
        ),
    ];
    for (n, (change, expected)) in cases.iter().enumerate() {
        let mut sample = planned_sample();
        change(&mut sample);
        let output = judged(&sample);
        let mut found = codes(&output);
        found.dedup();
        let mut expected = expected.to_vec();
        expected.dedup();
        assert_eq!(found, expected, "case {n}: {:#?}", output.blockers);
        assert!(!output.ready_for_execution);
        assert_eq!(
            output.validation_results.issues_found.len(),
            output.blockers.len()
        );
    }
}

#[test]
fn nothing_planned_is_not_full_coverage() {
    assert_eq!(coverage_percent(0, 0, 0), 0.0);
    let mut sample = planned_sample();
    sample.requirements.requirements.clear();
    sample.tasks.tickets.clear();
    sample.tasks.tasks.clear();
    sample.design.components.clear();
    let output = judged(&sample);
    assert_eq!(
        codes(&output),
        [
            ("no_requirements", Phase::Requirements),
            ("no_tasks", Phase::Tasks)
        ]
    );
    assert!(!output.validation_results.all_requirements_covered);
}

#[test]
fn the_opinion_cannot_change_a_value() {
    let sample = planned_sample();
    let opinion = SyncOpinion {
        coverage: vec![
            CoverageOpinion {
                requirement_id: s("REQ-TAGS-FUNC-001"),
                status: CoverageStatus::Partially,
                notes: s("no test of renaming"),
            },
            CoverageOpinion {
                requirement_id: s("REQ-TAGS-FUNC-002"),
                status: CoverageStatus::Fully,
                notes: s("fine"),
            },
        ],
        warnings: vec![s("names differ")],
        recommendations: vec![s("start with storage")],
        estimated_duration: Some(s("a day")),
    };
    let output = sync_verdict(sample.planned(), &opinion);
    assert_eq!(output.coverage_matrix[0].status, CoverageStatus::Fully);
    assert_eq!(
        output.coverage_matrix[0].coverage_notes.as_deref(),
        Some("no test of renaming")
    );
    assert_eq!(output.contradictions.len(), 1);
    assert_eq!(output.contradictions[0].computed, "fully_covered");
    assert_eq!(output.validation_results.warnings, ["names differ"]);
    assert!(output.ready_for_execution);
}

#[test]
fn totals_are_recomputed() {
    let mut sample = planned_sample();
    sample.tasks.total_estimated_hours = 900.0;
    sample.tasks.critical_path = vec![s("nonsense")];
    recompute_totals(&mut sample.tasks);
    assert!((sample.tasks.total_estimated_hours - 4.0).abs() < 1e-9);
    assert_eq!(
        sample.tasks.critical_path,
        ["TSK-001", "TSK-002", "TSK-003"]
    );
    sample.tasks.tasks[0].estimated_hours = 80.0;
    assert!(judged(&sample).validation_results.warnings[0].contains("83 hours"));
}
