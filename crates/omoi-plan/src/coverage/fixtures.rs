//! Small plans for tests.

use std::collections::BTreeMap;

use omoi_domain::check::CheckKind;
use omoi_domain::requirement::RequirementType;
use omoi_domain::task::Priority;

use crate::coverage::PlannedOutputs;
use crate::outputs::design::{DesignComponent, TestingStrategy};
use crate::outputs::requirements::{PlannedRequirement, RequirementTraceability};
use crate::outputs::tasks::{
    PlannedCheck, PlannedTask, PlannedTaskType, PlannedTicket, SizeEstimate, TaskDependencies,
    TasksOutput, TicketDependencies,
};
use crate::outputs::{DesignOutput, RequirementsOutput};

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

pub(crate) fn ticket(id: &str) -> PlannedTicket {
    PlannedTicket {
        id: s(id),
        title: format!("Ticket {id}"),
        description: s("What this group of tasks builds."),
        priority: Priority::Medium,
        estimate: SizeEstimate::Small,
        requirements: Vec::new(),
        tasks: Vec::new(),
        acceptance_criteria: vec![s("It works.")],
        dependencies: TicketDependencies::default(),
        design_components: Vec::new(),
    }
}

pub(crate) fn task(id: &str, ticket: &str) -> PlannedTask {
    PlannedTask {
        id: s(id),
        title: format!("Task {id}"),
        description: s("What this task builds."),
        parent_ticket: s(ticket),
        kind: PlannedTaskType::Implementation,
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

pub(crate) fn check(kind: CheckKind, criteria: &[&str]) -> PlannedCheck {
    PlannedCheck {
        kind,
        command: s("python -m pytest -q"),
        files: BTreeMap::new(),
        criteria: criteria.iter().map(|c| s(c)).collect(),
        timeout_s: None,
    }
}

/// Outputs of three phases that fit together.
pub(crate) struct PlanSample {
    pub(crate) requirements: RequirementsOutput,
    pub(crate) design: DesignOutput,
    pub(crate) tasks: TasksOutput,
}

impl PlanSample {
    pub(crate) fn planned(&self) -> PlannedOutputs<'_> {
        PlannedOutputs {
            requirements: &self.requirements,
            design: &self.design,
            tasks: &self.tasks,
        }
    }
}

pub(crate) fn requirement(id: &str, priority: Priority) -> PlannedRequirement {
    PlannedRequirement {
        id: s(id),
        title: format!("Keep what {id} asks"),
        kind: RequirementType::Functional,
        category: None,
        priority,
        text: s("WHEN a note is saved, THE SYSTEM SHALL store its tags."),
        acceptance_criteria: vec![s("Tags are stored."), s("Tags survive a restart.")],
        dependencies: Vec::new(),
        user_stories: vec![s("US-001")],
        notes: None,
    }
}

pub(crate) fn component(name: &str, requirements: &[&str]) -> DesignComponent {
    DesignComponent {
        name: s(name),
        kind: s("module"),
        responsibility: s("Keeps the tags of every note."),
        file_path: None,
        description: None,
        interfaces: Vec::new(),
        dependencies: Vec::new(),
        requirements: requirements.iter().map(|r| s(r)).collect(),
    }
}

/// Four requirements, two tickets of two tasks each, every requirement built and proven.
pub(crate) fn planned_sample() -> PlanSample {
    let ids = [
        ("REQ-TAGS-FUNC-001", Priority::Critical),
        ("REQ-TAGS-FUNC-002", Priority::High),
        ("REQ-TAGS-FUNC-003", Priority::Medium),
        ("REQ-TAGS-SEC-001", Priority::Low),
    ];
    let mut tasks = plan("TKT-001: TSK-001, TSK-002<TSK-001 | TKT-002<TKT-001: TSK-003, TSK-004");
    for (task, (id, _)) in tasks.tasks.iter_mut().zip(ids) {
        task.requirements_addressed = vec![s(id)];
        task.checks = vec![check(
            CheckKind::Proof,
            &[&format!("{id}#1"), &format!("{id}#2")],
        )];
    }
    for (ticket, (component, requirements)) in tasks
        .tickets
        .iter_mut()
        .zip([("Tag store", &ids[..2]), ("Tag API", &ids[2..])])
    {
        ticket.design_components = vec![s(component)];
        ticket.requirements = requirements.iter().map(|(id, _)| s(id)).collect();
    }
    PlanSample {
        requirements: RequirementsOutput {
            feature_name: s("note-tags"),
            requirements: ids.iter().map(|(id, p)| requirement(id, *p)).collect(),
            assumptions: Vec::new(),
            out_of_scope: Vec::new(),
            open_questions: Vec::new(),
            traceability: RequirementTraceability {
                prd_sections: Vec::new(),
                design_components: Vec::new(),
            },
        },
        design: DesignOutput {
            feature_name: s("note-tags"),
            architecture_overview: s("Two small parts."),
            architecture_diagram: s("graph TD; A-->B"),
            components: vec![
                component("Tag store", &[ids[0].0, ids[1].0]),
                component("Tag API", &[ids[2].0, ids[3].0]),
            ],
            data_models: Vec::new(),
            data_models_not_needed: Some(s("tags live in the note file")),
            api_endpoints: Vec::new(),
            api_endpoints_not_needed: Some(s("a command line tool")),
            integration_points: vec![serde_json::json!("notes/store.py")],
            error_handling: BTreeMap::new(),
            testing_strategy: TestingStrategy {
                strategy: None,
                unit_tests: Vec::new(),
                integration_tests: Vec::new(),
            },
            security_considerations: Vec::new(),
            migration_plan: BTreeMap::new(),
        },
        tasks,
    }
}
