//! Tasks as people see them.

use omoi_delivery::trace::receipt_view;
use omoi_domain::attempt::AttemptStopReason;
use omoi_domain::egress::{EgressDecision, EgressOutcome};
use omoi_domain::event::{Event, EventKind};
use omoi_domain::id::{HumanRef, TaskId};
use omoi_domain::task::TaskStatus;
use omoi_execution::integration::wip_ref;
use omoi_protocol::api::{AttemptView, FallbackView, ModelUsageView, TaskDetail, TaskView};
use omoi_store::attempts::Attempt;
use omoi_store::costs::ModelSpend;
use omoi_store::model_fallbacks::FallbackCount;
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, Task};
use omoi_store::{
    StoreError, Tx, attempts, checks, costs, egress_entries, events, model_fallbacks, open_calls,
    projects, sandboxes, specs, tickets,
};

/// A task with its attempts and receipts.
pub(super) async fn task_detail(tx: &mut Tx, task: &Task) -> Result<TaskDetail, StoreError> {
    let all = tasks::of_spec(tx, task.spec_id).await?;
    let every = checks::of_spec(tx, task.spec_id).await?;
    let mut views = Vec::new();
    let tries = attempts::of_task(tx, task.id).await?;
    for attempt in &tries {
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
            usage: model_usage(tx, attempt).await?,
            fallbacks: fallbacks_of(tx, attempt).await?,
            late_reports: u32::try_from(attempt.late_reports).unwrap_or(u32::MAX),
        });
    }
    let receipts = checks::receipts_of_task(tx, task.id)
        .await?
        .iter()
        .filter_map(|r| {
            Some(receipt_view(
                every.iter().find(|c| c.id == r.check_id)?,
                r,
                &all,
            ))
        })
        .collect();
    let wip_ref = tries
        .iter()
        .rfind(|a| a.wip_sha.is_some())
        .and_then(|a| wip_ref(a.id).ok())
        .map(|name| name.as_str().to_owned());
    Ok(TaskDetail {
        description: task.description.clone(),
        attempts: views,
        receipts,
        wip_ref,
        task: task_view(tx, task).await?,
    })
}

/// What the models of an attempt used, with the part that came from their caches.
async fn model_usage(tx: &mut Tx, attempt: &Attempt) -> Result<Vec<ModelUsageView>, StoreError> {
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
            cost_usd: spend.cost_nanousd.into(),
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
    let spec = specs::get(tx, task.spec_id).await?;
    let views = task_views(tx, &spec).await?;
    let found = views.into_iter().find(|view| view.id == task.id);
    found.ok_or_else(|| StoreError::NotFound {
        what: "task",
        key: task.id.to_string(),
    })
}

/// Every task of a spec as people see it.
pub(super) async fn task_views(tx: &mut Tx, spec: &Spec) -> Result<Vec<TaskView>, StoreError> {
    let all = tasks::of_spec(tx, spec.id).await?;
    let groups = tickets::of_spec(tx, spec.id).await?;
    let edges = tasks::dependencies(tx, spec.id).await?;
    let names = projects::names(tx).await?;
    let name = |id: TaskId| {
        all.iter()
            .find(|t| t.id == id)
            .map(|t| HumanRef::task(t.number).to_string())
    };
    Ok(all
        .iter()
        .map(|task| TaskView {
            id: task.id,
            task_ref: HumanRef::task(task.number).to_string(),
            ticket_ref: groups
                .iter()
                .find(|ticket| ticket.id == task.ticket_id)
                .map(|ticket| HumanRef::ticket(ticket.number).to_string())
                .unwrap_or_default(),
            spec_ref: HumanRef::spec(spec.number).to_string(),
            name: names.reference(task.project_id, HumanRef::task(task.number)),
            spec_name: names.reference(task.project_id, HumanRef::spec(spec.number)),
            title: task.title.clone(),
            task_type: task.task_type,
            phase: task.phase_id,
            priority: task.priority,
            status: task.status,
            integration_state: task.integration_state,
            round: task.round,
            depends_on: edges
                .iter()
                .filter(|(dependent, _)| *dependent == task.id)
                .filter_map(|(_, on)| name(*on))
                .collect(),
            found_by: task.parent_task_id.and_then(name),
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
        })
        .collect())
}
