//! Attempts: who tried what, how far it came and how it ended.

mod listing;
mod turns;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::event::AttemptChange;
use omoi_domain::id::{AttemptId, OrgId, ProjectId, SpecId, TaskId};
use omoi_domain::machine::transition as rule;
use omoi_domain::retry::ErrorClass;
use omoi_domain::sandbox::SandboxRung;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::deployment::{fence_holds, refuse_earlier};
use crate::error::StoreError;
use crate::row::{row, versioned};
use crate::tx::Tx;

pub use listing::{AttemptFilter, count_by_role, list_page, live_of_projects};
pub use turns::{
    AgentEvent, StoredTurns, Turn, add_to_last_turn, answered_at, append_event, append_turn,
    copy_turns, drop_turns, events, n_turns, stored_turns, turns,
};

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
        /// What takes its turns; none for runs of the platform.
        agent: Option<AgentProgram>,
        /// The version of that program, once it has started.
        agent_version: Option<String>,
        /// The program's own session, once it has one.
        agent_session: Option<String>,
        /// Who made the reasoning that stands in its conversation as it was written, once a model was asked.
        reasoning_maker: Option<String>,
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
        /// When its provider said that it answers again, where it turned the attempt away.
        wakes_at: Option<Timestamp>,
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
        /// Reports that came after its end.
        late_reports: i64,
        /// Its owner must renew before this.
        lease_expires_at: Timestamp,
        /// Guards updates.
        state_version: i64,
    }
}
versioned!(Attempt by id in "attempts" {
    state, agent_version, agent_session, owner, rung, base_sha, head_sha, wip_sha, stop_reason, error_class,
    error_message, wakes_at, started_at, ended_at, last_heartbeat_at, last_work_at, lease_expires_at,
});

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

/// Keeps `maker` with an attempt unless another was kept before; gives the one that is kept.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn keep_reasoning_maker(
    tx: &mut Tx,
    id: AttemptId,
    maker: &str,
) -> Result<String, StoreError> {
    let rows = tx
        .rows(
            "update attempts set reasoning_maker = coalesce(reasoning_maker, $3)
             where org_id = $1 and id = $2 returning reasoning_maker as value",
            args![id, maker.to_owned()],
        )
        .await?;
    let kept = rows.first().map(|row| String::read(row, "value"));
    kept.unwrap_or(Err(StoreError::NotFound {
        what: "attempt",
        key: id.to_string(),
    }))
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

/// The newest attempt at a task, of an agent or at its checks.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest_of_task(tx: &mut Tx, task: TaskId) -> Result<Option<Attempt>, StoreError> {
    tx.find("task_id = $2 order by attempt_no desc limit 1", args![task])
        .await
}

/// The newest attempt at a subject of `spec`.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest_of_subject(
    tx: &mut Tx,
    spec: SpecId,
    subject: AttemptSubject,
) -> Result<Option<Attempt>, StoreError> {
    const SQL: &str = concat!(at_subject!(""), " order by attempt_no desc limit 1");
    tx.find(SQL, args![spec, subject]).await
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

/// The ids of all live attempts, in no order.
///
/// # Errors
/// When the database cannot be read.
pub async fn live_ids(tx: &mut Tx) -> Result<Vec<AttemptId>, StoreError> {
    const SQL: &str = "select id as value from attempts
         where org_id = $1 and state in ('pending', 'starting', 'running')";
    let org = tx.org();
    tx.scalars(SQL, args![org]).await
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

/// Counts a report that came after the end of its attempt. Not an event: there can be any number.
///
/// # Errors
/// When the database cannot be written.
pub async fn count_late_report(tx: &mut Tx, id: AttemptId) -> Result<(), StoreError> {
    tx.execute(
        "update attempts set late_reports = late_reports + 1 where org_id = $1 and id = $2",
        args![id],
    )
    .await?;
    Ok(())
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
pub async fn renew_lease(
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
