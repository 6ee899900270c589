//! When nothing of a spec is open: proves every criterion at the head, hands the branch over, and looks whether it is deployed.

pub(crate) mod ablation;
mod deployment;
mod hand_over;
mod head;
mod reopen;

use futures::future::BoxFuture;
use tracing::info;

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::id::HumanRef;
use omoi_domain::lifecycle::spec::finish::{
    self as rules, OpenMerge, OpenTask, OpenWork, ProofStart, SpecStop, WorkStanding,
    judge_open_work, start_proof,
};
use omoi_domain::spec::SpecStatus;
use omoi_domain::time::Timestamp;
use omoi_domain::work_limits::WorkLimits;
use omoi_execution::consume::EventConsumer;
use omoi_execution::platform_run::{
    PlatformRun, PlatformRunner, PlatformWork, begin_run, earlier_runs,
};
use omoi_execution::spec_selection::SpecSelection;
use omoi_execution::specs::apply_to_spec;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::{Entities, Next};
use omoi_store::merges::{self, Merge};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, TaskStanding};
use omoi_store::{StoreError, Tenant, Tx, projects};

use crate::branch::BranchProver;

/// The finisher of one process.
pub struct Finisher {
    store: Tenant,
    selection: SpecSelection,
    platform: PlatformRunner,
    prover: BranchProver,
    limits: WorkLimits,
}

impl FromParts for Finisher {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            selection: SpecSelection::from_parts(parts),
            platform: PlatformRunner::from_parts(parts),
            prover: BranchProver::from_parts(parts),
            limits: parts.limits,
        }
    }
}

/// Last checks that have begun.
struct BegunProof {
    run: PlatformRun,
    /// How a person names the spec.
    reference: String,
}

impl Finisher {
    async fn run_pass(&self, now: Timestamp, entities: &mut Entities) -> Result<Next, BoxError> {
        let working = self
            .selection
            .own_specs(&self.store, SpecStatus::Working)
            .await?;
        for spec in working {
            let entity = spec.label();
            entities.give_turn(now, entity, self.go_on(spec)).await;
        }
        for spec in deployment::deploying_specs(&self.store).await? {
            if self.selection.works_on(&spec) {
                let entity = format!("deployment of {}", spec.label());
                let turn = self.check_deployment(spec);
                entities.give_turn(now, entity, turn).await;
            }
        }
        Ok(Next::Idle)
    }

    /// Proves or ends a spec that has nothing open.
    async fn go_on(&self, spec: Spec) -> Result<(), BoxError> {
        let store = &self.store;
        let standing = store.read(async |tx| standing(tx, &spec).await);
        match standing.await? {
            WorkStanding::Open => Ok(()),
            WorkStanding::Ready => self.prove(spec).await,
            WorkStanding::Stopped(stop) => {
                info!(spec.id = %spec.id, block = ?stop.block, "SPEC-{} cannot go on: {}", spec.number, stop.reason);
                let stopped = store.write(CrashPoint::SpecMoved, async |tx| {
                    stop_spec(tx, &spec, stop).await
                });
                Ok(stopped.await?)
            }
        }
    }

    async fn prove(&self, spec: Spec) -> Result<(), BoxError> {
        let store = &self.store;
        let begun = store.write(CrashPoint::ValidationStarted, async |tx| {
            begin_proof(tx, &self.platform, &spec).await
        });
        let Some(BegunProof { run, reference }) = begun.await? else {
            return Ok(());
        };
        let (prover, attempt) = (self.prover.clone(), run.attempt.id);
        info!(spec.id = %spec.id, attempt.id = %attempt, "Proving SPEC-{} at its head", spec.number);
        run.spawn(format!("proof of SPEC-{}", spec.number), async move {
            let finished = head::finish_spec(&prover, &spec, attempt).await;
            finished.map_err(|error| hand_over::why_unfinished(&reference, &error).into())
        });
        Ok(())
    }
}

async fn begin_proof(
    tx: &mut Tx,
    platform: &PlatformRunner,
    spec: &Spec,
) -> Result<Option<BegunProof>, StoreError> {
    let work = PlatformWork {
        subject: AttemptSubject::HeadChecks,
        round: 0,
    };
    let runs = earlier_runs(tx, spec.id, work.subject).await?;
    let since = specs::working_since(tx, spec.id).await?;
    match start_proof(&runs, since) {
        ProofStart::Wait => Ok(None),
        ProofStart::GiveUp(stop) => {
            stop_spec(tx, spec, stop).await?;
            Ok(None)
        }
        ProofStart::Begin => {
            let number = HumanRef::spec(spec.number);
            let reference = projects::reference(tx, spec.project_id, number).await?;
            let run = begin_run(tx, platform, spec, work).await?;
            Ok(Some(BegunProof { run, reference }))
        }
    }
}

/// What the rows of a working spec leave to do.
async fn standing(tx: &mut Tx, spec: &Spec) -> Result<WorkStanding, StoreError> {
    let tasks = tasks::standing_of_spec(tx, spec.id).await?;
    let tasks: Vec<OpenTask> = tasks.into_iter().map(open_task).collect();
    let merges = merges::of_spec(tx, spec.id).await?;
    let merges: Vec<OpenMerge> = merges.into_iter().map(open_merge).collect();
    let names = projects::names(tx).await?;
    Ok(judge_open_work(OpenWork {
        number: spec.number,
        as_it_stands: spec.options.0.as_it_stands,
        tasks: &tasks,
        merges: &merges,
        reference: &|item| names.reference(spec.project_id, item),
    }))
}

fn open_task(task: TaskStanding) -> OpenTask {
    OpenTask {
        id: task.id,
        number: task.number,
        status: task.status,
        is_needed: task.needed,
        error: task.error_message,
        blocked_by: task.blocked_by,
        blocked_reason: task.blocked_reason,
    }
}

fn open_merge(merge: Merge) -> OpenMerge {
    OpenMerge {
        task_id: merge.task_id,
        state: merge.state,
        resolve_task_id: merge.resolve_task_id,
        error: merge.error,
    }
}

/// Has a working spec wait for what `stop` names, or fails it; one that was moved meanwhile is left alone.
async fn stop_spec(tx: &mut Tx, spec: &Spec, stop: SpecStop) -> Result<(), StoreError> {
    let mut spec = specs::get(tx, spec.id).await?;
    let actions = rules::stop_spec(spec.status, stop);
    apply_to_spec(tx, &mut spec, actions, false).await
}

impl EventConsumer for Finisher {
    fn consumer(&self) -> Consumer {
        Consumer::Finisher
    }

    fn tick<'a>(
        &'a mut self,
        now: Timestamp,
        entities: &'a mut Entities,
    ) -> BoxFuture<'a, Result<Next, BoxError>> {
        Box::pin(self.run_pass(now, entities))
    }
}
