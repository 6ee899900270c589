//! Ends the rows of sandboxes that were left.

use axum::Json;
use axum::extract::State;

use omoi_domain::access::permission::Permission;
use omoi_execution::commands;
use omoi_protocol::api::ClearedSandboxes;

use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Ends the rows of sandboxes of the caller's organisation whose attempts are over and that this process does not follow.
/// Those at work stay.
#[utoipa::path(
    post, path = "/sandboxes/admin/clear-tracked-sandboxes", tag = "sandboxes",
    responses((status = 200, description = "How many there were.", body = ClearedSandboxes))
)]
pub(super) async fn clear_tracked_sandboxes(
    caller: Allowed<needs::PlatformStaff>,
    State(s): Surface,
) -> Answer<ClearedSandboxes> {
    caller.expect_also(Permission::SandboxTerminate)?;
    let cleared = commands::clear_left_sandboxes(caller.own_rows(), &s.parts.running);
    let n_cleared = caller.act_once(cleared).await?.unwrap_or(0);
    Ok(Json(ClearedSandboxes { n_cleared }))
}
