//! Work found by agents becomes tasks, inside depth and count caps.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use omoi_domain::block::TaskBlock;
use omoi_domain::check::CheckKind;
use omoi_domain::crash::CrashPoint;
use omoi_domain::discovery::{DiscoveredWork, broken_cap};
use omoi_domain::event::{DiscoveryDone, Event};
use omoi_domain::id::HumanRef;
use omoi_domain::plain_title::plain_title;
use omoi_domain::task::TicketPhase;
use omoi_domain::work_limits::WorkLimits;
use omoi_protocol::worker::{DiscoveryAck, ProposedCheck, ReportDiscovery};
use omoi_store::attempts::Attempt;
use omoi_store::checks::{self, Check};
use omoi_store::discoveries::{self, Discovery};
use omoi_store::projects::{self, NumberCounter, take_numbers};
use omoi_store::tasks::{self, Task};
use omoi_store::{Json, StoreError, Tenant, Tx, specs, tickets};

use crate::command::stays_inside;
use crate::intake::{IntakeError, current_attempt, lock_attempt};
use crate::integration::task_branch;
use crate::tasks::of_attempt;

/// Bytes of a proposed check's command.
const COMMAND_BYTES_MAX: usize = 4 << 10;
/// Files a proposed check may bring.
const CHECK_FILES_MAX: usize = 20;
/// Bytes of those files.
const CHECK_BYTES_MAX: usize = 256 << 10;
/// Seconds a proposed check may take.
const CHECK_TIMEOUT_S: i64 = 300;

/// Turns a report into a task linked to its source. The same report again gives the same answer.
///
/// # Errors
/// [`IntakeError::Refused`] for an unknown type or phase or a check that cannot be one;
/// [`IntakeError::Superseded`] when the attempt is over, also when it ends at this very moment.
pub async fn report_discovery(
    store: &Tenant,
    limits: &WorkLimits,
    attempt: &Attempt,
    mut body: ReportDiscovery,
) -> Result<DiscoveryAck, IntakeError> {
    body.title = plain_title(&body.title);
    check_report(&body)?;
    store
        .write(CrashPoint::DiscoveryRecorded, async |tx| {
            let key = hex::encode(Sha256::digest(format!(
                "{}\n{}",
                body.discovery_type, body.title
            )));
            // A report that is repeated changes nothing, not even when its agent was last heard of.
            let now = current_attempt(tx, attempt.id).await?;
            if let (_, Some(known)) = find_known(tx, &now, &key).await? {
                return Ok(discovery_ack(tx, known).await?);
            }
            let now = lock_attempt(tx, attempt.id).await?;
            // The same report may have come twice at once.
            let (source, known) = find_known(tx, &now, &key).await?;
            if let Some(known) = known {
                return Ok(discovery_ack(tx, known).await?);
            }
            tickets::hold_ticket(tx, source.ticket_id).await?;
            // Two agents that report at once count one after the other.
            projects::hold(tx, source.project_id).await?;
            let refused = over_cap(tx, limits, &source).await?;
            let task = match refused {
                None => Some(spawn_task(tx, &source, &body).await?),
                Some(_) => None,
            };
            let discovery = Discovery {
                id: tx.new_id(),
                org_id: tx.org(),
                spec_id: source.spec_id,
                source_task_id: source.id,
                discovery_key: key,
                discovery_type: body.discovery_type,
                title: body.title,
                description: body.description,
                task_id: task.as_ref().map(|task| task.id),
                refused,
                created_at: tx.now(),
            };
            discoveries::insert(tx, &discovery).await?;
            let event = Event::DiscoveryRecorded(DiscoveryDone {
                discovery_id: discovery.id,
                discovery_type: discovery.discovery_type,
                source_task_id: source.id,
                source_number: source.number,
                task_id: discovery.task_id,
                number: task.as_ref().map(|task| task.number),
                title: discovery.title.clone(),
                refused: discovery.refused.clone(),
            });
            tx.emit(Some(source.project_id), Some(source.spec_id), event);
            let answer = discovery_ack(tx, discovery).await?;
            Ok(answer)
        })
        .await
}

/// The task of a live attempt, and what it reported under `key` before.
async fn find_known(
    tx: &mut Tx,
    attempt: &Attempt,
    key: &str,
) -> Result<(Task, Option<Discovery>), IntakeError> {
    let Some(source) = of_attempt(tx, attempt).await? else {
        return Err(IntakeError::Superseded);
    };
    let known = discoveries::find(tx, source.id, key).await?;
    Ok((source, known))
}

fn check_report(body: &ReportDiscovery) -> Result<(), IntakeError> {
    let refused = |text: String| Err(IntakeError::Refused(text));
    if body.title.trim().is_empty() || body.title.chars().count() > 200 {
        return refused("title must have 1 to 200 characters".to_owned());
    }
    if body.description.trim().is_empty() {
        return refused("description must say what was found and how to see it".to_owned());
    }
    match &body.check {
        Some(proposed) => check_proposed(proposed),
        None => Ok(()),
    }
}

/// What can be said of a proposed check without running it; its agent can mend it.
fn check_proposed(proposed: &ProposedCheck) -> Result<(), IntakeError> {
    let refused = |text: String| Err(IntakeError::Refused(text));
    let command = &proposed.command;
    if command.trim().is_empty() || command.len() > COMMAND_BYTES_MAX || command.contains('\0') {
        return refused(format!(
            "check.command must be a command of at most {COMMAND_BYTES_MAX} bytes"
        ));
    }
    if proposed.files.len() > CHECK_FILES_MAX {
        return refused(format!("check.files may hold {CHECK_FILES_MAX} files"));
    }
    let bytes: usize = proposed.files.values().map(String::len).sum();
    if bytes > CHECK_BYTES_MAX {
        return refused(format!("check.files may hold {CHECK_BYTES_MAX} bytes"));
    }
    match proposed.files.keys().find(|path| !stays_inside(path)) {
        Some(path) => refused(format!(
            "check.files: `{path}` is not a path inside the repository"
        )),
        None => Ok(()),
    }
}

async fn discovery_ack(tx: &mut Tx, discovery: Discovery) -> Result<DiscoveryAck, StoreError> {
    let task_ref = match discovery.task_id {
        Some(id) => Some(HumanRef::task(tasks::get(tx, id).await?.number).to_string()),
        None => None,
    };
    Ok(DiscoveryAck {
        discovery_id: discovery.id,
        task_ref,
        refused: discovery.refused,
    })
}

/// The cap a further discovery of `source` would break.
async fn over_cap(
    tx: &mut Tx,
    limits: &WorkLimits,
    source: &Task,
) -> Result<Option<String>, StoreError> {
    let limits = specs::get(tx, source.spec_id).await?.work_limits(*limits);
    let all = discoveries::of_spec(tx, source.spec_id).await?;
    let became_tasks = || all.iter().filter(|found| found.task_id.is_some());
    let of_task = became_tasks().filter(|found| found.source_task_id == source.id);
    let added = DiscoveredWork {
        depth: source.discovery_depth,
        of_task: of_task.count() as u32,
        of_spec: became_tasks().count() as u32,
    };
    Ok(broken_cap(added, limits.discovery))
}

async fn spawn_task(
    tx: &mut Tx,
    source: &Task,
    body: &ReportDiscovery,
) -> Result<Task, StoreError> {
    let number = take_numbers(tx, source.project_id, NumberCounter::Task, 1).await?;
    let all = tasks::of_spec(tx, source.spec_id).await?;
    let found = all.iter().filter(|t| t.parent_task_id.is_some()).count() + 1;
    let ordinal = all.iter().map(|task| task.ordinal).max().unwrap_or(0) + 1;
    let priority = match body.priority_boost {
        true => source.priority.one_higher(),
        false => source.priority,
    };
    let fresh = source.fresh(tx);
    let mut task = Task {
        number,
        local_id: format!("DIS-{found:03}"),
        title: body.title.clone(),
        description: body.description.clone(),
        task_type: body.discovery_type.task_type(),
        phase_id: body.spawn_phase_id.unwrap_or(TicketPhase::Implementation),
        priority,
        ordinal,
        files: Json(body.files.clone()),
        requirements: Json(Vec::new()),
        branch: task_branch(fresh.id, &body.title),
        needed: body.needed,
        deadline_at: None,
        parent_task_id: Some(source.id),
        discovery_depth: source.discovery_depth + 1,
        ..fresh
    };
    tasks::insert(tx, &task).await?;
    match discovery_proof(tx, &task, body.check.as_ref()).await? {
        Some(check) => checks::insert(tx, &check, &[]).await?,
        None => {
            let block = TaskBlock::NoCheck;
            tasks::block(tx, &mut task, block, block.kind().to_string()).await?;
        }
    }
    Ok(task)
}

/// What proves a task found on the way: the check that came with it, or the project's suite.
async fn discovery_proof(
    tx: &mut Tx,
    task: &Task,
    proposed: Option<&ProposedCheck>,
) -> Result<Option<Check>, StoreError> {
    let (kind, command, files) = match proposed {
        Some(own) => (CheckKind::Proof, own.command.clone(), own.files.clone()),
        None => {
            let all = checks::of_spec(tx, task.spec_id).await?;
            let is_suite =
                |check: &Check| check.task_id.is_none() && check.kind == CheckKind::Suite;
            let Some(suite) = all.into_iter().find(is_suite) else {
                return Ok(None);
            };
            (CheckKind::Suite, suite.command, BTreeMap::new())
        }
    };
    Ok(Some(Check {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: task.spec_id,
        task_id: Some(task.id),
        ordinal: task.ordinal * 100,
        kind,
        command,
        files: Json(files),
        timeout_s: CHECK_TIMEOUT_S,
        base_exit: None,
    }))
}
