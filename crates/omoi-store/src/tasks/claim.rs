//! The queue: which tasks can start, and claims of up to sixteen of them at once.

use std::collections::BTreeMap;

use omoi_domain::id::{SpecId, TaskId};
use omoi_domain::machine::transition as rule;
use omoi_domain::slots::SlotLimits;
use omoi_domain::task::TaskStatus;
use omoi_domain::time::Timestamp;

use super::Task;
use crate::args;
use crate::attempt_tokens;
use crate::attempts::Attempt;
use crate::column::Column;
use crate::deployment::{fence_holds, refuse_earlier};
use crate::error::StoreError;
use crate::row::Row as _;
use crate::tx::{Tx, row_batches};

/// Most tasks that one statement claims.
pub const CLAIMED_MAX: usize = crate::tx::BATCH_MAX;

/// What must hold of a task that starts; `$2` is now, `$3` are the slots of one project. The first two
/// conditions are those of the index `tasks_ready`: work that waits for other work is never looked at.
macro_rules! can_start {
    () => {
        "tasks.status = 'pending' and tasks.n_open_prerequisites = 0 and tasks.not_before <= $2
         and tasks.spec_id in (select id from specs where org_id = $1 and status = 'working')
         and exists (select 1 from projects p where p.id = tasks.project_id
             and p.slots_used < $3 and p.status = 'active'
             and (tasks.force_execute or p.autonomous))
         and exists (select 1 from tickets k where k.id = tasks.ticket_id
             and k.approval_status = 'approved' and (not k.is_blocked or (k.stalled_at is not null
                 and (k.remedy_task_id = tasks.id or tasks.updated_at > k.stalled_at))))
         and not exists (
             select 1 from task_capabilities r where r.task_id = tasks.id and r.capability not in
                 (select capability from agent_capabilities where org_id = $1))"
    };
}

/// What a scan of the queue looks for.
#[derive(Clone, Copy, Debug)]
pub struct QueueScan {
    /// A task queued at this instant or before is starving.
    pub starving_since: Timestamp,
    /// Slots of one project; the tasks of a full one are not looked at.
    pub project_slots: i64,
    /// Most tasks.
    pub limit: i64,
    /// Only those of this spec.
    pub spec: Option<SpecId>,
}

/// Pending tasks that may be claimed: their time has come, every prerequisite is completed and
/// merged, every blocking ticket is done, their own ticket is approved and not held up (or only because nothing
/// went on, and they are its remedy or changed since), the agents can do what they require, and their
/// project runs by itself and has a free slot. Best guess first
/// (overdue, starving, priority, age), so that none is hidden behind the limit for ever.
///
/// Nothing is locked: two callers may see the same task, and only [`claim`] decides who gets it.
///
/// # Errors
/// When the database cannot be read.
pub async fn eligible(tx: &mut Tx, scan: QueueScan) -> Result<Vec<Task>, StoreError> {
    let now = tx.now();
    tx.all(
        concat!(
            can_start!(),
            " and (spec_id = $6 or $6 is null)
             order by
             case when deadline_at is not null and deadline_at <= $2 then 0 else 1 end,
             case when queued_at <= $4 then 0 else 1 end,
             case priority when 'CRITICAL' then 0 when 'HIGH' then 1 when 'MEDIUM' then 2 else 3 end,
             queued_at, id
             limit $5"
        ),
        args![now, scan.project_slots, scan.starving_since, scan.limit, scan.spec],
    )
    .await
}

/// A task as it was seen, and the attempt it is claimed for.
#[derive(Clone, Debug)]
pub struct NewClaim {
    /// Once it is claimed, as it stands then.
    pub task: Task,
    /// The attempt at it; its fence is the next one of the task.
    pub attempt: Attempt,
    /// SHA-256 of the attempt's token.
    pub token_hash: String,
}

/// Claims each task that is still as it was seen and can start, with its attempt: status, fence, slot and
/// event move together. Tasks that another process claims or has claimed are skipped, so that no task is
/// dispatched twice. What a task's own work is counted from is the base of its first attempt.
///
/// # Errors
/// [`StoreError::SlotsTaken`] at the commit when others took the slots meanwhile.
pub async fn claim(
    tx: &mut Tx,
    wanted: Vec<NewClaim>,
    limits: SlotLimits,
) -> Result<Vec<NewClaim>, StoreError> {
    tx.limit_slots(limits);
    let mut claimed = Vec::new();
    let wanted: Vec<NewClaim> = wanted.into_iter().map(with_next_fence).collect();
    for batch in row_batches(&wanted) {
        let won = claim_batch(tx, batch, limits).await?;
        claimed.extend(batch.iter().filter_map(|claim| {
            let base_sha = won.get(&claim.task.id)?;
            Some(claimed_now(tx.now(), claim, base_sha.clone()))
        }));
    }
    if !tx.changes_many_tables() {
        let attempts: Vec<&Attempt> = claimed.iter().map(|claim| &claim.attempt).collect();
        tx.insert_all(&attempts).await?;
        for NewClaim {
            attempt,
            token_hash,
            ..
        } in &claimed
        {
            attempt_tokens::insert(tx, attempt.id, token_hash).await?;
        }
    }
    let kind = rule(TaskStatus::Pending, TaskStatus::Claiming)?;
    for NewClaim { task, .. } in &claimed {
        tx.count_slots(task.project_id, 1);
        let change = task.change(Some(TaskStatus::Pending), None);
        tx.emit_kind((Some(task.project_id), Some(task.spec_id)), kind, &change)?;
    }
    Ok(claimed)
}

/// The tasks among `batch` that were claimed, with their base.
async fn claim_batch(
    tx: &mut Tx,
    batch: &[NewClaim],
    limits: SlotLimits,
) -> Result<BTreeMap<TaskId, Option<String>>, StoreError> {
    let mut args = args![tx.now(), limits.per_project];
    for NewClaim {
        task,
        attempt,
        token_hash,
    } in batch
    {
        args.push(&task.state_version)?;
        args.push(token_hash)?;
        attempt.bind(&mut args)?;
    }
    let sql = claim_sql(batch.len(), tx);
    let rows = tx.built_rows(sql, args).await?;
    rows.iter()
        .map(|row| Ok((Column::read(row, "id")?, Column::read(row, "base_sha")?)))
        .collect()
}

/// The statement that claims `n` tasks: `$4` and on are, for each, its version, its token and the columns of its
/// attempt. Rows are picked in the order of their ids, past those that others claim. Where one statement
/// can, it writes the attempts too.
fn claim_sql(n: usize, tx: &Tx) -> String {
    let columns = Attempt::columns();
    let wanted = (0..n).map(|row| {
        let first = 4 + row * (columns.len() + 2);
        let marks = (first..first + columns.len() + 2).map(|n| format!("${n}"));
        format!("({})", marks.collect::<Vec<_>>().join(", "))
    });
    let wanted = wanted.collect::<Vec<_>>().join(", ");
    let (columns, can_start, suffix) = (columns.join(", "), can_start!(), tx.claim_suffix());
    let picked = format!(
        "with wanted (version, token_hash, {columns}) as (values {wanted}),
         free as (
             select tasks.id from tasks join wanted w on w.task_id = tasks.id
             where tasks.org_id = $1 and tasks.state_version = w.version and {can_start}
             and not exists (select 1 from attempts a where a.task_id = tasks.id
                 and a.subject = 'task' and a.state in ('pending', 'starting', 'running'))
             order by tasks.id{suffix})"
    );
    let moved = "update tasks set status = 'claiming', fence = w.fence, attempt_id = w.id,
             base_sha = coalesce(tasks.base_sha, w.base_sha), updated_at = $2,
             state_version = tasks.state_version + 1
         from wanted w where tasks.org_id = $1 and tasks.id = w.task_id
         and tasks.id in (select id from free)
         returning tasks.id as id, tasks.base_sha as base_sha";
    if tx.changes_many_tables() {
        format!(
            "{picked}, claimed as ({moved}),
             written as (insert into attempts ({columns})
                 select {columns} from wanted where task_id in (select id from claimed)),
             admitted as (insert into attempt_tokens (token_hash, org_id, attempt_id)
                 select token_hash, org_id, id from wanted where task_id in (select id from claimed))
             select id, base_sha from claimed"
        )
    } else {
        format!("{picked} {moved}")
    }
}

/// The fence of an attempt is the next one of its task.
fn with_next_fence(claim: NewClaim) -> NewClaim {
    let fence = claim.task.fence + 1;
    NewClaim {
        attempt: Attempt {
            fence,
            ..claim.attempt
        },
        ..claim
    }
}

fn claimed_now(now: Timestamp, claim: &NewClaim, base_sha: Option<String>) -> NewClaim {
    let NewClaim {
        task,
        attempt,
        token_hash,
    } = claim;
    NewClaim {
        token_hash: token_hash.clone(),
        task: Task {
            status: TaskStatus::Claiming,
            fence: attempt.fence,
            attempt_id: Some(attempt.id),
            base_sha,
            updated_at: now,
            state_version: task.state_version + 1,
            ..task.clone()
        },
        attempt: attempt.clone(),
    }
}

/// Keeps the score of a pending task for people. It guards nothing, so the version stays.
///
/// # Errors
/// [`StoreError::TakenOver`] for an earlier orchestrator.
pub async fn keep_score(tx: &mut Tx, task: TaskId, score: f64) -> Result<(), StoreError> {
    let fence = tx.fence();
    let kept = tx
        .execute(
            concat!(
                "update tasks set score = $3
                 where org_id = $1 and id = $2 and status = 'pending' and ",
                fence_holds!("$4")
            ),
            args![task, score, fence],
        )
        .await?;
    refuse_earlier(tx, kept).await
}

/// Earliest `not_before` that still lies ahead of tasks that wait for nothing else.
///
/// # Errors
/// When the database cannot be read.
pub async fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let now = tx.now();
    let rows = tx
        .rows(
            "select min(not_before) as value from tasks
             where org_id = $1 and status = 'pending' and n_open_prerequisites = 0
             and not_before > $2",
            args![now],
        )
        .await?;
    rows.first()
        .map_or(Ok(None), |row| Option::<Timestamp>::read(row, "value"))
}
