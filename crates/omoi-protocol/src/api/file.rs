//! Files of tickets.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::id::{StoredFileId, TicketId};
use omoi_domain::stored_file::MediaType;

use super::ticket::ActorView;
use super::time::ApiTime;

/// A file of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileView {
    /// Row id of the file.
    pub id: StoredFileId,
    /// The ticket.
    pub ticket_id: TicketId,
    /// What people call it; no path.
    pub name: String,
    /// What it is, by its own first bytes.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub file_bytes: u64,
    /// SHA-256 of what it holds, in hexadecimal digits.
    pub digest: String,
    /// Who gave it.
    pub author: ActorView,
    /// When.
    pub created_at: ApiTime,
}
