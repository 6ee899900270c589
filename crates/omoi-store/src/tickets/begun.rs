//! Tickets whose work is begun by itself, and those that follow a spec.

use omoi_domain::id::{SpecId, TicketId};
use omoi_domain::time::Timestamp;

use super::{Ticket, get};
use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::tx::Tx;

/// Tickets that are looked at in one pass.
const BEGUN_MAX: u32 = 100;

/// Tickets whose work may begin by itself, oldest first, at most 100: those that nothing holds up, that people let go on and
/// whose prerequisites are done, where project and organisation go on. A rule has the last word on each.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_to_begin(tx: &mut Tx) -> Result<Vec<TicketId>, StoreError> {
    let rows = tx
        .rows(
            "select id from tickets t
             where t.org_id = $1 and t.workflow_mode is not null and t.spec_id is null and t.follows_spec_id is null
                 and t.status in ('backlog', 'analyzing') and t.approval_status = 'approved' and not t.is_blocked
                 and not exists (select 1 from ticket_dependencies d join tickets p on p.id = d.depends_on_id
                     where d.ticket_id = t.id and p.status <> 'done')
                 and exists (select 1 from projects j where j.id = t.project_id and j.status = 'active')
                 and exists (select 1 from organisations o where o.id = $1 and o.archived_at is null)
             order by t.created_at, t.id limit $2",
            args![BEGUN_MAX],
        )
        .await?;
    rows.iter().map(|row| TicketId::read(row, "id")).collect()
}

/// Whether a ticket that `ticket` waits for is not done.
///
/// # Errors
/// When the database cannot be read.
pub async fn has_open_prerequisite(tx: &mut Tx, ticket: TicketId) -> Result<bool, StoreError> {
    let rows = tx
        .rows(
            "select 1 as n from ticket_dependencies d join tickets p on p.id = d.depends_on_id
             where d.org_id = $1 and d.ticket_id = $2 and p.status <> 'done' limit 1",
            args![ticket],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// The ticket that is the plan of a direct spec.
///
/// # Errors
/// [`StoreError::NotFound`] for a spec that is none.
pub async fn of_direct_spec(tx: &mut Tx, spec: SpecId) -> Result<Ticket, StoreError> {
    let rows = tx
        .rows(
            "select id from tickets where org_id = $1 and spec_id = $2 order by number limit 1",
            args![spec],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Err(StoreError::NotFound {
            what: "ticket",
            key: format!("of spec {spec}"),
        });
    };
    get(tx, TicketId::read(row, "id")?).await
}

/// Tickets that follow a spec.
///
/// # Errors
/// When the database cannot be read.
pub async fn following_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Ticket>, StoreError> {
    tx.all("follows_spec_id = $2 order by number", args![spec])
        .await
}

/// Tickets that were looked at together, at most.
const QUIET_MAX: u32 = 1_000;

/// Tickets that are neither in the backlog nor done, that nothing holds up, and that have not changed since `before`, the
/// longest unchanged first, at most 1,000.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_quiet(tx: &mut Tx, before: Timestamp) -> Result<Vec<Ticket>, StoreError> {
    tx.all(
        "status not in ('backlog', 'done') and not is_blocked and updated_at <= $2 order by updated_at, id limit $3",
        args![before, QUIET_MAX],
    )
    .await
}

/// Whether there is a ticket that a look for stalled ones concerns: one that is neither in the backlog nor done, or that the
/// platform holds up.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_any_at_work(tx: &mut Tx) -> Result<bool, StoreError> {
    let rows = tx
        .rows(
            "select 1 as n from tickets
             where org_id = $1 and (status not in ('backlog', 'done') or stalled_at is not null) limit 1",
            args![],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// Tickets that the platform holds up because nothing went on, longest first, at most 1,000.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_stalled(tx: &mut Tx) -> Result<Vec<Ticket>, StoreError> {
    tx.all(
        "stalled_at is not null order by stalled_at, id limit $2",
        args![QUIET_MAX],
    )
    .await
}

/// Tickets that are to be shown to be deployed and that nothing holds up, of specs that were delivered, by their ids.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_deploying(tx: &mut Tx) -> Result<Vec<Ticket>, StoreError> {
    tx.all(
        "status = 'deploying' and not is_blocked and exists (select 1 from specs s
             where s.id = coalesce(tickets.follows_spec_id, tickets.spec_id) and s.status = 'delivered')
         order by id",
        args![],
    )
    .await
}
