//! The rows of a spec as an earlier sync left them.

use serde_json::{Map, Value, json};

use omoi_domain::task::TaskStatus;
use omoi_plan::ids::check_id;
use omoi_plan::sync::{ExistingRow, RowKey, RowKind, RowProgress};
use omoi_store::specs::Spec;
use omoi_store::{StoreError, Tx, checks, requirements, tasks, tickets};

use super::KnownRows;

/// Every planned row that stands already, and the ids it goes by.
pub(super) async fn read(
    tx: &mut Tx,
    spec: &Spec,
) -> Result<(Vec<ExistingRow>, KnownRows), StoreError> {
    let mut known = KnownRows::default();
    let mut rows = Vec::new();
    for requirement in requirements::of_spec(tx, spec.id).await? {
        let fields = object(json!({ "content_hash": requirement.content_hash }));
        rows.push(open(
            RowKey::new(RowKind::Requirement, &requirement.local_id),
            fields,
        ));
        known
            .requirements
            .insert(requirement.local_id, requirement.id);
    }
    for criterion in requirements::criteria_of_spec(tx, spec.id).await? {
        let fields = object(json!({ "content_hash": criterion.content_hash }));
        rows.push(open(
            RowKey::new(RowKind::Criterion, &criterion.local_id),
            fields,
        ));
        known.criteria.insert(criterion.local_id, criterion.id);
    }
    // Locked before the project gives numbers: what the plan changes must not be waited for after it.
    let tasks = tasks::held_of_spec(tx, spec.id).await?;
    tickets::hold_of_spec(tx, spec.id).await?;
    for ticket in tickets::of_spec(tx, spec.id).await? {
        let fields = object(json!({
            "title": ticket.title, "description": ticket.description, "priority": ticket.priority,
        }));
        rows.push(open(RowKey::new(RowKind::Ticket, &ticket.local_id), fields));
        known.tickets.insert(ticket.local_id, ticket.id);
    }
    // Work found on the way and resolutions are no part of any plan.
    let planned = tasks.into_iter().filter(|t| t.local_id.starts_with("TSK-"));
    for task in planned {
        let fields = object(json!({
            "title": task.title, "description": task.description, "priority": task.priority,
        }));
        let key = RowKey::new(RowKind::Task, &task.local_id);
        rows.push(ExistingRow {
            key,
            fields,
            progress: progress(task.status),
        });
        known.tasks.insert(task.local_id, task.id);
    }
    edges(tx, spec, &mut rows, &known).await?;
    check_rows(tx, spec, &mut rows, &mut known).await?;
    Ok((rows, known))
}

async fn edges(
    tx: &mut Tx,
    spec: &Spec,
    rows: &mut Vec<ExistingRow>,
    known: &KnownRows,
) -> Result<(), StoreError> {
    let ticket = |id| {
        known
            .tickets
            .iter()
            .find(|(_, v)| **v == id)
            .map(|(k, _)| k.as_str())
    };
    let task = |id| {
        known
            .tasks
            .iter()
            .find(|(_, v)| **v == id)
            .map(|(k, _)| k.as_str())
    };
    for (a, b) in tickets::dependencies(tx, spec.id).await? {
        if let (Some(a), Some(b)) = (ticket(a), ticket(b)) {
            rows.push(open(RowKey::pair(RowKind::TicketEdge, a, b), Map::new()));
        }
    }
    for (a, b) in tasks::dependencies(tx, spec.id).await? {
        if let (Some(a), Some(b)) = (task(a), task(b)) {
            rows.push(open(RowKey::pair(RowKind::TaskEdge, a, b), Map::new()));
        }
    }
    Ok(())
}

async fn check_rows(
    tx: &mut Tx,
    spec: &Spec,
    rows: &mut Vec<ExistingRow>,
    known: &mut KnownRows,
) -> Result<(), StoreError> {
    let links = checks::criteria_links(tx, spec.id).await?;
    for check in checks::of_spec(tx, spec.id).await? {
        let Some(task) = check.task_id else { continue };
        let Some(local) = known
            .tasks
            .iter()
            .find(|(_, v)| **v == task)
            .map(|(k, _)| k.clone())
        else {
            continue;
        };
        let id = check_id(&local, usize::try_from(check.ordinal).unwrap_or(0));
        let fields = object(json!({ "command": check.command, "files": check.files.0 }));
        rows.push(open(RowKey::new(RowKind::Check, &id), fields));
        for (_, criterion) in links.iter().filter(|(c, _)| *c == check.id) {
            if let Some((name, _)) = known.criteria.iter().find(|(_, v)| *v == criterion) {
                rows.push(open(
                    RowKey::pair(RowKind::CheckCriterion, &id, name),
                    Map::new(),
                ));
            }
        }
        known.checks.insert(id, check.id);
    }
    Ok(())
}

fn open(key: RowKey, fields: Map<String, Value>) -> ExistingRow {
    ExistingRow {
        key,
        fields,
        progress: RowProgress::Open,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn progress(status: TaskStatus) -> RowProgress {
    match status {
        TaskStatus::Pending | TaskStatus::Blocked => RowProgress::Open,
        TaskStatus::Completed => RowProgress::Done,
        TaskStatus::Cancelled => RowProgress::Retired,
        TaskStatus::Claiming
        | TaskStatus::Assigned
        | TaskStatus::Running
        | TaskStatus::PendingValidation
        | TaskStatus::Validating
        | TaskStatus::NeedsRevision
        | TaskStatus::Failed => RowProgress::Started,
    }
}
