//! Looks for tickets of which nothing goes on, and holds them up with what is the matter.

use std::collections::{BTreeMap, BTreeSet};

use tracing::info;

use omoi_domain::approval::ApprovalState;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, ProjectId, TaskId, TicketId};
use omoi_domain::lifecycle::ticket::{STALL_TIME, StallFacts, StallTask, judge_stall};
use omoi_domain::task::TaskStatus;
use omoi_domain::ticket::TicketBlockReason;
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tenant, Tx, approvals, attempts};

/// What a look for stalled tickets came to.
#[derive(Clone, Debug, Default)]
pub struct StalledTickets {
    /// Tickets that were looked at.
    pub n_examined: usize,
    /// Those that are held up since.
    pub blocked: Vec<Ticket>,
}

/// Holds up every ticket of `projects`, or of all where that is empty, of which nothing has gone on for half an hour
/// although agents work on it. Each goes on once somebody lets it.
///
/// # Errors
/// When the database refuses.
pub async fn detect_blocking(
    tenant: &Tenant,
    projects: &[ProjectId],
) -> Result<StalledTickets, StoreError> {
    let quiet = tenant.read(async |tx| {
        let before = tx.now() - STALL_TIME;
        tickets::list_quiet(tx, before).await
    });
    let mut found = StalledTickets::default();
    for ticket in quiet.await? {
        if !projects.is_empty() && !projects.contains(&ticket.project_id) {
            continue;
        }
        found.n_examined += 1;
        found
            .blocked
            .extend(block_stalled(tenant, ticket.id).await?);
    }
    Ok(found)
}

async fn block_stalled(tenant: &Tenant, id: TicketId) -> Result<Option<Ticket>, StoreError> {
    let block = async |tx: &mut Tx| {
        tickets::hold_ticket(tx, id).await?;
        let mut ticket = tickets::get(tx, id).await?;
        let rows = tasks::of_ticket(tx, id).await?;
        let Some(reason) = stall_of(tx, &ticket, &rows).await? else {
            return Ok(None);
        };
        let detail = explain(reason, &rows);
        tickets::block_ticket(tx, &mut ticket, reason, Some(detail)).await?;
        Ok::<_, StoreError>(Some(ticket))
    };
    let blocked = tenant.write(CrashPoint::TicketChanged, block).await?;
    if let Some(ticket) = &blocked {
        info!(ticket.id = %ticket.id, "{} is stalled", HumanRef::ticket(ticket.number));
    }
    Ok(blocked)
}

async fn stall_of(
    tx: &mut Tx,
    ticket: &Ticket,
    rows: &[Task],
) -> Result<Option<TicketBlockReason>, StoreError> {
    let waiting = match ticket.spec_id {
        Some(spec) => {
            let all = tasks::standing_of_spec(tx, spec).await?;
            let done: BTreeSet<TaskId> = all
                .iter()
                .filter(|task| task.status == TaskStatus::Completed)
                .map(|task| task.id)
                .collect();
            let edges = tasks::dependencies(tx, spec).await?.into_iter();
            let open = edges.filter(|(_, before)| !done.contains(before));
            open.map(|(after, _)| after).collect()
        }
        None => BTreeSet::new(),
    };
    let mut has_live_attempt = false;
    for task in rows {
        let newest = attempts::newest_of_task(tx, task.id).await?;
        has_live_attempt |= newest.is_some_and(|attempt| attempt.state.is_live());
    }
    let stall_tasks = rows.iter().map(|task| StallTask {
        status: task.status,
        block: task.blocked_by,
        is_waiting: waiting.contains(&task.id),
        is_sent_back: task.round > 0,
    });
    let asked = approvals::newest_of_ticket(tx, ticket.id).await?;
    let changed = rows.iter().map(|task| task.updated_at).max();
    let last = changed.map_or(ticket.updated_at, |at| at.max(ticket.updated_at));
    Ok(judge_stall(StallFacts {
        status: ticket.status,
        is_blocked: ticket.is_blocked,
        idle_for: tx.now().since(last),
        has_live_attempt,
        is_asked_about: asked.is_some_and(|asked| asked.state == ApprovalState::Pending),
        tasks: &stall_tasks.collect::<Vec<_>>(),
    }))
}

/// What is the matter, in words: how many tasks stand where, and the first reason that one of them has.
fn explain(reason: TicketBlockReason, rows: &[Task]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for task in rows {
        *counts.entry(task.status.as_str()).or_default() += 1;
    }
    let counts = counts.iter().map(|(status, n)| format!("{n} {status}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let minutes = STALL_TIME.as_secs() / 60;
    let mut text = format!("nothing has gone on for {minutes} minutes; its tasks: {counts}");
    let why = rows.iter().find_map(|task| {
        let told = task
            .blocked_reason
            .as_ref()
            .or(task.error_message.as_ref())?;
        Some(format!("{}: {told}", HumanRef::task(task.number)))
    });
    if let Some(why) = why.filter(|_| reason != TicketBlockReason::WaitingOnClarification) {
        text.push_str("; ");
        text.push_str(&why);
    }
    text
}
