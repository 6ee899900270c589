//! `omoi spec resume`.

use tracing::info;

use omoi_domain::block::TaskBlock;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{OrgId, SpecId};
use omoi_domain::lifecycle::spec::{ResumeRoute, resume_planning, resume_route, resume_work};
use omoi_domain::lifecycle::task::{StuckTask, next_stuck};
use omoi_domain::spec::PhaseState;
use omoi_domain::task::TaskStatus;
use omoi_domain::work_limits::WorkLimits;
use omoi_execution::specs::apply_to_spec;
use omoi_protocol::api::ResumeSpec;
use omoi_store::closed_credentials;
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, TaskStanding};
use omoi_store::{StoreError, Tenant, Tx, ablations, phases};

use super::SpecCommandError;
use super::spec_changes::{explain_refusal, read_phase_states, read_spec_facts, read_spec_tasks};
use super::spec_model::adopt_model;
use crate::spec_policy::SpecPolicy;
use crate::suite;

/// Takes a spec up where it stopped: what is missing of its plan is planned, or its failed tasks go
/// back into the queue. One that waits for approval with a whole plan or is delivered is left alone; of one
/// that runs, what waits for a time goes on now, as work that its provider turned away. Who accepts what is weak lets those criteria stand that are weak now, at this head.
///
/// # Errors
/// [`SpecCommandError::OtherModel`], [`SpecCommandError::TaskCancelled`]; [`StoreError::Transition`]
/// when it is cancelled.
pub async fn resume_spec(
    policy: &SpecPolicy,
    tenant: &Tenant,
    id: SpecId,
    asked: ResumeSpec,
) -> Result<Spec, SpecCommandError> {
    let resumed = tenant.write(CrashPoint::SpecMoved, async |tx| {
        let mut spec = specs::get(tx, id).await?;
        let facts = read_spec_facts(tx, &spec).await?;
        let route = resume_route(facts);
        // It may have been delivered while the person asked.
        if route == ResumeRoute::Delivered {
            return Ok((spec, false));
        }
        let is_renamed = adopt_model(&policy.selection, tx, &mut spec).await?;
        match route {
            ResumeRoute::Delivered | ResumeRoute::WaitsForApproval => return Ok((spec, false)),
            ResumeRoute::UnderWay => {
                if is_renamed {
                    specs::save(tx, &mut spec).await?;
                }
                end_waits(tx, &spec).await?;
            }
            ResumeRoute::Work => work_on(tx, &mut spec, &asked).await?,
            ResumeRoute::Planning => plan_on(tx, &policy.limits, &mut spec, &asked).await?,
        }
        // Whoever runs the deployment may have bought credit: the providers are asked again. Other organisations share
        // its credentials, and none of them has every other one ask a provider that refuses.
        if tx.org() == OrgId::LOCAL {
            closed_credentials::open_all(tx).await?;
        }
        Ok::<_, SpecCommandError>((spec, true))
    });
    let (spec, is_asked_for) = resumed.await?;
    info!(spec.id = %spec.id, status = %spec.status, "A person resumed SPEC-{}", spec.number);
    if is_asked_for {
        policy.selection.scope.ask_for(spec.id);
    }
    Ok(spec)
}

/// Has tasks and phases go on now that wait for a time.
async fn end_waits(tx: &mut Tx, spec: &Spec) -> Result<(), StoreError> {
    let now = tx.now();
    let mut n_waits = 0;
    tasks::hold_of_spec(tx, spec.id).await?;
    for mut task in tasks::of_spec(tx, spec.id).await? {
        if task.status == TaskStatus::Pending && task.not_before > now {
            task.not_before = now;
            tasks::save(tx, &mut task).await?;
            n_waits += 1;
        }
    }
    for mut run in phases::of_spec(tx, spec.id).await? {
        if run.state == PhaseState::Backoff && run.not_before > now {
            run.not_before = now;
            phases::save(tx, &mut run).await?;
            n_waits += 1;
        }
    }
    match n_waits {
        0 => Ok(()),
        n => {
            let reason = format!("a person ended the wait of {n}");
            specs::tell_resumed(tx, spec, reason).await
        }
    }
}

/// Has the tasks of a whole plan worked on again.
async fn work_on(tx: &mut Tx, spec: &mut Spec, asked: &ResumeSpec) -> Result<(), SpecCommandError> {
    spec.options.0.accept_red |= asked.accept_red;
    retry_stuck_tasks(tx, spec.id).await?;
    let n_weak_accepted = match asked.accept_weak {
        true => Some(ablations::accept_weak(tx, spec.id).await?),
        false => None,
    };
    let tasks = read_spec_tasks(tx, spec.id).await?;
    match resume_work(&tasks, n_weak_accepted) {
        Ok(actions) => Ok(apply_to_spec(tx, spec, actions, true).await?),
        Err(refusal) => Err(explain_refusal(tx, spec, refusal).await),
    }
}

/// Plans what is missing.
async fn plan_on(
    tx: &mut Tx,
    limits: &WorkLimits,
    spec: &mut Spec,
    asked: &ResumeSpec,
) -> Result<(), SpecCommandError> {
    spec.options.0.accept_red |= asked.accept_red;
    suite::set_up_again(tx, limits, spec, asked.suite.as_deref()).await?;
    let phases = read_phase_states(tx, spec.id).await?;
    let actions = resume_planning(spec.current_phase, &phases);
    Ok(apply_to_spec(tx, spec, actions, true).await?)
}

/// Puts every failed task, and every one whose merge waits for a person, back into the queue.
async fn retry_stuck_tasks(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    // Each may take others along, and what goes on with it lies all over the spec.
    tasks::hold_of_spec(tx, spec).await?;
    let mut tried = Vec::new();
    loop {
        let all = tasks::standing_of_spec(tx, spec).await?;
        let facts: Vec<StuckTask> = all.iter().map(stuck_task).collect();
        let Some(id) = next_stuck(&facts, &tried) else {
            return Ok(());
        };
        let mut task = tasks::get(tx, id).await?;
        omoi_execution::tasks::retry_by_person(tx, &mut task).await?;
        tried.push(id);
    }
}

fn stuck_task(task: &TaskStanding) -> StuckTask {
    StuckTask {
        id: task.id,
        status: task.status,
        integration_state: task.integration_state,
        waits_for_outside: task.blocked_by.is_some_and(TaskBlock::is_outside),
        is_resolution: task.resolves_merge_id.is_some(),
    }
}
