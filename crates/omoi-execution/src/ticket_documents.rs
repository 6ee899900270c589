//! Documents that read-only runs hand in for a ticket: kept with it, judged by its gate, and read by whoever works on it next.

use omoi_domain::lifecycle::ticket::{
    DocumentPlace, document_place, step_after_document, step_into_documents,
};
use omoi_domain::phase::Phase;
use omoi_domain::task::TicketPhase;
use omoi_domain::ticket_context::{SUMMARY_CHARS_MAX, TaskContext, summarize_tasks};
use omoi_domain::workflow::ArtifactType;
use omoi_store::phase_artifacts::{self, GivenArtifact};
use omoi_store::ticket_contexts::{self, TicketContext};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Json, StoreError, Tx};

use crate::tickets::{place_of, take_judged_step};

/// Keeps the document that planning phase `phase` made about `ticket`, which is locked, and brings the ticket to the phase that
/// reads it: from the requirements to the design. Out of the design it goes with its task.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep_document(
    tx: &mut Tx,
    ticket: &mut Ticket,
    phase: Phase,
    text: String,
) -> Result<(), StoreError> {
    let Some(place) = document_place(phase) else {
        return Ok(());
    };
    let given = GivenArtifact::Document(text);
    phase_artifacts::give_artifact(tx, ticket, place.artifact_type, given).await?;
    keep_context(tx, ticket, place.ticket_phase, Vec::new()).await?;
    match step_after_document(phase, place_of(ticket)) {
        Some(step) => take_judged_step(tx, ticket, step).await,
        None => Ok(()),
    }
}

/// Brings `ticket`, which is locked, to where its documents are written.
///
/// # Errors
/// When the database cannot be written.
pub async fn begin_documents(tx: &mut Tx, ticket: &mut Ticket) -> Result<(), StoreError> {
    match step_into_documents(place_of(ticket)) {
        Some(step) => take_judged_step(tx, ticket, step).await,
        None => Ok(()),
    }
}

/// A document about a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptDocument {
    /// Where it belongs.
    pub place: DocumentPlace,
    /// The text.
    pub text: String,
}

/// The documents about a ticket that count, what it wants first.
///
/// # Errors
/// When the database cannot be read.
pub async fn documents_of(tx: &mut Tx, ticket: &Ticket) -> Result<Vec<KeptDocument>, StoreError> {
    let given = phase_artifacts::newest_of_ticket(tx, ticket.id).await?;
    let places = [Phase::TicketRequirements, Phase::TicketDesign];
    let places = places.into_iter().filter_map(document_place);
    let documents = places.filter_map(|place| {
        let mut given = given.iter();
        let artifact = given.find(|artifact| artifact.artifact_type == place.artifact_type)?;
        let text = artifact.content.clone()?;
        Some(KeptDocument { place, text })
    });
    Ok(documents.collect())
}

/// Keeps what the work on `ticket`, which is locked, came to in one phase: its tasks, or its document where it has none.
pub(crate) async fn keep_context(
    tx: &mut Tx,
    ticket: &Ticket,
    phase: TicketPhase,
    tasks: Vec<TaskContext>,
) -> Result<TicketContext, StoreError> {
    let mut summary = summarize_tasks(&tasks);
    if tasks.is_empty()
        && let Some(text) = document_of_phase(tx, ticket, phase).await?
    {
        summary = text.chars().take(SUMMARY_CHARS_MAX).collect();
    }
    let context = TicketContext {
        ticket_id: ticket.id,
        phase_id: phase,
        org_id: tx.org(),
        summary,
        tasks: Json(tasks),
        actor: tx.current_actor(),
        updated_at: tx.now(),
    };
    ticket_contexts::replace(tx, &context).await?;
    tickets::tell_updated(tx, ticket);
    Ok(context)
}

async fn document_of_phase(
    tx: &mut Tx,
    ticket: &Ticket,
    phase: TicketPhase,
) -> Result<Option<String>, StoreError> {
    let wanted = match phase {
        TicketPhase::Requirements => ArtifactType::RequirementsDocument,
        TicketPhase::Design => ArtifactType::DesignDocument,
        TicketPhase::Implementation | TicketPhase::Testing | TicketPhase::Deployment => {
            return Ok(None);
        }
    };
    let documents = documents_of(tx, ticket).await?.into_iter();
    let mut found = documents.filter(|document| document.place.artifact_type == wanted);
    Ok(found.next().map(|document| document.text))
}
