//! Files that people give with tickets. What a file holds is kept once for its organisation, under its digest, as rows of
//! [`FILE_CHUNK_BYTES`](omoi_domain::stored_file::FILE_CHUNK_BYTES) each: every process of the deployment sees it.
//!
//! A content is written piece by piece, in a transaction each, so that nobody waits for the whole of it: begun
//! ([`begin_content`]), filled ([`add_chunk`]), and whole with the first file that has it ([`add_file`]). What is left of
//! uploads that broke off, and of files that were removed, goes after a while ([`remove_unreferenced`]).

use omoi_domain::actor::Actor;
use omoi_domain::id::{OrgId, ProjectId, StoredFileId, TicketId};
use omoi_domain::stored_file::{MediaType, ORGANISATION_FILE_BYTES_MAX};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::row::row;
use crate::tickets::Ticket;
use crate::tx::Tx;

row! {
    /// A file of a ticket.
    StoredFile in "stored_files" as "file" {
        /// Its id; a later one is greater.
        id: StoredFileId,
        /// Its organisation.
        org_id: OrgId,
        /// The project of the ticket.
        project_id: ProjectId,
        /// The ticket.
        ticket_id: TicketId,
        /// What people call it; no path.
        name: String,
        /// What it is, by its own first bytes.
        media_type: MediaType,
        /// Its length in bytes.
        file_bytes: i64,
        /// SHA-256 of what it holds, in hexadecimal digits.
        digest: String,
        /// Who gave it.
        actor: Actor,
        /// When.
        created_at: Timestamp,
    }
}

row! {
    /// What files hold.
    FileContent in "file_contents" as "content" {
        /// Its organisation.
        org_id: OrgId,
        /// SHA-256 of it, in hexadecimal digits.
        digest: String,
        /// Its length in bytes.
        content_bytes: i64,
        /// Whether all of it is here.
        is_whole: bool,
        /// When a file with it was last written or removed.
        touched_at: Timestamp,
    }
}

row! {
    /// A piece of a content.
    FileChunk in "file_chunks" as "piece of a file" {
        /// Its organisation.
        org_id: OrgId,
        /// The content.
        digest: String,
        /// Its place in it, from 0.
        chunk_no: i64,
        /// Its bytes.
        data: Vec<u8>,
    }
}

/// Where a content stands that somebody sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentStage {
    /// All of it is here.
    Whole,
    /// It is to be filled.
    Partial,
    /// The organisation has no room for it.
    NoRoom,
}

/// Begins a content, or finds it: it stays for the time in which unreferenced ones do. A new one takes room of the
/// organisation, whoever counts at the same time.
///
/// # Errors
/// When the database cannot be written.
pub async fn begin_content(
    tx: &mut Tx,
    digest: &str,
    content_bytes: i64,
) -> Result<ContentStage, StoreError> {
    if let Some(is_whole) = touch_content(tx, digest).await? {
        return Ok(match is_whole {
            true => ContentStage::Whole,
            false => ContentStage::Partial,
        });
    }
    let max = i64::try_from(ORGANISATION_FILE_BYTES_MAX).unwrap_or(i64::MAX);
    let n_taken = tx
        .execute(
            "update organisations set file_bytes = file_bytes + $2
             where id = $1 and file_bytes + $2 <= $3",
            args![content_bytes, max],
        )
        .await?;
    if n_taken == 0 {
        return Ok(ContentStage::NoRoom);
    }
    // Whoever sends the same at this moment waited for the row of the organisation, and is refused as a conflict.
    let content = FileContent {
        org_id: tx.org(),
        digest: digest.to_owned(),
        content_bytes,
        is_whole: false,
        touched_at: tx.now(),
    };
    tx.insert(&content).await?;
    Ok(ContentStage::Partial)
}

/// Keeps a content for some time from now; whether all of it is here, and none where there is no such content.
async fn touch_content(tx: &mut Tx, digest: &str) -> Result<Option<bool>, StoreError> {
    let now = tx.now();
    let rows = tx
        .rows(
            "update file_contents set touched_at = $3
             where org_id = $1 and digest = $2 returning is_whole",
            args![digest, now],
        )
        .await?;
    rows.first()
        .map(|row| bool::read(row, "is_whole"))
        .transpose()
}

/// Writes a piece of a content; one that is there stays, as it is the same.
///
/// # Errors
/// When the database cannot be written.
pub async fn add_chunk(
    tx: &mut Tx,
    digest: &str,
    chunk_no: i64,
    data: &[u8],
) -> Result<(), StoreError> {
    let chunk = FileChunk {
        org_id: tx.org(),
        digest: digest.to_owned(),
        chunk_no,
        data: data.to_vec(),
    };
    tx.insert_once(&chunk).await
}

/// A file to write down, all of which is here.
#[derive(Clone, Debug)]
pub struct NewTicketFile {
    /// What people call it.
    pub name: String,
    /// What it is.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub file_bytes: i64,
    /// SHA-256 of what it holds.
    pub digest: String,
}

/// Gives `ticket` a file with a content that was filled.
///
/// # Errors
/// [`StoreError::NotFound`] where the content was never begun.
pub async fn add_file(
    tx: &mut Tx,
    ticket: &Ticket,
    new: NewTicketFile,
) -> Result<StoredFile, StoreError> {
    let now = tx.now();
    let n_rows = tx
        .execute(
            "update file_contents set is_whole = $3, touched_at = $4
             where org_id = $1 and digest = $2",
            args![new.digest, true, now],
        )
        .await?;
    if n_rows == 0 {
        return Err(StoreError::NotFound {
            what: "content",
            key: new.digest,
        });
    }
    let file = StoredFile {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: ticket.project_id,
        ticket_id: ticket.id,
        name: new.name,
        media_type: new.media_type,
        file_bytes: new.file_bytes,
        digest: new.digest,
        actor: tx.current_actor(),
        created_at: now,
    };
    tx.insert(&file).await?;
    Ok(file)
}

/// The files of a ticket, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_of_ticket(tx: &mut Tx, ticket: TicketId) -> Result<Vec<StoredFile>, StoreError> {
    tx.all("ticket_id = $2 order by id", args![ticket]).await
}

/// The file of `ticket` with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(
    tx: &mut Tx,
    ticket: TicketId,
    id: StoredFileId,
) -> Result<StoredFile, StoreError> {
    tx.get(id, "ticket_id = $2 and id = $3", args![ticket, id])
        .await
}

/// A piece of a content; none after the last.
///
/// # Errors
/// When the database cannot be read.
pub async fn read_chunk(
    tx: &mut Tx,
    digest: &str,
    chunk_no: i64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let found: Option<FileChunk> = tx
        .find("digest = $2 and chunk_no = $3", args![digest, chunk_no])
        .await?;
    Ok(found.map(|chunk| chunk.data))
}

/// Removes a file; what it held goes later, if no other file has it.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove_file(tx: &mut Tx, file: &StoredFile) -> Result<(), StoreError> {
    tx.execute(
        "delete from stored_files where org_id = $1 and id = $2",
        args![file.id],
    )
    .await?;
    touch_content(tx, &file.digest).await.map(drop)
}

/// Whether there are contents that [`remove_unreferenced`] removes.
///
/// # Errors
/// When the database cannot be read.
pub async fn has_unreferenced(tx: &mut Tx, before: Timestamp) -> Result<bool, StoreError> {
    let rows = tx
        .rows(
            "select content_bytes from file_contents
             where org_id = $1 and touched_at < $2
               and not exists (select 1 from stored_files f
                   where f.org_id = file_contents.org_id and f.digest = file_contents.digest)
             limit 1",
            args![before],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// Removes contents that no file has and that nobody touched since `before`, at most `limit` of them; how many there
/// were. Their room is free then.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove_unreferenced(
    tx: &mut Tx,
    before: Timestamp,
    limit: u32,
) -> Result<u32, StoreError> {
    let rows = tx
        .rows(
            "delete from file_contents where org_id = $1 and digest in (
                 select digest from file_contents
                 where org_id = $1 and touched_at < $2
                   and not exists (select 1 from stored_files f
                       where f.org_id = file_contents.org_id and f.digest = file_contents.digest)
                 order by touched_at limit $3)
               and touched_at < $2
             returning digest, content_bytes",
            args![before, i64::from(limit)],
        )
        .await?;
    let mut freed = 0;
    for row in &rows {
        let digest = String::read(row, "digest")?;
        freed += i64::read(row, "content_bytes")?;
        tx.execute(
            "delete from file_chunks where org_id = $1 and digest = $2",
            args![digest],
        )
        .await?;
    }
    if freed > 0 {
        tx.execute(
            "update organisations set file_bytes = file_bytes - $2 where id = $1",
            args![freed],
        )
        .await?;
    }
    Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
}
