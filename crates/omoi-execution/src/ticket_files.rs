//! Files of a ticket in the workspaces of its agents: below the platform's own folder, which a sandbox shows read-only and
//! git does not take for work.

use omoi_domain::id::TicketId;
use omoi_store::stored_files::{self, StoredFile};
use omoi_store::{StoreError, Tenant, Tx};

use crate::copied_files::WorkspaceCopies;
use crate::protected::PLATFORM_FOLDER;

/// The folder below the platform's own.
const FOLDER: &str = "ticket-files";

/// Where a file is in a workspace: two of one name lie beside each other.
fn workspace_path(file: &StoredFile) -> String {
    format!(
        "{PLATFORM_FOLDER}/{FOLDER}/{}-{}",
        file.id.short(),
        file.name
    )
}

/// Where the files of `ticket` are in the workspaces of its agents, and how large they are.
///
/// # Errors
/// When the database cannot be read.
pub async fn file_lines(tx: &mut Tx, ticket: TicketId) -> Result<Vec<String>, StoreError> {
    let files = stored_files::list_of_ticket(tx, ticket).await?.into_iter();
    let lines =
        files.map(|file| format!("`{}` ({} bytes)", workspace_path(&file), file.file_bytes));
    Ok(lines.collect())
}

/// Adds the files of `ticket` to what a workspace is given.
///
/// # Errors
/// When the database cannot be read.
pub async fn add_ticket_files(
    store: &Tenant,
    ticket: TicketId,
    copies: &mut WorkspaceCopies,
) -> Result<(), StoreError> {
    let files = store.read(async |tx| stored_files::list_of_ticket(tx, ticket).await);
    for file in files.await? {
        let mut content = Vec::new();
        for chunk_no in 0.. {
            let digest = file.digest.as_str();
            let piece = store.read(async |tx| stored_files::read_chunk(tx, digest, chunk_no).await);
            match piece.await? {
                Some(piece) => content.extend(piece),
                None => break,
            }
        }
        copies.add_read_only(workspace_path(&file), content);
    }
    Ok(())
}
