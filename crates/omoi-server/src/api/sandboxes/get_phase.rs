//! Tells how the phase stands that is planned in a sandbox.

use axum::Json;

use omoi_protocol::api::SandboxPhase;
use omoi_store::{StoreError, phases};

use super::SandboxPath;
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;

/// Tells how the phase stands that is planned in a sandbox.
#[utoipa::path(
    get, path = "/sandboxes/{sandbox_id}/phase-status", tag = "sandboxes", params(SandboxPath),
    responses((status = 200, description = "The phase.", body = SandboxPhase))
)]
pub(super) async fn get_sandbox_phase(
    caller: Allowed<needs::SandboxRead>,
    ApiPath(path): ApiPath<SandboxPath>,
) -> Answer<SandboxPhase> {
    let read = caller.own_rows().read(async |tx| {
        let attempt = path.find_attempt(tx).await?;
        let missing = || StoreError::NotFound {
            what: "phase of the sandbox",
            key: attempt.id.to_string(),
        };
        let phase = attempt.subject.phase().ok_or_else(missing)?;
        let run = phases::find(tx, attempt.spec_id, phase).await?;
        run.ok_or_else(missing)
    });
    let run = read.await?;
    Ok(Json(SandboxPhase {
        spec_id: run.spec_id,
        phase: run.phase,
        state: run.state,
        attempts: run.attempts,
        score: run.score,
    }))
}
