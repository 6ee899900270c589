//! Applies the plan of a spec: every row of it in the caller's one transaction.

mod existing;

use std::collections::BTreeMap;

use serde_json::json;

use omoi_domain::event::{Event, SyncDone};
use omoi_domain::id::{CheckId, CriterionId, RequirementId, TaskId, TicketId};
use omoi_domain::lifecycle::task::retire_task;
use omoi_domain::phase::Phase;
use omoi_execution::integration::{phase_output, task_branch};
use omoi_execution::tasks::apply_to_task;
use omoi_plan::coverage::PlannedOutputs;
use omoi_plan::ids::check_id;
use omoi_plan::outputs::SyncOutput;
use omoi_plan::outputs::sync::SpecSummary;
use omoi_plan::sync::{
    CheckRow, CriterionRow, PlanRow, RequirementRow, RowKey, RowKind, SyncError, SyncPlan, TaskRow,
    TicketRow, plan_sync,
};
use omoi_store::checks::{self, Check};
use omoi_store::phases::PhaseRun;
use omoi_store::projects::{NumberCounter, take_numbers};
use omoi_store::requirements::{Criterion, Requirement};
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Json, StoreError, Tx, search_documents};

use crate::planned_task::pending_task;

/// Why a plan was not applied; nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The outputs do not make rows.
    #[error(transparent)]
    Plan(#[from] SyncError),
    /// Something the plan would change has begun already.
    #[error("a person must decide on {}", .0.join(", "))]
    Conflicts(Vec<String>),
    /// A planned row refers to one that is not there.
    #[error("`{0}` is not part of the plan")]
    Unresolved(String),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

/// The plan of a spec in figures, once sync has computed it.
///
/// # Errors
/// [`StoreError::Corrupt`] when what is stored is no output of sync.
pub fn computed_summary(runs: &[PhaseRun]) -> Result<Option<SpecSummary>, StoreError> {
    let sync = phase_output::<SyncOutput>(runs, Phase::Sync)?;
    Ok(sync.map(|sync| sync.spec_summary))
}

/// Everything sync writes from.
pub struct AcceptedPlan<'a> {
    /// The accepted outputs.
    pub planned: PlannedOutputs<'a>,
    /// The computed verdict.
    pub verdict: &'a SyncOutput,
    /// How proof checks ended on the base commit, by task and index.
    pub base_exits: &'a BTreeMap<(String, usize), i32>,
}

/// Row ids by plan-local id.
#[derive(Default)]
struct KnownRows {
    requirements: BTreeMap<String, RequirementId>,
    criteria: BTreeMap<String, CriterionId>,
    tickets: BTreeMap<String, TicketId>,
    tasks: BTreeMap<String, TaskId>,
    checks: BTreeMap<String, CheckId>,
}

/// Human numbers taken for new rows, handed out in plan order.
struct TakenNumbers {
    ticket: i64,
    task: i64,
}

/// Writes what differs between the plan and the rows. The same plan again writes nothing.
///
/// # Errors
/// [`ApplyError`]; the caller must roll back.
pub async fn apply_plan(
    tx: &mut Tx,
    spec: &Spec,
    accepted: AcceptedPlan<'_>,
) -> Result<SyncPlan, ApplyError> {
    let exits: BTreeMap<String, i32> = accepted
        .base_exits
        .iter()
        .map(|((task, n), exit)| (check_id(task, n + 1), *exit))
        .collect();
    let (existing, mut known) = existing::read(tx, spec).await?;
    let plan = plan_sync(accepted.planned, &exits, &existing)?;
    if !plan.conflict.is_empty() {
        let keys = plan.conflict.iter().map(|c| c.key.to_string()).collect();
        return Err(ApplyError::Conflicts(keys));
    }
    let mut numbers = numbers(tx, spec, &plan).await?;
    let mut links: BTreeMap<String, Vec<CriterionId>> = BTreeMap::new();
    for row in &plan.create {
        if let PlanRow::CheckCriterion(link) = row {
            let criterion = resolve(&known.criteria, &link.criterion)
                .or_else(|_| planned_criterion(&plan, &mut known, tx, &link.criterion))?;
            links.entry(link.check.clone()).or_default().push(criterion);
        }
    }
    for row in &plan.create {
        create(tx, spec, row, &mut known, &mut numbers, &links).await?;
    }
    for update in &plan.update {
        change(tx, &update.row, &known).await?;
    }
    let leaving = plan.retire.iter().filter(|key| !goes_along(key, &plan));
    // Edges first: nothing is to wait for a task that is out of the work.
    let (edges, others): (Vec<_>, Vec<_>) = leaving.partition(|key| leads_to_leaving(key, &plan));
    for key in edges {
        drop_edge(tx, key, &known).await?;
    }
    for key in others {
        retire(tx, key, &known).await?;
    }
    if plan.n_writes() > 0 {
        let done = SyncDone {
            spec_id: spec.id,
            tickets: plan.n_created(RowKind::Ticket) as u32,
            tasks: plan.n_created(RowKind::Task) as u32,
            requirements: plan.n_created(RowKind::Requirement) as u32,
            criteria: plan.n_created(RowKind::Criterion) as u32,
            checks: plan.n_created(RowKind::Check) as u32,
            coverage_percent: accepted.verdict.spec_summary.requirement_coverage_percent,
        };
        tx.emit(
            Some(spec.project_id),
            Some(spec.id),
            Event::SpecSyncCompleted(done),
        );
    }
    Ok(plan)
}

/// The id a criterion of this plan will have; ids are handed out before the rows are written.
fn planned_criterion(
    plan: &SyncPlan,
    known: &mut KnownRows,
    tx: &Tx,
    local: &str,
) -> Result<CriterionId, ApplyError> {
    let planned = plan
        .create
        .iter()
        .any(|row| matches!(row, PlanRow::Criterion(criterion) if criterion.local_id == local));
    if !planned {
        return Err(ApplyError::Unresolved(local.to_owned()));
    }
    let id = tx.new_id();
    known.criteria.insert(local.to_owned(), id);
    Ok(id)
}

async fn numbers(tx: &mut Tx, spec: &Spec, plan: &SyncPlan) -> Result<TakenNumbers, StoreError> {
    let tickets = plan.n_created(RowKind::Ticket) as i64;
    let tasks = plan.n_created(RowKind::Task) as i64;
    Ok(TakenNumbers {
        ticket: take_numbers(tx, spec.project_id, NumberCounter::Ticket, tickets).await?,
        task: take_numbers(tx, spec.project_id, NumberCounter::Task, tasks).await?,
    })
}

fn resolve<I: Copy>(map: &BTreeMap<String, I>, local: &str) -> Result<I, ApplyError> {
    map.get(local)
        .copied()
        .ok_or_else(|| ApplyError::Unresolved(local.to_owned()))
}

async fn create(
    tx: &mut Tx,
    spec: &Spec,
    row: &PlanRow,
    known: &mut KnownRows,
    numbers: &mut TakenNumbers,
    links: &BTreeMap<String, Vec<CriterionId>>,
) -> Result<(), ApplyError> {
    match row {
        PlanRow::Requirement(row) => requirement(tx, spec, row, known).await,
        PlanRow::Criterion(row) => criterion(tx, spec, row, known).await,
        PlanRow::Ticket(row) => {
            let number = numbers.ticket;
            numbers.ticket += 1;
            ticket(tx, spec, row, number, known).await
        }
        PlanRow::Task(row) => {
            let number = numbers.task;
            numbers.task += 1;
            task(tx, spec, row, number, known).await
        }
        PlanRow::TicketEdge(edge) => {
            let (a, b) = (
                resolve(&known.tickets, &edge.dependent)?,
                resolve(&known.tickets, &edge.prerequisite)?,
            );
            Ok(tickets::depend(tx, a, b).await?)
        }
        PlanRow::TaskEdge(edge) => {
            let (a, b) = (
                resolve(&known.tasks, &edge.dependent)?,
                resolve(&known.tasks, &edge.prerequisite)?,
            );
            Ok(tasks::depend(tx, a, b).await?)
        }
        PlanRow::Check(row) => check(tx, spec, row, known, links).await,
        // Written with their check.
        PlanRow::CheckCriterion(_) => Ok(()),
    }
}

/// Writes a requirement with all its criteria.
pub(crate) async fn write_requirement(
    tx: &mut Tx,
    requirement: &Requirement,
    criteria: &[Criterion],
) -> Result<(), StoreError> {
    tx.insert(requirement).await?;
    for criterion in criteria {
        tx.insert(criterion).await?;
    }
    Ok(())
}

async fn requirement(
    tx: &mut Tx,
    spec: &Spec,
    row: &RequirementRow,
    known: &mut KnownRows,
) -> Result<(), ApplyError> {
    let id = tx.new_id();
    known.requirements.insert(row.local_id.clone(), id);
    let requirement = Requirement {
        id,
        org_id: tx.org(),
        spec_id: spec.id,
        local_id: row.local_id.clone(),
        ordinal: i64::from(row.ordinal),
        title: row.title.clone(),
        r#type: row.kind,
        priority: row.priority,
        body: Json(json!({
            "text": row.body,
            "condition": row.condition,
            "action": row.action,
            "clauses": row.clauses,
            "linked_design": row.linked_design,
        })),
        content_hash: row.content_hash.clone(),
    };
    Ok(tx.insert(&requirement).await?)
}

async fn criterion(
    tx: &mut Tx,
    spec: &Spec,
    row: &CriterionRow,
    known: &mut KnownRows,
) -> Result<(), ApplyError> {
    let id = known
        .criteria
        .get(&row.local_id)
        .copied()
        .unwrap_or_else(|| tx.new_id());
    known.criteria.insert(row.local_id.clone(), id);
    let criterion = Criterion {
        id,
        org_id: tx.org(),
        spec_id: spec.id,
        requirement_id: resolve(&known.requirements, &row.requirement)?,
        local_id: row.local_id.clone(),
        ordinal: i64::from(row.ordinal),
        body: row.body.clone(),
        content_hash: row.content_hash.clone(),
    };
    Ok(tx.insert(&criterion).await?)
}

async fn ticket(
    tx: &mut Tx,
    spec: &Spec,
    row: &TicketRow,
    number: i64,
    known: &mut KnownRows,
) -> Result<(), ApplyError> {
    let ticket = Ticket {
        local_id: row.local_id.clone(),
        ordinal: i64::from(row.ordinal),
        title: row.title.clone(),
        description: row.description.clone(),
        priority: row.priority,
        ..Ticket::of_plan(tx, spec, number)
    };
    known.tickets.insert(row.local_id.clone(), ticket.id);
    Ok(tickets::insert(tx, &ticket).await?)
}

async fn task(
    tx: &mut Tx,
    spec: &Spec,
    row: &TaskRow,
    number: i64,
    known: &mut KnownRows,
) -> Result<(), ApplyError> {
    let files: Vec<String> = row
        .files
        .create
        .iter()
        .chain(&row.files.modify)
        .cloned()
        .collect();
    let blank = pending_task(tx, spec, resolve(&known.tickets, &row.ticket)?, number);
    let task = Task {
        local_id: row.local_id.clone(),
        title: row.title.clone(),
        description: row.description.clone(),
        task_type: row.task_type,
        priority: row.priority,
        level: i64::from(row.level),
        ordinal: i64::from(row.ordinal),
        estimated_hours: row.estimated_hours,
        files: Json(files),
        requirements: Json(row.requirements.clone()),
        branch: task_branch(blank.id, &row.title),
        ..blank
    };
    known.tasks.insert(row.local_id.clone(), task.id);
    Ok(tasks::insert(tx, &task).await?)
}

async fn check(
    tx: &mut Tx,
    spec: &Spec,
    row: &CheckRow,
    known: &mut KnownRows,
    links: &BTreeMap<String, Vec<CriterionId>>,
) -> Result<(), ApplyError> {
    let check = Check {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: spec.id,
        task_id: Some(resolve(&known.tasks, &row.task)?),
        ordinal: i64::from(row.ordinal),
        kind: row.kind,
        command: row.command.clone(),
        files: Json(row.files.clone()),
        timeout_s: i64::from(row.timeout_s),
        base_exit: row.base_exit,
        is_deploy: false,
    };
    known.checks.insert(row.local_id.clone(), check.id);
    let criteria = links.get(&row.local_id).map_or(&[][..], Vec::as_slice);
    Ok(checks::insert(tx, &check, criteria).await?)
}

/// Changes a row nobody has begun to work on.
async fn change(tx: &mut Tx, row: &PlanRow, known: &KnownRows) -> Result<(), ApplyError> {
    match row {
        PlanRow::Ticket(row) => {
            let mut ticket = tickets::get(tx, resolve(&known.tickets, &row.local_id)?).await?;
            ticket.title.clone_from(&row.title);
            ticket.description.clone_from(&row.description);
            ticket.priority = row.priority;
            tickets::save(tx, &mut ticket).await?;
            Ok(search_documents::index_ticket(tx, &ticket).await?)
        }
        PlanRow::Task(row) => {
            let mut task = tasks::get(tx, resolve(&known.tasks, &row.local_id)?).await?;
            task.title.clone_from(&row.title);
            task.description.clone_from(&row.description);
            task.priority = row.priority;
            tasks::save(tx, &mut task).await?;
            Ok(search_documents::index_task(tx, &task).await?)
        }
        other => Err(ApplyError::Conflicts(vec![other.key().to_string()])),
    }
}

/// Edges and checks of a task that leaves the plan stay with it, and it is out of the work.
fn goes_along(key: &RowKey, plan: &SyncPlan) -> bool {
    let task = match key.kind {
        RowKind::TaskEdge => key.edge_ends().map(|ends| ends.dependent),
        RowKind::Check | RowKind::CheckCriterion => key.local_id.split('/').next(),
        _ => None,
    };
    task.is_some_and(|task| plan.retire.contains(&RowKey::new(RowKind::Task, task)))
}

/// Whether a task that stays depends on one that leaves the plan.
fn leads_to_leaving(key: &RowKey, plan: &SyncPlan) -> bool {
    let prerequisite = match key.kind {
        RowKind::TaskEdge => key.edge_ends().map(|ends| ends.prerequisite),
        _ => None,
    };
    prerequisite.is_some_and(|task| plan.retire.contains(&RowKey::new(RowKind::Task, task)))
}

async fn drop_edge(tx: &mut Tx, key: &RowKey, known: &KnownRows) -> Result<(), ApplyError> {
    let Some(ends) = key.edge_ends() else {
        return Err(ApplyError::Conflicts(vec![key.to_string()]));
    };
    let task = resolve(&known.tasks, ends.dependent)?;
    let depends_on = resolve(&known.tasks, ends.prerequisite)?;
    tasks::drop_dependency(tx, task, depends_on).await?;
    Ok(())
}

/// Takes a row that left the plan out of the work; nothing is deleted.
async fn retire(tx: &mut Tx, key: &RowKey, known: &KnownRows) -> Result<(), ApplyError> {
    if key.kind != RowKind::Task {
        return Err(ApplyError::Conflicts(vec![key.to_string()]));
    }
    let mut task = tasks::get(tx, resolve(&known.tasks, &key.local_id)?).await?;
    Ok(apply_to_task(tx, &mut task, retire_task()).await?)
}
