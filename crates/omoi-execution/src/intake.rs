//! What a worker's reports change. The server's worker routes call these and nothing else.
//!
//! A turn and the end of an attempt are on the disk before their worker hears that they are taken. What it tells on the
//! way outlives the end of this process; a loss of power takes it only with the worker and the turn that it belongs to.

mod attempt_intake;
mod commit_turn;
mod complete;
mod sent_bundle;
mod suite_control;
mod turn_limits;
mod verify;

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{debug, info, trace};

use omoi_domain::actor::Actor;
use omoi_domain::attempt::{AttemptSubject, SubjectKind};
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::AgentActivity;
use omoi_domain::id::{AttemptId, MessageId};
use omoi_domain::lifecycle::attempt::worker_started;
use omoi_domain::lifecycle::task::run_task;
use omoi_git::import::ImportError;
use omoi_git::mirror::{MirrorError, UpdateRefError};
use omoi_git::object::BadObjectId;
use omoi_git::process::GitError;
use omoi_git::refname::BadRefName;
use omoi_llm::meter::ModelCaller;
use omoi_protocol::worker::{
    AckMessages, EventsAck, HeartbeatAck, InboxMessage, MESSAGE_LOOK_INTERVAL, ReportEvents,
    ReportStarted,
};
use omoi_runtime::clock::Clocked;
use omoi_store::attempts::{self, AgentEvent, Attempt};
use omoi_store::{Json, Store, StoreError, Tenant, Tx, attempt_tokens, messages};

use crate::attempt::{apply_to_attempt, token_hash};
use crate::metering::model_caller;
use crate::tasks::{apply_to_task, of_attempt};

pub use attempt_intake::AttemptIntake;
pub use commit_turn::commit_turn;
pub use complete::complete_attempt;

/// Longest long poll.
const WAIT_MAX: Duration = Duration::from_secs(25);

/// Why a report was not taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// No attempt has this token.
    #[error("this token belongs to no attempt")]
    Unauthorized,
    /// The attempt is over or its subject moved on under a newer fence.
    #[error("this attempt was superseded")]
    Superseded,
    /// The report breaks a rule; the worker can mend it.
    #[error("{0}")]
    Refused(String),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
    /// The mirror could not be opened.
    #[error("the mirror could not be opened")]
    Mirror(#[from] MirrorError),
    /// The bundle was not taken in.
    #[error("the bundle could not be imported")]
    Import(#[from] ImportError),
    /// Git refused.
    #[error("git refused")]
    Git(#[from] GitError),
    /// A ref could not be moved.
    #[error("a ref could not be moved")]
    Ref(#[from] UpdateRefError),
    /// A ref cannot be named.
    #[error("a ref cannot be named")]
    RefName(#[from] BadRefName),
    /// A stored object name is broken.
    #[error("a stored object name is broken")]
    ObjectId(#[from] BadObjectId),
}

/// The attempt a token belongs to, live or over, with the rows of its organisation; what it changes, its agent did.
///
/// # Errors
/// [`IntakeError::Unauthorized`].
pub async fn authenticate_worker(
    store: &Store,
    token: &str,
) -> Result<(Tenant, Attempt), IntakeError> {
    let (tenant, id) = find_token(store, token).await?;
    let attempt = tenant.read(async |tx| attempts::get(tx, id).await).await?;
    Ok((tenant, attempt))
}

/// The organisation and the attempt of a token.
async fn find_token(store: &Store, token: &str) -> Result<(Tenant, AttemptId), IntakeError> {
    let digest = token_hash(token);
    let find = async |tx: &mut Tx| attempt_tokens::find(tx, &digest).await;
    let found = store.system().read(find).await?;
    let found = found.ok_or(IntakeError::Unauthorized)?;
    let agent = Actor::Agent(found.attempt_id);
    Ok((
        store.tenant(found.org_id).acting_as(agent),
        found.attempt_id,
    ))
}

/// As [`authenticate_worker`], with whom the attempt is to the model gateway.
///
/// # Errors
/// [`IntakeError::Unauthorized`].
pub async fn authenticate_caller(
    store: &Store,
    token: &str,
) -> Result<(Tenant, Attempt, ModelCaller), IntakeError> {
    let (tenant, id) = find_token(store, token).await?;
    let find = async |tx: &mut Tx| -> Result<(Attempt, ModelCaller), IntakeError> {
        let attempt = attempts::get(tx, id).await?;
        let caller = model_caller(tx, &attempt).await?;
        Ok((attempt, caller))
    };
    let (attempt, caller) = tenant.read(find).await?;
    Ok((tenant, attempt, caller))
}

/// Refuses a report of an attempt that is over; that it came is counted.
///
/// # Errors
/// [`IntakeError::Superseded`] when the attempt is over.
pub async fn expect_live(
    store: &Tenant,
    attempt: &Attempt,
    report: &str,
) -> Result<(), IntakeError> {
    if attempt.state.is_live() {
        return Ok(());
    }
    count_late_report(store, attempt, report).await?;
    Err(IntakeError::Superseded)
}

/// Counts a report of an attempt that is over. What it says is not kept: an agent that does not notice its
/// end can go on for long.
async fn count_late_report(
    store: &Tenant,
    attempt: &Attempt,
    report: &str,
) -> Result<(), StoreError> {
    let count = async |tx: &mut Tx| attempts::count_late_report(tx, attempt.id).await;
    store.write(CrashPoint::EventsStored, count).await?;
    // The first is news; the others are as many as its agent likes.
    match attempt.late_reports {
        0 => {
            info!(attempt.id = %attempt.id, report, state = %attempt.state, "A report of an attempt that is over");
        }
        _ => {
            debug!(attempt.id = %attempt.id, report, n_before = attempt.late_reports, "Another report of an attempt that is over");
        }
    }
    Ok(())
}

/// The attempt as it stands in `tx`, if it may still change anything.
pub(crate) async fn current_attempt(tx: &mut Tx, id: AttemptId) -> Result<Attempt, IntakeError> {
    let attempt = attempts::get(tx, id).await?;
    if !attempt.state.is_live() {
        return Err(IntakeError::Superseded);
    }
    if attempt.subject.kind() == SubjectKind::Task {
        let task = of_attempt(tx, &attempt).await?;
        // A task that was called off is no longer in its agent's hands.
        if !task.is_some_and(|task| task.status.is_worked_on()) {
            return Err(IntakeError::Superseded);
        }
    }
    Ok(attempt)
}

/// As [`current`], and so until `tx` ends: whoever wants to end the attempt waits.
pub(crate) async fn lock_attempt(tx: &mut Tx, id: AttemptId) -> Result<Attempt, IntakeError> {
    if !attempts::hold(tx, id).await? {
        return Err(IntakeError::Superseded);
    }
    current_attempt(tx, id).await
}

/// The worker is up: attempt, sandbox and task run.
///
/// # Errors
/// [`IntakeError::Superseded`].
pub async fn report_started(
    store: &Tenant,
    id: AttemptId,
    report: ReportStarted,
) -> Result<(), IntakeError> {
    let start = async |tx: &mut Tx| -> Result<(), IntakeError> {
        let mut attempt = current_attempt(tx, id).await?;
        attempt.agent_version = Some(report.version);
        let actions = worker_started(attempt.state);
        apply_to_attempt(tx, &mut attempt, actions).await?;
        if let Some(mut task) = of_attempt(tx, &attempt).await? {
            let actions = run_task(task.status);
            apply_to_task(tx, &mut task, actions).await?;
        }
        Ok(())
    };
    let started = store.write_ahead(CrashPoint::AttemptStarted, start).await;
    started.map(|((), _)| ())
}

/// A sign of life; answers whether the worker is to stop.
///
/// # Errors
/// When the database cannot be written.
pub async fn report_heartbeat(store: &Tenant, id: AttemptId) -> Result<HeartbeatAck, IntakeError> {
    let touch = async |tx: &mut Tx| -> Result<(), IntakeError> {
        current_attempt(tx, id).await?;
        Ok(attempts::touch(tx, id, false).await?)
    };
    let touched = store.write_ahead(CrashPoint::HeartbeatStored, touch);
    let commands = match touched.await {
        Ok(((), _)) => Vec::new(),
        Err(IntakeError::Superseded) => {
            info!(attempt.id = %id, "Telling the worker of an attempt that is over to stop");
            vec!["abort".to_owned()]
        }
        Err(other) => return Err(other),
    };
    Ok(HeartbeatAck {
        received: true,
        commands,
    })
}

/// Stores a worker's events. Those of an attempt that is over are counted as one late report.
///
/// # Errors
/// [`IntakeError::Refused`] for an event outside its limits; [`IntakeError::Superseded`] when the
/// attempt is over.
pub async fn report_events(
    store: &Tenant,
    attempt: &Attempt,
    report: ReportEvents,
) -> Result<EventsAck, IntakeError> {
    if report.events.len() > omoi_protocol::worker::EVENTS_MAX {
        let max = omoi_protocol::worker::EVENTS_MAX;
        return Err(IntakeError::Refused(format!(
            "{} events, at most {max}",
            report.events.len()
        )));
    }
    for event in &report.events {
        check_event(&event.event_data)?;
    }
    expect_live(store, attempt, "events").await?;
    let keep = async |tx: &mut Tx| append_events(tx, attempt, report).await;
    let kept = store.write_ahead(CrashPoint::EventsStored, keep);
    match kept.await?.0 {
        (stored, true) => {
            trace!(attempt.id = %attempt.id, stored, "Stored what an agent told");
            Ok(EventsAck { stored })
        }
        (_, false) => Err(IntakeError::Superseded),
    }
}

/// Stores the events; gives how many were new, and whether the attempt lives.
async fn append_events(
    tx: &mut Tx,
    attempt: &Attempt,
    report: ReportEvents,
) -> Result<(u32, bool), StoreError> {
    let mut stored = 0;
    for event in report.events {
        let show = event.summary.as_ref().map(|summary| AgentActivity {
            attempt_id: attempt.id,
            subject: attempt.subject,
            kind: event.event_type,
            summary: one_line(summary),
            lines_added: count_field(&event.event_data, "lines_added"),
            lines_removed: count_field(&event.event_data, "lines_removed"),
        });
        let row = AgentEvent {
            attempt_id: attempt.id,
            org_id: tx.org(),
            seq: 0,
            event_id: event.event_id,
            event_type: event.event_type,
            data: Json(event.event_data),
            created_at: tx.now(),
        };
        stored += u32::from(attempts::append_event(tx, attempt, row, show).await?);
    }
    let is_live = attempts::get(tx, attempt.id).await?.state.is_live();
    if is_live {
        attempts::touch(tx, attempt.id, true).await?;
    }
    Ok((stored, is_live))
}

fn check_event(data: &serde_json::Value) -> Result<(), IntakeError> {
    let bytes = data.to_string().len();
    if bytes > omoi_protocol::worker::EVENT_BYTES_MAX {
        let max = omoi_protocol::worker::EVENT_BYTES_MAX;
        return Err(IntakeError::Refused(format!(
            "the event has {bytes} bytes, at most {max}"
        )));
    }
    Ok(())
}

fn count_field(data: &serde_json::Value, key: &str) -> u32 {
    data.get(key)
        .and_then(serde_json::Value::as_u64)
        .map_or(0, |n| n as u32)
}

/// One line without control characters.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}

/// Messages for the attempt's agent that nobody acknowledged and that are not `known` to it; waits up to `wait` for one.
///
/// # Errors
/// When the database cannot be read.
pub async fn read_messages(
    store: &Tenant,
    clock: &Clocked,
    attempt: &Attempt,
    (wait, known): (Duration, &BTreeSet<MessageId>),
) -> Result<Vec<InboxMessage>, IntakeError> {
    let AttemptSubject::Task { task_id } = attempt.subject else {
        clock.sleep(wait.min(WAIT_MAX)).await;
        return Ok(Vec::new());
    };
    let until = clock.now() + wait.min(WAIT_MAX);
    loop {
        let mut open = store
            .read(async |tx| messages::open(tx, task_id).await)
            .await?;
        open.retain(|message| !known.contains(&message.id));
        if !open.is_empty() || clock.now() >= until {
            return Ok(open.into_iter().map(inbox_message).collect());
        }
        clock.sleep(MESSAGE_LOOK_INTERVAL).await;
    }
}

fn inbox_message(message: messages::Message) -> InboxMessage {
    InboxMessage {
        id: message.id,
        content: message.content,
        message_type: message.message_type,
        sender: message.sender,
    }
}

/// Notes that the agent has messages that no turn of it will hold.
///
/// # Errors
/// [`IntakeError::Superseded`] when the attempt is over, also when it ends at this very moment.
pub async fn ack_messages(
    store: &Tenant,
    attempt: &Attempt,
    body: AckMessages,
) -> Result<(), IntakeError> {
    store
        .write(CrashPoint::MessagesMoved, async |tx| {
            // What a superseded agent read is still to be told to its successor.
            lock_attempt(tx, attempt.id).await?;
            for id in body.ids {
                messages::ack(tx, id, attempt.id).await?;
            }
            Ok(())
        })
        .await
}
