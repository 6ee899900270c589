//! What people and programs gave for the gates of tickets.

use omoi_domain::actor::Actor;
use omoi_domain::id::{OrgId, PhaseArtifactId, ProjectId, TicketId};
use omoi_domain::time::Timestamp;
use omoi_domain::workflow::{ArtifactType, PhaseId};

use crate::args;
use crate::column::Column as _;
use crate::error::StoreError;
use crate::row::row;
use crate::tickets::Ticket;
use crate::tx::Tx;

row! {
    /// Something that a phase of a ticket shows.
    PhaseArtifact in "phase_artifacts" as "artifact" {
        /// Its id.
        id: PhaseArtifactId,
        /// Its organisation.
        org_id: OrgId,
        /// The project of the ticket.
        project_id: ProjectId,
        /// The ticket.
        ticket_id: TicketId,
        /// The phase that the ticket was in.
        phase_id: PhaseId,
        /// What it is.
        artifact_type: ArtifactType,
        /// Its number among those of the ticket.
        n: i64,
        /// Its text, where it is a document.
        content: Option<String>,
        /// Its hundredths, where it is a share.
        percent: Option<u32>,
        /// Who gave it.
        actor: Actor,
        /// When.
        created_at: Timestamp,
    }
}

/// What is given, by its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenArtifact {
    /// A text.
    Document(String),
    /// Hundredths of the code.
    Coverage(u32),
}

/// Keeps what whoever acts gives for a gate of `ticket`, which is held; what was given before of the same type stays, and counts no more.
///
/// # Errors
/// When the database cannot be written.
pub async fn give_artifact(
    tx: &mut Tx,
    ticket: &Ticket,
    artifact_type: ArtifactType,
    given: GivenArtifact,
) -> Result<PhaseArtifact, StoreError> {
    let (content, percent) = match given {
        GivenArtifact::Document(text) => (Some(text), None),
        GivenArtifact::Coverage(percent) => (None, Some(percent)),
    };
    let n_before = count_of_ticket(tx, ticket.id).await?;
    let artifact = PhaseArtifact {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: ticket.project_id,
        ticket_id: ticket.id,
        phase_id: ticket.phase_id,
        artifact_type,
        n: i64::from(n_before) + 1,
        content,
        percent,
        actor: tx.current_actor(),
        created_at: tx.now(),
    };
    tx.insert(&artifact).await?;
    Ok(artifact)
}

/// How many were given for a ticket.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_of_ticket(tx: &mut Tx, ticket: TicketId) -> Result<u32, StoreError> {
    let rows = tx
        .rows(
            "select count(*) as n from phase_artifacts where org_id = $1 and ticket_id = $2",
            args![ticket],
        )
        .await?;
    rows.first().map_or(Ok(0), |row| u32::read(row, "n"))
}

/// What counts of what was given for a ticket: of each type the newest.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest_of_ticket(
    tx: &mut Tx,
    ticket: TicketId,
) -> Result<Vec<PhaseArtifact>, StoreError> {
    tx.all(
        "ticket_id = $2 and not exists (select 1 from phase_artifacts later
             where later.ticket_id = phase_artifacts.ticket_id
             and later.artifact_type = phase_artifacts.artifact_type
             and later.n > phase_artifacts.n)
         order by artifact_type",
        args![ticket],
    )
    .await
}
