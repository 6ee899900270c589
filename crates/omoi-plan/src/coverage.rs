//! Coverage of requirements by tasks, and whether a plan is ready to be carried out.
//!
//! Every value here is computed from the accepted outputs. The model's opinion adds remarks and
//! advice; where it differs from a computed value, the difference is recorded and the value stays.

#[cfg(test)]
pub(crate) mod fixtures;
mod plan_order;
mod planned;
mod readiness;

use std::collections::{BTreeMap, BTreeSet};

use omoi_domain::graph::{CriticalPath, Graph};

use crate::coverage::planned::total_hours;
use crate::outputs::requirements::PlannedRequirement;
use crate::outputs::sync::{
    CoverageOpinion, CoverageRow, CoverageStatus, DependencyAnalysis, DependencyStats,
    OpinionContradiction, PlanOrphans, RequirementStats, SpecSummary, TaskStats, TicketStats,
    TraceabilityStats,
};
use crate::outputs::tasks::PlannedTask;
use crate::outputs::{SyncOpinion, SyncOutput, TasksOutput};

pub use plan_order::{EdgeOrigin, PlanFault, PlanOrder, plan_order, reference_faults};
pub use planned::{
    COVERAGE_PERCENT_MIN, HOURS_ADVISED_MAX, PlannedOutputs, UnprovenCriterion, unproven_criteria,
};

/// Computes the output of the sync phase.
pub fn sync_verdict(planned: PlannedOutputs<'_>, opinion: &SyncOpinion) -> SyncOutput {
    let order = plan_order(planned.tasks);
    let matrix = coverage_matrix(planned, &opinion.coverage);
    let stats = traceability_stats(planned, &order, &matrix);
    let findings = readiness::examine_readiness(planned, &order, &stats, &matrix);
    let mut validation_results = findings.validation_results;
    validation_results
        .warnings
        .extend(opinion.warnings.iter().cloned());
    SyncOutput {
        dependency_analysis: analyse_dependencies(planned.tasks, &order),
        spec_summary: summarise_spec(planned, &stats, opinion.estimated_duration.clone()),
        ready_for_execution: findings.blockers.is_empty(),
        blockers: findings.blockers,
        recommendations: opinion.recommendations.clone(),
        contradictions: find_contradictions(&matrix, &opinion.coverage),
        validation_results,
        coverage_matrix: matrix,
        traceability_stats: stats,
    }
}

/// (fully + ½ partially) / total × 100; nothing to cover is no coverage.
pub fn coverage_percent(fully: usize, partially: usize, total: usize) -> f64 {
    if total == 0 {
        return 0.0;
    }
    (fully as f64 + 0.5 * partially as f64) / total as f64 * 100.0
}

/// Puts the computed sum of hours and critical path in place of what the model wrote. A plan with
/// a cycle has no critical path.
pub fn recompute_totals(tasks: &mut TasksOutput) {
    let order = plan_order(tasks);
    tasks.total_estimated_hours = total_hours(tasks);
    tasks.critical_path = critical_path(tasks, &order).nodes;
}

/// How well one requirement is covered by the tasks that address it.
///
/// Fully covered takes a task that builds it and a proof of each of its criteria, whichever task
/// brings the proof.
fn status_of(tasks: &[&PlannedTask], is_proven: bool) -> CoverageStatus {
    if tasks.is_empty() {
        CoverageStatus::Not
    } else if is_proven && tasks.iter().any(|t| t.kind.is_building()) {
        CoverageStatus::Fully
    } else {
        CoverageStatus::Partially
    }
}

fn coverage_matrix(planned: PlannedOutputs<'_>, opinions: &[CoverageOpinion]) -> Vec<CoverageRow> {
    let mut by_requirement: BTreeMap<&str, Vec<&PlannedTask>> = BTreeMap::new();
    for task in &planned.tasks.tasks {
        for id in task.requirements_addressed.iter().collect::<BTreeSet<_>>() {
            by_requirement.entry(id).or_default().push(task);
        }
    }
    let unproven: BTreeSet<&str> = unproven_criteria(planned.requirements, planned.tasks)
        .iter()
        .map(|criterion| criterion.requirement.id.as_str())
        .collect();
    let requirements = planned.requirements.requirements.iter();
    let row = |requirement: &PlannedRequirement| {
        let id = &requirement.id;
        let tasks = by_requirement
            .get(id.as_str())
            .map_or(&[][..], Vec::as_slice);
        let tickets = planned.tasks.tickets.iter();
        let note = opinions.iter().find(|o| o.requirement_id == *id);
        CoverageRow {
            requirement_id: id.clone(),
            requirement_title: requirement.title.clone(),
            covered_by_tasks: tasks.iter().map(|t| t.id.clone()).collect(),
            covered_by_tickets: tickets
                .filter(|t| t.requirements.contains(id))
                .map(|t| t.id.clone())
                .collect(),
            status: status_of(tasks, !unproven.contains(id.as_str())),
            coverage_notes: note.map(|o| o.notes.clone()),
        }
    };
    requirements.map(row).collect()
}

fn find_contradictions(
    matrix: &[CoverageRow],
    opinions: &[CoverageOpinion],
) -> Vec<OpinionContradiction> {
    let against = |opinion: &CoverageOpinion| {
        let row = matrix
            .iter()
            .find(|r| r.requirement_id == opinion.requirement_id);
        let computed = row.map_or("unknown requirement", |r| r.status.as_str());
        (computed != opinion.status.as_str()).then(|| OpinionContradiction {
            subject: opinion.requirement_id.clone(),
            computed: computed.to_owned(),
            opinion: opinion.status.as_str().to_owned(),
        })
    };
    opinions.iter().filter_map(against).collect()
}

fn traceability_stats(
    planned: PlannedOutputs<'_>,
    order: &PlanOrder,
    matrix: &[CoverageRow],
) -> TraceabilityStats {
    let count = |status| matrix.iter().filter(|r| r.status == status).count();
    let (fully, partially) = (
        count(CoverageStatus::Fully),
        count(CoverageStatus::Partially),
    );
    let plan = planned.tasks;
    let with_tasks: BTreeSet<&String> = plan.tasks.iter().map(|t| &t.parent_ticket).collect();
    let empty_tickets = plan.tickets.iter().filter(|t| !with_tasks.contains(&t.id));
    let empty_tickets: Vec<String> = empty_tickets.map(|t| t.id.clone()).collect();
    let dangling = |f: &&PlanFault| matches!(f, PlanFault::Dangling { .. });
    let references = reference_faults(planned.requirements, plan);
    let uncovered = matrix.iter().filter(|r| r.status == CoverageStatus::Not);
    TraceabilityStats {
        requirements: RequirementStats {
            total: matrix.len(),
            fully_covered: fully,
            partially_covered: partially,
            not_covered: count(CoverageStatus::Not),
            linked: fully + partially,
            coverage_percent: coverage_percent(fully, partially, matrix.len()),
        },
        tickets: TicketStats {
            total: plan.tickets.len(),
            with_requirements: plan
                .tickets
                .iter()
                .filter(|t| !t.requirements.is_empty())
                .count(),
            orphans: empty_tickets.len(),
        },
        tasks: task_stats(plan, order),
        dependencies: DependencyStats {
            total_edges: order.origins.len(),
            circular_detected: order.all_cycles().len(),
            invalid_references: order.faults.iter().filter(dangling).count()
                + references.iter().filter(dangling).count(),
        },
        orphans: PlanOrphans {
            requirements: uncovered.map(|r| r.requirement_id.clone()).collect(),
            designs: readiness::components_without_task(planned),
            tickets: empty_tickets,
        },
    }
}

fn task_stats(plan: &TasksOutput, order: &PlanOrder) -> TaskStats {
    let count = |test: &dyn Fn(&PlannedTask) -> bool| plan.tasks.iter().filter(|t| test(t)).count();
    let homed = count(&|t| order.tickets.contains(&t.parent_ticket));
    let mut by_type = BTreeMap::new();
    for task in &plan.tasks {
        *by_type.entry(task.kind.as_str().to_owned()).or_default() += 1;
    }
    TaskStats {
        total: plan.tasks.len(),
        with_parent_ticket: homed,
        with_requirements: count(&|t| !t.requirements_addressed.is_empty()),
        orphans: plan.tasks.len() - homed,
        by_status: BTreeMap::from([("pending".to_owned(), plan.tasks.len())]),
        by_type,
    }
}

fn analyse_dependencies(plan: &TasksOutput, order: &PlanOrder) -> DependencyAnalysis {
    let waits_for = |graph: &Graph<String>| {
        let entry = |id: &String| (id.clone(), graph.prerequisites(id).cloned().collect());
        graph.nodes().iter().map(entry).collect()
    };
    let path = critical_path(plan, order);
    let dag = order.tasks.clone().into_dag();
    DependencyAnalysis {
        task_dependency_graph: waits_for(&order.tasks),
        ticket_dependency_graph: waits_for(&order.tickets),
        critical_path: path.nodes,
        critical_path_hours: path.hours,
        parallel_groups: dag.map_or_else(|_| Vec::new(), |dag| dag.parallel_groups()),
    }
}

fn critical_path(plan: &TasksOutput, order: &PlanOrder) -> CriticalPath<String> {
    let hours: BTreeMap<&String, f64> = plan
        .tasks
        .iter()
        .map(|t| (&t.id, t.estimated_hours))
        .collect();
    let dag = order.tasks.clone().into_dag();
    dag.map_or_else(
        |_| CriticalPath::default(),
        |dag| dag.critical_path(|id| hours.get(id).copied().unwrap_or(0.0)),
    )
}

fn summarise_spec(
    planned: PlannedOutputs<'_>,
    stats: &TraceabilityStats,
    estimated_duration: Option<String>,
) -> SpecSummary {
    let tasks = &planned.tasks.tasks;
    let distinct = |files: fn(&PlannedTask) -> &Vec<String>| {
        let paths: BTreeSet<&String> = tasks.iter().flat_map(files).collect();
        paths.len()
    };
    SpecSummary {
        feature_name: planned.tasks.feature_name.clone(),
        total_requirements: stats.requirements.total,
        total_tickets: stats.tickets.total,
        total_tasks: stats.tasks.total,
        total_estimated_hours: total_hours(planned.tasks),
        files_to_create: distinct(|t| &t.files_to_create),
        files_to_modify: distinct(|t| &t.files_to_modify),
        requirement_coverage_percent: stats.requirements.coverage_percent,
        estimated_duration,
    }
}

#[cfg(test)]
mod tests;
