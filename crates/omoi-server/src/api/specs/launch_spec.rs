//! Writes a spec down and starts it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use omoi_planning::commands::{AskedSpec, create_spec};
use omoi_protocol::api::{LaunchSpec, SpecView};

use super::{answered_spec, created_spec};
use crate::api::Surface;
use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::error::ApiError;

/// Writes a spec down and starts it: it is planned, and worked on once its plan is approved.
///
/// The repository is a path on the machine of this process.
#[utoipa::path(
    post, path = "/specs/launch", tag = "specs", request_body = LaunchSpec,
    responses((status = 202, description = "The spec, which is being planned.", body = SpecView))
)]
pub(super) async fn launch_spec(
    caller: Allowed<needs::SpecExecute>,
    State(s): Surface,
    ApiBody(body): ApiBody<LaunchSpec>,
) -> Result<(StatusCode, Json<SpecView>), ApiError> {
    let asked = AskedSpec::begun_now(body);
    let rows = caller.own_rows();
    let launch = create_spec(&s.parts.policy, s.repositories(&caller)?, rows, asked);
    let spec = created_spec(&caller, launch).await?;
    // The process that launched it before may be another one.
    s.parts.policy.selection.scope.ask_for(spec.id);
    Ok((
        StatusCode::ACCEPTED,
        answered_spec(&s, &caller, spec).await?,
    ))
}
