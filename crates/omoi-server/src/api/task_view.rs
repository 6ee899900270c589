//! Tasks as people see them.

use omoi_delivery::trace::receipt_view;
use omoi_domain::access::cost_sight::CostSight;
use omoi_domain::attempt::AttemptStopReason;
use omoi_domain::egress::{EgressDecision, EgressOutcome};
use omoi_domain::event::{Event, EventKind};
use omoi_domain::id::{HumanRef, TaskId};
use omoi_domain::task::TaskStatus;
use omoi_execution::integration::wip_ref;
use omoi_protocol::api::{
    AttemptView, FallbackView, GuardedCost, ModelUsageView, ReceiptView, TaskDetail, TaskView,
};
use omoi_store::attempts::Attempt;
use omoi_store::costs::ModelSpend;
use omoi_store::model_fallbacks::FallbackCount;
use omoi_store::projects::ProjectNames;
use omoi_store::tasks::{self, Task, TaskNumbers};
use omoi_store::{
    StoreError, Tx, attempts, checks, costs, egress_entries, events, model_fallbacks, open_calls,
    projects, sandboxes, specs,
};

/// A task with its attempts and receipts.
pub(super) async fn task_detail(
    tx: &mut Tx,
    sight: CostSight,
    task: &Task,
) -> Result<TaskDetail, StoreError> {
    let attempts = attempt_views(tx, sight, task).await?;
    let receipts = receipt_views(tx, task).await?;
    let tries = attempts::of_task(tx, task.id).await?;
    let wip_ref = tries
        .iter()
        .rfind(|a| a.wip_sha.is_some())
        .and_then(|a| wip_ref(a.id).ok())
        .map(|name| name.as_str().to_owned());
    Ok(TaskDetail {
        description: task.description.clone(),
        attempts,
        receipts,
        wip_ref,
        task: task_view(tx, task).await?,
    })
}

/// The attempts at a task, oldest first.
pub(super) async fn attempt_views(
    tx: &mut Tx,
    sight: CostSight,
    task: &Task,
) -> Result<Vec<AttemptView>, StoreError> {
    let mut views = Vec::new();
    for attempt in &attempts::of_task(tx, task.id).await? {
        let (mounts, start_steps) = match sandboxes::of_attempt(tx, attempt.id).await {
            Ok(sandbox) => (sandbox.mounts.0, sandbox.start_steps.0),
            // Attempts of the platform have none of their own.
            Err(StoreError::NotFound { .. }) => (Vec::new(), Vec::new()),
            Err(other) => return Err(other),
        };
        let (came_in, refused) = (EgressOutcome::CameIn, EgressOutcome::Refused);
        let packages = egress_entries::targets_of_attempt(tx, attempt.id, came_in).await?;
        let refused_outside = egress_entries::targets_of_attempt(tx, attempt.id, refused).await?;
        views.push(AttemptView {
            id: attempt.id,
            attempt_no: attempt.attempt_no,
            round: attempt.round,
            role: attempt.role,
            agent: attempt.agent,
            agent_version: attempt.agent_version.clone(),
            agent_session: attempt.agent_session.clone(),
            state: attempt.state,
            rung: attempt.rung,
            mounts,
            start_steps,
            stop_reason: attempt.stop_reason,
            error: attempt.error_message.clone(),
            turns: attempts::turns(tx, attempt.id).await?.len() as u32,
            created_at: attempt.created_at.into(),
            ended_at: attempt.ended_at.map(Into::into),
            egress: Some(EgressDecision::of_attempt(
                attempt.subject.kind(),
                &task.files.0,
            )),
            packages,
            refused_outside,
            waits_for: match task.attempt_id == Some(attempt.id) {
                true => attempt_wait(tx, task, attempt).await?,
                false => None,
            },
            usage: model_usage(tx, sight, attempt).await?,
            fallbacks: fallbacks_of(tx, attempt).await?,
            late_reports: u32::try_from(attempt.late_reports).unwrap_or(u32::MAX),
        });
    }
    Ok(views)
}

/// The receipts of a task's checks, oldest first.
pub(super) async fn receipt_views(
    tx: &mut Tx,
    task: &Task,
) -> Result<Vec<ReceiptView>, StoreError> {
    let all = tasks::of_spec(tx, task.spec_id).await?;
    let every = checks::of_spec(tx, task.spec_id).await?;
    let receipts = checks::receipts_of_task(tx, task.id).await?;
    let views = receipts.iter().filter_map(|receipt| {
        let check = every.iter().find(|check| check.id == receipt.check_id)?;
        Some(receipt_view(check, receipt, &all))
    });
    Ok(views.collect())
}

/// What the models of an attempt used, with the part that came from their caches.
async fn model_usage(
    tx: &mut Tx,
    sight: CostSight,
    attempt: &Attempt,
) -> Result<Vec<ModelUsageView>, StoreError> {
    let spends = costs::by_model(tx, attempt.id).await?;
    let view = |spend: ModelSpend| {
        let tokens_read = spend.input_tokens + spend.cache_read_tokens + spend.cache_write_tokens;
        ModelUsageView {
            model: spend.model,
            calls: spend.calls,
            tokens_read,
            tokens_answered: spend.output_tokens,
            cache_share: match tokens_read {
                0 => 0.0,
                all => spend.cache_read_tokens as f64 / all as f64,
            },
            cache_misses: spend.cache_misses.into_iter().collect(),
            cost_usd: GuardedCost::seen_by(sight, spend.cost_nanousd),
            estimated_calls: spend.estimated_calls,
        }
    };
    Ok(spends.into_iter().map(view).collect())
}

async fn fallbacks_of(tx: &mut Tx, attempt: &Attempt) -> Result<Vec<FallbackView>, StoreError> {
    let counted = model_fallbacks::of_attempt(tx, attempt.id).await?;
    let view = |fallback: FallbackCount| FallbackView {
        from_model: fallback.from_model,
        to_model: fallback.to_model,
        class: fallback.class,
        message: fallback.message,
        n: fallback.n,
    };
    Ok(counted.into_iter().map(view).collect())
}

/// For what the newest attempt at a task waits.
async fn attempt_wait(
    tx: &mut Tx,
    task: &Task,
    attempt: &Attempt,
) -> Result<Option<String>, StoreError> {
    let is_saved = attempt.stop_reason == Some(AttemptStopReason::ProviderWait)
        && task.status == TaskStatus::Pending
        && task.not_before > tx.now();
    if is_saved {
        let at = task.not_before.date_and_time();
        let spec = HumanRef::spec(specs::get(tx, task.spec_id).await?.number);
        return Ok(Some(format!(
            "its work is saved and goes on at {at}; now: omoi spec resume {spec}"
        )));
    }
    waiting_call(tx, attempt).await
}

/// The model call for which an attempt waits, as its provider turns it away.
async fn waiting_call(tx: &mut Tx, attempt: &Attempt) -> Result<Option<String>, StoreError> {
    let calls = open_calls::of_attempt(tx, attempt.id).await?;
    let Some(call) = calls.first().filter(|_| attempt.state.is_live()) else {
        return Ok(None);
    };
    let failed = events::of_kind(tx, attempt.spec_id, EventKind::ModelCallFailed).await?;
    let since = failed
        .into_iter()
        .rev()
        .take_while(|stored| stored.occurred_at >= call.opened_at);
    let mut told = since.filter_map(|stored| match stored.event {
        Event::ModelCallFailed(failed) if failed.attempt_id == attempt.id => Some(failed),
        _ => None,
    });
    let newest = told.next().filter(|failed| failed.is_waiting);
    Ok(newest.map(|failed| failed.one_line()))
}

/// A task as people see it.
pub(super) async fn task_view(tx: &mut Tx, task: &Task) -> Result<TaskView, StoreError> {
    let mut views = task_views(tx, std::slice::from_ref(task)).await?;
    views.pop().ok_or_else(|| missing(task))
}

/// Tasks as people see them, in the order given.
pub(super) async fn task_views(tx: &mut Tx, tasks: &[Task]) -> Result<Vec<TaskView>, StoreError> {
    let names = projects::names(tx).await?;
    let ids: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    let around = tasks::numbers_around(tx, &ids).await?;
    let views = tasks.iter().map(|task| {
        let numbers = around.get(&task.id).ok_or_else(|| missing(task))?;
        Ok(view_of(&names, task, numbers))
    });
    views.collect()
}

fn missing(task: &Task) -> StoreError {
    StoreError::NotFound {
        what: "task",
        key: task.id.to_string(),
    }
}

fn view_of(names: &ProjectNames, task: &Task, around: &TaskNumbers) -> TaskView {
    let (number, spec) = (HumanRef::task(task.number), HumanRef::spec(around.spec));
    let named = |number: i64| HumanRef::task(number).to_string();
    TaskView {
        id: task.id,
        task_ref: number.to_string(),
        ticket_ref: HumanRef::ticket(around.ticket).to_string(),
        spec_ref: spec.to_string(),
        name: names.reference(task.project_id, number),
        spec_name: names.reference(task.project_id, spec),
        title: task.title.clone(),
        task_type: task.task_type,
        phase: task.phase_id,
        priority: task.priority,
        status: task.status,
        integration_state: task.integration_state,
        round: task.round,
        depends_on: around.waits_for.iter().copied().map(named).collect(),
        found_by: around.found_by.map(named),
        needed: task.needed,
        branch: task.branch.clone(),
        head_sha: task.head_sha.clone(),
        requirements: task.requirements.0.clone(),
        blocked_by: task.blocked_by,
        problem: task
            .error_message
            .clone()
            .or_else(|| task.blocked_reason.clone()),
        summary: task.summary.clone(),
    }
}
