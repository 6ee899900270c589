//! What shows that a delivered spec is deployed: a command of its project, run on what was handed over.

use std::collections::BTreeMap;

use omoi_domain::check::CheckKind;
use omoi_domain::id::{CheckId, SpecId};
use omoi_domain::ticket::{TicketBlockReason, TicketStatus};
use omoi_store::checks::{self, Check};
use omoi_store::specs::Spec;
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Json, StoreError, Tx, checked_work, tasks};

use crate::phase_gates::deploy_check_of;
use crate::tickets::close_deployed;

/// Tickets that wait for the deployment of one spec, locked until the commit.
pub struct DeployingTickets {
    /// The tickets, by their ids.
    pub tickets: Vec<Ticket>,
    /// The command that shows it; none where their project names none any more.
    pub command: Option<String>,
    /// Whether that passed already on what was handed over.
    pub is_deployed: bool,
}

/// The tickets that wait for the deployment of `spec`.
///
/// # Errors
/// When the database cannot be read.
pub async fn hold_deploying(tx: &mut Tx, spec: SpecId) -> Result<DeployingTickets, StoreError> {
    let mut held = Vec::new();
    for ticket in tickets::list_deploying(tx).await? {
        if ticket.follows_spec_id.or(ticket.spec_id) == Some(spec) {
            tasks::hold_around_ticket(tx, ticket.id).await?;
            tickets::hold_ticket(tx, ticket.id).await?;
            held.push(tickets::get(tx, ticket.id).await?);
        }
    }
    held.retain(|ticket| ticket.status == TicketStatus::Deploying && !ticket.is_blocked);
    let mut command = None;
    for ticket in &held {
        command = command.or(deploy_check_of(tx, ticket).await?);
    }
    let is_deployed = match &command {
        Some(command) => checked_work::of_deployment(tx, spec, command)
            .await?
            .is_some_and(|receipt| receipt.passed),
        None => false,
    };
    Ok(DeployingTickets {
        tickets: held,
        command,
        is_deployed,
    })
}

/// The check of `spec` that runs `command`, written where there is none.
///
/// # Errors
/// When the database cannot be written.
pub async fn ensure_deploy_check(
    tx: &mut Tx,
    spec: &Spec,
    command: &str,
    timeout_s: u64,
) -> Result<Check, StoreError> {
    if let Some(check) = checks::deploy_of_spec(tx, spec.id, command).await? {
        return Ok(check);
    }
    let check = Check {
        id: tx.new_id::<CheckId>(),
        org_id: tx.org(),
        spec_id: spec.id,
        task_id: None,
        ordinal: 0,
        kind: CheckKind::Regression,
        command: command.to_owned(),
        files: Json(BTreeMap::new()),
        timeout_s: i64::try_from(timeout_s).unwrap_or(i64::MAX),
        base_exit: None,
        is_deploy: true,
    };
    checks::insert(tx, &check, &[]).await?;
    Ok(check)
}

/// Closes the tickets that wait for the deployment of `spec` where it is shown, and asks people where it is shown not to be.
///
/// # Errors
/// When the database cannot be written.
pub async fn settle_deploying(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    for mut ticket in hold_deploying(tx, spec).await?.tickets {
        close_deployed(tx, &mut ticket).await?;
    }
    Ok(())
}

/// Holds the tickets up that wait for a deployment whose check could not be run.
///
/// # Errors
/// When the database cannot be written.
pub async fn stop_deploying(
    tx: &mut Tx,
    waiting: DeployingTickets,
    why: &str,
) -> Result<(), StoreError> {
    for mut ticket in waiting.tickets {
        let detail = format!("the deploy check could not be run: {why}");
        let reason = TicketBlockReason::Environment;
        tickets::block_ticket(tx, &mut ticket, reason, Some(detail)).await?;
    }
    Ok(())
}
