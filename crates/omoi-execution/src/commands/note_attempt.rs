//! Notes of an attempt what people and programs say of it.

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::AttemptId;
use omoi_domain::ticket_text::{BadLabels, given_labels};
use omoi_store::attempt_notes::{self, AttemptNote};
use omoi_store::attempts::{self, Attempt};
use omoi_store::{Json, StoreError, Tenant, Tx, specs};

/// Characters of the id of a conversation.
pub const CONVERSATION_CHARS_MAX: usize = 200;

/// Why nothing is noted of an attempt.
#[derive(Debug, thiserror::Error)]
pub enum AttemptNoteError {
    /// Tags that it cannot have.
    #[error(transparent)]
    Tags(#[from] BadLabels),
    /// An id of a conversation that is none.
    #[error(
        "the id of a conversation has 1 to {CONVERSATION_CHARS_MAX} characters, none of them a control character"
    )]
    Conversation,
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

/// Gives an attempt other tags.
///
/// # Errors
/// [`AttemptNoteError::Tags`]; [`StoreError::NotFound`].
pub async fn tag_attempt(
    tenant: &Tenant,
    attempt: AttemptId,
    tags: &[String],
) -> Result<Attempt, AttemptNoteError> {
    let tags = given_labels(tags)?;
    note(tenant, attempt, |note| note.tags = Json(tags)).await
}

/// Notes which conversation the program of an attempt has.
///
/// # Errors
/// [`AttemptNoteError::Conversation`]; [`StoreError::NotFound`].
pub async fn register_conversation(
    tenant: &Tenant,
    attempt: AttemptId,
    conversation_id: &str,
) -> Result<Attempt, AttemptNoteError> {
    let n_chars = conversation_id.chars().count();
    let is_plain = !conversation_id.chars().any(char::is_control);
    if !(is_plain && (1..=CONVERSATION_CHARS_MAX).contains(&n_chars)) {
        return Err(AttemptNoteError::Conversation);
    }
    let id = conversation_id.to_owned();
    note(tenant, attempt, |note| note.conversation_id = Some(id)).await
}

async fn note(
    tenant: &Tenant,
    id: AttemptId,
    change: impl FnOnce(&mut AttemptNote),
) -> Result<Attempt, AttemptNoteError> {
    let write = async |tx: &mut Tx| {
        let attempt = attempts::get(tx, id).await?;
        // Of two who note something one comes after the other.
        specs::hold_spec(tx, attempt.spec_id).await?;
        let mut note = attempt_notes::of_attempt(tx, id).await?;
        change(&mut note);
        attempt_notes::replace(tx, &note).await?;
        Ok::<_, StoreError>(attempt)
    };
    Ok(tenant.write(CrashPoint::TicketChanged, write).await?)
}
