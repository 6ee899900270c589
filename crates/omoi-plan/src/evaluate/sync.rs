//! Criteria of the sync phase. They judge the computed output, not the model's opinion.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::evaluate::evaluation::ScoreCriterion;
use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::read::{list_at, text_at, value_at};
use crate::evaluate::sheet::{MarkSheet, one_if, share_of};
use crate::outputs::sync::CoverageStatus;
use crate::wording::{count_distinct, is_label};

/// Figures that were rounded on the way may differ by this much.
const FIGURE_TOLERANCE: f64 = 0.01;

/// What sync is judged by.
pub(super) const CRITERIA: &[ScoreCriterion] = &[
    ScoreCriterion {
        name: "validation_results",
        weight: 0.20,
        paths: &[
            "validation_results.all_requirements_covered",
            "validation_results.no_circular_dependencies",
            "validation_results.all_ids_valid",
        ],
        asks: "all requirements covered, no cycle, all ids valid",
    },
    ScoreCriterion {
        name: "coverage_matrix",
        weight: 0.15,
        paths: &[
            "coverage_matrix",
            "coverage_matrix[].requirement_id",
            "coverage_matrix[].status",
        ],
        asks: "a row for every requirement, exactly once, all of them fully covered",
    },
    ScoreCriterion {
        name: "traceability_stats",
        weight: 0.15,
        paths: &[
            "traceability_stats.requirements",
            "traceability_stats.tickets",
            "traceability_stats.tasks",
            "traceability_stats.dependencies",
        ],
        asks: "statistics on requirements, tickets, tasks and dependencies",
    },
    ScoreCriterion {
        name: "dependency_analysis",
        weight: 0.10,
        paths: &[
            "dependency_analysis.task_dependency_graph",
            "dependency_analysis.critical_path",
        ],
        asks: "the graph of tasks and its critical path",
    },
    ScoreCriterion {
        name: "spec_summary",
        weight: 0.15,
        paths: &[
            "spec_summary.total_tasks",
            "spec_summary.total_requirements",
            "spec_summary.total_estimated_hours",
            "spec_summary.requirement_coverage_percent",
        ],
        asks: "figures that equal what is counted",
    },
    ScoreCriterion {
        name: "ready_for_execution",
        weight: 0.15,
        paths: &["ready_for_execution"],
        asks: "a plan that is ready",
    },
    ScoreCriterion {
        name: "blockers",
        weight: 0.05,
        paths: &["blockers"],
        asks: "no blocker",
    },
    ScoreCriterion {
        name: "recommendations",
        weight: 0.05,
        paths: &["recommendations"],
        asks: "at least one recommendation",
    },
];

pub(super) fn judge_sync(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    mark_validation(output, sheet);
    let coverage = mark_matrix(output, facts, sheet);
    mark_analysis(output, sheet);
    mark_summary(output, facts, coverage, sheet);
    mark_readiness(output, sheet);
}

fn mark_validation(output: &Value, sheet: &mut MarkSheet) {
    let results = value_at(output, "validation_results");
    let scored = [
        "all_requirements_covered",
        "no_circular_dependencies",
        "all_ids_valid",
    ];
    let holds = |name: &str| value_at(results, name).as_bool() == Some(true);
    let held = scored.iter().filter(|name| holds(name)).count();
    sheet.set_mark("validation_results", share_of(held, scored.len()), "");
    let more = ["dependency_order_valid", "all_design_components_have_tasks"];
    for name in scored.iter().chain(&more).filter(|name| !holds(name)) {
        let path = format!("validation_results.{name}");
        sheet.add_blocker("validation_failed", path, format!("`{name}` does not hold"));
    }
    sheet.allow_zero("validation_results");
}

/// Marks the matrix and gives the coverage in percent that its rows add up to.
fn mark_matrix(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) -> f64 {
    let rows = list_at(output, "coverage_matrix");
    let worth = |row: &Value| match CoverageStatus::parse(text_at(row, "status")) {
        Some(CoverageStatus::Fully) => 1.0,
        Some(CoverageStatus::Partially) => 0.5,
        Some(CoverageStatus::Not) | None => 0.0,
    };
    let points: f64 = rows.iter().map(worth).sum();
    let covered = if rows.is_empty() {
        0.0
    } else {
        points / rows.len() as f64
    };
    let uncovered = |row: &Value| text_at(row, "status") == CoverageStatus::Not.as_str();
    let ready = value_at(output, "ready_for_execution").as_bool() == Some(true);
    if ready && rows.iter().any(uncovered) {
        let message = "called ready although a requirement is not covered";
        sheet.add_blocker("readiness_contradicted", "ready_for_execution", message);
    }
    let named: BTreeSet<&str> = rows.iter().map(|r| text_at(r, "requirement_id")).collect();
    let once = named.len() == rows.len();
    let complete = facts.requirements.as_ref().is_none_or(|known| {
        let known: BTreeSet<&str> = known.requirements.iter().map(|r| r.id.as_str()).collect();
        known == named
    });
    if !once || !complete {
        let message = "the matrix must hold every requirement exactly once and nothing else";
        sheet.add_blocker("matrix_incomplete", "coverage_matrix", message);
    }
    let value = if once && complete { covered } else { 0.0 };
    let lost = format!("{:.1} % covered", covered * 100.0);
    sheet.set_mark("coverage_matrix", value, lost);
    covered * 100.0
}

fn mark_analysis(output: &Value, sheet: &mut MarkSheet) {
    let stats = value_at(output, "traceability_stats");
    let parts = ["requirements", "tickets", "tasks", "dependencies"];
    let held = parts
        .iter()
        .filter(|part| value_at(stats, part).is_object())
        .count();
    sheet.set_mark("traceability_stats", share_of(held, parts.len()), "");
    let analysis = value_at(output, "dependency_analysis");
    let marks = [
        value_at(analysis, "task_dependency_graph").is_object(),
        !list_at(analysis, "critical_path").is_empty(),
    ];
    let held = marks.iter().filter(|m| **m).count();
    sheet.set_mark("dependency_analysis", share_of(held, marks.len()), "");
}

/// Each figure must equal the count; without the counted output it must at least be there.
fn mark_summary(output: &Value, facts: &EvaluationFacts, coverage: f64, sheet: &mut MarkSheet) {
    let summary = value_at(output, "spec_summary");
    let tasks = facts.tasks.as_ref();
    let n_tasks = tasks.map(|t| t.tasks.len() as f64);
    let hours = tasks.map(|t| t.tasks.iter().map(|t| t.estimated_hours).sum::<f64>());
    let n_requirements = facts
        .requirements
        .as_ref()
        .map(|r| r.requirements.len() as f64);
    let figures = [
        ("total_tasks", n_tasks),
        ("total_requirements", n_requirements),
        ("total_estimated_hours", hours),
        ("requirement_coverage_percent", Some(coverage)),
    ];
    let mut held = 0;
    for (name, counted) in figures {
        let given = value_at(summary, name).as_f64();
        let equal = match (given, counted) {
            (Some(given), Some(counted)) => (given - counted).abs() <= FIGURE_TOLERANCE,
            (Some(_), None) => true,
            (None, _) => false,
        };
        held += usize::from(equal);
        if !equal && let Some(counted) = counted {
            let path = format!("spec_summary.{name}");
            sheet.add_blocker("figure_wrong", path, format!("counting gives {counted}"));
        }
    }
    sheet.set_mark("spec_summary", share_of(held, figures.len()), "");
}

fn mark_readiness(output: &Value, sheet: &mut MarkSheet) {
    let ready = value_at(output, "ready_for_execution").as_bool() == Some(true);
    sheet.set_mark("ready_for_execution", one_if(ready), "");
    sheet.allow_zero("ready_for_execution");
    let blockers = value_at(output, "blockers").as_array();
    for blocker in blockers.into_iter().flatten() {
        let path = format!("{}:{}", text_at(blocker, "phase"), text_at(blocker, "path"));
        sheet.add_blocker(text_at(blocker, "code"), path, text_at(blocker, "message"));
    }
    if !ready {
        let message = "the plan is not ready; go back to the phase its blockers name";
        sheet.add_blocker("not_ready", "ready_for_execution", message);
    }
    let none = blockers.is_some_and(Vec::is_empty);
    sheet.set_mark("blockers", if none { 1.0 } else { 0.5 }, "");
    let advice = list_at(output, "recommendations")
        .iter()
        .filter_map(Value::as_str);
    let advised = count_distinct(advice, is_label) > 0;
    sheet.set_mark("recommendations", if advised { 1.0 } else { 0.5 }, "");
}
