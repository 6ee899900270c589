//! Looks whether a ticket could go to a phase, without moving it.

use omoi_domain::id::TicketId;
use omoi_domain::lifecycle::ticket::TicketTarget;
use omoi_domain::workflow::{ArtifactType, PhaseId};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tenant};

use super::TicketCommandError;
use crate::phase_gates::next_phase_of;
use crate::tickets::{MoveOutlook, look_ahead};

/// Whether a ticket could go to a phase.
#[derive(Clone, Debug)]
pub struct TicketOutlook {
    /// The ticket.
    pub ticket: Ticket,
    /// The phase that was looked at; none where no phase follows its own.
    pub phase: Option<PhaseId>,
    /// What is against it; nothing where it could go.
    pub reasons: Vec<String>,
    /// What the phases on the way show.
    pub artifacts: Vec<ArtifactType>,
}

/// Looks whether a ticket could go to `phase`, or to the one that usually follows its own.
///
/// # Errors
/// [`StoreError::NotFound`], and when the database cannot be read.
pub async fn look_at_move(
    tenant: &Tenant,
    id: TicketId,
    phase: Option<PhaseId>,
) -> Result<TicketOutlook, TicketCommandError> {
    let looked = tenant.read(async |tx| {
        let ticket = tickets::get(tx, id).await?;
        let phase = match phase {
            Some(phase) => Some(phase),
            None => next_phase_of(tx, &ticket).await?,
        };
        let MoveOutlook { reasons, artifacts } = match phase {
            Some(phase) => look_ahead(tx, &ticket, TicketTarget::Phase(phase)).await?,
            None => MoveOutlook {
                reasons: vec![format!("no phase follows {}", ticket.phase_id)],
                artifacts: Vec::new(),
            },
        };
        Ok::<_, StoreError>(TicketOutlook {
            ticket,
            phase,
            reasons,
            artifacts,
        })
    });
    Ok(looked.await?)
}
