//! Writes a spec down.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_planning::commands::{AskedSpec, SpecStart, create_spec};
use omoi_protocol::api::{LaunchSpec, SpecView};

use super::{answered_spec, created_spec};
use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Writes a spec down as a draft, about the repository's HEAD as it is now: `execute` has it planned.
///
/// The repository is a path on the machine of this process.
#[utoipa::path(
    post, path = "/specs", tag = "specs", operation_id = "create_spec", request_body = LaunchSpec,
    responses((status = 201, description = "The spec.", body = SpecView))
)]
pub(super) async fn create_draft_spec(
    caller: Allowed<needs::SpecWrite>,
    State(s): Surface,
    ApiBody(body): ApiBody<LaunchSpec>,
) -> Result<(StatusCode, Json<SpecView>), ApiError> {
    let asked = AskedSpec {
        request: body,
        start: SpecStart::Later,
    };
    let rows = caller.own_rows();
    let create = create_spec(&s.parts.policy, s.repositories(&caller)?, rows, asked);
    let spec = created_spec(&caller, create).await?;
    Ok((StatusCode::CREATED, answered_spec(&s, &caller, spec).await?))
}
