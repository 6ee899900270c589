//! Rows as they are right after they were made.

use omoi_domain::id::TaskId;
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::sandbox::SandboxState;
use omoi_domain::task::{Priority, TaskStatus};
use omoi_store::attempts::Attempt;
use omoi_store::merges::Merge;
use omoi_store::sandboxes::Sandbox;
use omoi_store::tasks::Task;
use omoi_store::tickets::Ticket;
use omoi_store::{Json, Tx};

/// The merge of `task`, whose head is `sha`.
pub(crate) fn merge(tx: &Tx, task: &Task, state: MergeState, sha: &str) -> Merge {
    Merge {
        state,
        ..Merge::of(tx, task, "feature/tags", sha)
    }
}

/// A task that could start.
pub(crate) fn task(tx: &Tx, ticket: &Ticket, number: i64) -> Task {
    let id = tx.new_id::<TaskId>();
    Task {
        id,
        org_id: tx.org(),
        project_id: ticket.project_id,
        spec_id: ticket.spec_id,
        ticket_id: ticket.id,
        number,
        local_id: format!("TSK-{number:03}"),
        title: format!("Task {number}"),
        description: "Do it".to_owned(),
        task_type: "implement_feature".to_owned(),
        phase_id: "PHASE_IMPLEMENTATION".to_owned(),
        priority: Priority::Medium,
        status: TaskStatus::Pending,
        score: 0.0,
        level: 0,
        ordinal: number,
        estimated_hours: 1.0,
        files: Json(Vec::new()),
        requirements: Json(Vec::new()),
        branch: format!("task/{}/work", id.short()),
        base_sha: None,
        head_sha: None,
        integration_state: IntegrationState::None,
        round: 0,
        retry_count: 0,
        max_retries: 3,
        force_execute: false,
        needed: true,
        not_before: tx.now(),
        deadline_at: None,
        timeout_seconds: 60,
        fence: 0,
        attempt_id: None,
        revision: None,
        error_class: None,
        error_message: None,
        blocked_reason: None,
        parent_task_id: None,
        discovery_depth: 0,
        resolves_merge_id: None,
        summary: None,
        state_version: 0,
        queued_at: tx.now(),
        started_at: None,
        completed_at: None,
        created_at: tx.now(),
        updated_at: tx.now(),
    }
}

/// The sandbox of `attempt`, before it starts.
pub(super) fn sandbox(tx: &Tx, attempt: &Attempt) -> Sandbox {
    Sandbox {
        id: tx.new_id(),
        org_id: tx.org(),
        attempt_id: attempt.id,
        provider: "process".to_owned(),
        state: SandboxState::Pending,
        held: Json(Vec::new()),
        mounts: Json(Vec::new()),
        reason: None,
        created_at: tx.now(),
        state_version: 0,
    }
}
