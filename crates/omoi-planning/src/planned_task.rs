//! What every task begins as.

use omoi_domain::id::TicketId;
use omoi_domain::merge::IntegrationState;
use omoi_domain::retry::TASK_RETRIES_MAX;
use omoi_domain::task::{Priority, TaskStatus, TaskType, TicketPhase};
use omoi_store::specs::Spec;
use omoi_store::tasks::Task;
use omoi_store::{Json, Tx};

/// Wall time of one attempt at an ordinary task, in seconds.
const TASK_TIMEOUT_S: i64 = 5_400;

/// Task `number` of a ticket, which waits for nothing and says nothing yet.
pub(crate) fn pending_task(tx: &Tx, spec: &Spec, ticket: TicketId, number: i64) -> Task {
    Task {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: spec.project_id,
        spec_id: spec.id,
        ticket_id: ticket,
        number,
        local_id: String::new(),
        title: String::new(),
        description: String::new(),
        task_type: TaskType::ImplementFeature,
        phase_id: TicketPhase::Implementation,
        priority: Priority::Medium,
        status: TaskStatus::Pending,
        score: 0.0,
        level: 0,
        ordinal: 0,
        estimated_hours: 1.0,
        files: Json(Vec::new()),
        requirements: Json(Vec::new()),
        branch: String::new(),
        base_sha: None,
        head_sha: None,
        integration_state: IntegrationState::None,
        round: 0,
        retry_count: 0,
        max_retries: TASK_RETRIES_MAX,
        force_execute: false,
        needed: true,
        not_before: tx.now(),
        deadline_at: None,
        timeout_seconds: TASK_TIMEOUT_S,
        fence: 0,
        attempt_id: None,
        revision: None,
        error_class: None,
        error_message: None,
        blocked_by: None,
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
