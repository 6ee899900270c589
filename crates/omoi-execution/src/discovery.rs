//! Work found by agents becomes tasks, inside depth and count caps.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tracing::info;

use omoi_domain::check::CheckKind;
use omoi_domain::crash::CrashPoint;
use omoi_domain::discovery::DiscoveredWork;
use omoi_domain::event::{DiscoveryDone, Event};
use omoi_domain::id::HumanRef;
use omoi_domain::lifecycle::task::{
    DiscoveredTask, DiscoveryFacts, DiscoveryProof, DiscoveryStep, ReportedWork, judge_discovery,
};
use omoi_domain::plain_title::plain_title;
use omoi_domain::work_limits::WorkLimits;
use omoi_protocol::worker::{DiscoveryAck, ProposedCheck, ReportDiscovery};
use omoi_store::attempts::Attempt;
use omoi_store::checks::{self, Check};
use omoi_store::discoveries::{self, Discovery};
use omoi_store::projects::{self, NumberCounter, take_numbers};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task, TaskStanding};
use omoi_store::{Json, StoreError, Tenant, Tx, tickets};

use crate::command::stays_inside;
use crate::intake::{IntakeError, current_attempt, lock_attempt};
use crate::integration::task_branch;
use crate::tasks::{apply_to_task, of_attempt};

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
            let rows = SpecRows::read_rows(tx, &source).await?;
            let facts = rows.discovery_facts(limits, &source);
            let (task, refused) = match judge_discovery(reported_work(&body), facts) {
                DiscoveryStep::Refuse(cap) => (None, Some(cap)),
                DiscoveryStep::Add(new) => {
                    let material = ProofMaterial {
                        own: body.check.as_ref(),
                        suite: rows.suite.as_ref(),
                    };
                    let task = add_task(tx, &source, new, (&body, material));
                    (Some(task.await?), None)
                }
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
            info!(task.id = %source.id, "An agent found: {}", discovery.title);
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
        Some(proposed) => expect_runnable(proposed).map_err(IntakeError::Refused),
        None => Ok(()),
    }
}

/// Refuses a proposed check for what can be said of it without running it; whoever proposes it can mend it.
///
/// # Errors
/// What it must be.
pub fn expect_runnable(proposed: &ProposedCheck) -> Result<(), String> {
    let refused = |text: String| Err(text);
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

/// What is stored of the spec in which work was found.
struct SpecRows {
    spec: Spec,
    tasks: Vec<TaskStanding>,
    discoveries: Vec<Discovery>,
    /// The check that runs the project's suite.
    suite: Option<Check>,
}

impl SpecRows {
    async fn read_rows(tx: &mut Tx, source: &Task) -> Result<Self, StoreError> {
        let id = source.spec_id;
        Ok(Self {
            spec: specs::get(tx, id).await?,
            tasks: tasks::standing_of_spec(tx, id).await?,
            discoveries: discoveries::of_spec(tx, id).await?,
            suite: checks::suite_of_spec(tx, id).await?,
        })
    }

    fn discovery_facts(&self, limits: &WorkLimits, source: &Task) -> DiscoveryFacts {
        let became_tasks = || self.discoveries.iter().filter(|d| d.task_id.is_some());
        let of_task = became_tasks().filter(|found| found.source_task_id == source.id);
        let ordinals = self.tasks.iter().map(|task| task.ordinal);
        let found = self.tasks.iter().filter(|t| t.parent_task_id.is_some());
        DiscoveryFacts {
            added: DiscoveredWork {
                depth: source.discovery_depth,
                of_task: of_task.count() as u32,
                of_spec: became_tasks().count() as u32,
            },
            caps: self.spec.work_limits(*limits).discovery,
            source_priority: source.priority,
            n_found: found.count(),
            last_ordinal: ordinals.max().unwrap_or(0),
            has_suite: self.suite.is_some(),
        }
    }
}

fn reported_work(body: &ReportDiscovery) -> ReportedWork {
    ReportedWork {
        discovery_type: body.discovery_type,
        is_boosted: body.priority_boost,
        phase: body.spawn_phase_id,
        has_check: body.check.is_some(),
    }
}

/// What the check of work is made from that no plan has.
#[derive(Clone, Copy, Debug)]
pub struct ProofMaterial<'a> {
    /// The check that came with it.
    pub own: Option<&'a ProposedCheck>,
    /// The check that runs the project's suite.
    pub suite: Option<&'a Check>,
}

/// Writes the task that found work becomes, with its check.
async fn add_task(
    tx: &mut Tx,
    source: &Task,
    new: DiscoveredTask,
    (body, material): (&ReportDiscovery, ProofMaterial<'_>),
) -> Result<Task, StoreError> {
    let number = take_numbers(tx, source.project_id, NumberCounter::Task, 1).await?;
    let fresh = source.fresh(tx);
    let mut task = Task {
        number,
        local_id: new.local_id,
        title: body.title.clone(),
        description: body.description.clone(),
        task_type: new.task_type,
        phase_id: new.phase,
        priority: new.priority,
        ordinal: new.ordinal,
        files: Json(body.files.clone()),
        requirements: Json(Vec::new()),
        branch: task_branch(fresh.id, &body.title),
        needed: body.needed,
        deadline_at: None,
        parent_task_id: Some(source.id),
        discovery_depth: new.depth,
        ..fresh
    };
    tasks::insert(tx, &task).await?;
    material.write_proof(tx, &task, new.proof).await?;
    apply_to_task(tx, &mut task, new.actions).await?;
    Ok(task)
}

impl ProofMaterial<'_> {
    /// Writes the check that proves `task`, if one can.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn write_proof(
        self,
        tx: &mut Tx,
        task: &Task,
        proof: DiscoveryProof,
    ) -> Result<(), StoreError> {
        match self.proof_check(tx, task, proof) {
            Some(check) => checks::insert(tx, &check, &[]).await,
            None => Ok(()),
        }
    }

    fn proof_check(self, tx: &Tx, task: &Task, proof: DiscoveryProof) -> Option<Check> {
        let (kind, command, files) = match proof {
            DiscoveryProof::Missing => return None,
            DiscoveryProof::Own => {
                let own = self.own?;
                (CheckKind::Proof, own.command.clone(), own.files.clone())
            }
            DiscoveryProof::Suite => {
                let command = self.suite?.command.clone();
                (CheckKind::Suite, command, BTreeMap::new())
            }
        };
        Some(Check {
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
            is_deploy: false,
        })
    }
}
