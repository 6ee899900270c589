//! Whether a run goes on only once a person answers what its agents ask.

use omoi_domain::approval::{ApprovalKind, ApprovalState};
use omoi_domain::block::TaskBlock;
use omoi_domain::merge::IntegrationState;
use omoi_domain::task::TaskStatus;
use omoi_protocol::api::{ApprovalView, TaskView};

use super::RunFollower;

/// Looks in a row at a run in which nobody works before it is left: whoever answers at once has it go on.
const IDLE_LOOKS_MAX: u32 = 2;

impl RunFollower<'_> {
    /// The question that everything waits for, once it has for a while. A person who watches a picture may answer beside it.
    pub(super) async fn find_sole_question(&mut self) -> Option<Box<ApprovalView>> {
        let n_before = std::mem::take(&mut self.n_idle_looks);
        let mut lines = self.show.view.tasks.values();
        if self.show.is_live() || !lines.any(|line| line.status == Some(TaskStatus::Blocked)) {
            return None;
        }
        // Who does not answer is found by the events that end.
        let tasks = self.client.list_tasks(Some(&self.id)).await.ok()?;
        if !waits_for_answers(&tasks) {
            return None;
        }
        self.n_idle_looks = n_before + 1;
        if self.n_idle_looks < IDLE_LOOKS_MAX {
            return None;
        }
        let pending = self.client.list_approvals(ApprovalState::Pending).await;
        let is_asked = |asked: &ApprovalView| {
            asked.kind == ApprovalKind::Question
                && tasks
                    .iter()
                    .any(|task| task.id.as_uuid() == asked.subject.id)
        };
        pending.ok()?.into_iter().find(is_asked).map(Box::new)
    }
}

/// Whether agents of `tasks` wait for answers, and nothing goes on without one.
fn waits_for_answers(tasks: &[TaskView]) -> bool {
    let has_landed = |task: &TaskView| task.integration_state.satisfies_dependents();
    let is_held = |task: &TaskView| match task.status {
        TaskStatus::Blocked | TaskStatus::Failed | TaskStatus::Cancelled => true,
        TaskStatus::Completed => !matches!(
            task.integration_state,
            IntegrationState::Queued | IntegrationState::Merging
        ),
        // What it waits for is looked at itself.
        TaskStatus::Pending => tasks
            .iter()
            .any(|other| task.depends_on.contains(&other.task_ref) && !has_landed(other)),
        TaskStatus::Claiming
        | TaskStatus::Assigned
        | TaskStatus::Running
        | TaskStatus::PendingValidation
        | TaskStatus::Validating
        | TaskStatus::NeedsRevision => false,
    };
    let asks = |task: &TaskView| task.blocked_by == Some(TaskBlock::Question);
    tasks.iter().any(asks) && tasks.iter().all(is_held)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(number: u32, status: &str, more: &[(&str, serde_json::Value)]) -> TaskView {
        let mut view = json!({
            "id": "01930000-0000-7000-8000-0000000000a1", "task_ref": format!("TSK-00{number}"), "name": "", "ticket_ref": "",
            "spec_ref": "", "spec_name": "", "title": "", "task_type": "implement_feature",
            "phase": "PHASE_IMPLEMENTATION", "priority": "HIGH", "status": status,
            "integration_state": "none", "round": 0, "depends_on": [], "needed": true, "branch": "", "requirements": [],
        });
        for (field, value) in more {
            view[field] = value.clone();
        }
        serde_json::from_value(view).unwrap()
    }

    #[test]
    fn a_run_waits_for_a_person_once_nothing_else_goes_on() {
        let asks = || task(1, "blocked", &[("blocked_by", json!({"kind": "question"}))]);
        let merged = || task(2, "completed", &[("integration_state", json!("merged"))]);
        let merging = task(3, "completed", &[("integration_state", json!("merging"))]);
        let behind = || task(4, "pending", &[("depends_on", json!(["TSK-001"]))]);
        let ready = task(5, "pending", &[("depends_on", json!(["TSK-002"]))]);
        let on_budget = task(
            6,
            "blocked",
            &[("blocked_by", json!({"kind": "budget_exceeded"}))],
        );
        for (tasks, waits) in [
            (vec![asks()], true),
            (vec![asks(), merged(), behind(), on_budget.clone()], true),
            (vec![asks(), task(2, "failed", &[])], true),
            (vec![asks(), merging], false),
            (vec![asks(), merged(), ready], false),
            (vec![asks(), task(2, "running", &[])], false),
            (vec![asks(), task(2, "validating", &[])], false),
            // Of these the end is told by an event.
            (vec![on_budget, merged()], false),
            (vec![behind()], false),
            (vec![], false),
        ] {
            let shown: Vec<_> = tasks
                .iter()
                .map(|task| (task.status, task.blocked_by))
                .collect();
            assert_eq!(waits_for_answers(&tasks), waits, "{shown:?}");
        }
    }
}
