//! Has the gate of a ticket's phase looked at, and gives it what it asks for.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::TicketId;
use omoi_domain::lifecycle::ticket::judge_present_phase;
use omoi_domain::workflow::{ArtifactType, PhaseId};
use omoi_store::Tenant;
use omoi_store::phase_artifacts::{self, GivenArtifact, PhaseArtifact};
use omoi_store::phase_gate_results::{self, GateResult};

use super::TicketCommandError;
use super::change_ticket::ticket_to_change;
use crate::phase_gates::{GateRows, next_phase_of};

/// Bytes of a document that is given for a gate.
pub const ARTIFACT_BYTES_MAX: usize = 256 << 10;
/// Artifacts that are given for one ticket at most.
const ARTIFACTS_MAX: u32 = 200;

/// Has the gate of a ticket's phase say whether the ticket could leave it, and keeps that. The ticket stays where it is.
///
/// # Errors
/// As of a ticket that there is not.
pub async fn validate_gate(
    tenant: &Tenant,
    id: TicketId,
) -> Result<GateResult, TicketCommandError> {
    let judged = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let ticket = ticket_to_change(tx, id, None).await?;
        let rows = GateRows::read_rows(tx, &ticket).await?;
        let next = next_phase_of(tx, &ticket).await?.unwrap_or(PhaseId::Done);
        let verdict = judge_present_phase(&rows.facts_of(&ticket), next);
        let result = phase_gate_results::keep_verdict(tx, &ticket, verdict).await?;
        Ok::<_, TicketCommandError>(result)
    });
    judged.await
}

/// Gives the gate of a ticket's phase a document, or a share that was measured.
///
/// # Errors
/// [`TicketCommandError::NotGiven`] for what the platform alone may show, [`TicketCommandError::BadArtifact`] for what is no
/// such thing.
pub async fn give_artifact(
    tenant: &Tenant,
    id: TicketId,
    artifact_type: ArtifactType,
    given: GivenArtifact,
) -> Result<PhaseArtifact, TicketCommandError> {
    check_artifact(artifact_type, &given)?;
    let kept = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let ticket = ticket_to_change(tx, id, None).await?;
        if phase_artifacts::count_of_ticket(tx, id).await? >= ARTIFACTS_MAX {
            return Err(TicketCommandError::ManyArtifacts(ARTIFACTS_MAX));
        }
        let artifact = phase_artifacts::give_artifact(tx, &ticket, artifact_type, given);
        Ok::<_, TicketCommandError>(artifact.await?)
    });
    kept.await
}

fn check_artifact(
    artifact_type: ArtifactType,
    given: &GivenArtifact,
) -> Result<(), TicketCommandError> {
    if !artifact_type.is_given() {
        return Err(TicketCommandError::NotGiven(artifact_type));
    }
    let is_share = artifact_type == ArtifactType::TestCoverage;
    let is_sound = match given {
        GivenArtifact::Document(text) => {
            !is_share && !text.trim().is_empty() && text.len() <= ARTIFACT_BYTES_MAX
        }
        GivenArtifact::Coverage(percent) => is_share && *percent <= 100,
    };
    match is_sound {
        true => Ok(()),
        false => Err(TicketCommandError::BadArtifact(artifact_type)),
    }
}
