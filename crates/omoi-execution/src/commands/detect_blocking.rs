//! Looks for tickets of which nothing goes on, holds them up with what is the matter, and lets those go on again whose cause is
//! gone.

use std::time::Duration;

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, ProjectId, TicketId};
use omoi_domain::lifecycle::ticket::STALL_TIME;
use omoi_domain::task::TaskStatus;
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tenant, Tx};

use crate::stall_rows::{LiveWork, StallRows};
use crate::tasks::cancel;

/// Which tickets are looked at.
#[derive(Clone, Debug)]
pub struct StallSearch {
    /// Those of these projects; of all where it is empty.
    pub projects: Vec<ProjectId>,
    /// For how long whoever looks has watched them: nothing counts as quiet for longer.
    pub watched_for: Duration,
}

/// A ticket that is held up since a look.
#[derive(Clone, Debug)]
pub struct StalledTicket {
    /// The ticket.
    pub ticket: Ticket,
    /// The task that looks for the cause, where it has one.
    pub remedy: Option<Task>,
}

/// What a look for stalled tickets came to.
#[derive(Clone, Debug, Default)]
pub struct StalledTickets {
    /// Tickets that were looked at.
    pub n_examined: usize,
    /// Those that are held up since.
    pub blocked: Vec<StalledTicket>,
    /// Those that go on since.
    pub released: Vec<Ticket>,
}

/// Holds up every ticket of which nothing has gone on for half an hour although agents work on it, each with a task that looks
/// for the cause. Those that were held up so go on once the cause is gone, or somebody lets them. Writes nothing where there is
/// neither.
///
/// # Errors
/// When the database refuses.
pub async fn detect_blocking(
    tenant: &Tenant,
    search: &StallSearch,
) -> Result<StalledTickets, StoreError> {
    let is_asked_for = |ticket: &Ticket| {
        search.projects.is_empty() || search.projects.contains(&ticket.project_id)
    };
    let looked = tenant.read(async |tx| {
        let before = tx.now() - STALL_TIME;
        let (mut found, mut stalled, mut over) = (0, Vec::new(), Vec::new());
        let mut live = LiveWork::read_attempts(tx).await?;
        for ticket in tickets::list_stalled(tx).await? {
            let rows = StallRows::read_rows(tx, &mut live, &ticket).await?;
            let is_over = ticket
                .stalled_at
                .is_some_and(|at| rows.is_over(&ticket, at));
            if is_over && is_asked_for(&ticket) {
                over.push(ticket.id);
            }
        }
        for ticket in tickets::list_quiet(tx, before).await? {
            if !is_asked_for(&ticket) {
                continue;
            }
            found += 1;
            let rows = StallRows::read_rows(tx, &mut live, &ticket).await?;
            if rows
                .find_stall(&ticket, tx.now(), search.watched_for)
                .is_some()
            {
                stalled.push(ticket.id);
            }
        }
        Ok::<_, StoreError>((found, stalled, over))
    });
    let (n_examined, stalled, over) = looked.await?;
    let mut found = StalledTickets {
        n_examined,
        ..StalledTickets::default()
    };
    for id in over {
        found.released.extend(release_stalled(tenant, id).await?);
    }
    for id in stalled {
        let blocked = block_stalled(tenant, id, search.watched_for).await?;
        found.blocked.extend(blocked);
    }
    Ok(found)
}

/// The ticket with its tasks locked before it, as everybody locks them.
async fn held_with_tasks(tx: &mut Tx, id: TicketId) -> Result<Ticket, StoreError> {
    if let Some(spec) = tickets::get(tx, id).await?.spec_id {
        tasks::hold_of_spec(tx, spec).await?;
    }
    tickets::hold_ticket(tx, id).await?;
    tickets::get(tx, id).await
}

async fn block_stalled(
    tenant: &Tenant,
    id: TicketId,
    watched_for: Duration,
) -> Result<Option<StalledTicket>, StoreError> {
    let block = async |tx: &mut Tx| {
        let mut ticket = held_with_tasks(tx, id).await?;
        let mut live = LiveWork::read_attempts(tx).await?;
        let rows = StallRows::read_rows(tx, &mut live, &ticket).await?;
        let Some(reason) = rows.find_stall(&ticket, tx.now(), watched_for) else {
            return Ok(None);
        };
        let added = rows.add_remedy(tx, &ticket, reason).await?;
        if let Some(task) = &added {
            ticket.remedy_task_id = Some(task.id);
        }
        let remedy = added.or(rows.remedy.clone());
        let mut detail = rows.explain_stall(reason);
        if let Some(task) = &remedy {
            let (name, status) = (HumanRef::task(task.number), task.status);
            detail.push_str(&match (status.is_final(), status) {
                (true, _) => format!("; {name}, which looked for the cause, is {status}"),
                (false, TaskStatus::Blocked) => {
                    format!("; {name}, which is to look for the cause, waits for a person")
                }
                (false, _) => format!("; {name} looks for the cause"),
            });
        }
        tickets::hold_up_stalled(tx, &mut ticket, reason, detail).await?;
        Ok::<_, StoreError>(Some(StalledTicket { ticket, remedy }))
    };
    let blocked = tenant.write(CrashPoint::TicketChanged, block).await?;
    if let Some(StalledTicket { ticket, .. }) = &blocked {
        info!(ticket.id = %ticket.id, "{} is stalled", HumanRef::ticket(ticket.number));
    }
    Ok(blocked)
}

/// Lets a stalled ticket go on; a remedy that nobody has begun is not needed any more.
async fn release_stalled(tenant: &Tenant, id: TicketId) -> Result<Option<Ticket>, StoreError> {
    let release = async |tx: &mut Tx| {
        let mut ticket = held_with_tasks(tx, id).await?;
        let Some(since) = ticket.stalled_at else {
            return Ok(None);
        };
        let mut live = LiveWork::read_attempts(tx).await?;
        let rows = StallRows::read_rows(tx, &mut live, &ticket).await?;
        if !rows.is_over(&ticket, since) {
            return Ok(None);
        }
        tickets::unblock_ticket(tx, &mut ticket).await?;
        let is_unbegun = |task: &Task| {
            let waits = matches!(task.status, TaskStatus::Pending | TaskStatus::Blocked);
            waits && task.attempt_id.is_none()
        };
        if let Some(mut remedy) = rows.remedy.filter(is_unbegun) {
            cancel(tx, &mut remedy, "its ticket goes on without it").await?;
        }
        Ok::<_, StoreError>(Some(ticket))
    };
    let released = tenant.write(CrashPoint::TicketChanged, release).await?;
    if let Some(ticket) = &released {
        info!(ticket.id = %ticket.id, "{} goes on", HumanRef::ticket(ticket.number));
    }
    Ok(released)
}

/// Whether any ticket is or may become stalled.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn has_tickets_at_work(tenant: &Tenant) -> Result<bool, StoreError> {
    tenant
        .read(async |tx| tickets::is_any_at_work(tx).await)
        .await
}
