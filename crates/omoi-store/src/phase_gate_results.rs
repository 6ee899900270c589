//! What gates said when somebody tried to bring a ticket to another phase.

use std::collections::BTreeMap;

use omoi_domain::actor::Actor;
use omoi_domain::id::{GateResultId, OrgId, ProjectId, TicketId};
use omoi_domain::lifecycle::ticket::{GateReceipt, GateVerdict};
use omoi_domain::time::Timestamp;
use omoi_domain::workflow::{ArtifactType, GateStatus, PhaseId};

use crate::args;
use crate::column::{Args, Column as _, Json};
use crate::error::StoreError;
use crate::row::{Row as _, row};
use crate::tickets::Ticket;
use crate::tx::Tx;

/// Tickets of one statement.
const ASKED_MAX: usize = 200;

row! {
    /// What the gate of a phase said.
    GateResult in "phase_gate_results" as "gate result" {
        /// Its id.
        id: GateResultId,
        /// Its organisation.
        org_id: OrgId,
        /// The project of the ticket.
        project_id: ProjectId,
        /// The ticket.
        ticket_id: TicketId,
        /// The phase that was to be left.
        phase_id: PhaseId,
        /// Where it was to be left for.
        to_phase: PhaseId,
        /// Its number among those of the ticket: several are of one transaction, and of one time.
        n: i64,
        /// Whether it might be.
        gate_status: GateStatus,
        /// What was missing.
        blocking_reasons: Json<Vec<String>>,
        /// What the phase showed.
        artifacts: Json<Vec<ArtifactType>>,
        /// The receipts among that.
        receipts: Json<Vec<GateReceipt>>,
        /// Who tried.
        actor: Actor,
        /// When.
        created_at: Timestamp,
    }
}

/// Keeps what a gate says of `ticket`, which is held.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep_verdict(
    tx: &mut Tx,
    ticket: &Ticket,
    verdict: GateVerdict,
) -> Result<GateResult, StoreError> {
    let n_before = tx
        .rows(
            "select coalesce(max(n), 0) as n from phase_gate_results where org_id = $1 and ticket_id = $2",
            args![ticket.id],
        )
        .await?;
    let result = GateResult {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: ticket.project_id,
        ticket_id: ticket.id,
        phase_id: verdict.phase,
        to_phase: verdict.to_phase,
        n: n_before.first().map_or(Ok(0), |row| i64::read(row, "n"))? + 1,
        gate_status: verdict.status,
        blocking_reasons: Json(verdict.reasons),
        artifacts: Json(verdict.artifacts),
        receipts: Json(verdict.receipts),
        actor: tx.current_actor(),
        created_at: tx.now(),
    };
    tx.insert(&result).await?;
    Ok(result)
}

/// What gates said of a ticket, newest first, at most `limit`.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_ticket(
    tx: &mut Tx,
    ticket: TicketId,
    limit: u32,
) -> Result<Vec<GateResult>, StoreError> {
    tx.all(
        "ticket_id = $2 order by n desc limit $3",
        args![ticket, limit],
    )
    .await
}

/// What a gate said last of each of `tickets`, where one did.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest_of_tickets(
    tx: &mut Tx,
    tickets: &[TicketId],
) -> Result<BTreeMap<TicketId, GateResult>, StoreError> {
    let mut found = BTreeMap::new();
    for asked in tickets.chunks(ASKED_MAX) {
        let mut args = Args::default();
        asked.iter().try_for_each(|ticket| args.push(ticket))?;
        let marks: Vec<String> = (2..asked.len() + 2).map(|n| format!("${n}")).collect();
        let sql = format!(
            "{} where org_id = $1 and ticket_id in ({}) and not exists (select 1 from phase_gate_results later
                 where later.ticket_id = phase_gate_results.ticket_id
                 and later.n > phase_gate_results.n)",
            GateResult::select(),
            marks.join(", ")
        );
        for row in &tx.built_rows(sql, args).await? {
            let result = GateResult::read(row)?;
            found.insert(result.ticket_id, result);
        }
    }
    Ok(found)
}
