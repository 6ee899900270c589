//! Claims tasks that can start, best first, within the limits, and starts their attempts.

mod brief;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::BoxFuture;
use tracing::{info, warn};

use omoi_domain::attempt::{AgentRole, AttemptState, AttemptStopReason, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::id::{ProjectId, SpecId, TaskId};
use omoi_domain::lifecycle::attempt::AttemptLoss;
use omoi_domain::retry::ErrorClass;
use omoi_domain::score::{Candidate, Ranked, rank, score};
use omoi_domain::spec::SpecStatus;
use omoi_domain::task::{TaskStatus, TaskType};
use omoi_domain::time::Timestamp;
use omoi_git::mirror::{Mirror, UpdateRefError};
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_runtime::telemetry::chain;
use omoi_sandbox::Access;
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, Scan, Task};
use omoi_store::{StoreError, Tx, attempts, merges};

use crate::attempt::{Created, Job, NewAttempt, WorkPlan, insert, launch, lose};
use crate::consume::Consume;
use crate::integration;
use crate::platform::Platform;
use crate::start_failure::{class_of, class_of_start};
use crate::tasks::{Full, fail, full};
use crate::toolbox::Toolbox;

/// A kept score differs from the true one by less.
const SCORE_STEP: f64 = 0.01;

/// The dispatcher of one process.
pub struct Dispatcher {
    platform: Platform,
}

impl Dispatcher {
    /// A dispatcher on `platform`.
    pub fn new(platform: Platform) -> Self {
        Self { platform }
    }

    async fn pass(&self, now: Timestamp, entities: &mut Entities) -> Result<Next, BoxError> {
        let mut full = BTreeSet::new();
        for (id, project, label) in self.ranked().await? {
            if full.contains(&project) {
                continue;
            }
            let turn = entities.turn(now, label, self.start_or_fail(id));
            match turn.await.done() {
                Some(Claim::Full(Full::Everywhere)) => break,
                Some(Claim::Full(Full::Project)) => {
                    full.insert(project);
                }
                Some(Claim::Started | Claim::Gone) | None => {}
            }
        }
        let mut tx = self.platform.store.begin_read().await?;
        Ok(tasks::next_due(&mut tx).await?.map_or(Next::Idle, Next::At))
    }

    /// Starts a task. What is wrong with it counts against it; what passes by itself does not.
    async fn start_or_fail(&self, id: TaskId) -> Result<Claim, BoxError> {
        match self.start(id).await {
            Err(error) if !StoreError::is_passing(error.as_ref()) => {
                let (class, why) = (class_of(error.as_ref()), chain(error.as_ref()));
                self.could_not_start(id, class, &why).await?;
                Ok(Claim::Gone)
            }
            other => other,
        }
    }

    /// Counts a start that failed against its task.
    async fn could_not_start(
        &self,
        id: TaskId,
        class: ErrorClass,
        why: &str,
    ) -> Result<(), StoreError> {
        warn!(task.id = %id, error = %why, "Could not start task `{id}`");
        let platform = &self.platform;
        let spec = {
            let mut tx = platform.store.begin_read().await?;
            tasks::get(&mut tx, id).await?.spec_id
        };
        let class = class_of_start(platform, spec, class).await;
        let mut tx = platform.store.begin_write().await?;
        let mut task = tasks::get(&mut tx, id).await?;
        match (task.status, task.attempt_id) {
            (TaskStatus::Pending, _) => fail(&mut tx, platform, &mut task, class, why).await?,
            (TaskStatus::Claiming, Some(attempt)) if !platform.running.contains(attempt) => {
                let mut attempt = attempts::get(&mut tx, attempt).await?;
                let loss = AttemptLoss {
                    state: AttemptState::Failed,
                    stop_reason: AttemptStopReason::ProvisionFailed,
                    class,
                    message: why.to_owned(),
                    counts: true,
                };
                lose(&mut tx, platform, &mut attempt, loss).await?;
            }
            _ => return Ok(()),
        }
        tx.commit(CrashPoint::TaskMoved).await
    }

    /// Tasks that could start, best first; their scores are kept for people.
    async fn ranked(&self) -> Result<Vec<(TaskId, ProjectId, String)>, StoreError> {
        let settings = &self.platform.settings;
        let mut tx = self.platform.store.begin_read().await?;
        let starving = Duration::from_secs_f64(settings.weights.starvation_limit);
        let scan = Scan {
            starving_since: tx.now() - starving,
            project_slots: settings.project_slots,
            limit: settings.scan_batch,
            spec: None,
        };
        let candidates = self.candidates(&mut tx, scan).await?;
        let mut dependents = BTreeMap::new();
        let mut specs_seen: Vec<SpecId> = Vec::new();
        for task in &candidates {
            if !specs_seen.contains(&task.spec_id) {
                specs_seen.push(task.spec_id);
                dependents.extend(tasks::blocking_counts(&mut tx, task.spec_id).await?);
            }
        }
        let scored = candidates.iter().map(|task| {
            let candidate = Candidate {
                priority: task.priority,
                queued_at: task.queued_at,
                deadline_at: task.deadline_at,
                n_dependents: dependents.get(&task.id).copied().unwrap_or(0) as u32,
                retry_count: task.retry_count,
                max_retries: task.max_retries,
            };
            (task, score(&settings.weights, tx.now(), &candidate))
        });
        let scored: Vec<(&Task, f64)> = scored.collect();
        // What was looked at is locked until here.
        tx.rollback().await?;
        self.keep_scores(&scored).await?;
        let mut ranked: Vec<_> = scored
            .into_iter()
            .map(|(task, score)| Ranked {
                score,
                queued_at: task.queued_at,
                id: (
                    task.level,
                    task.ordinal,
                    task.id,
                    (task.project_id, task.label()),
                ),
            })
            .collect();
        ranked.sort_by(rank);
        Ok(ranked
            .into_iter()
            .map(|Ranked { id, .. }| (id.2, id.3.0, id.3.1))
            .collect())
    }

    /// What `scan` finds of the specs this process goes on with. Where it must leave some alone, each
    /// other is looked at by itself, so that none is hidden behind their tasks.
    async fn candidates(&self, tx: &mut Tx, scan: Scan) -> Result<Vec<Task>, StoreError> {
        let working = specs::with_status(tx, SpecStatus::Working).await?;
        let n_working = working.len();
        let own: Vec<SpecId> = working
            .iter()
            .filter(|spec| self.platform.works_on(spec))
            .map(|spec| spec.id)
            .collect();
        if own.len() == n_working {
            return tasks::eligible(tx, scan).await;
        }
        let mut found = Vec::new();
        for spec in own {
            let scan = Scan {
                spec: Some(spec),
                ..scan
            };
            found.extend(tasks::eligible(tx, scan).await?);
        }
        Ok(found)
    }

    /// Keeps the scores that changed enough to be told apart.
    async fn keep_scores(&self, scored: &[(&Task, f64)]) -> Result<(), StoreError> {
        let moved = |(task, score): &&(&Task, f64)| (task.score - score).abs() >= SCORE_STEP;
        let moved: Vec<_> = scored.iter().filter(moved).collect();
        if moved.is_empty() {
            return Ok(());
        }
        let mut tx = self.platform.store.begin_write().await?;
        for (task, score) in moved {
            tasks::keep_score(&mut tx, task.id, *score).await?;
        }
        tx.commit(CrashPoint::ScoresKept).await
    }

    async fn start(&self, id: TaskId) -> Result<Claim, BoxError> {
        let platform = &self.platform;
        let (task, spec) = {
            let mut tx = platform.store.begin_read().await?;
            let task = tasks::get(&mut tx, id).await?;
            let spec = specs::get(&mut tx, task.spec_id).await?;
            if !platform.works_on(&spec) {
                return Ok(Claim::Gone);
            }
            if let Some(limit) = full(&mut tx, platform, task.project_id).await? {
                return Ok(Claim::Full(limit));
            }
            (task, spec)
        };
        let mirror = platform.mirror(spec.project_id).await?;
        let head = integration::ensure_for(platform, &mirror, &spec).await?;
        let plan = self.work_plan(&mirror, &task, &spec, &head).await?;
        let Some((task, created)) = self.claim(&task, &plan).await? else {
            return Ok(Claim::Gone);
        };
        info!(task.id = %task.id, "Claimed task TSK-{:03}", task.number);
        let brief = brief::of_task(platform, &task, &spec, &created).await?;
        let work = WorkPlan {
            snapshot: snapshot(&created)?,
            ..plan
        };
        launch(
            platform,
            Job {
                attempt: created.attempt,
                token: created.token,
                turns: created.turns,
                work,
                brief,
            },
        );
        Ok(Claim::Started)
    }

    /// What the task's clone is cut from. Its branch stands in the mirror before anything is claimed.
    async fn work_plan(
        &self,
        mirror: &Mirror,
        task: &Task,
        spec: &Spec,
        head: &ObjectId,
    ) -> Result<WorkPlan, BoxError> {
        let branch = RefName::branch(&task.branch)?;
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
            let resolved = {
                let mut tx = self.platform.store.begin_read().await?;
                merges::get(&mut tx, id).await?
            };
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
            access: Access::ReadWrite,
            toolbox: Toolbox::of_spec(spec)?,
        })
    }

    /// Claims the task if it still can start: fence, attempt and status in one transaction.
    async fn claim(
        &self,
        seen: &Task,
        plan: &WorkPlan,
    ) -> Result<Option<(Task, Created)>, StoreError> {
        let platform = &self.platform;
        let mut tx = platform.store.begin_write().await?;
        tasks::lock_slots(&mut tx).await?;
        let mut task = tasks::get(&mut tx, seen.id).await?;
        let full = full(&mut tx, platform, task.project_id).await?;
        let own = platform.settings.project_slots;
        let can_start = tasks::is_eligible(&mut tx, task.id, own).await?;
        if task.state_version != seen.state_version || full.is_some() || !can_start {
            return Ok(None);
        }
        task.fence += 1;
        // What counts as the task's own work starts where its first attempt did.
        if task.base_sha.is_none() {
            task.base_sha = Some(plan.commit.as_str().to_owned());
        }
        let resolves = task.task_type == TaskType::ResolveConflict;
        let new = NewAttempt {
            project_id: task.project_id,
            spec_id: task.spec_id,
            subject: AttemptSubject::Task { task_id: task.id },
            round: task.round,
            role: if resolves {
                AgentRole::Resolver
            } else {
                AgentRole::Implementer
            },
            fence: task.fence,
            base_sha: Some(plan.commit.as_str().to_owned()),
        };
        let created = match insert(&mut tx, platform, new).await {
            Ok(created) => created,
            // Another dispatcher was first.
            Err(StoreError::Exists { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        task.attempt_id = Some(created.attempt.id);
        match tasks::transition(&mut tx, &mut task, TaskStatus::Claiming, None).await {
            Ok(()) => {}
            // Another dispatcher was first.
            Err(StoreError::Conflict { .. } | StoreError::Transition(_)) => return Ok(None),
            Err(other) => return Err(other),
        }
        tx.commit(CrashPoint::TaskClaimed).await?;
        Ok(Some((task, created)))
    }
}

/// What became of one candidate.
enum Claim {
    Started,
    /// No slot is free.
    Full(Full),
    /// Somebody else was first.
    Gone,
}

fn snapshot(created: &Created) -> Result<Option<ObjectId>, omoi_git::object::BadObjectId> {
    created
        .attempt
        .wip_sha
        .as_deref()
        .map(ObjectId::parse)
        .transpose()
}

impl Consume for Dispatcher {
    fn consumer(&self) -> Consumer {
        Consumer::Dispatcher
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(self.pass(now, entities))
    }
}
