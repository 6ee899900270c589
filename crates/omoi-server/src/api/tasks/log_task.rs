//! What happened to a task: its agents' own events with what the platform did about them.

use axum::Json;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use omoi_domain::event::{Event, StoredEvent};
use omoi_domain::id::ProjectId;
use omoi_domain::time::Timestamp;
use omoi_protocol::api::{LogLine, TaskLog};
use omoi_store::attempts::{self, Attempt};
use omoi_store::tasks::Task;
use omoi_store::{StoreError, Tx, checks, events};

use super::{ProjectOfTask, TaskPath};
use crate::api::Answer;
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::error::ApiError;

/// Events of one attempt read at once.
const LOG_PAGE: usize = 10_000;

/// How far a reader has come; 0 in both is the beginning.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LogAfter {
    /// `after` of the last answer.
    #[serde(default)]
    after: i64,
    /// `after_event` of the last answer.
    #[serde(default)]
    after_event: i64,
    /// The project of the reference, where several have one with its number.
    project_id: Option<ProjectId>,
}

/// Tells what happened to a task: its agents' own events with what the platform did about them.
#[utoipa::path(
    get, path = "/tasks/{task_id}/log", tag = "tasks", params(TaskPath, LogAfter),
    responses((status = 200, description = "What happened since then.", body = TaskLog))
)]
pub(super) async fn log_task(
    caller: Allowed<needs::TaskRead>,
    ApiPath(path): ApiPath<TaskPath>,
    ApiQuery(query): ApiQuery<LogAfter>,
) -> Answer<TaskLog> {
    let of = ProjectOfTask {
        project_id: query.project_id,
    };
    let task = caller.find_task(&path, &of).await?;
    let log = caller.own_rows().read(async |tx| {
        let tries = attempts::of_task(tx, task.id).await?;
        let subject = LoggedTask {
            task: &task,
            tries: &tries,
        };
        let mut log = TaskLog {
            lines: Vec::new(),
            after: query.after,
            after_event: query.after_event,
        };
        told_by_agents(tx, &tries, &mut log).await?;
        told_by_platform(tx, subject, &mut log).await?;
        log.lines.sort_by_key(|line| line.at);
        Ok::<_, ApiError>(log)
    });
    Ok(Json(log.await?))
}

/// A task with its attempts.
#[derive(Clone, Copy)]
struct LoggedTask<'a> {
    task: &'a Task,
    tries: &'a [Attempt],
}

async fn told_by_agents(
    tx: &mut Tx,
    tries: &[Attempt],
    log: &mut TaskLog,
) -> Result<(), StoreError> {
    let after = log.after;
    for attempt in tries {
        let begin = begin_of_log(attempt.attempt_no);
        let mut seen = after.saturating_sub(begin).max(0);
        loop {
            let page = attempts::events(tx, attempt.id, seen, LOG_PAGE as i64).await?;
            let is_last = page.len() < LOG_PAGE;
            if let Some(last) = page.last() {
                seen = last.seq;
                log.after = log.after.max(begin + seen);
            }
            log.lines.extend(page.into_iter().map(|event| LogLine {
                attempt_no: attempt.attempt_no,
                at: event.created_at.into(),
                event_type: event.event_type.to_string(),
                data: event.data.0,
            }));
            if is_last {
                break;
            }
        }
    }
    Ok(())
}

/// Where an attempt begins in the log of its task: whatever is added to an attempt, the places in the
/// others stay what they are.
fn begin_of_log(attempt_no: u32) -> i64 {
    i64::from(attempt_no) << 32
}

async fn told_by_platform(
    tx: &mut Tx,
    subject: LoggedTask<'_>,
    log: &mut TaskLog,
) -> Result<(), StoreError> {
    let LoggedTask { task, tries } = subject;
    loop {
        let page = events::of_spec(tx, task.spec_id, log.after_event).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        log.after_event = last.seq;
        for stored in page {
            if let Some(mut data) = about(&stored, task) {
                complete(tx, tries, &stored.event, &mut data).await?;
                log.lines.push(LogLine {
                    attempt_no: attempt_at(tries, stored.occurred_at),
                    at: stored.occurred_at.into(),
                    event_type: stored.event.kind().as_str().to_owned(),
                    data,
                });
            }
        }
    }
}

/// The payload of an event that tells something of `task` which its agents do not tell.
fn about(stored: &StoredEvent, task: &Task) -> Option<Value> {
    if matches!(
        stored.event,
        Event::AgentActivity(_) | Event::CostRecorded(_)
    ) {
        return None;
    }
    let payload = serde_json::to_value(&stored.event).ok()?;
    let payload = payload.get("payload")?;
    let id = task.id.to_string();
    let names = |key| payload.get(key).and_then(Value::as_str) == Some(id.as_str());
    let is_about = names("task_id") && payload.get("source_task_id").is_none();
    (is_about || names("source_task_id")).then(|| payload.clone())
}

/// Adds what rows know and the event does not carry.
async fn complete(
    tx: &mut Tx,
    tries: &[Attempt],
    event: &Event,
    data: &mut Value,
) -> Result<(), StoreError> {
    match event {
        Event::ReceiptStored(done) => {
            let receipts = match done.task_id {
                Some(task) => checks::receipts_of_task(tx, task).await?,
                None => Vec::new(),
            };
            let receipt = receipts.iter().find(|r| r.id == done.receipt_id);
            data["output"] = json!(receipt.map(|receipt| &receipt.output));
        }
        Event::AttemptEnded(change) => {
            let attempt = tries.iter().find(|a| a.id == change.attempt_id);
            data["error"] = json!(attempt.and_then(|attempt| attempt.error_message.as_ref()));
        }
        _ => {}
    }
    Ok(())
}

/// The attempt that was the last one at an instant.
fn attempt_at(tries: &[Attempt], at: Timestamp) -> u32 {
    let begun = tries.iter().filter(|attempt| attempt.created_at <= at);
    begun.map(|attempt| attempt.attempt_no).max().unwrap_or(0)
}
