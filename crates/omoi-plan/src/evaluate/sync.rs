//! Criteria of the sync phase. They judge the computed output, not the model's opinion.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::evaluate::evaluation::Criterion;
use crate::evaluate::facts::Facts;
use crate::evaluate::read::{at, list, text};
use crate::evaluate::sheet::{Sheet, one_if, share};
use crate::outputs::sync::CoverageStatus;
use crate::wording::{distinct, label};

/// Figures that were rounded on the way may differ by this much.
const FIGURE_TOLERANCE: f64 = 0.01;

/// What sync is judged by.
pub(super) const CRITERIA: &[Criterion] = &[
    Criterion {
        name: "validation_results",
        weight: 0.20,
        paths: &[
            "validation_results.all_requirements_covered",
            "validation_results.no_circular_dependencies",
            "validation_results.all_ids_valid",
        ],
        asks: "all requirements covered, no cycle, all ids valid",
    },
    Criterion {
        name: "coverage_matrix",
        weight: 0.15,
        paths: &[
            "coverage_matrix",
            "coverage_matrix[].requirement_id",
            "coverage_matrix[].status",
        ],
        asks: "a row for every requirement, exactly once, all of them fully covered",
    },
    Criterion {
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
    Criterion {
        name: "dependency_analysis",
        weight: 0.10,
        paths: &[
            "dependency_analysis.task_dependency_graph",
            "dependency_analysis.critical_path",
        ],
        asks: "the graph of tasks and its critical path",
    },
    Criterion {
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
    Criterion {
        name: "ready_for_execution",
        weight: 0.15,
        paths: &["ready_for_execution"],
        asks: "a plan that is ready",
    },
    Criterion {
        name: "blockers",
        weight: 0.05,
        paths: &["blockers"],
        asks: "no blocker",
    },
    Criterion {
        name: "recommendations",
        weight: 0.05,
        paths: &["recommendations"],
        asks: "at least one recommendation",
    },
];

pub(super) fn judge(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    validation(output, sheet);
    let coverage = matrix(output, facts, sheet);
    analysis(output, sheet);
    summary(output, facts, coverage, sheet);
    readiness(output, sheet);
}

fn validation(output: &Value, sheet: &mut Sheet) {
    let results = at(output, "validation_results");
    let scored = [
        "all_requirements_covered",
        "no_circular_dependencies",
        "all_ids_valid",
    ];
    let holds = |name: &str| at(results, name).as_bool() == Some(true);
    let held = scored.iter().filter(|name| holds(name)).count();
    sheet.mark("validation_results", share(held, scored.len()), "");
    let more = ["dependency_order_valid", "all_design_components_have_tasks"];
    for name in scored.iter().chain(&more).filter(|name| !holds(name)) {
        let path = format!("validation_results.{name}");
        sheet.block("validation_failed", path, format!("`{name}` does not hold"));
    }
    sheet.allow_zero("validation_results");
}

/// Marks the matrix and gives the coverage in percent that its rows add up to.
fn matrix(output: &Value, facts: &Facts, sheet: &mut Sheet) -> f64 {
    let rows = list(output, "coverage_matrix");
    let worth = |row: &Value| match CoverageStatus::parse(text(row, "status")) {
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
    let uncovered = |row: &Value| text(row, "status") == CoverageStatus::Not.as_str();
    let ready = at(output, "ready_for_execution").as_bool() == Some(true);
    if ready && rows.iter().any(uncovered) {
        let message = "called ready although a requirement is not covered";
        sheet.block("readiness_contradicted", "ready_for_execution", message);
    }
    let named: BTreeSet<&str> = rows.iter().map(|r| text(r, "requirement_id")).collect();
    let once = named.len() == rows.len();
    let complete = facts.requirements.as_ref().is_none_or(|known| {
        let known: BTreeSet<&str> = known.requirements.iter().map(|r| r.id.as_str()).collect();
        known == named
    });
    if !once || !complete {
        let message = "the matrix must hold every requirement exactly once and nothing else";
        sheet.block("matrix_incomplete", "coverage_matrix", message);
    }
    let value = if once && complete { covered } else { 0.0 };
    let lost = format!("{:.1} % covered", covered * 100.0);
    sheet.mark("coverage_matrix", value, lost);
    covered * 100.0
}

fn analysis(output: &Value, sheet: &mut Sheet) {
    let stats = at(output, "traceability_stats");
    let parts = ["requirements", "tickets", "tasks", "dependencies"];
    let held = parts
        .iter()
        .filter(|part| at(stats, part).is_object())
        .count();
    sheet.mark("traceability_stats", share(held, parts.len()), "");
    let analysis = at(output, "dependency_analysis");
    let marks = [
        at(analysis, "task_dependency_graph").is_object(),
        !list(analysis, "critical_path").is_empty(),
    ];
    let held = marks.iter().filter(|m| **m).count();
    sheet.mark("dependency_analysis", share(held, marks.len()), "");
}

/// Each figure must equal the count; without the counted output it must at least be there.
fn summary(output: &Value, facts: &Facts, coverage: f64, sheet: &mut Sheet) {
    let summary = at(output, "spec_summary");
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
        let given = at(summary, name).as_f64();
        let equal = match (given, counted) {
            (Some(given), Some(counted)) => (given - counted).abs() <= FIGURE_TOLERANCE,
            (Some(_), None) => true,
            (None, _) => false,
        };
        held += usize::from(equal);
        if !equal && let Some(counted) = counted {
            let path = format!("spec_summary.{name}");
            sheet.block("figure_wrong", path, format!("counting gives {counted}"));
        }
    }
    sheet.mark("spec_summary", share(held, figures.len()), "");
}

fn readiness(output: &Value, sheet: &mut Sheet) {
    let ready = at(output, "ready_for_execution").as_bool() == Some(true);
    sheet.mark("ready_for_execution", one_if(ready), "");
    sheet.allow_zero("ready_for_execution");
    let blockers = at(output, "blockers").as_array();
    for blocker in blockers.into_iter().flatten() {
        let path = format!("{}:{}", text(blocker, "phase"), text(blocker, "path"));
        sheet.block(text(blocker, "code"), path, text(blocker, "message"));
    }
    if !ready {
        let message = "the plan is not ready; go back to the phase its blockers name";
        sheet.block("not_ready", "ready_for_execution", message);
    }
    let none = blockers.is_some_and(Vec::is_empty);
    sheet.mark("blockers", if none { 1.0 } else { 0.5 }, "");
    let advice = list(output, "recommendations")
        .iter()
        .filter_map(Value::as_str);
    let advised = distinct(advice, label) > 0;
    sheet.mark("recommendations", if advised { 1.0 } else { 0.5 }, "");
}
