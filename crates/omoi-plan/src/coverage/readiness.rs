//! What stops a plan from being carried out, and which phase must repair it.

use std::collections::BTreeSet;

use omoi_domain::graph::DagError;
use omoi_domain::phase::Phase;

use crate::coverage::plan_order::{PlanFault, PlanOrder, reference_faults};
use crate::coverage::planned::{
    COVERAGE_PERCENT_MIN, HOURS_ADVISED_MAX, PlannedOutputs, total_hours, unproven_criteria,
};
use crate::ids::{IdKind, PlanId};
use crate::outputs::sync::{
    CoverageRow, CoverageStatus, SyncBlocker, TraceabilityStats, ValidationResults,
};

/// The verdict's judgement part.
pub(super) struct ReadinessFindings {
    pub(super) blockers: Vec<SyncBlocker>,
    pub(super) validation_results: ValidationResults,
}

/// Judges `planned`; ready means that no blocker is found.
pub(super) fn examine_readiness(
    planned: PlannedOutputs<'_>,
    order: &PlanOrder,
    stats: &TraceabilityStats,
    matrix: &[CoverageRow],
) -> ReadinessFindings {
    let mut blockers = coverage_blockers(planned, stats, matrix);
    let ordering = order_blockers(order);
    let references = reference_blockers(planned, order);
    let ids = id_blockers(planned);
    let no_cycle = order.all_cycles().is_empty();
    let mut validation_results = ValidationResults {
        all_requirements_covered: !matrix.is_empty() && stats.requirements.not_covered == 0,
        all_design_components_have_tasks: stats.orphans.designs.is_empty(),
        dependency_order_valid: ordering.is_empty() && stats.dependencies.invalid_references == 0,
        no_circular_dependencies: no_cycle,
        all_ids_valid: ids.is_empty() && references.is_empty(),
        issues_found: Vec::new(),
        warnings: plan_warnings(planned),
    };
    blockers.extend(ordering);
    blockers.extend(references);
    blockers.extend(ids);
    blockers.extend(home_blockers(planned, order, stats));
    validation_results.issues_found = blockers.iter().map(|b| b.message.clone()).collect();
    ReadinessFindings {
        blockers,
        validation_results,
    }
}

/// Components that no ticket with tasks builds.
pub(super) fn components_without_task(planned: PlannedOutputs<'_>) -> Vec<String> {
    let working: BTreeSet<&String> = planned
        .tasks
        .tasks
        .iter()
        .map(|t| &t.parent_ticket)
        .collect();
    let tickets = planned.tasks.tickets.iter();
    let built: BTreeSet<String> = tickets
        .filter(|t| working.contains(&t.id))
        .flat_map(|t| t.design_components.iter().map(|c| folded_name(c)))
        .collect();
    let components = planned.design.components.iter();
    components
        .filter(|c| !built.contains(&folded_name(&c.name)))
        .map(|c| c.name.clone())
        .collect()
}

fn new_blocker(code: &str, phase: Phase, path: Option<&str>, message: String) -> SyncBlocker {
    SyncBlocker {
        code: code.to_owned(),
        message,
        phase,
        path: path.map(str::to_owned),
    }
}

/// Names are compared without case and surrounding blanks.
fn folded_name(name: &str) -> String {
    name.trim().to_lowercase()
}

fn coverage_blockers(
    planned: PlannedOutputs<'_>,
    stats: &TraceabilityStats,
    matrix: &[CoverageRow],
) -> Vec<SyncBlocker> {
    if matrix.is_empty() {
        let message = "there is no requirement, so nothing can be covered".to_owned();
        return vec![new_blocker(
            "no_requirements",
            Phase::Requirements,
            None,
            message,
        )];
    }
    let mut blockers = Vec::new();
    for (row, requirement) in matrix.iter().zip(&planned.requirements.requirements) {
        let id = &row.requirement_id;
        let title = &row.requirement_title;
        if row.status == CoverageStatus::Not {
            let message = format!("no task addresses `{id}` ({title})");
            let code = "requirement_not_covered";
            blockers.push(new_blocker(code, Phase::Tasks, Some(id), message));
        } else if row.status == CoverageStatus::Partially && requirement.priority.is_urgent() {
            let message = format!(
                "`{id}` ({title}) is {} and needs both a task that builds it and a check of kind \
                 `proof` for each of its criteria",
                requirement.priority
            );
            let code = "urgent_requirement_not_fully_covered";
            blockers.push(new_blocker(code, Phase::Tasks, Some(id), message));
        }
    }
    for criterion in unproven_criteria(planned.requirements, planned.tasks) {
        let path = Some(criterion.requirement.id.as_str());
        let message = criterion.to_string();
        blockers.push(new_blocker(
            "criterion_unproven",
            Phase::Tasks,
            path,
            message,
        ));
    }
    let percent = stats.requirements.coverage_percent;
    if percent < COVERAGE_PERCENT_MIN {
        let message =
            format!("coverage is {percent:.1} %, at least {COVERAGE_PERCENT_MIN} % is needed");
        blockers.push(new_blocker("coverage_too_low", Phase::Tasks, None, message));
    }
    blockers
}

fn order_blockers(order: &PlanOrder) -> Vec<SyncBlocker> {
    let cycle = |path: &[String]| {
        let message = format!("these wait for each other: {}", path.join(" → "));
        let first = path.first().map(String::as_str);
        new_blocker("circular_dependency", Phase::Tasks, first, message)
    };
    let cycles = order.all_cycles();
    // What waits for itself is reported as such.
    let larger = cycles.iter().filter(|c| c.members.len() > 1);
    let mut blockers: Vec<_> = larger.map(|c| cycle(&c.path)).collect();
    if let Err(DagError::TooDeep { depth }) = order.tasks.clone().into_dag() {
        let message = DagError::<String>::TooDeep { depth }.to_string();
        blockers.push(new_blocker("chain_too_long", Phase::Tasks, None, message));
    }
    blockers
}

fn reference_blockers(planned: PlannedOutputs<'_>, order: &PlanOrder) -> Vec<SyncBlocker> {
    let describe = |fault: &PlanFault| {
        let (code, path) = match fault {
            PlanFault::DuplicateId { id } => ("duplicate_id", id),
            PlanFault::SelfDependency { id } => ("self_dependency", id),
            PlanFault::Dangling { owner, .. } => ("dangling_reference", owner),
            PlanFault::NoProof { task, .. } => ("criteria_on_other_check", task),
        };
        let requirements = &planned.requirements.requirements;
        let phase = if requirements.iter().any(|r| r.id == *path) {
            Phase::Requirements
        } else {
            Phase::Tasks
        };
        new_blocker(code, phase, Some(path), fault.to_string())
    };
    let unknown = reference_faults(planned.requirements, planned.tasks);
    order.faults.iter().chain(&unknown).map(describe).collect()
}

fn id_blockers(planned: PlannedOutputs<'_>) -> Vec<SyncBlocker> {
    let requirements = planned.requirements.requirements.iter();
    let tickets = planned.tasks.tickets.iter();
    let tasks = planned.tasks.tasks.iter();
    let all = requirements
        .map(|r| (IdKind::Requirement, Phase::Requirements, &r.id))
        .chain(tickets.map(|t| (IdKind::Ticket, Phase::Tasks, &t.id)))
        .chain(tasks.map(|t| (IdKind::Task, Phase::Tasks, &t.id)));
    all.filter(|(kind, _, id)| PlanId::parse(*kind, id).is_none())
        .map(|(kind, phase, id)| {
            let message = format!("`{id}` does not have the form {}", kind.form());
            new_blocker("invalid_id", phase, Some(id), message)
        })
        .collect()
}

/// Tickets without tasks and components nobody builds. Tasks without a ticket are dangling
/// references.
fn home_blockers(
    planned: PlannedOutputs<'_>,
    order: &PlanOrder,
    stats: &TraceabilityStats,
) -> Vec<SyncBlocker> {
    let mut blockers = Vec::new();
    for id in &stats.orphans.tickets {
        let message = format!("ticket `{id}` has no task");
        blockers.push(new_blocker(
            "ticket_without_task",
            Phase::Tasks,
            Some(id),
            message,
        ));
    }
    if order.tasks.is_empty() {
        let message = "there is no task".to_owned();
        blockers.push(new_blocker("no_tasks", Phase::Tasks, None, message));
    }
    for name in &stats.orphans.designs {
        let is_named = |c: &String| folded_name(c) == folded_name(name);
        let named = planned
            .tasks
            .tickets
            .iter()
            .any(|t| t.design_components.iter().any(is_named));
        // A component that no ticket even names may not be needed; the design must say.
        let phase = if named { Phase::Tasks } else { Phase::Design };
        let message = format!("no task builds the component `{name}`");
        blockers.push(new_blocker(
            "component_without_task",
            phase,
            Some(name),
            message,
        ));
    }
    blockers
}

fn plan_warnings(planned: PlannedOutputs<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let hours = total_hours(planned.tasks);
    if hours >= HOURS_ADVISED_MAX {
        warnings.push(format!(
            "{hours} hours are planned; a feature should stay below {HOURS_ADVISED_MAX}"
        ));
    }
    let known: BTreeSet<String> = planned
        .design
        .components
        .iter()
        .map(|c| folded_name(&c.name))
        .collect();
    for ticket in &planned.tasks.tickets {
        let is_unknown = |c: &&String| !known.contains(&folded_name(c));
        for name in ticket.design_components.iter().filter(is_unknown) {
            warnings.push(format!(
                "ticket `{}` names the unknown component `{name}`",
                ticket.id
            ));
        }
    }
    warnings
}
