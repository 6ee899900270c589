//! Files of tickets: given, listed, read and removed.

mod delete_file;
mod get_file_content;
mod list_files;
mod upload_file;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::StoredFileId;
use omoi_execution::commands::FileCommandError;
use omoi_protocol::api::{EXAMPLE_FILE, FileView};
use omoi_store::stored_files::StoredFile;

use super::ApiSurface;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            list_files::list_files,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            upload_file::upload_file,
            NotFound,
            UnclearReference,
            QuotaExceeded
        ))
        .add(operation!(
            get_file_content::get_file_content,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            delete_file::delete_file,
            NotFound,
            UnclearReference
        ))
}

/// Which ticket, and which file of it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct FilePath {
    /// Row id of the ticket, or its reference `TKT-n`.
    #[param(
        example = "TKT-001",
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Kk][Tt]-0*[1-9][0-9]{0,17})$"
    )]
    ticket_id: String,
    /// Row id of the file.
    #[param(example = json!(EXAMPLE_FILE))]
    file_id: StoredFileId,
}

/// A file as people see it.
fn file_view(file: StoredFile) -> FileView {
    FileView {
        id: file.id,
        ticket_id: file.ticket_id,
        name: file.name,
        media_type: file.media_type,
        file_bytes: u64::try_from(file.file_bytes).unwrap_or_default(),
        digest: file.digest,
        author: file.actor.into(),
        created_at: file.created_at.into(),
    }
}

impl From<FileCommandError> for ApiError {
    fn from(source: FileCommandError) -> Self {
        let says = source.to_string();
        match source {
            FileCommandError::Name(_) => Self::invalid_value(says).with_field("file"),
            FileCommandError::TooLarge => Self::new(ErrorCode::TooLarge, says),
            FileCommandError::TooMany | FileCommandError::NoRoom => {
                Self::new(ErrorCode::QuotaExceeded, says).hint("remove files that nobody needs")
            }
            FileCommandError::NotGiver => Self::forbidden_act(says),
            FileCommandError::Store(store) => store.into(),
        }
    }
}
