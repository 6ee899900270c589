//! Changes, moves, holds up and links tickets for a person.

use serde_json::json;

use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, TicketId};
use omoi_domain::lifecycle::ticket::{TicketMoveRefusal, TicketTarget};
use omoi_domain::plain_title::given_title;
use omoi_domain::spec::SpecKind;
use omoi_domain::ticket::{TicketBlockReason, TicketStatus};
use omoi_domain::ticket_text::{given_commands, given_labels};
use omoi_store::tickets::{self, Ticket, TicketEdit};
use omoi_store::{StoreError, Tenant, Tx, projects, specs, tasks};

use super::TicketCommandError;
use super::change_dependencies::EdgeRows;
use super::create_ticket::{check_description, expect_member};
use crate::phase_gates::{next_phase_of, withdraw_gate};
use crate::tickets::{PersonMove, expect_room, keep_refused_move, move_for_person};

/// What a person wants of a ticket.
#[derive(Clone, Debug, Default)]
pub struct TicketWish {
    /// What of it is to be another.
    pub edit: TicketEdit,
    /// The status it is to be in, one move away.
    pub status: Option<TicketStatus>,
    /// The versions that this is meant for; none where every one is.
    pub versions: Option<Vec<i64>>,
}

/// A move that a person wants of a ticket.
#[derive(Clone, Debug)]
pub struct TicketMoveWish {
    /// Where it is to be.
    pub target: TicketTarget,
    /// Whether its gates are passed by.
    pub is_forced: bool,
    /// Why; needed where they are.
    pub reason: Option<String>,
    /// The versions that this is meant for; none where every one is.
    pub versions: Option<Vec<i64>>,
}

/// Reads a ticket to change it: nobody else does meanwhile. Its tasks and those that wait for it are locked first.
pub(super) async fn ticket_to_change(
    tx: &mut Tx,
    id: TicketId,
    versions: Option<&[i64]>,
) -> Result<Ticket, TicketCommandError> {
    tasks::hold_around_ticket(tx, id).await?;
    tickets::hold_ticket(tx, id).await?;
    let ticket = tickets::get(tx, id).await?;
    match versions.is_none_or(|meant| meant.contains(&ticket.state_version)) {
        true => Ok(ticket),
        false => Err(TicketCommandError::StaleTicket(Box::new(ticket))),
    }
}

/// Changes what a ticket says, and moves it where it is to be in another status.
///
/// # Errors
/// [`TicketCommandError::StaleTicket`], [`TicketCommandError::Refused`], and as of a text or a person that cannot be taken.
pub async fn update_ticket(
    tenant: &Tenant,
    id: TicketId,
    mut wish: TicketWish,
) -> Result<Ticket, TicketCommandError> {
    let edit = &mut wish.edit;
    if let Some(title) = &mut edit.title {
        *title = given_title(title)?;
    }
    if let Some(labels) = &mut edit.labels {
        *labels = given_labels(labels)?;
    }
    if let Some(commands) = &mut edit.check_commands {
        *commands = given_commands(commands)?;
    }
    edit.description
        .as_deref()
        .map_or(Ok(()), check_description)?;
    let has_edit = edit.title.is_some()
        || edit.description.is_some()
        || edit.priority.is_some()
        || edit.labels.is_some()
        || edit.assignee_id.is_some()
        || edit.check_commands.is_some()
        || edit.workflow_mode.is_some();
    let updated = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let mut ticket = ticket_to_change(tx, id, wish.versions.as_deref()).await?;
        expect_member(tx, wish.edit.assignee_id.flatten()).await?;
        let has_spec = ticket.spec_id.is_some() || ticket.follows_spec_id.is_some();
        if wish.edit.workflow_mode.is_some() && has_spec {
            return Err(TicketCommandError::Begun);
        }
        if wish.edit.check_commands.is_some() {
            expect_own_checks(tx, &ticket).await?;
        }
        if has_edit {
            tickets::edit_ticket(tx, &mut ticket, wish.edit).await?;
        }
        if let Some(status) = wish.status {
            let wanted = PersonMove {
                target: TicketTarget::Status(status),
                is_forced: false,
                reason: None,
            };
            move_for_person(tx, &mut ticket, wanted).await?;
        }
        Ok(ticket)
    });
    keep_gate_refusal(tenant, id, updated.await).await
}

/// Gives `moved`. What a gate refused is kept in a transaction of its own, as nothing of the move is written.
pub(super) async fn keep_gate_refusal<T>(
    tenant: &Tenant,
    id: TicketId,
    moved: Result<T, TicketCommandError>,
) -> Result<T, TicketCommandError> {
    if let Err(TicketCommandError::Refused(TicketMoveRefusal::GateNotMet(verdict))) = &moved {
        let kept = tenant.write(CrashPoint::TicketChanged, async |tx| {
            let mut ticket = ticket_to_change(tx, id, None).await?;
            keep_refused_move(tx, &mut ticket, verdict.clone()).await?;
            Ok::<_, TicketCommandError>(())
        });
        kept.await?;
    }
    moved
}

/// Refuses a ticket whose work is judged already, or by the checks of a plan.
async fn expect_own_checks(tx: &mut Tx, ticket: &Ticket) -> Result<(), TicketCommandError> {
    let Some(id) = ticket.spec_id else {
        return Ok(());
    };
    let is_direct = specs::get(tx, id).await?.kind == SpecKind::Direct;
    match is_direct && specs::working_since(tx, id).await?.is_none() {
        true => Ok(()),
        false => Err(TicketCommandError::ChecksStand),
    }
}

/// Moves a ticket.
///
/// # Errors
/// [`TicketCommandError::Refused`], [`TicketCommandError::NoReason`], [`TicketCommandError::StaleTicket`].
pub async fn move_ticket(
    tenant: &Tenant,
    id: TicketId,
    wish: &TicketMoveWish,
) -> Result<Ticket, TicketCommandError> {
    let reason = given_reason(wish.reason.as_deref(), wish.is_forced)?;
    let moved = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let mut ticket = ticket_to_change(tx, id, wish.versions.as_deref()).await?;
        let wanted = PersonMove {
            target: wish.target,
            is_forced: wish.is_forced,
            reason,
        };
        move_for_person(tx, &mut ticket, wanted).await?;
        if wish.is_forced {
            tell_forced(tx, &ticket, reason);
        }
        Ok(ticket)
    });
    keep_gate_refusal(tenant, id, moved.await).await
}

/// Moves a ticket to the phase that usually follows its own.
///
/// # Errors
/// [`TicketCommandError::Refused`], [`TicketCommandError::NothingFollows`].
pub async fn progress_ticket(tenant: &Tenant, id: TicketId) -> Result<Ticket, TicketCommandError> {
    let moved = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let mut ticket = ticket_to_change(tx, id, None).await?;
        let Some(next) = next_phase_of(tx, &ticket).await? else {
            return Err(TicketCommandError::NothingFollows(ticket.phase_id));
        };
        let wanted = PersonMove {
            target: TicketTarget::Phase(next),
            is_forced: false,
            reason: None,
        };
        move_for_person(tx, &mut ticket, wanted).await?;
        Ok(ticket)
    });
    keep_gate_refusal(tenant, id, moved.await).await
}

/// Has the audit log tell that a ticket was moved past what would have held it.
pub(super) fn tell_forced(tx: &mut Tx, ticket: &Ticket, reason: Option<&str>) {
    let told = AuditAct::done_to(AuditAction::TicketForced, ticket.id);
    let told = told.with_after(json!({ "status": ticket.status, "phase_id": ticket.phase_id }));
    tx.record_act(told.with_reason(reason.unwrap_or_default()));
}

/// What is said of a move; what is forced says why.
pub(super) fn given_reason(
    reason: Option<&str>,
    is_forced: bool,
) -> Result<Option<&str>, TicketCommandError> {
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    reason.map_or(Ok(()), check_description)?;
    match is_forced && reason.is_none() {
        true => Err(TicketCommandError::NoReason),
        false => Ok(reason),
    }
}

/// Holds a ticket up: nothing of it starts until it goes on.
///
/// # Errors
/// As of a text that is too long.
pub async fn block_ticket(
    tenant: &Tenant,
    id: TicketId,
    reason: TicketBlockReason,
    detail: Option<&str>,
) -> Result<Ticket, TicketCommandError> {
    let detail = given_reason(detail, false)?;
    let blocked = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let mut ticket = ticket_to_change(tx, id, None).await?;
        let detail = detail.map(ToOwned::to_owned);
        tickets::block_ticket(tx, &mut ticket, reason, detail).await?;
        Ok(ticket)
    });
    blocked.await
}

/// Lets a ticket go on; nothing changes where nothing holds it up.
///
/// # Errors
/// [`TicketCommandError::Full`] where the column that it comes back to is full.
pub async fn unblock_ticket(tenant: &Tenant, id: TicketId) -> Result<Ticket, TicketCommandError> {
    let unblocked = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let mut ticket = ticket_to_change(tx, id, None).await?;
        if ticket.is_blocked {
            let phase = ticket.phase_id;
            expect_room(tx, &ticket, phase).await?;
            withdraw_gate(tx, id).await?;
            tickets::unblock_ticket(tx, &mut ticket).await?;
        }
        Ok(ticket)
    });
    unblocked.await
}

/// Makes a ticket wait for another one of its project.
///
/// # Errors
/// [`TicketCommandError::Circular`] with the chain that the edge would close, [`TicketCommandError::OtherProject`].
pub async fn add_ticket_dependency(
    tenant: &Tenant,
    id: TicketId,
    depends_on: TicketId,
) -> Result<Ticket, TicketCommandError> {
    let linked = tenant.write(CrashPoint::TicketChanged, async |tx| {
        tasks::hold_around_ticket(tx, id).await?;
        tickets::hold_ticket(tx, id.min(depends_on)).await?;
        tickets::hold_ticket(tx, id.max(depends_on)).await?;
        let ticket = tickets::get(tx, id).await?;
        let prerequisite = tickets::get(tx, depends_on).await?;
        if prerequisite.project_id != ticket.project_id {
            let number = HumanRef::ticket(prerequisite.number);
            return Err(TicketCommandError::OtherProject(number));
        }
        // Two halves of one cycle are not added at once.
        projects::hold(tx, ticket.project_id).await?;
        refuse_cycle(tx, &ticket, &prerequisite).await?;
        tickets::add_dependency(tx, &ticket, depends_on).await?;
        Ok(ticket)
    });
    linked.await
}

async fn refuse_cycle(
    tx: &mut Tx,
    ticket: &Ticket,
    prerequisite: &Ticket,
) -> Result<(), TicketCommandError> {
    let rows = EdgeRows::of_project(tx, ticket.project_id).await?;
    let cycle = rows.edge_facts().ticket_cycle(ticket.id, prerequisite.id);
    let Some(ids) = cycle else {
        return Ok(());
    };
    let mut cycle = Vec::with_capacity(ids.len());
    for id in ids {
        cycle.push(HumanRef::ticket(tickets::get(tx, id).await?.number));
    }
    Err(TicketCommandError::Circular(cycle))
}

/// Makes a ticket wait for another one no more.
///
/// # Errors
/// [`StoreError::NotFound`] where it does not.
pub async fn remove_ticket_dependency(
    tenant: &Tenant,
    id: TicketId,
    depends_on: TicketId,
) -> Result<Ticket, TicketCommandError> {
    let unlinked = tenant.write(CrashPoint::TicketChanged, async |tx| {
        tasks::hold_around_ticket(tx, id).await?;
        let ticket = tickets::get(tx, id).await?;
        match tickets::remove_dependency(tx, &ticket, depends_on).await? {
            true => Ok(ticket),
            false => Err(TicketCommandError::Store(StoreError::NotFound {
                what: "dependency",
                key: depends_on.to_string(),
            })),
        }
    });
    unlinked.await
}
