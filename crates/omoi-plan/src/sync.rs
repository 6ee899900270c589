//! From accepted outputs to rows: what to create, change, leave, retire, or ask a person about.
//!
//! [`plan_sync`] compares the rows the outputs describe with the rows that exist, by kind and local id,
//! never by title. The same outputs against their own rows give nothing to write. Applying the plan
//! is one transaction of the store.

mod rows;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use omoi_domain::graph::{Dag, DagError};
use omoi_domain::plain_title::plain_title;
use omoi_domain::task::TaskType;

use crate::coverage::{PlanFault, PlannedOutputs, plan_order, reference_faults};
use crate::ears;
use crate::ids::{check_id, criterion_id};
use crate::outputs;
use crate::outputs::requirements::PlannedRequirement;
use crate::outputs::tasks::{PlannedCheck, PlannedTask, PlannedTaskType, SizeEstimate};

pub use rows::{
    CheckCriterionRow, CheckRow, CriterionRow, EdgeRow, PlanRow, RequirementRow, RowKey, RowKind,
    TaskFiles, TaskRow, TicketRow,
};

/// Seconds a check may take unless it says otherwise.
pub const CHECK_TIMEOUT_S: u32 = 300;
/// Longest title of a requirement, in characters.
pub const TITLE_CHARS_MAX: usize = 500;

/// How far a stored row has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowProgress {
    /// Nobody has begun; it may still change.
    Open,
    /// Work has begun.
    Started,
    /// Work has ended.
    Done,
    /// An earlier sync took it out of the plan.
    Retired,
}

/// A row as it stands in the database.
#[derive(Clone, Debug, PartialEq)]
pub struct ExistingRow {
    /// What identifies it.
    pub key: RowKey,
    /// The stored fields by the names of [`PlanRow::fields`]; fields that are not stored are left out
    /// and not compared.
    pub fields: Map<String, Value>,
    /// How far it has come. Edges, checks and criteria also stop at the progress of what they
    /// belong to, so [`RowProgress::Open`] is right for them.
    pub progress: RowProgress,
}

/// Old and new value of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// As stored.
    pub old: Value,
    /// As planned.
    pub new: Value,
}

/// A row to change in place.
#[derive(Clone, Debug, PartialEq)]
pub struct RowUpdate {
    /// The whole row as planned.
    pub row: PlanRow,
    /// The fields that differ.
    pub changed: BTreeMap<String, FieldChange>,
}

/// A difference that only a person can settle; nothing is written for it.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncConflict {
    /// The row.
    pub key: RowKey,
    /// How far the work it belongs to has come.
    pub progress: RowProgress,
    /// What the plan would change; empty when it would add or drop the whole row.
    pub changed: BTreeMap<String, FieldChange>,
}

/// What sync has to do, in an order that creates rows before others refer to them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SyncPlan {
    /// Rows to insert.
    pub create: Vec<PlanRow>,
    /// Rows to change.
    pub update: Vec<RowUpdate>,
    /// Rows that are as planned.
    pub skip: Vec<RowKey>,
    /// Rows that left the plan before anyone began; marked, never deleted.
    pub retire: Vec<RowKey>,
    /// Rows a person must look at.
    pub conflict: Vec<SyncConflict>,
    /// Digest of all planned rows; equal outputs have equal digests.
    pub digest: String,
}

impl SyncPlan {
    /// How many rows would be written.
    pub fn n_writes(&self) -> usize {
        self.create.len() + self.update.len() + self.retire.len()
    }

    /// How many rows of `kind` would be inserted.
    pub fn n_created(&self, kind: RowKind) -> usize {
        self.create
            .iter()
            .filter(|row| row.key().kind == kind)
            .count()
    }
}

/// Why outputs give no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// Ids used twice, self dependencies, references to nothing and criteria on checks that are no
    /// proofs; all of them.
    #[error("the plan does not fit together: {}", listed_faults(.0))]
    Unresolved(Vec<PlanFault>),
    /// The tasks have no order.
    #[error("the tasks cannot be ordered")]
    Order(#[source] DagError<String>),
}

fn listed_faults(faults: &[PlanFault]) -> String {
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// Compares what `planned` describes with what exists. `base_exits` tells by [`check_id`] how each
/// check ended on the base commit.
///
/// # Errors
/// [`SyncError`] when a reference does not resolve or the tasks have no order; then nothing may be
/// written at all.
pub fn plan_sync(
    planned: PlannedOutputs<'_>,
    base_exits: &BTreeMap<String, i32>,
    existing: &[ExistingRow],
) -> Result<SyncPlan, SyncError> {
    Ok(compare_rows(plan_rows(planned, base_exits)?, existing))
}

/// Every row that `planned` describes, in an order that creates rows before others refer to them.
pub fn plan_rows(
    planned: PlannedOutputs<'_>,
    base_exits: &BTreeMap<String, i32>,
) -> Result<Vec<PlanRow>, SyncError> {
    let order = plan_order(planned.tasks);
    let mut faults = order.faults.clone();
    faults.extend(reference_faults(planned.requirements, planned.tasks));
    if !faults.is_empty() {
        return Err(SyncError::Unresolved(faults));
    }
    order.tickets.clone().into_dag().map_err(SyncError::Order)?;
    let dag = order.tasks.clone().into_dag().map_err(SyncError::Order)?;
    let mut rows = Vec::new();
    for (n, requirement) in planned.requirements.requirements.iter().enumerate() {
        let row = requirement_row(planned, n, requirement);
        rows.push(PlanRow::Requirement(row));
        rows.extend(criterion_rows(requirement).map(PlanRow::Criterion));
    }
    let tickets = planned.tasks.tickets.iter().enumerate();
    rows.extend(tickets.map(|(n, ticket)| PlanRow::Ticket(ticket_row(n, ticket))));
    rows.extend(order.tickets.edges().map(edge_row).map(PlanRow::TicketEdge));
    let tasks = planned.tasks.tasks.iter().enumerate();
    rows.extend(tasks.map(|(n, task)| PlanRow::Task(task_row(n, task, &dag))));
    rows.extend(order.tasks.edges().map(edge_row).map(PlanRow::TaskEdge));
    for task in &planned.tasks.tasks {
        for (n, check) in task.checks.iter().enumerate() {
            rows.extend(check_rows(task, n + 1, check, base_exits));
        }
    }
    Ok(rows)
}

fn compare_rows(rows: Vec<PlanRow>, existing: &[ExistingRow]) -> SyncPlan {
    let stored: BTreeMap<&RowKey, &ExistingRow> = existing.iter().map(|e| (&e.key, e)).collect();
    let progress = |key: &RowKey| stored.get(key).map(|e| e.progress);
    // The furthest of a row and what it belongs to.
    let guarded = |guards: &[RowKey]| {
        let mut held = guards.iter().filter_map(progress);
        held.find(|p| *p != RowProgress::Open)
    };
    let mut plan = SyncPlan {
        digest: rows_digest(&rows),
        ..SyncPlan::default()
    };
    let planned: BTreeSet<RowKey> = rows.iter().map(PlanRow::key).collect();
    for row in rows {
        let key = row.key();
        let stored = stored.get(&key);
        let changed = stored.map(|e| field_changes(&e.fields, &row.fields()));
        match (changed, guarded(&row.guards())) {
            (Some(changed), Some(RowProgress::Started | RowProgress::Done))
                if changed.is_empty() =>
            {
                plan.skip.push(key);
            }
            (Some(changed), None) if changed.is_empty() => plan.skip.push(key),
            (Some(changed), None) => plan.update.push(RowUpdate { row, changed }),
            (None, None) => plan.create.push(row),
            (changed, Some(progress)) => plan.conflict.push(SyncConflict {
                key,
                progress,
                changed: changed.unwrap_or_default(),
            }),
        }
    }
    for gone in existing.iter().filter(|e| !planned.contains(&e.key)) {
        let key = gone.key.clone();
        let mut guards = vec![key.clone()];
        guards.extend(rows::guard_of(&key));
        match guarded(&guards) {
            None => plan.retire.push(key),
            Some(RowProgress::Retired) => {}
            Some(progress) => plan.conflict.push(SyncConflict {
                key,
                progress,
                changed: BTreeMap::new(),
            }),
        }
    }
    plan
}

fn field_changes(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> BTreeMap<String, FieldChange> {
    let changed = old.iter().filter_map(|(field, old)| {
        let new = new.get(field).unwrap_or(&Value::Null);
        let change = FieldChange {
            old: old.clone(),
            new: new.clone(),
        };
        (old != new).then(|| (field.clone(), change))
    });
    changed.collect()
}

fn rows_digest(rows: &[PlanRow]) -> String {
    let mut hash = Sha256::new();
    for row in rows {
        let key = row.key();
        hash.update(format!("{:?} {key}\n", key.kind));
        hash.update(Value::Object(row.fields()).to_string());
        hash.update("\n");
    }
    hex::encode(hash.finalize())
}

/// Digest of a text without regard to case and spacing; empty text has none.
fn content_hash(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    if words.is_empty() {
        return String::new();
    }
    hex::encode(Sha256::digest(words.join(" ")))
}

fn requirement_row(
    planned: PlannedOutputs<'_>,
    n: usize,
    requirement: &PlannedRequirement,
) -> RequirementRow {
    let parsed = ears::parse_sentence(&requirement.text).ok();
    let action = parsed.as_ref().map_or(&requirement.text, |e| &e.action);
    let title = plain_title(&requirement.title);
    let title = if title.is_empty() {
        cut_text(&plain_title(action), 60)
    } else {
        cut_text(&title, TITLE_CHARS_MAX)
    };
    let serving = planned.design.components.iter();
    RequirementRow {
        local_id: requirement.id.clone(),
        ordinal: n as u32,
        title,
        kind: requirement.kind,
        priority: requirement.priority,
        body: requirement.text.clone(),
        condition: parsed
            .as_ref()
            .map(ears::EarsSentence::condition_text)
            .unwrap_or_default(),
        action: action.clone(),
        clauses: parsed
            .as_ref()
            .map(|e| e.clauses.clone())
            .unwrap_or_default(),
        linked_design: serving
            .filter(|c| c.requirements.contains(&requirement.id))
            .map(|c| c.name.clone())
            .collect(),
        content_hash: content_hash(&requirement.text),
    }
}

/// At most `chars_max` characters of `text`, ending with a whole word where there is one.
fn cut_text(text: &str, chars_max: usize) -> String {
    let text = text.trim();
    let Some((end, _)) = text.char_indices().nth(chars_max) else {
        return text.to_owned();
    };
    let head = &text[..end];
    let word_ends = text[end..].starts_with(char::is_whitespace);
    let kept = if word_ends {
        None
    } else {
        head.rfind(char::is_whitespace)
    };
    head[..kept.unwrap_or(end)].trim_end().to_owned()
}

fn criterion_rows(requirement: &PlannedRequirement) -> impl Iterator<Item = CriterionRow> + '_ {
    let numbered = requirement.acceptance_criteria.iter().zip(1..);
    numbered.map(|(text, n)| CriterionRow {
        local_id: criterion_id(&requirement.id, n),
        requirement: requirement.id.clone(),
        ordinal: n as u32,
        body: text.clone(),
        content_hash: content_hash(text),
    })
}

fn ticket_row(n: usize, ticket: &outputs::tasks::PlannedTicket) -> TicketRow {
    TicketRow {
        local_id: ticket.id.clone(),
        ordinal: n as u32,
        title: plain_title(&ticket.title),
        description: ticket.description.clone(),
        priority: ticket.priority,
        estimate: ticket.estimate,
        requirements: ticket.requirements.clone(),
        design_components: ticket.design_components.clone(),
        acceptance_criteria: ticket.acceptance_criteria.clone(),
        related: ticket.dependencies.related.clone(),
    }
}

fn task_row(n: usize, task: &PlannedTask, order: &Dag<String>) -> TaskRow {
    TaskRow {
        local_id: task.id.clone(),
        ticket: task.parent_ticket.clone(),
        ordinal: n as u32,
        level: order.node_level(&task.id).unwrap_or(0),
        title: plain_title(&task.title),
        description: task.description.clone(),
        planned_type: task.kind,
        task_type: if task.kind == PlannedTaskType::Test {
            TaskType::WriteTests
        } else {
            TaskType::ImplementFeature
        },
        priority: task.priority,
        estimate: task
            .estimate
            .unwrap_or_else(|| SizeEstimate::from_hours(task.estimated_hours)),
        estimated_hours: task.estimated_hours,
        files: TaskFiles {
            create: task.files_to_create.clone(),
            modify: task.files_to_modify.clone(),
        },
        acceptance_criteria: task.acceptance_criteria.clone(),
        requirements: task.requirements_addressed.clone(),
    }
}

fn edge_row(edge: omoi_domain::graph::Edge<String>) -> EdgeRow {
    EdgeRow {
        dependent: edge.after,
        prerequisite: edge.before,
    }
}

/// A check and the criteria it proves, each once.
fn check_rows(
    task: &PlannedTask,
    n: usize,
    check: &PlannedCheck,
    base_exits: &BTreeMap<String, i32>,
) -> Vec<PlanRow> {
    let local_id = check_id(&task.id, n);
    let criteria: BTreeSet<&String> = check.criteria.iter().collect();
    let link = |criterion: &&String| {
        PlanRow::CheckCriterion(CheckCriterionRow {
            check: local_id.clone(),
            criterion: (*criterion).clone(),
        })
    };
    let links: Vec<PlanRow> = criteria.iter().map(link).collect();
    let row = CheckRow {
        task: task.id.clone(),
        ordinal: n as u32,
        kind: check.kind,
        command: check.command.clone(),
        files: check.files.clone(),
        timeout_s: check.timeout_s.unwrap_or(CHECK_TIMEOUT_S),
        base_exit: base_exits.get(&local_id).copied(),
        local_id,
    };
    let mut rows = vec![PlanRow::Check(row)];
    rows.extend(links);
    rows
}

#[cfg(test)]
mod tests;
