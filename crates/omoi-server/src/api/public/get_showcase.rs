//! Shows a spec to whoever has a link.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_accounts::share_token::share_address;
use omoi_planning::commands::{SharedSpec, look_at_shared_spec};
use omoi_protocol::api::ShowcaseView;
use omoi_store::StoreError;

use crate::api::Surface;
use crate::api::body::ApiPath;
use crate::api::caller::Anyone;
use crate::error::ApiError;

/// Tells search engines to leave a page out.
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// Which link.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SharePath {
    /// The token of the link.
    #[param(example = json!("AZMAAAAAcACAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAA"))]
    share_token: String,
}

/// Shows title and text of a spec, the name of its project and a few counts to whoever has a link to it.
#[utoipa::path(
    get, path = "/public/showcase/{share_token}", tag = "public", params(SharePath),
    responses((status = 200, description = "What is shown.", body = ShowcaseView))
)]
pub(super) async fn get_showcase(
    _: Anyone,
    State(s): Surface,
    ApiPath(path): ApiPath<SharePath>,
) -> Result<Response, ApiError> {
    let address = share_address(&path.share_token).ok_or_else(|| StoreError::NotFound {
        what: "shared spec",
        key: "of this link".to_owned(),
    })?;
    let rows = s.parts.store.store().tenant(address.org);
    let shared = look_at_shared_spec(&rows, &address.digest).await?;
    let is_listed = shared.is_listed;
    let mut response = Json(showcase_view(shared)).into_response();
    if !is_listed {
        let noindex = HeaderValue::from_static("noindex");
        response.headers_mut().insert(ROBOTS, noindex);
    }
    Ok(response)
}

fn showcase_view(shared: SharedSpec) -> ShowcaseView {
    ShowcaseView {
        title: shared.spec.title,
        text: shared.spec.original_request,
        project_name: shared.project,
        n_requirements: shared.n_requirements as u64,
        n_tickets: shared.n_tickets as u64,
        n_tasks: shared.n_tasks as u64,
        n_tasks_done: shared.n_tasks_done as u64,
        view_count: shared.n_views,
    }
}
