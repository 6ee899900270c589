//! Sends a file of a ticket.

use axum::body::{Body, Bytes};
use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
};
use axum::response::{IntoResponse as _, Response};
use futures::stream;

use omoi_llm::wire::headers::percent_encode;
use omoi_store::stored_files;
use omoi_store::{StoreError, Tenant, Tx};

use super::FilePath;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::ProjectOfTicket;
use crate::error::ApiError;

/// A page that shows a file runs nothing of it and asks for nothing.
const FILE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Sends a file of a ticket. Only PNG, JPEG, GIF and WebP images are for pages to show; everything else is to be saved.
#[utoipa::path(
    get, path = "/tickets/{ticket_id}/files/{file_id}/content", tag = "tickets",
    params(FilePath, ProjectOfTicket),
    responses((
        status = 200, description = "The file.", content_type = "application/octet-stream", body = Vec<u8>
    ))
)]
pub(super) async fn get_file_content(
    caller: Allowed<needs::TicketRead>,
    ApiPath(path): ApiPath<FilePath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Result<Response, ApiError> {
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let rows = caller.own_rows().clone();
    let file = rows.read(async |tx| stored_files::get(tx, ticket.id, path.file_id).await);
    let file = file.await?;
    let begun = FilePieces {
        rows,
        digest: file.digest.clone(),
        chunk_no: 0,
    };
    let pieces = stream::try_unfold(begun, |mut pieces| async move {
        let piece = pieces.next_piece().await?;
        Ok::<_, StoreError>(piece.map(|piece| (piece, pieces)))
    });
    let how = match file.media_type.is_shown_inline() {
        true => "inline",
        false => "attachment",
    };
    let headers = [
        (CONTENT_TYPE, file.media_type.as_str().to_owned()),
        (CONTENT_LENGTH, file.file_bytes.to_string()),
        (CONTENT_SECURITY_POLICY, FILE_POLICY.to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("{how}; filename*=UTF-8''{}", percent_encode(&file.name)),
        ),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// A content that is sent piece by piece: no more of it is held at once.
struct FilePieces {
    rows: Tenant,
    digest: String,
    chunk_no: i64,
}

impl FilePieces {
    async fn next_piece(&mut self) -> Result<Option<Bytes>, StoreError> {
        let (digest, chunk_no) = (self.digest.as_str(), self.chunk_no);
        let read = self
            .rows
            .read(async |tx: &mut Tx| stored_files::read_chunk(tx, digest, chunk_no).await);
        let piece = read.await?;
        self.chunk_no += 1;
        Ok(piece.map(Bytes::from))
    }
}
