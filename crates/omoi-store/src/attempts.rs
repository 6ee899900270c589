//! Attempts, their turns and what their workers report.

use std::sync::LazyLock;

use serde_json::Value;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::event::{AgentActivity, AttemptChange, Event};
use omoi_domain::id::{AttemptId, EventId, OrgId, ProjectId, SpecId, TaskId};
use omoi_domain::machine::transition as rule;
use omoi_domain::retry::ErrorClass;
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::{Column, Json};
use crate::deployment::{fence_holds, refuse_earlier};
use crate::error::StoreError;
use crate::row::{Row as _, row, versioned};
use crate::tx::Tx;

row! {
    /// One try at a task, a spec phase, a check or a merge.
    Attempt in "attempts" as "attempt" {
        /// Its id.
        id: AttemptId,
        /// Its organisation.
        org_id: OrgId,
        /// Its repository.
        project_id: ProjectId,
        /// Its spec.
        spec_id: SpecId,
        /// What it tries.
        subject: AttemptSubject,
        /// Counted per subject, from 1.
        attempt_no: u32,
        /// Times the subject was sent back.
        round: u32,
        /// Its fence.
        fence: i64,
        /// Where it stands.
        state: AttemptState,
        /// Who makes it.
        role: AgentRole,
        /// SHA-256 of its token. An attempt that is over keeps it, so that a late report is known as such.
        token_hash: Option<String>,
        /// The process that runs it.
        owner: String,
        /// The sandbox rung.
        rung: Option<SandboxRung>,
        /// The commit it started from.
        base_sha: Option<String>,
        /// The commit it ended with.
        head_sha: Option<String>,
        /// The last snapshot of its work tree.
        wip_sha: Option<String>,
        /// Why it ended.
        stop_reason: Option<AttemptStopReason>,
        /// Class of its error.
        error_class: Option<ErrorClass>,
        /// Its error.
        error_message: Option<String>,
        /// When it was made.
        created_at: Timestamp,
        /// When its worker first reported.
        started_at: Option<Timestamp>,
        /// When it ended.
        ended_at: Option<Timestamp>,
        /// Last sign of life.
        last_heartbeat_at: Option<Timestamp>,
        /// Last sign of work.
        last_work_at: Option<Timestamp>,
        /// Its owner must renew before this.
        lease_expires_at: Timestamp,
        /// Guards updates.
        state_version: i64,
    }
}
versioned!(Attempt by id in "attempts" {
    state, token_hash, owner, rung, base_sha, head_sha, wip_sha, stop_reason, error_class,
    error_message, started_at, ended_at, last_heartbeat_at, last_work_at, lease_expires_at,
});

row! {
    /// One completed turn of an agent.
    Turn in "turns" as "turn" {
        /// The attempt.
        attempt_id: AttemptId,
        /// Its organisation.
        org_id: OrgId,
        /// Position, from 0.
        n: u32,
        /// SHA-256 of the request.
        request_digest: String,
        /// The model's message.
        response: Json<Value>,
        /// What the tools answered.
        tool_results: Json<Value>,
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

/// Writes a new attempt.
///
/// # Errors
/// [`StoreError::Exists`] when the subject has a live attempt already.
pub async fn insert(tx: &mut Tx, attempt: &Attempt) -> Result<(), StoreError> {
    tx.insert(attempt).await
}

/// The attempt with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: AttemptId) -> Result<Attempt, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// The attempt a token belongs to, in whichever organisation, live or over.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_token(tx: &mut Tx, token_hash: &str) -> Result<Option<Attempt>, StoreError> {
    static SQL: LazyLock<String> =
        LazyLock::new(|| format!("{} where token_hash = $1", Attempt::select()));
    let rows = tx.raw(&SQL, args![token_hash]).await?;
    rows.first().map(Attempt::read).transpose()
}

/// What holds of the attempts at one subject of a spec; `$2` is the spec, `$3` to `$6` the subject.
macro_rules! at_subject {
    ($alias:literal) => {
        concat!(
            $alias,
            "spec_id = $2 and ",
            $alias,
            "subject = $3 and ($4 is null or ",
            $alias,
            "task_id = $4) and ($5 is null or ",
            $alias,
            "merge_id = $5) and ($6 is null or ",
            $alias,
            "phase = $6)"
        )
    };
}
pub(crate) use at_subject;

/// Attempts at a subject of `spec`, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_subject(
    tx: &mut Tx,
    spec: SpecId,
    subject: AttemptSubject,
) -> Result<Vec<Attempt>, StoreError> {
    const SQL: &str = concat!(at_subject!(""), " order by attempt_no");
    tx.all(SQL, args![spec, subject]).await
}

/// How many attempts were made at a subject of `spec`.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_of_subject(
    tx: &mut Tx,
    spec: SpecId,
    subject: AttemptSubject,
) -> Result<i64, StoreError> {
    const SQL: &str = concat!(
        "select count(*) as value from attempts where org_id = $1 and ",
        at_subject!("")
    );
    let rows = tx.rows(SQL, args![spec, subject]).await?;
    rows.first().map_or(Ok(0), |row| i64::read(row, "value"))
}

/// Attempts at a task, of agents and at its checks, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_task(tx: &mut Tx, task: TaskId) -> Result<Vec<Attempt>, StoreError> {
    tx.all("task_id = $2 order by attempt_no", args![task])
        .await
}

/// The live attempt at a subject of `spec`, if any.
///
/// # Errors
/// When the database cannot be read.
pub async fn live(
    tx: &mut Tx,
    spec: SpecId,
    subject: AttemptSubject,
) -> Result<Option<Attempt>, StoreError> {
    const SQL: &str = concat!(
        at_subject!(""),
        " and state in ('pending', 'starting', 'running')"
    );
    tx.find(SQL, args![spec, subject]).await
}

/// Every live attempt, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn all_live(tx: &mut Tx) -> Result<Vec<Attempt>, StoreError> {
    tx.all(
        "state in ('pending', 'starting', 'running') order by created_at, id",
        args![],
    )
    .await
}

/// Attempts of a spec, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Attempt>, StoreError> {
    tx.all("spec_id = $2 order by created_at, id", args![spec])
        .await
}

/// Moves an attempt along its machine, writes its fields and the event the table names.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn transition(
    tx: &mut Tx,
    attempt: &mut Attempt,
    to: AttemptState,
) -> Result<(), StoreError> {
    let from = attempt.state;
    let kind = rule(from, to)?;
    attempt.state = to;
    if to == AttemptState::Running {
        attempt.started_at = Some(tx.now());
        attempt.last_heartbeat_at = Some(tx.now());
        attempt.last_work_at = Some(tx.now());
    }
    if !to.is_live() {
        attempt.ended_at = Some(tx.now());
    }
    tx.update(attempt).await?;
    let change = AttemptChange {
        attempt_id: attempt.id,
        subject: attempt.subject,
        round: attempt.round,
        fence: attempt.fence,
        from,
        to,
        stop_reason: attempt.stop_reason,
        rung: attempt.rung,
    };
    tx.emit_kind(
        (Some(attempt.project_id), Some(attempt.spec_id)),
        kind,
        &change,
    )
}

/// Writes changed fields other than the state.
///
/// # Errors
/// [`StoreError::Conflict`].
pub async fn save(tx: &mut Tx, attempt: &mut Attempt) -> Result<(), StoreError> {
    tx.update(attempt).await
}

/// Notes a sign of life; with `work` also a sign of work. Not an event.
///
/// # Errors
/// [`StoreError::TakenOver`] for an earlier orchestrator.
pub async fn touch(tx: &mut Tx, id: AttemptId, work: bool) -> Result<(), StoreError> {
    let now = tx.now();
    let fence = tx.fence();
    let noted = tx
        .execute(
            concat!(
                "update attempts set last_heartbeat_at = $3,
                     last_work_at = case when $4 then $3 else last_work_at end
                 where org_id = $1 and id = $2 and ",
                fence_holds!("$5")
            ),
            args![id, now, work, fence],
        )
        .await?;
    refuse_earlier(tx, noted).await
}

/// Keeps an attempt whose worker may still hand things in from ending before the transaction does:
/// whoever wants to end it waits for the row. False when it is over, or never came up.
///
/// # Errors
/// When the database cannot be written.
pub async fn hold(tx: &mut Tx, id: AttemptId) -> Result<bool, StoreError> {
    let now = tx.now();
    let held = tx
        .execute(
            "update attempts set last_work_at = $3
             where org_id = $1 and id = $2 and state in ('starting', 'running')",
            args![id, now],
        )
        .await?;
    Ok(held == 1)
}

/// Renews the lease of a live attempt of `owner` until `until`; false when there is no such.
///
/// # Errors
/// [`StoreError::TakenOver`] for an earlier orchestrator.
pub async fn renew(
    tx: &mut Tx,
    owner: &str,
    id: AttemptId,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let fence = tx.fence();
    let done = tx
        .execute(
            concat!(
                "update attempts set lease_expires_at = $4
                 where org_id = $1 and owner = $2 and id = $3
                 and state in ('pending', 'starting', 'running') and ",
                fence_holds!("$5")
            ),
            args![owner, id, until, fence],
        )
        .await?;
    refuse_earlier(tx, done).await?;
    Ok(done == 1)
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
    let last = tx
        .rows(
            "select n from turns where org_id = $1 and attempt_id = $2 order by n desc limit 1",
            args![attempt.id],
        )
        .await?;
    let known = match last.first() {
        Some(row) => i64::read(row, "n")? as u32 + 1,
        None => 0,
    };
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

/// Gives `to` the turns of `from`, so that it goes on where that one ended.
///
/// # Errors
/// When the database cannot be written.
pub async fn copy_turns(tx: &mut Tx, from: AttemptId, to: AttemptId) -> Result<u64, StoreError> {
    tx.execute(
        "insert into turns (attempt_id, org_id, n, request_digest, response, tool_results, wip_sha, created_at)
         select $3, org_id, n, request_digest, response, tool_results, wip_sha, created_at
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
