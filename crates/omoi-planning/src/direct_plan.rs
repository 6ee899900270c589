//! The plan of a direct spec: one task, whose proofs are the commands of its ticket.

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use omoi_domain::check::CheckKind;
use omoi_domain::id::CriterionId;
use omoi_domain::requirement::RequirementType;
use omoi_domain::task::TaskType;
use omoi_domain::work_limits::WorkLimits;
use omoi_execution::integration::task_branch;
use omoi_execution::ticket_documents::{KeptDocument, documents_of};
use omoi_store::checks::{self, Check};
use omoi_store::projects::{NumberCounter, take_numbers};
use omoi_store::requirements::{Criterion, Requirement};
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::Ticket;
use omoi_store::{Json, StoreError, Tx};

use crate::planned_task::pending_task;
use crate::sync::write_requirement;

/// The requirement that a ticket is.
const REQUIREMENT: &str = "REQ-TICKET-FUNC-001";
/// The task that it is worked on by.
const TASK: &str = "TSK-001";

/// Writes the task of a direct spec and its checks.
pub(crate) async fn write_task(
    tx: &mut Tx,
    limits: &WorkLimits,
    spec: &Spec,
    ticket: &Ticket,
) -> Result<(), StoreError> {
    let number = take_numbers(tx, spec.project_id, NumberCounter::Task, 1).await?;
    let blank = pending_task(tx, spec, ticket.id, number);
    let task = Task {
        local_id: TASK.to_owned(),
        title: ticket.title.clone(),
        description: task_text(ticket, &documents_of(tx, ticket).await?),
        task_type: TaskType::ImplementFeature,
        priority: ticket.priority,
        requirements: Json(vec![REQUIREMENT.to_owned()]),
        branch: task_branch(blank.id, &ticket.title),
        force_execute: true,
        ..blank
    };
    tasks::insert(tx, &task).await?;
    write_checks(tx, limits, spec, ticket, &task).await
}

/// What the task is told: the ticket, and what was written down about it before.
fn task_text(ticket: &Ticket, documents: &[KeptDocument]) -> String {
    let mut text = match ticket.description.trim() {
        "" => ticket.title.clone(),
        text => text.to_owned(),
    };
    for document in documents {
        let (title, body) = (document.place.title, document.text.trim());
        text.push_str(&format!("\n\n# {title}\n\n{body}"));
    }
    text
}

/// Whether the checks of a direct spec are those that its ticket names.
pub(crate) fn has_checks_of(ticket: &Ticket, proofs: &[Check]) -> bool {
    let commands = proofs.iter().map(|check| &check.command);
    commands.eq(ticket.check_commands.0.iter())
}

/// Replaces the checks of a direct spec, by which nothing was judged yet, by those that its ticket names.
pub(crate) async fn replace_checks(
    tx: &mut Tx,
    limits: &WorkLimits,
    spec: &Spec,
    ticket: &Ticket,
) -> Result<(), StoreError> {
    checks::drop_proofs(tx, spec.id).await?;
    let tasks = tasks::of_spec(tx, spec.id).await?;
    match tasks.first() {
        Some(task) => write_checks(tx, limits, spec, ticket, task).await,
        None => Ok(()),
    }
}

/// Each command is the proof of one criterion.
async fn write_checks(
    tx: &mut Tx,
    limits: &WorkLimits,
    spec: &Spec,
    ticket: &Ticket,
    task: &Task,
) -> Result<(), StoreError> {
    let commands = &ticket.check_commands.0;
    if commands.is_empty() {
        return Ok(());
    }
    let requirement = requirement_of(tx, spec, ticket);
    let numbered = || (1..).zip(commands);
    let criteria = numbered().map(|(ordinal, command)| {
        let body = format!("`{command}` passes");
        Criterion {
            id: tx.new_id::<CriterionId>(),
            org_id: tx.org(),
            spec_id: spec.id,
            requirement_id: requirement.id,
            local_id: format!("{REQUIREMENT}#{ordinal}"),
            ordinal,
            content_hash: digest(&body),
            body,
        }
    });
    let criteria: Vec<Criterion> = criteria.collect();
    write_requirement(tx, &requirement, &criteria).await?;
    let timeout = spec.work_limits(*limits).check_timeout.as_secs();
    for ((ordinal, command), criterion) in numbered().zip(&criteria) {
        let check = Check {
            id: tx.new_id(),
            org_id: tx.org(),
            spec_id: spec.id,
            task_id: Some(task.id),
            ordinal,
            kind: CheckKind::Proof,
            command: command.clone(),
            files: Json(BTreeMap::new()),
            timeout_s: i64::try_from(timeout).unwrap_or(i64::MAX),
            base_exit: None,
            is_deploy: false,
        };
        checks::insert(tx, &check, &[criterion.id]).await?;
    }
    Ok(())
}

fn requirement_of(tx: &Tx, spec: &Spec, ticket: &Ticket) -> Requirement {
    let text = &spec.original_request;
    Requirement {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: spec.id,
        local_id: REQUIREMENT.to_owned(),
        ordinal: 1,
        title: ticket.title.clone(),
        r#type: RequirementType::Functional,
        priority: ticket.priority,
        content_hash: digest(text),
        body: Json(json!({ "text": text })),
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}
