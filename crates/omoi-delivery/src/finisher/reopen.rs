//! A check that is red at the head sends the task it belongs to back for a round.

use std::collections::BTreeMap;

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{AttemptId, TaskId};
use omoi_domain::lifecycle::task::UnmetResult;
use omoi_domain::task::{TaskStatus, UnmetCode};
use omoi_domain::ticket::TicketStatus;
use omoi_execution::Platform;
use omoi_execution::platform_run::{RunEnding, end_run};
use omoi_execution::tasks::send_back;
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_runtime::BoxError;
use omoi_store::checks::{Check, Receipt};
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx, merges, tickets};

use crate::receipts;

/// Sends back every task with a red check of its own, to go on from the head. False when no red
/// check has an owner: then the spec itself is red.
pub(super) async fn owners(
    platform: &Platform,
    spec: &Spec,
    attempt: AttemptId,
    at: (&Mirror, &ObjectId),
    receipts: &[(Check, Receipt)],
) -> Result<bool, BoxError> {
    let (mirror, head) = at;
    let mut own: BTreeMap<TaskId, Vec<(Check, Receipt)>> = BTreeMap::new();
    for (check, receipt) in receipts {
        if let Some(task) = check.task_id {
            let all = own.entry(task).or_default();
            all.push((check.clone(), receipt.clone()));
        }
    }
    let red: Vec<(TaskId, UnmetResult)> = own
        .into_iter()
        .filter_map(|(task, all)| Some((task, receipts::unmet(UnmetCode::HeadRed, &all)?)))
        .collect();
    if red.is_empty() {
        return Ok(false);
    }
    for (id, _) in &red {
        let task = tasks::get(&mut platform.store.begin_read().await?, *id).await?;
        let branch = RefName::branch(&task.branch)?;
        let before = mirror.read_ref(&branch).await?;
        if before.as_ref() != Some(head) {
            mirror
                .update_ref_cas(&branch, head, before.as_ref(), CrashPoint::RefMoved)
                .await?;
        }
    }
    let mut tx = platform.store.begin_write().await?;
    if !end_run(&mut tx, attempt, RunEnding::Done).await? {
        return Ok(true);
    }
    for (id, unmet) in red {
        let mut task = tasks::get(&mut tx, id).await?;
        if task.status == TaskStatus::Completed {
            info!(spec.id = %spec.id, task.id = %id, "Sending back TSK-{:03}: red at the head", task.number);
            reopen(&mut tx, &mut task, head, unmet).await?;
        }
    }
    tx.commit(CrashPoint::SpecMoved).await?;
    Ok(true)
}

async fn reopen(
    tx: &mut Tx,
    task: &mut Task,
    head: &ObjectId,
    unmet: UnmetResult,
) -> Result<(), StoreError> {
    let reason = Some(unmet.feedback.lines().next().unwrap_or_default().to_owned());
    merges::reopen_landed(tx, task, reason).await?;
    // From here on its own work is what stands on top of the head.
    task.base_sha = Some(head.as_str().to_owned());
    let mut ticket = tickets::get(tx, task.ticket_id).await?;
    if matches!(
        ticket.status,
        TicketStatus::Done | TicketStatus::BuildingDone
    ) {
        tickets::transition(tx, &mut ticket, TicketStatus::Building).await?;
    }
    send_back(tx, task, unmet).await
}
