//! `GET /search`.

use axum::Json;

use omoi_protocol::api::SearchResults;

use super::SearchText;
use crate::api::Answer;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;

/// Searches the texts of specs, tickets, tasks and comments, in all projects that the caller reaches.
///
/// What the caller may not read is not found.
#[utoipa::path(
    get, path = "/search", tag = "search", params(SearchText),
    responses((status = 200, description = "What was found.", body = SearchResults))
)]
pub(super) async fn search_everything(
    caller: Allowed<needs::Credential>,
    ApiQuery(text): ApiQuery<SearchText>,
) -> Answer<SearchResults> {
    Ok(Json(text.answer(&caller, None).await?))
}
