//! Claims tasks that can start, best first, within the limits, and starts their attempts.

mod batch_claim;
mod brief;
mod ranking;

use std::collections::VecDeque;
use std::slice;

use futures::future::BoxFuture;
use tracing::{debug, info, trace, warn};

use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::id::TaskId;
use omoi_domain::lifecycle::attempt::start_failed;
use omoi_domain::lifecycle::task::{FailedStart, StartFailure, judge_failed_start};
use omoi_domain::model_route::RouteName;
use omoi_domain::retry::ErrorClass;
use omoi_domain::slots::SlotLimit;
use omoi_domain::task::TaskType;
use omoi_domain::time::Timestamp;
use omoi_domain::work_limits::WorkLimits;
use omoi_git::mirror::{Mirror, UpdateRefError};
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::WorkspaceAccess;
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tenant, Tx, attempts, merges, slots};

use crate::attempt::{
    AttemptIssuer, AttemptJob, AttemptStarter, CreatedAttempt, WorkPlan, launch_attempt,
    lose_attempt,
};
use crate::consume::{EventConsumer, SlotWant};
use crate::deployment::{DeploymentParts, FromParts};
use crate::failure_policy::FailurePolicy;
use crate::integration;
use crate::options::QueueOptions;
use crate::repository_folders::RepositoryFolders;
use crate::running_attempts::RunningAttempts;
use crate::spec_files::SpecRenderer;
use crate::spec_selection::SpecSelection;
use crate::start_failure::{class_of, class_of_start};
use crate::tasks::fail_attempted;
use crate::toolchain_finder::ToolchainFinder;

use batch_claim::{BatchClaim, ClaimedTask, PlannedStart, claim_planned};

/// The dispatcher of one process.
pub struct Dispatcher {
    store: Tenant,
    folders: RepositoryFolders,
    selection: SpecSelection,
    renderer: SpecRenderer,
    issuer: AttemptIssuer,
    starter: AttemptStarter,
    toolchains: ToolchainFinder,
    running: RunningAttempts,
    failures: FailurePolicy,
    queue: QueueOptions,
    limits: WorkLimits,
    /// What the last pass left for the want of slots that other organisations hold.
    slot_want: SlotWant,
}

impl FromParts for Dispatcher {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            folders: RepositoryFolders::from_parts(parts),
            selection: SpecSelection::from_parts(parts),
            renderer: SpecRenderer::from_parts(parts),
            issuer: AttemptIssuer::from_parts(parts),
            starter: AttemptStarter::from_parts(parts),
            toolchains: ToolchainFinder::from_parts(parts),
            running: parts.running.clone(),
            failures: FailurePolicy::from_parts(parts),
            queue: parts.queue,
            limits: parts.limits,
            slot_want: SlotWant::Nothing,
        }
    }
}

/// Starts of one claim.
#[derive(Default)]
struct PlannedBatch {
    starts: Vec<PlannedStart>,
    /// Whether more tasks could start, and every slot of the deployment is taken.
    is_full: bool,
}

impl Dispatcher {
    async fn run_pass(
        &mut self,
        now: Timestamp,
        entities: &mut Entities,
    ) -> Result<Next, BoxError> {
        self.slot_want = SlotWant::Nothing;
        self.selection.refresh_model(&self.store).await?;
        let mut candidates = VecDeque::from(ranking::ranked_candidates(self).await?);
        let (mut look_again, mut has_claimed) = (false, false);
        let is_full = loop {
            let PlannedBatch {
                starts: batch,
                is_full,
            } = self.next_batch(&mut candidates, now, entities).await?;
            if batch.is_empty() {
                break is_full;
            }
            debug!(
                n_tasks = batch.len(),
                n_left = candidates.len(),
                "Claiming tasks"
            );
            let BatchClaim {
                claimed,
                lost_slots,
            } = self.claim_batch(batch, now, entities).await?;
            has_claimed |= !claimed.is_empty();
            for claimed in claimed {
                let label = claimed.planned.task.label();
                let turn = self.launch_or_fail(claimed);
                entities.give_turn(now, label, turn).await;
            }
            if lost_slots {
                debug!("Others took the slots meanwhile; looking again");
            }
            look_again |= lost_slots;
        };
        self.slot_want = match (is_full, has_claimed) {
            (false, _) => SlotWant::Nothing,
            (true, false) => SlotWant::GotNone,
            (true, true) => SlotWant::GotSome,
        };
        for task in &candidates {
            entities.keep_open(&task.label());
        }
        if look_again {
            return Ok(Next::Now);
        }
        let store = &self.store;
        let next_due = store.read(async |tx| tasks::next_due(tx).await).await?;
        Ok(next_due.map_or(Next::Idle, Next::At))
    }

    /// Takes the next candidates for which slots are free, as many as one claim takes, and plans their
    /// work. Those of a full project wait for another pass.
    async fn next_batch(
        &self,
        candidates: &mut VecDeque<Task>,
        now: Timestamp,
        entities: &mut Entities,
    ) -> Result<PlannedBatch, BoxError> {
        let limits = self.queue.slots;
        let store = &self.store;
        let mut slots = store.read(async |tx| slots::in_use(tx).await).await?;
        let mut batch = PlannedBatch::default();
        while batch.starts.len() < tasks::CLAIMED_MAX
            && let Some(task) = candidates.pop_front()
        {
            match slots.limit_reached(limits, task.project_id) {
                Some(limit @ (SlotLimit::Organisation | SlotLimit::Deployment)) => {
                    debug!(
                        n_waiting = candidates.len() + 1,
                        ?limit,
                        "Every slot is taken"
                    );
                    batch.is_full = limit == SlotLimit::Deployment;
                    candidates.push_front(task);
                    break;
                }
                Some(SlotLimit::Project) => {
                    entities.keep_open(&task.label());
                    continue;
                }
                None => {}
            }
            let turn = entities.begin_turn(now, task.label(), self.plan_or_fail(task));
            if let Some(Some(planned)) = turn.await.done_value() {
                slots.take_slot(planned.task.project_id);
                batch.starts.push(planned);
            }
        }
        Ok(batch)
    }

    /// Plans a start; none when the task failed or is left alone. What is wrong with a task counts
    /// against it; what passes by itself does not.
    async fn plan_or_fail(&self, task: Task) -> Result<Option<PlannedStart>, BoxError> {
        let id = task.id;
        match self.plan(task).await {
            Err(error) if !StoreError::is_passing(error.as_ref()) => {
                self.could_not_start(id, &error).await?;
                Ok(None)
            }
            other => other,
        }
    }

    async fn plan(&self, task: Task) -> Result<Option<PlannedStart>, BoxError> {
        let store = &self.store;
        let spec = store
            .read(async |tx| specs::get(tx, task.spec_id).await)
            .await?;
        if !self.selection.works_on(&spec) {
            trace!(spec.id = %spec.id, "This process leaves SPEC-{} alone", spec.number);
            return Ok(None);
        }
        let mirror = self.folders.project_mirror(spec.project_id).await?;
        let head = integration::ensure_for(&self.renderer, &mirror, &spec).await?;
        let plan = self.work_plan(&mirror, &task, &spec, &head).await?;
        Ok(Some(PlannedStart { task, spec, plan }))
    }

    /// Counts a start that failed against its task.
    async fn could_not_start(&self, id: TaskId, error: &BoxError) -> Result<(), StoreError> {
        let (class, why) = (class_of(error.as_ref()), error_chain(error.as_ref()));
        warn!(task.id = %id, error = %why, "Could not start task `{id}`");
        let store = &self.store;
        let spec = store
            .read(async |tx| Ok::<_, StoreError>(tasks::get(tx, id).await?.spec_id))
            .await?;
        let class = class_of_start(&self.store, &self.folders, spec, class).await;
        let count = async |tx: &mut Tx| count_failed_start(tx, self, id, class, why).await;
        store.write(CrashPoint::TaskMoved, count).await
    }

    async fn launch_or_fail(&self, claimed: ClaimedTask) -> Result<(), BoxError> {
        let id = claimed.planned.task.id;
        match self.launch(claimed).await {
            Err(error) if !StoreError::is_passing(error.as_ref()) => {
                Ok(self.could_not_start(id, &error).await?)
            }
            other => other,
        }
    }

    async fn launch(&self, claimed: ClaimedTask) -> Result<(), BoxError> {
        let ClaimedTask {
            planned,
            created,
            held,
        } = claimed;
        let PlannedStart { task, spec, plan } = planned;
        let (number, attempt) = (task.number, &created.attempt);
        info!(
            task.id = %task.id, attempt.id = %attempt.id, fence = attempt.fence, round = attempt.round,
            n_turns = created.turns.len(), "Claimed task TSK-{number:03}"
        );
        let brief = brief::of_task(self, &task, &spec, &created).await?;
        let role = created.attempt.role;
        let work = WorkPlan {
            snapshot: snapshot(&created)?,
            ..plan
        };
        launch_attempt(
            &self.starter,
            held,
            AttemptJob {
                attempt: created.attempt,
                token: created.token,
                turns: created.turns,
                work,
                brief,
                route: RouteName::of_agent(role, Some(task.task_type)),
            },
        );
        Ok(())
    }

    /// What the task's clone is cut from. Its branch stands in the mirror before anything is claimed.
    async fn work_plan(
        &self,
        mirror: &Mirror,
        task: &Task,
        spec: &Spec,
        head: &ObjectId,
    ) -> Result<WorkPlan, BoxError> {
        let branch = RefName::from_branch(&task.branch)?;
        let mut merge = None;
        let commit = match mirror.read_ref(&branch).await? {
            Some(own) => own,
            None => {
                match mirror.create_ref(&branch, head, CrashPoint::RefMoved).await {
                    Ok(()) | Err(UpdateRefError::Moved { .. }) => {}
                    Err(other) => return Err(other.into()),
                }
                mirror
                    .read_ref(&branch)
                    .await?
                    .unwrap_or_else(|| head.clone())
            }
        };
        if let (TaskType::ResolveConflict, Some(id)) = (task.task_type, task.resolves_merge_id) {
            let store = &self.store;
            let resolved = store.read(async |tx| merges::get(tx, id).await).await?;
            let theirs = ObjectId::parse(&resolved.incoming_sha)?;
            // A later round stands on a resolution that was committed already.
            if !mirror.is_ancestor(&theirs, &commit).await? {
                merge = Some(theirs);
            }
        }
        Ok(WorkPlan {
            base: ObjectId::parse(&spec.base_sha)?,
            commit,
            branch: task.branch.clone(),
            snapshot: None,
            merge,
            access: WorkspaceAccess::ReadWrite,
            toolbox: self.toolchains.toolchain_of(spec).await?,
        })
    }

    /// Claims those of `batch` that still can start. Where one of them fails the claim of all, each is
    /// claimed by itself: the fault of one task is its own.
    async fn claim_batch(
        &self,
        batch: Vec<PlannedStart>,
        now: Timestamp,
        entities: &mut Entities,
    ) -> Result<BatchClaim, BoxError> {
        match self.claim(&batch).await {
            Err(error) if error.is_of_row() => {
                let why = error_chain(&error);
                debug!(n_tasks = batch.len(), error = %why, "Claiming each task by itself");
            }
            done => return Ok(done?),
        }
        let mut whole = BatchClaim::default();
        for planned in batch {
            let turn = self.claim_or_fail(&planned);
            let turn = entities.begin_turn(now, planned.task.label(), turn).await;
            let one = turn.done_value().unwrap_or_default();
            whole.claimed.extend(one.claimed);
            whole.lost_slots |= one.lost_slots;
        }
        Ok(whole)
    }

    /// Claims one task; what is wrong with its rows counts against it, what is wrong with the database does
    /// not.
    async fn claim_or_fail(&self, planned: &PlannedStart) -> Result<BatchClaim, BoxError> {
        match self.claim(slice::from_ref(planned)).await {
            Err(error) if error.is_of_row() && !StoreError::is_passing(&error) => {
                self.could_not_start(planned.task.id, &error.into()).await?;
                Ok(BatchClaim::default())
            }
            done => Ok(done?),
        }
    }

    /// Claims all of `batch` that still can start, or none when others took the slots meanwhile.
    async fn claim(&self, batch: &[PlannedStart]) -> Result<BatchClaim, StoreError> {
        let claim = async |tx: &mut Tx| claim_planned(tx, self, batch).await;
        match self.store.write(CrashPoint::TaskClaimed, claim).await {
            Ok(claimed) => Ok(BatchClaim {
                claimed,
                lost_slots: false,
            }),
            Err(StoreError::SlotsTaken) => Ok(BatchClaim {
                claimed: Vec::new(),
                lost_slots: true,
            }),
            Err(other) => Err(other),
        }
    }
}

async fn count_failed_start(
    tx: &mut Tx,
    dispatcher: &Dispatcher,
    id: TaskId,
    class: ErrorClass,
    why: String,
) -> Result<(), StoreError> {
    let mut task = tasks::get(tx, id).await?;
    let attempt_id = task.attempt_id;
    let start = FailedStart {
        status: task.status,
        attempt_id,
        is_followed: attempt_id.is_some_and(|attempt| dispatcher.running.contains(attempt)),
    };
    match judge_failed_start(start) {
        StartFailure::Ignore => Ok(()),
        StartFailure::FailTask => {
            fail_attempted(tx, &dispatcher.failures, &mut task, class, &why).await
        }
        StartFailure::LoseAttempt(attempt) => {
            let mut attempt = attempts::get(tx, attempt).await?;
            lose_attempt(
                tx,
                &dispatcher.failures,
                &mut attempt,
                start_failed(class, why),
            )
            .await
        }
    }
}

fn snapshot(created: &CreatedAttempt) -> Result<Option<ObjectId>, omoi_git::object::BadObjectId> {
    created
        .attempt
        .wip_sha
        .as_deref()
        .map(ObjectId::parse)
        .transpose()
}

impl EventConsumer for Dispatcher {
    fn consumer(&self) -> Consumer {
        Consumer::Dispatcher
    }

    fn slot_want(&self) -> SlotWant {
        self.slot_want
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(self.run_pass(now, entities))
    }
}
