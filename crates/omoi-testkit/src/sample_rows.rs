//! Rows as they are right after they were made. A test that needs another value names it and takes
//! the rest from here.

use std::time::Duration;

use serde_json::Value;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::agent_rule::AgentAssignment;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptSubject};
use omoi_domain::id::{ProjectId, TaskId};
use omoi_domain::merge::{IntegrationState, MergeState};
use omoi_domain::model_kind::ModelKind;
use omoi_domain::phase::Phase;
use omoi_domain::repository_settings::RepositorySettings;
use omoi_domain::sandbox::{SandboxRung, SandboxState};
use omoi_domain::spec::{SpecKind, SpecStatus};
use omoi_domain::task::{Priority, TaskStatus, TaskType, TicketPhase};
use omoi_domain::ticket::TicketStatus;
use omoi_domain::workflow::PhaseId;
use omoi_store::attempts::Attempt;
use omoi_store::merges::Merge;
use omoi_store::sandboxes::Sandbox;
use omoi_store::specs::{Spec, SpecOptions};
use omoi_store::tasks::Task;
use omoi_store::tickets::Ticket;
use omoi_store::{Json, Tx};

/// A spec without a plan.
pub fn spec(tx: &Tx, project: ProjectId, number: i64) -> Spec {
    Spec {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: project,
        kind: SpecKind::Planned,
        number,
        title: format!("Spec {number}"),
        original_request: "Add tags".to_owned(),
        options: Json(SpecOptions {
            auto_start: true,
            spec_files: false,
            as_it_stands: false,
            notes: Vec::new(),
            suite: None,
            accept_red: false,
            agents: AgentAssignment::of_one(AgentProgram::Native),
            repository: RepositorySettings::default(),
            require_approval_gates: false,
        }),
        status: SpecStatus::Draft,
        current_phase: Phase::Explore,
        model: "simulated".to_owned(),
        model_kind: ModelKind::Simulated,
        scenario: None,
        base_sha: "b".repeat(40),
        base_branch: None,
        slug: "tags".to_owned(),
        integration_branch: "feature/tags".to_owned(),
        survey: Json(Value::Null),
        last_error: None,
        blocked_by: None,
        state_version: 0,
        created_at: tx.now(),
        updated_at: tx.now(),
        started_at: None,
        ended_at: None,
        archived_at: None,
    }
}

/// A ticket that is worked on.
pub fn ticket(tx: &Tx, spec: &Spec, number: i64) -> Ticket {
    Ticket {
        ordinal: number,
        title: format!("Ticket {number}"),
        status: TicketStatus::Building,
        phase_id: PhaseId::Implementation,
        ..Ticket::of_plan(tx, spec, number)
    }
}

/// The merge of `task`, whose head is `sha`.
pub fn merge(tx: &Tx, task: &Task, state: MergeState, sha: &str) -> Merge {
    Merge {
        state,
        ..Merge::of(tx, task, "feature/tags", sha)
    }
}

/// A task that could start.
#[expect(
    clippy::expect_used,
    reason = "a test that gives its task no spec is wrong"
)]
pub fn task(tx: &Tx, ticket: &Ticket, number: i64) -> Task {
    let id = tx.new_id::<TaskId>();
    Task {
        id,
        org_id: tx.org(),
        project_id: ticket.project_id,
        spec_id: ticket.spec_id.expect("samples are of plans"),
        ticket_id: ticket.id,
        number,
        local_id: format!("TSK-{number:03}"),
        title: format!("Task {number}"),
        description: "Do it".to_owned(),
        task_type: TaskType::ImplementFeature,
        phase_id: TicketPhase::Implementation,
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

/// The attempt number `no` at a task, before it starts.
pub fn task_attempt(tx: &Tx, task: &Task, no: u32) -> Attempt {
    Attempt {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: task.project_id,
        spec_id: task.spec_id,
        subject: AttemptSubject::Task { task_id: task.id },
        attempt_no: no,
        round: 0,
        fence: i64::from(no),
        state: AttemptState::Pending,
        role: AgentRole::Implementer,
        agent: Some(AgentProgram::Native),
        agent_version: None,
        agent_session: None,
        reasoning_maker: None,
        owner: "one".to_owned(),
        rung: None,
        base_sha: None,
        head_sha: None,
        wip_sha: None,
        stop_reason: None,
        error_class: None,
        error_message: None,
        wakes_at: None,
        created_at: tx.now(),
        started_at: None,
        ended_at: None,
        last_heartbeat_at: None,
        last_work_at: None,
        late_reports: 0,
        lease_expires_at: tx.now() + Duration::from_mins(1),
        state_version: 0,
    }
}

/// The sandbox of `attempt`, before it starts.
pub fn sandbox(tx: &Tx, attempt: &Attempt) -> Sandbox {
    Sandbox {
        id: tx.new_id(),
        org_id: tx.org(),
        attempt_id: attempt.id,
        provider: SandboxRung::Process,
        state: SandboxState::Pending,
        held: Json(Vec::new()),
        mounts: Json(Vec::new()),
        start_steps: Json(Vec::new()),
        reason: None,
        created_at: tx.now(),
        state_version: 0,
    }
}
