//! Turns of attempts, and the events that their workers report.

use serde_json::Value;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptSubject, TurnKind};
use omoi_domain::event::{AgentActivity, Event};
use omoi_domain::id::{AttemptId, EventId, OrgId, SpecId};
use omoi_domain::time::Timestamp;

use super::{Attempt, at_subject};
use crate::args;
use crate::column::{Column, Json};
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// One completed turn of an agent.
    Turn in "turns" as "turn" {
        /// The attempt.
        attempt_id: AttemptId,
        /// Its organisation.
        org_id: OrgId,
        /// Position, from 0.
        n: u32,
        /// What it is.
        kind: TurnKind,
        /// SHA-256 of the request.
        request_digest: String,
        /// Tokens that the model said it read for it.
        request_tokens: Option<i64>,
        /// Bytes of the answers and tool results up to this one.
        told_bytes: i64,
        /// Bytes of the session up to what it added.
        session_bytes: i64,
        /// The model's message.
        response: Json<Value>,
        /// What the tools answered.
        tool_results: Json<Value>,
        /// What it added to the session of the agent program.
        session: Option<Json<Value>>,
        /// Snapshot of the work tree, when it changed.
        wip_sha: Option<String>,
        /// When it was committed.
        created_at: Timestamp,
    }
}

row! {
    /// One event a worker reported.
    AgentEvent in "agent_events" as "agent event" {
        /// The attempt.
        attempt_id: AttemptId,
        /// Its organisation.
        org_id: OrgId,
        /// Position, from 1.
        seq: i64,
        /// Given by the worker; the same id again is the same event.
        event_id: EventId,
        /// What happened.
        event_type: AgentEventKind,
        /// Its data.
        data: Json<Value>,
        /// When it arrived.
        created_at: Timestamp,
    }
}

/// Commits a turn. The same turn again is the same row; a turn out of order is a conflict.
/// Returns whether it was new.
///
/// # Errors
/// [`StoreError::Conflict`] when `turn.n` is not the next one.
pub async fn append_turn(
    tx: &mut Tx,
    attempt: &mut Attempt,
    turn: &Turn,
) -> Result<bool, StoreError> {
    let known = n_turns(tx, attempt.id).await?;
    if turn.n < known {
        return Ok(false);
    }
    if turn.n > known {
        return Err(StoreError::Conflict {
            what: "turn",
            key: format!("{}/{}", attempt.id, turn.n),
        });
    }
    tx.insert(turn).await?;
    if turn.wip_sha.is_some() {
        attempt.wip_sha.clone_from(&turn.wip_sha);
    }
    attempt.last_heartbeat_at = Some(tx.now());
    attempt.last_work_at = Some(tx.now());
    tx.update(attempt).await?;
    Ok(true)
}

/// Adds words to what answers the last turn of an attempt that is over: whoever resumes it goes on with them. False where it
/// has no turn.
///
/// # Errors
/// When the database cannot be written.
pub async fn add_to_last_turn(
    tx: &mut Tx,
    attempt: AttemptId,
    words: &str,
) -> Result<bool, StoreError> {
    let last: Option<Turn> = tx
        .find("attempt_id = $2 order by n desc limit 1", args![attempt])
        .await?;
    let Some(Turn {
        n,
        tool_results: Json(Value::Array(mut results)),
        ..
    }) = last
    else {
        return Ok(false);
    };
    results.push(serde_json::json!({ "type": "text", "text": words }));
    let results = Json(Value::Array(results));
    tx.execute(
        "update turns set tool_results = $4 where org_id = $1 and attempt_id = $2 and n = $3",
        args![attempt, n, results],
    )
    .await?;
    Ok(true)
}

/// How much is stored of the turns of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredTurns {
    /// Turns.
    pub n: u32,
    /// Bytes of their answers and tool results.
    pub told_bytes: u64,
    /// Bytes of the session of the agent program.
    pub session_bytes: u64,
}

/// How many turns of an attempt are committed.
///
/// # Errors
/// When the database cannot be read.
pub async fn n_turns(tx: &mut Tx, attempt: AttemptId) -> Result<u32, StoreError> {
    Ok(stored_turns(tx, attempt).await?.n)
}

/// How much is stored of the turns of an attempt: its last one tells.
///
/// # Errors
/// When the database cannot be read.
pub async fn stored_turns(tx: &mut Tx, attempt: AttemptId) -> Result<StoredTurns, StoreError> {
    let last = tx
        .rows(
            "select n, told_bytes, session_bytes from turns
             where org_id = $1 and attempt_id = $2 order by n desc limit 1",
            args![attempt],
        )
        .await?;
    let Some(row) = last.first() else {
        return Ok(StoredTurns::default());
    };
    let bytes = |column| i64::read(row, column).map(|n| u64::try_from(n).unwrap_or(0));
    Ok(StoredTurns {
        n: i64::read(row, "n")? as u32 + 1,
        told_bytes: bytes("told_bytes")?,
        session_bytes: bytes("session_bytes")?,
    })
}

/// Gives `to` the turns of `from`, so that it goes on where that one ended.
///
/// # Errors
/// When the database cannot be written.
pub async fn copy_turns(tx: &mut Tx, from: AttemptId, to: AttemptId) -> Result<u64, StoreError> {
    tx.execute(
        "insert into turns (attempt_id, org_id, n, kind, request_digest, request_tokens, told_bytes, session_bytes, response,
             tool_results, session, wip_sha, created_at)
         select $3, org_id, n, kind, request_digest, request_tokens, told_bytes, session_bytes, response,
             tool_results, session, wip_sha, created_at
         from turns where org_id = $1 and attempt_id = $2",
        args![from, to],
    )
    .await
}

/// Drops the turns an attempt was given, so that it begins at its first.
///
/// # Errors
/// When the database cannot be written.
pub async fn drop_turns(tx: &mut Tx, attempt: AttemptId) -> Result<u64, StoreError> {
    tx.execute(
        "delete from turns where org_id = $1 and attempt_id = $2",
        args![attempt],
    )
    .await
}

/// The turns of one attempt, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn turns(tx: &mut Tx, attempt: AttemptId) -> Result<Vec<Turn>, StoreError> {
    tx.all("attempt_id = $2 order by n", args![attempt]).await
}

/// When a model last answered an attempt at a subject; none when it never did.
///
/// # Errors
/// When the database cannot be read.
pub async fn answered_at(
    tx: &mut Tx,
    spec: SpecId,
    subject: AttemptSubject,
) -> Result<Option<Timestamp>, StoreError> {
    const SQL: &str = concat!(
        "select max(t.created_at) as value from turns t
         join attempts a on a.id = t.attempt_id
         where t.org_id = $1 and ",
        at_subject!("a.")
    );
    let rows = tx.rows(SQL, args![spec, subject]).await?;
    rows.first()
        .map_or(Ok(None), |row| Option::<Timestamp>::read(row, "value"))
}

/// Stores an event of a worker; returns whether it was new. With `show` it is also told to people.
///
/// # Errors
/// When the database cannot be written.
pub async fn append_event(
    tx: &mut Tx,
    attempt: &Attempt,
    mut event: AgentEvent,
    show: Option<AgentActivity>,
) -> Result<bool, StoreError> {
    let twin = tx
        .rows(
            "select seq from agent_events
             where org_id = $1 and attempt_id = $2 and event_id = $3",
            args![attempt.id, event.event_id],
        )
        .await?;
    if !twin.is_empty() {
        return Ok(false);
    }
    let last = tx
        .rows(
            "select seq from agent_events
             where org_id = $1 and attempt_id = $2 order by seq desc limit 1",
            args![attempt.id],
        )
        .await?;
    event.seq = match last.first() {
        Some(row) => i64::read(row, "seq")? + 1,
        None => 1,
    };
    tx.insert(&event).await?;
    if let Some(activity) = show {
        tx.emit(
            Some(attempt.project_id),
            Some(attempt.spec_id),
            Event::AgentActivity(activity),
        );
    }
    Ok(true)
}

/// Events of an attempt after `seq`, oldest first, at most `limit`.
///
/// # Errors
/// When the database cannot be read.
pub async fn events(
    tx: &mut Tx,
    attempt: AttemptId,
    seq: i64,
    limit: i64,
) -> Result<Vec<AgentEvent>, StoreError> {
    tx.all(
        "attempt_id = $2 and seq > $3 order by seq limit $4",
        args![attempt, seq, limit],
    )
    .await
}
