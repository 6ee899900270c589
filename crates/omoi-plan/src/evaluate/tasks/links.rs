//! Links of the plan: tickets and tasks, requirements and criteria, files.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::coverage::{
    PlanFault, PlanOrder, PlannedOutputs, reference_faults, sync_verdict, unproven_criteria,
};
use crate::evaluate::common::check_inside;
use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::sheet::MarkSheet;
use crate::evaluate::tasks::skeleton::fault_path;
use crate::outputs::{SyncOpinion, TasksOutput};
use crate::repository::{PathLocation, clean_path};

/// A ticket lists its own tasks and no other's.
pub(super) fn check_ticket_links(plan: &TasksOutput, sheet: &mut MarkSheet) {
    let parents: BTreeMap<&str, &str> = plan
        .tasks
        .iter()
        .map(|t| (t.id.as_str(), t.parent_ticket.as_str()))
        .collect();
    let mut listed = BTreeSet::new();
    for ticket in &plan.tickets {
        for task in &ticket.tasks {
            listed.insert(task.as_str());
            if let Some(parent) = parents.get(task.as_str())
                && *parent != ticket.id
            {
                let message = format!("`{task}` belongs to `{parent}`, not to `{}`", ticket.id);
                sheet.add_blocker(
                    "foreign_task",
                    format!("tickets[{}].tasks", ticket.id),
                    message,
                );
            }
        }
    }
    for task in plan
        .tasks
        .iter()
        .filter(|t| !listed.contains(t.id.as_str()))
    {
        let message = format!("`{}` does not list `{}`", task.parent_ticket, task.id);
        sheet.add_warning(
            "unlisted_task",
            format!("tasks[{}].parent_ticket", task.id),
            message,
        );
    }
}

/// References to requirements and criteria exist, and every urgent requirement has a task.
pub(super) fn check_requirement_links(
    plan: &TasksOutput,
    facts: &EvaluationFacts,
    sheet: &mut MarkSheet,
) {
    let Some(known) = &facts.requirements else {
        return;
    };
    for fault in reference_faults(known, plan) {
        let code = match &fault {
            // A fault of the requirements, judged there.
            PlanFault::DuplicateId { .. } | PlanFault::SelfDependency { .. } => continue,
            PlanFault::Dangling { field, .. } if *field == "checks" => "unknown_criterion",
            PlanFault::Dangling { .. } => "unknown_requirement",
            PlanFault::NoProof { .. } => "criteria_on_other_check",
        };
        sheet.add_blocker(code, fault_path(plan, &fault), fault.to_string());
    }
    let tasks = plan.tasks.iter();
    let addressed: BTreeSet<&String> = tasks.flat_map(|t| &t.requirements_addressed).collect();
    let urgent = known.requirements.iter().filter(|r| r.priority.is_urgent());
    for requirement in urgent.filter(|r| !addressed.contains(&r.id)) {
        let message = format!(
            "no task addresses `{}` ({})",
            requirement.id, requirement.title
        );
        sheet.add_blocker("requirement_unaddressed", "tasks", message);
    }
    for criterion in unproven_criteria(known, plan) {
        sheet.add_blocker("criterion_unproven", "tasks", criterion.to_string());
    }
}

/// Warns of what would keep the plan from being ready later, where nothing above says it already.
pub(super) fn warn_of_readiness(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let (Some(requirements), Some(design)) = (&facts.requirements, &facts.design) else {
        return;
    };
    // What does not fit the type is a blocker by itself.
    let Ok(tasks) = TasksOutput::deserialize(output) else {
        return;
    };
    let planned = PlannedOutputs {
        requirements,
        design,
        tasks: &tasks,
    };
    let later = [
        "chain_too_long",
        "component_without_task",
        "coverage_too_low",
        "requirement_not_covered",
        "urgent_requirement_not_fully_covered",
    ];
    for blocker in sync_verdict(planned, &SyncOpinion::default()).blockers {
        if later.contains(&blocker.code.as_str()) {
            let message = format!("sync would stop here: {}", blocker.message);
            sheet.add_warning(&blocker.code, blocker.path.unwrap_or_default(), message);
        }
    }
}

/// Paths stay inside; what is to be modified exists or is created by a task that comes before.
pub(super) fn check_planned_files(
    plan: &TasksOutput,
    order: &PlanOrder,
    facts: &EvaluationFacts,
    sheet: &mut MarkSheet,
) {
    let mut creators: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for task in &plan.tasks {
        let field = format!("tasks[{}].files_to_create", task.id);
        for path in &task.files_to_create {
            if !check_inside(&facts.repo.paths, path, &field, sheet) {
                continue;
            }
            if facts.repo.paths.locate(path) == PathLocation::File {
                let message = format!("`{path}` exists already; modify it instead");
                sheet.add_warning("file_exists", &field, message);
            }
            let by = creators
                .entry(clean_path(path).unwrap_or_default())
                .or_default();
            if let Some(other) = by.iter().next().filter(|other| **other != task.id) {
                let message = format!("`{path}` is created by `{other}` too");
                sheet.add_warning("file_created_twice", &field, message);
            }
            by.insert(&task.id);
        }
    }
    for task in &plan.tasks {
        let field = format!("tasks[{}].files_to_modify", task.id);
        let mut before: Option<BTreeSet<String>> = None;
        for path in &task.files_to_modify {
            let here = facts.repo.paths.locate(path) == PathLocation::File;
            if !check_inside(&facts.repo.paths, path, &field, sheet) || here {
                continue;
            }
            let before = before.get_or_insert_with(|| tasks_before(order, &task.id));
            let by = clean_path(path).and_then(|path| creators.get(&path));
            if !by.is_some_and(|by| by.iter().any(|t| before.contains(*t))) {
                let message =
                    format!("`{path}` neither exists nor is created by a task before this one");
                sheet.add_blocker("file_not_found", &field, message);
            }
        }
    }
}

/// Every task that must be done before `task`.
fn tasks_before(order: &PlanOrder, task: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![task.to_owned()];
    while let Some(at) = open.pop() {
        for before in order.tasks.prerequisites(&at) {
            if found.insert(before.clone()) {
                open.push(before.clone());
            }
        }
    }
    found
}
