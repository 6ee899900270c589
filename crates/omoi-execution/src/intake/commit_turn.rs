//! A finished turn of an agent: its snapshot into the mirror, then its row.

use tracing::debug;

use omoi_domain::crash::CrashPoint;
use omoi_protocol::worker::CommitTurn;
use omoi_store::attempts::{self, Attempt, StoredTurns, Turn};
use omoi_store::{Json, Tx, messages, specs};

use super::sent_bundle::keep_snapshot;
use super::turn_limits::{TurnSize, turns_max};
use super::{AttemptIntake, IntakeError, current_attempt};

/// Commits a turn, after its snapshot is in the mirror.
///
/// # Errors
/// [`IntakeError::Superseded`]; [`IntakeError::Refused`] for a turn beyond what is stored of one; [`IntakeError::Import`]
/// when the snapshot is refused.
pub async fn commit_turn(
    intake: &AttemptIntake,
    attempt: &Attempt,
    body: CommitTurn,
) -> Result<(), IntakeError> {
    let size = TurnSize::of_turn(&body.turn);
    let check_size = async |tx: &mut Tx| sized_after(tx, intake, attempt, size).await;
    // Before its snapshot is kept; what is stored meanwhile counts below.
    intake.store.read(check_size).await?;
    let mut wip_sha = None;
    if let Some(bundle) = &body.snapshot {
        let mirror = intake.folders.project_mirror(attempt.project_id).await?;
        let sha = keep_snapshot(&mirror, attempt, bundle).await?;
        debug!(attempt.id = %attempt.id, commit = %sha, turn = body.turn.n, "Kept a snapshot");
        wip_sha = Some(sha.as_str().to_owned());
    }
    intake
        .store
        .write(CrashPoint::TurnCommitted, async |tx| {
            let mut now = current_attempt(tx, attempt.id).await?;
            let stored = sized_after(tx, intake, attempt, size).await?;
            let session = body.turn.session;
            if let Some(part) = &session {
                now.agent_session = Some(part.session_id.clone());
            }
            let turn = Turn {
                attempt_id: now.id,
                org_id: tx.org(),
                n: body.turn.n,
                kind: body.turn.kind,
                request_digest: body.turn.request_digest,
                request_tokens: body.turn.request_tokens.and_then(|n| i64::try_from(n).ok()),
                told_bytes: i64::try_from(stored.told_bytes).unwrap_or(i64::MAX),
                session_bytes: i64::try_from(stored.session_bytes).unwrap_or(i64::MAX),
                response: Json(body.turn.response),
                tool_results: Json(body.turn.tool_results),
                session: session.map(|part| Json(serde_json::json!(part))),
                wip_sha,
                created_at: tx.now(),
            };
            attempts::append_turn(tx, &mut now, &turn).await?;
            for message in body.messages {
                messages::ack(tx, message, now.id).await?;
            }
            Ok(())
        })
        .await
}

/// What is stored of the turns of `attempt` with one of `size`; one that is stored already counts once.
async fn sized_after(
    tx: &mut Tx,
    intake: &AttemptIntake,
    attempt: &Attempt,
    size: TurnSize,
) -> Result<StoredTurns, IntakeError> {
    let before = attempts::stored_turns(tx, attempt.id).await?;
    if size.is_among(before) {
        return Ok(before);
    }
    let spec = specs::get(tx, attempt.spec_id).await?;
    let limits = spec.work_limits(intake.limits);
    size.add_to(before, turns_max(&limits, attempt.subject))
}
