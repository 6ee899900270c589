//! What an arbitrary JSON plan says about order and files, read leniently.

use std::collections::BTreeMap;

use serde_json::Value;

use omoi_domain::check::CheckKind;
use omoi_domain::task::Priority;

use crate::coverage::PlanFault;
use crate::evaluate::read::{list_at, text_at, texts_at, value_at};
use crate::outputs::tasks::{
    PlannedCheck, PlannedTask, PlannedTaskType, PlannedTicket, SizeEstimate, TaskDependencies,
    TasksOutput, TicketDependencies,
};

/// The plan with ids, references and paths; all else is filler that no rule on order reads.
///
/// Lets the order be judged even where the output misses its type. Items without an id are left
/// out; a bare list of dependencies is read as what the item waits for.
pub(super) fn plan_skeleton(output: &Value) -> TasksOutput {
    TasksOutput {
        feature_name: String::new(),
        tickets: items_with_id(output, "tickets")
            .map(ticket_skeleton)
            .collect(),
        tasks: items_with_id(output, "tasks").map(task_skeleton).collect(),
        total_estimated_hours: 0.0,
        critical_path: Vec::new(),
    }
}

/// Where in the output `fault` lies.
pub(super) fn fault_path(plan: &TasksOutput, fault: &PlanFault) -> String {
    let (owner, field) = match fault {
        PlanFault::DuplicateId { id } => (id, "id"),
        PlanFault::SelfDependency { id } => (id, "dependencies"),
        PlanFault::Dangling { owner, field, .. } => (owner, *field),
        PlanFault::NoProof { task, .. } => (task, "checks"),
    };
    let of_task = plan.tasks.iter().any(|t| &t.id == owner);
    let section = if of_task { "tasks" } else { "tickets" };
    format!("{section}[{owner}].{field}")
}

fn items_with_id<'a>(output: &'a Value, section: &str) -> impl Iterator<Item = &'a Value> {
    let items = list_at(output, section).iter();
    items.filter(|item| !text_at(item, "id").is_empty())
}

fn owned_texts(value: &Value, path: &str) -> Vec<String> {
    texts_at(value, path)
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// The dependencies under `field`, or a bare list in place of the object.
fn waits_for(item: &Value, field: &str) -> Vec<String> {
    if value_at(item, "dependencies").is_array() {
        owned_texts(item, "dependencies")
    } else {
        owned_texts(value_at(item, "dependencies"), field)
    }
}

fn ticket_skeleton(item: &Value) -> PlannedTicket {
    PlannedTicket {
        id: text_at(item, "id").to_owned(),
        title: String::new(),
        description: String::new(),
        priority: Priority::Medium,
        estimate: SizeEstimate::Medium,
        requirements: owned_texts(item, "requirements"),
        tasks: owned_texts(item, "tasks"),
        acceptance_criteria: Vec::new(),
        dependencies: TicketDependencies {
            blocked_by: waits_for(item, "blocked_by"),
            blocks: owned_texts(item, "dependencies.blocks"),
            related: Vec::new(),
        },
        design_components: Vec::new(),
    }
}

fn task_skeleton(item: &Value) -> PlannedTask {
    PlannedTask {
        id: text_at(item, "id").to_owned(),
        title: String::new(),
        description: String::new(),
        parent_ticket: text_at(item, "parent_ticket").to_owned(),
        kind: PlannedTaskType::Implementation,
        priority: Priority::Medium,
        estimate: None,
        estimated_hours: 0.0,
        files_to_create: owned_texts(item, "files_to_create"),
        files_to_modify: owned_texts(item, "files_to_modify"),
        acceptance_criteria: Vec::new(),
        requirements_addressed: owned_texts(item, "requirements_addressed"),
        checks: list_at(item, "checks").iter().map(check_skeleton).collect(),
        dependencies: TaskDependencies {
            depends_on: waits_for(item, "depends_on"),
            blocks: owned_texts(item, "dependencies.blocks"),
        },
    }
}

fn check_skeleton(item: &Value) -> PlannedCheck {
    PlannedCheck {
        kind: CheckKind::parse(text_at(item, "kind")).unwrap_or(CheckKind::Regression),
        command: String::new(),
        files: BTreeMap::new(),
        criteria: owned_texts(item, "criteria"),
        timeout_s: None,
    }
}
