//! What an arbitrary JSON plan says about order and files, read leniently.

use std::collections::BTreeMap;

use serde_json::Value;

use omoi_domain::check::CheckKind;
use omoi_domain::task::Priority;

use crate::coverage::PlanFault;
use crate::evaluate::read::{at, list, text, texts};
use crate::outputs::tasks::{
    Check, Estimate, PlannedTaskType, Task, TaskDependencies, TasksOutput, Ticket,
    TicketDependencies,
};

/// The plan with ids, references and paths; all else is filler that no rule on order reads.
///
/// Lets the order be judged even where the output misses its type. Items without an id are left
/// out; a bare list of dependencies is read as what the item waits for.
pub(super) fn skeleton(output: &Value) -> TasksOutput {
    TasksOutput {
        feature_name: String::new(),
        tickets: named(output, "tickets").map(ticket).collect(),
        tasks: named(output, "tasks").map(task).collect(),
        total_estimated_hours: 0.0,
        critical_path: Vec::new(),
    }
}

/// Where in the output `fault` lies.
pub(super) fn path_of(plan: &TasksOutput, fault: &PlanFault) -> String {
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

fn named<'a>(output: &'a Value, section: &str) -> impl Iterator<Item = &'a Value> {
    let items = list(output, section).iter();
    items.filter(|item| !text(item, "id").is_empty())
}

fn owned(value: &Value, path: &str) -> Vec<String> {
    texts(value, path).into_iter().map(str::to_owned).collect()
}

/// The dependencies under `field`, or a bare list in place of the object.
fn waits_for(item: &Value, field: &str) -> Vec<String> {
    if at(item, "dependencies").is_array() {
        owned(item, "dependencies")
    } else {
        owned(at(item, "dependencies"), field)
    }
}

fn ticket(item: &Value) -> Ticket {
    Ticket {
        id: text(item, "id").to_owned(),
        title: String::new(),
        description: String::new(),
        priority: Priority::Medium,
        estimate: Estimate::Medium,
        requirements: owned(item, "requirements"),
        tasks: owned(item, "tasks"),
        acceptance_criteria: Vec::new(),
        dependencies: TicketDependencies {
            blocked_by: waits_for(item, "blocked_by"),
            blocks: owned(item, "dependencies.blocks"),
            related: Vec::new(),
        },
        design_components: Vec::new(),
    }
}

fn task(item: &Value) -> Task {
    Task {
        id: text(item, "id").to_owned(),
        title: String::new(),
        description: String::new(),
        parent_ticket: text(item, "parent_ticket").to_owned(),
        kind: PlannedTaskType::Implementation,
        priority: Priority::Medium,
        estimate: None,
        estimated_hours: 0.0,
        files_to_create: owned(item, "files_to_create"),
        files_to_modify: owned(item, "files_to_modify"),
        acceptance_criteria: Vec::new(),
        requirements_addressed: owned(item, "requirements_addressed"),
        checks: list(item, "checks").iter().map(check).collect(),
        dependencies: TaskDependencies {
            depends_on: waits_for(item, "depends_on"),
            blocks: owned(item, "dependencies.blocks"),
        },
    }
}

fn check(item: &Value) -> Check {
    Check {
        kind: CheckKind::parse(text(item, "kind")).unwrap_or(CheckKind::Regression),
        command: String::new(),
        files: BTreeMap::new(),
        criteria: owned(item, "criteria"),
        timeout_s: None,
    }
}
