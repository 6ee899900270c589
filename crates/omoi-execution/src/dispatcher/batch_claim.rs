//! Claims of planned starts: fence, attempt and status of each in one transaction.

use std::collections::BTreeMap;

use omoi_domain::attempt::{AgentRole, AttemptSubject};
use omoi_domain::task::TaskType;
use omoi_store::specs::Spec;
use omoi_store::tasks::{self, NewClaim, Task};
use omoi_store::{StoreError, Tx, attempts, slots};

use super::Dispatcher;
use crate::attempt::{CreatedAttempt, NewAttempt, WorkPlan, new_attempt};
use crate::running_attempts::HeldAttempt;

/// A task that could start, and what its clone will be cut from.
#[derive(Clone)]
pub(super) struct PlannedStart {
    pub(super) task: Task,
    pub(super) spec: Spec,
    pub(super) plan: WorkPlan,
}

/// A task that is claimed.
pub(super) struct ClaimedTask {
    pub(super) planned: PlannedStart,
    pub(super) created: CreatedAttempt,
    /// Its lease is renewed while this lives.
    pub(super) held: HeldAttempt,
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct BatchClaim {
    pub(super) claimed: Vec<ClaimedTask>,
    /// Others took slots between the look at them and the commit: who looks again may find some left.
    pub(super) lost_slots: bool,
}

/// Claims as many of `batch` as there are free slots, best first, if they still can start.
pub(super) async fn claim_planned(
    tx: &mut Tx,
    dispatcher: &Dispatcher,
    batch: &[PlannedStart],
) -> Result<Vec<ClaimedTask>, StoreError> {
    let limits = dispatcher.queue.slots;
    // Other processes went on since the batch was planned.
    let mut slots = slots::in_use(tx).await?;
    let (mut wanted, mut started) = (Vec::new(), BTreeMap::new());
    for planned in batch {
        let task = &planned.task;
        if slots.limit_reached(limits, task.project_id).is_some() {
            continue;
        }
        slots.take_slot(task.project_id);
        // Nobody tried a task whose fence never moved.
        let last = match task.fence {
            0 => None,
            _ => attempts::newest_of_task(tx, task.id).await?,
        };
        let new = new_attempt(tx, &dispatcher.issuer, attempt_at(planned), last.as_ref());
        wanted.push(NewClaim {
            task: task.clone(),
            attempt: new.attempt.clone(),
            token_hash: new.token_hash(),
        });
        started.insert(task.id, (planned, new));
    }
    let mut claimed = Vec::new();
    for NewClaim { task, attempt, .. } in tasks::claim(tx, wanted, limits).await? {
        let Some((planned, mut new)) = started.remove(&task.id) else {
            continue;
        };
        // Before the commit: an attempt that nobody holds is taken for one of a process that died.
        let held = dispatcher.running.hold_attempt(tx.org(), attempt.id);
        new.attempt = attempt;
        claimed.push(ClaimedTask {
            planned: PlannedStart {
                task,
                ..planned.clone()
            },
            created: new.with_turns(tx).await?,
            held,
        });
    }
    Ok(claimed)
}

fn attempt_at(planned: &PlannedStart) -> NewAttempt {
    let task = &planned.task;
    NewAttempt {
        project_id: task.project_id,
        spec_id: task.spec_id,
        subject: AttemptSubject::Task { task_id: task.id },
        round: task.round,
        role: match task.task_type {
            TaskType::ResolveConflict => AgentRole::Resolver,
            _ => AgentRole::Implementer,
        },
        agent: Some(planned.spec.options.0.agents.task_agent(task.task_type)),
        fence: task.fence + 1,
        base_sha: Some(planned.plan.commit.as_str().to_owned()),
    }
}
