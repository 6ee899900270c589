//! Files that people give with tickets.

use sha2::{Digest as _, Sha256};
use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{StoredFileId, TicketId};
use omoi_domain::stored_file::{
    BadFileName, FILE_BYTES_MAX, FILE_CHUNK_BYTES, MediaType, TICKET_FILE_BYTES_MAX,
    TICKET_FILES_MAX, check_file_name,
};
use omoi_store::stored_files::{self, ContentStage, NewTicketFile, StoredFile};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tenant, Tx};

/// Why a file is not taken, or not removed.
#[derive(Debug, thiserror::Error)]
pub enum FileCommandError {
    /// It cannot be called so.
    #[error(transparent)]
    Name(#[from] BadFileName),
    /// It is too large.
    #[error("a file has at most {} MiB", FILE_BYTES_MAX >> 20)]
    TooLarge,
    /// The ticket has as many as it may have.
    #[error("a ticket has at most {TICKET_FILES_MAX} files, of {} MiB together", TICKET_FILE_BYTES_MAX >> 20)]
    TooMany,
    /// The organisation has no room for it.
    #[error("the files of the organisation leave no room for this one")]
    NoRoom,
    /// Somebody else gave it.
    #[error("only whoever gave a file may remove it, and whoever may delete tickets")]
    NotGiver,
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

/// Keeps `content` as a file of a ticket, called `name`.
///
/// # Errors
/// [`FileCommandError`]; what was written of a content by then goes by itself after a while.
pub async fn store_file(
    tenant: &Tenant,
    ticket: TicketId,
    name: &str,
    content: &[u8],
) -> Result<StoredFile, FileCommandError> {
    check_file_name(name)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(FileCommandError::TooLarge);
    }
    let new = NewTicketFile {
        name: name.to_owned(),
        media_type: MediaType::of_content(content),
        file_bytes: i64::try_from(content.len()).unwrap_or(i64::MAX),
        digest: hex::encode(Sha256::digest(content)),
    };
    if begin_content(tenant, ticket, &new).await? == ContentStage::Partial {
        // A piece at a time: nobody else who writes waits for the whole of a large file.
        for (chunk_no, data) in (0..).zip(content.chunks(FILE_CHUNK_BYTES)) {
            add_piece(tenant, new.digest.clone(), chunk_no, data.to_vec()).await?;
        }
    }
    let stored = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let ticket = expect_place(tx, ticket, &new).await?;
        Ok::<_, FileCommandError>(stored_files::add_file(tx, &ticket, new.clone()).await?)
    });
    let file = stored.await?;
    info!(file.id = %file.id, ticket.id = %ticket, bytes = file.file_bytes, "Stored a file");
    Ok(file)
}

async fn add_piece(
    tenant: &Tenant,
    digest: String,
    chunk_no: i64,
    data: Vec<u8>,
) -> Result<(), StoreError> {
    let added = tenant.write(CrashPoint::TicketChanged, async |tx| {
        stored_files::add_chunk(tx, &digest, chunk_no, &data).await
    });
    added.await
}

/// Begins the content of `new`; once more, where somebody else began the same at the same moment.
async fn begin_content(
    tenant: &Tenant,
    ticket: TicketId,
    new: &NewTicketFile,
) -> Result<ContentStage, FileCommandError> {
    let begun = match try_to_begin(tenant, ticket, new.clone()).await {
        Err(FileCommandError::Store(StoreError::Exists { .. })) => {
            try_to_begin(tenant, ticket, new.clone()).await?
        }
        begun => begun?,
    };
    match begun {
        ContentStage::NoRoom => Err(FileCommandError::NoRoom),
        ContentStage::Whole | ContentStage::Partial => Ok(begun),
    }
}

async fn try_to_begin(
    tenant: &Tenant,
    ticket: TicketId,
    new: NewTicketFile,
) -> Result<ContentStage, FileCommandError> {
    let begun = tenant.write(CrashPoint::TicketChanged, async |tx| {
        expect_place(tx, ticket, &new).await?;
        let stage = stored_files::begin_content(tx, &new.digest, new.file_bytes).await?;
        Ok::<_, FileCommandError>(stage)
    });
    begun.await
}

/// The ticket, locked, which has room for one file more.
async fn expect_place(
    tx: &mut Tx,
    ticket: TicketId,
    new: &NewTicketFile,
) -> Result<Ticket, FileCommandError> {
    tickets::hold_ticket(tx, ticket).await?;
    let found = tickets::get(tx, ticket).await?;
    let files = stored_files::list_of_ticket(tx, ticket).await?;
    let bytes: i64 = files.iter().map(|file| file.file_bytes).sum();
    let bytes = u64::try_from(bytes + new.file_bytes).unwrap_or(u64::MAX);
    match files.len() < TICKET_FILES_MAX as usize && bytes <= TICKET_FILE_BYTES_MAX {
        true => Ok(found),
        false => Err(FileCommandError::TooMany),
    }
}

/// Removes a file: one's own, or with `is_any_giver` anybody's.
///
/// # Errors
/// [`FileCommandError::NotGiver`].
pub async fn remove_file(
    tenant: &Tenant,
    ticket: TicketId,
    file: StoredFileId,
    is_any_giver: bool,
) -> Result<(), FileCommandError> {
    let removed = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let file = stored_files::get(tx, ticket, file).await?;
        if !is_any_giver && file.actor != tx.current_actor() {
            return Err(FileCommandError::NotGiver);
        }
        Ok(stored_files::remove_file(tx, &file).await?)
    });
    removed.await
}
