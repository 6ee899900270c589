//! Small plans for tests.

use std::collections::BTreeMap;

use crate::plan::outputs::Priority;
use crate::plan::outputs::tasks::{
    Check, CheckKind, Estimate, Task, TaskDependencies, TaskType, TasksOutput, Ticket,
    TicketDependencies,
};

pub(crate) fn s(text: &str) -> String {
    text.to_owned()
}

fn list(text: &str) -> Vec<String> {
    text.split_whitespace().map(s).collect()
}

/// Reads `ticket<blocker…: task<prerequisite…, … | …`.
pub(crate) fn plan(text: &str) -> TasksOutput {
    let mut plan = TasksOutput {
        feature_name: s("sample"),
        tickets: Vec::new(),
        tasks: Vec::new(),
        total_estimated_hours: 0.0,
        critical_path: Vec::new(),
    };
    for part in text.split('|') {
        let (head, body) = part.split_once(':').unwrap_or((part, ""));
        let (id, blockers) = head.split_once('<').unwrap_or((head, ""));
        let mut ticket = ticket(id.trim());
        ticket.dependencies.blocked_by = list(blockers);
        for entry in body.split(',').filter(|e| !e.trim().is_empty()) {
            let (name, before) = entry.split_once('<').unwrap_or((entry, ""));
            let mut task = task(name.trim(), &ticket.id);
            task.dependencies.depends_on = list(before);
            ticket.tasks.push(task.id.clone());
            plan.tasks.push(task);
        }
        plan.tickets.push(ticket);
    }
    plan
}

pub(crate) fn ticket(id: &str) -> Ticket {
    Ticket {
        id: s(id),
        title: format!("Ticket {id}"),
        description: s("What this group of tasks builds."),
        priority: Priority::Medium,
        estimate: Estimate::Small,
        requirements: Vec::new(),
        tasks: Vec::new(),
        acceptance_criteria: vec![s("It works.")],
        dependencies: TicketDependencies::default(),
        design_components: Vec::new(),
    }
}

pub(crate) fn task(id: &str, ticket: &str) -> Task {
    Task {
        id: s(id),
        title: format!("Task {id}"),
        description: s("What this task builds."),
        parent_ticket: s(ticket),
        kind: TaskType::Implementation,
        priority: Priority::Medium,
        estimate: None,
        estimated_hours: 1.0,
        files_to_create: vec![format!("src/{id}.py")],
        files_to_modify: Vec::new(),
        acceptance_criteria: vec![s("It works.")],
        requirements_addressed: Vec::new(),
        checks: Vec::new(),
        dependencies: TaskDependencies::default(),
    }
}

pub(crate) fn check(kind: CheckKind, criteria: &[&str]) -> Check {
    Check {
        kind,
        command: s("python -m pytest -q"),
        files: BTreeMap::new(),
        criteria: criteria.iter().map(|c| s(c)).collect(),
        timeout_s: None,
    }
}
