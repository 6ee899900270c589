//! Rows to begin with. `bare` leaves out what may be absent, `full` sets it.

use std::collections::BTreeMap;

use serde_json::json;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptState, AttemptStopReason, TurnKind};
use omoi_domain::block::{SpecBlock, TaskBlock};
use omoi_domain::check::{CheckKind, CheckStage};
use omoi_domain::discovery::DiscoveryType;
use omoi_domain::hand_over::HandOverState;
use omoi_domain::id::{
    AttemptId, CheckId, CriterionId, MergeId, OrgId, ProjectId, ReceiptId, RequirementId,
};
use omoi_domain::merge::{ConflictSide, IntegrationState, MergeState};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::model_fallback::WorkModels;
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::phase::Phase;
use omoi_domain::principal::PurposeKind;
use omoi_domain::project::ProjectStatus;
use omoi_domain::requirement::RequirementType;
use omoi_domain::retry::ErrorClass;
use omoi_domain::sandbox::{SandboxRung, StartStep, StartStepKind};
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::suite::report::read_suite_report;
use omoi_domain::task::{Priority, TaskRevision, TaskStatus, TaskType, UnmetCode};
use omoi_domain::time::Timestamp;
use omoi_store::attempts::{AgentEvent, Attempt, Turn};
use omoi_store::checks::{Check, Receipt, RunConditions};
use omoi_store::costs::CostEntry;
use omoi_store::deliveries::HandOver;
use omoi_store::discoveries::Discovery;
use omoi_store::merges::Merge;
use omoi_store::messages::Message;
use omoi_store::phases::{Item, PhaseRun};
use omoi_store::projects::{self, Project};
use omoi_store::requirements::{Criterion, Requirement};
use omoi_store::sandboxes::Sandbox;
use omoi_store::specs::{self, Spec, SpecOptions};
use omoi_store::tasks::{self, Task};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{Json, StoreError, Tenant, Tx};
use omoi_testkit::sample_rows;
use uuid::Uuid;

pub(crate) use omoi_testkit::sample_rows::task_attempt as attempt;

use crate::bench::{START, commit};

/// Text that breaks code which thinks in bytes, quotes or lines.
pub(crate) const ODD: &str = "naïve – 日本 🦀 'quoted' \"double\" $1 \\ %s\r\n\ttail";

/// What most contracts need.
pub(crate) struct World {
    pub(crate) project: Project,
    pub(crate) spec: Spec,
    pub(crate) ticket: Ticket,
    pub(crate) task: Task,
}

impl World {
    /// Commits a working spec with one building ticket and one pending task.
    pub(crate) async fn new(tenant: &Tenant) -> Result<Self, StoreError> {
        commit(tenant, async |tx| {
            let project = projects::ensure(tx, "repo", "/repo").await?;
            let mut spec = spec(tx, project.id, 1);
            spec.status = SpecStatus::Working;
            let ticket = ticket(tx, &spec, 1);
            let task = task(tx, &ticket, 1);
            specs::insert(tx, &spec).await?;
            tickets::insert(tx, &ticket).await?;
            tasks::insert(tx, &task).await?;
            Ok(Self {
                project,
                spec,
                ticket,
                task,
            })
        })
        .await
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(START.as_micros() + seconds * 1_000_000 + 7)
}

pub(crate) fn spec(tx: &Tx, project: ProjectId, number: i64) -> Spec {
    let spec = sample_rows::spec(tx, project, number);
    Spec {
        original_request: ODD.to_owned(),
        options: Json(SpecOptions {
            notes: vec![ODD.to_owned()],
            suite: Some("make test".to_owned()),
            accept_red: true,
            ..spec.options.0
        }),
        survey: Json(json!({"a": [1, 2.5, null, true], "b": {"c": ODD}})),
        ..spec
    }
}

pub(crate) fn full_spec(bare: &Spec) -> Spec {
    Spec {
        scenario: Some(ODD.to_owned()),
        base_branch: Some("main".to_owned()),
        blocked_by: Some(SpecBlock::WeakProof),
        last_error: Some(ODD.to_owned()),
        started_at: Some(at(1)),
        ended_at: Some(at(2)),
        ..bare.clone()
    }
}

pub(crate) fn ticket(tx: &Tx, spec: &Spec, number: i64) -> Ticket {
    Ticket {
        description: ODD.to_owned(),
        priority: Priority::High,
        ..sample_rows::ticket(tx, spec, number)
    }
}

pub(crate) fn task(tx: &Tx, ticket: &Ticket, number: i64) -> Task {
    Task {
        description: ODD.to_owned(),
        files: Json(vec!["src/ü.py".to_owned()]),
        ..sample_rows::task(tx, ticket, number)
    }
}

/// Every field another value than in [`task`], keys aside.
pub(crate) fn full_task(tx: &Tx, bare: &Task) -> Task {
    let odd = || Some(ODD.to_owned());
    Task {
        title: ODD.to_owned(),
        description: "d".to_owned(),
        task_type: TaskType::FixBug,
        priority: Priority::Critical,
        status: TaskStatus::Blocked,
        score: 0.875,
        level: 4,
        ordinal: 9,
        estimated_hours: 0.1,
        files: Json(vec![ODD.to_owned(), String::new()]),
        requirements: Json(vec!["REQ-A-1".to_owned()]),
        branch: "task/other".to_owned(),
        base_sha: odd(),
        head_sha: odd(),
        integration_state: IntegrationState::Merged,
        round: 2,
        retry_count: 3,
        max_retries: 5,
        force_execute: true,
        needed: false,
        not_before: at(3),
        deadline_at: Some(at(4)),
        timeout_seconds: i64::MAX,
        fence: i64::MAX,
        attempt_id: Some(tx.new_id::<AttemptId>()),
        revision: Some(Json(TaskRevision {
            code: UnmetCode::MergeRed,
            iteration: 2,
            feedback: ODD.to_owned(),
            recommendations: vec![ODD.to_owned()],
        })),
        error_class: Some(ErrorClass::RateLimited),
        error_message: odd(),
        blocked_by: Some(TaskBlock::Prerequisite {
            task_id: bare.parent_task_id.unwrap_or(bare.id),
        }),
        blocked_reason: odd(),
        resolves_merge_id: Some(tx.new_id::<MergeId>()),
        summary: odd(),
        queued_at: at(5),
        started_at: Some(at(7)),
        completed_at: Some(at(8)),
        updated_at: at(9),
        ..bare.clone()
    }
}

/// Every field another value than in a new one, keys aside.
pub(crate) fn full_attempt(bare: &Attempt) -> Attempt {
    let odd = || Some(ODD.to_owned());
    Attempt {
        state: AttemptState::Running,
        owner: ODD.to_owned(),
        rung: Some(SandboxRung::Process),
        base_sha: odd(),
        head_sha: odd(),
        wip_sha: odd(),
        stop_reason: Some(AttemptStopReason::MaxTurnsReached),
        error_class: Some(ErrorClass::RateLimited),
        error_message: odd(),
        agent_version: odd(),
        agent_session: odd(),
        started_at: Some(at(1)),
        ended_at: Some(at(2)),
        last_heartbeat_at: Some(at(3)),
        last_work_at: Some(at(4)),
        late_reports: 0,
        lease_expires_at: at(5),
        ..bare.clone()
    }
}

pub(crate) fn turn(attempt: &Attempt, n: u32) -> Turn {
    Turn {
        attempt_id: attempt.id,
        org_id: attempt.org_id,
        n,
        kind: TurnKind::Answer,
        request_digest: format!("digest {n}"),
        request_tokens: (n == 1).then_some(1_000),
        told_bytes: 100 * i64::from(n + 1),
        session_bytes: 10 * i64::from(n),
        response: Json(json!({"content": [{"type": "text", "text": ODD}], "n": n})),
        tool_results: Json(json!([])),
        session: (n == 1).then(|| Json(json!({"session_id": ODD, "offset": 0, "added": ODD}))),
        wip_sha: None,
        created_at: attempt.created_at,
    }
}

pub(crate) fn agent_event(tx: &Tx, attempt: &Attempt) -> AgentEvent {
    AgentEvent {
        attempt_id: attempt.id,
        org_id: attempt.org_id,
        seq: 1,
        event_id: tx.new_id(),
        event_type: AgentEventKind::ToolUse,
        data: Json(json!({"text": ODD, "nothing": null})),
        created_at: attempt.created_at,
    }
}

pub(crate) fn sandbox(tx: &Tx, attempt: &Attempt) -> Sandbox {
    Sandbox {
        provider: SandboxRung::Bubblewrap,
        held: Json(vec![
            ("network".to_owned(), None),
            ("files".to_owned(), Some(ODD.to_owned())),
        ]),
        mounts: Json(vec!["/opt/ü".to_owned()]),
        start_steps: Json(vec![StartStep {
            step: StartStepKind::Workspace,
            outcome: ODD.to_owned(),
            took_ms: 3,
        }]),
        ..sample_rows::sandbox(tx, attempt)
    }
}

pub(crate) fn requirement(tx: &Tx, spec: &Spec, n: i64) -> Requirement {
    Requirement {
        id: tx.new_id::<RequirementId>(),
        org_id: tx.org(),
        spec_id: spec.id,
        local_id: format!("REQ-TAGS-FUNC-{n:03}"),
        ordinal: n,
        title: ODD.to_owned(),
        r#type: RequirementType::Functional,
        priority: Priority::High,
        body: Json(json!({"condition": ODD})),
        content_hash: "h".to_owned(),
    }
}

pub(crate) fn criterion(tx: &Tx, requirement: &Requirement, n: i64) -> Criterion {
    Criterion {
        id: tx.new_id::<CriterionId>(),
        org_id: tx.org(),
        spec_id: requirement.spec_id,
        requirement_id: requirement.id,
        local_id: format!("{}#{n}", requirement.local_id),
        ordinal: n,
        body: ODD.to_owned(),
        content_hash: "h".to_owned(),
    }
}

pub(crate) fn check(tx: &Tx, task: &Task, ordinal: i64) -> Check {
    Check {
        id: tx.new_id::<CheckId>(),
        org_id: tx.org(),
        spec_id: task.spec_id,
        task_id: Some(task.id),
        ordinal,
        kind: CheckKind::Proof,
        command: format!("test {ODD}"),
        files: Json(BTreeMap::from([("tests/ü.py".to_owned(), ODD.to_owned())])),
        timeout_s: 300,
        base_exit: Some(-1),
        is_deploy: false,
    }
}

pub(crate) fn receipt(tx: &Tx, check: &Check, attempt: &Attempt) -> Receipt {
    Receipt {
        id: tx.new_id::<ReceiptId>(),
        org_id: tx.org(),
        spec_id: check.spec_id,
        check_id: check.id,
        task_id: check.task_id,
        attempt_id: attempt.id,
        stage: CheckStage::Task,
        commit_sha: "c".repeat(40),
        tree_sha: "t".repeat(40),
        rung: SandboxRung::Bubblewrap,
        conditions: Json(RunConditions {
            held: vec![("network".to_owned(), Some("not on this host".to_owned()))],
            mounts: vec!["/usr".to_owned()],
            workspace: "clone: ü".to_owned(),
            start_steps: Vec::new(),
            packages_layer: Some("l".to_owned()),
        }),
        exit_code: Some(0),
        passed: true,
        output: ODD.to_owned(),
        output_digest: "d".to_owned(),
        exercised: Json(Some(vec!["src/ü.py".to_owned()])),
        self_tested: true,
        tests: Json(Some(read_suite_report("Ran 3 tests in 0.1s\n\nOK\n"))),
        packages: Json(None),
        models: Json(WorkModels::default()),
        started_at: at(1),
        took_ms: 12,
    }
}

pub(crate) fn merge(tx: &Tx, task: &Task) -> Merge {
    Merge {
        id: tx.new_id::<MergeId>(),
        org_id: tx.org(),
        spec_id: task.spec_id,
        task_id: task.id,
        state: MergeState::Pending,
        level: task.level,
        ordinal: task.ordinal,
        target_branch: "feature/tags".to_owned(),
        incoming_sha: "i".repeat(40),
        merged_sha: None,
        conflicts: Json(Vec::new()),
        forecast: Json(Vec::new()),
        resolve_task_id: None,
        taken_side: None,
        person_note: None,
        restarts: 0,
        error: None,
        lacks_environment: false,
        created_at: tx.now(),
        started_at: None,
        completed_at: None,
        state_version: 0,
    }
}

/// Every field another value than in [`merge`], keys aside.
pub(crate) fn full_merge(bare: &Merge) -> Merge {
    let odd = || Some(ODD.to_owned());
    Merge {
        state: MergeState::Resolving,
        incoming_sha: "j".repeat(40),
        merged_sha: odd(),
        conflicts: Json(vec!["src/ü.py".to_owned()]),
        forecast: Json(vec![(3, 2), (-1, 0)]),
        resolve_task_id: Some(bare.task_id),
        taken_side: Some(ConflictSide::Theirs),
        person_note: odd(),
        restarts: u32::MAX,
        lacks_environment: true,
        error: odd(),
        started_at: Some(at(1)),
        completed_at: Some(at(2)),
        ..bare.clone()
    }
}

pub(crate) fn phase_run(spec: &Spec) -> PhaseRun {
    PhaseRun {
        spec_id: spec.id,
        org_id: spec.org_id,
        phase: Phase::Explore,
        state: PhaseState::Pending,
        attempts: 0,
        score: None,
        feedback: None,
        output: None,
        rejected_output: None,
        rejected_score: None,
        facts: None,
        input_digest: None,
        output_digest: None,
        not_before: START,
        started_at: None,
        ended_at: None,
        state_version: 0,
    }
}

/// Every field another value than in [`phase_run`], keys aside.
pub(crate) fn full_phase_run(bare: &PhaseRun) -> PhaseRun {
    let odd = || Some(ODD.to_owned());
    let value = || Some(Json(json!({"text": ODD, "list": [0.1, null]})));
    PhaseRun {
        state: PhaseState::Backoff,
        attempts: 2,
        score: Some(0.1),
        feedback: odd(),
        output: value(),
        rejected_output: value(),
        rejected_score: Some(99.5),
        facts: value(),
        input_digest: odd(),
        output_digest: odd(),
        not_before: at(1),
        started_at: Some(at(3)),
        ended_at: Some(at(4)),
        ..bare.clone()
    }
}

pub(crate) fn item(spec: &Spec) -> Item {
    Item {
        spec_id: spec.id,
        org_id: spec.org_id,
        phase: Phase::Prd,
        seq: 1,
        attempt_no: 1,
        section: "goals".to_owned(),
        item_key: ODD.to_owned(),
        value: Json(json!({"z": 1, "a": ODD})),
        digest: "d".to_owned(),
        created_at: at(1),
    }
}

pub(crate) fn message(tx: &Tx, task: &Task) -> Message {
    Message {
        id: tx.new_id(),
        org_id: tx.org(),
        task_id: task.id,
        message_type: MessageType::UserMessage,
        content: ODD.to_owned(),
        sender: MessageSender::User,
        created_at: tx.now(),
        acked_at: None,
        acked_by: None,
        expired_at: None,
    }
}

pub(crate) fn hand_over(tx: &Tx, spec: &Spec) -> HandOver {
    HandOver {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: spec.id,
        state: HandOverState::Planned,
        head_sha: "h".repeat(40),
        branch: "feature/tags".to_owned(),
        note: None,
        created_at: tx.now(),
        completed_at: None,
    }
}

pub(crate) fn discovery(tx: &Tx, source: &Task, key: &str) -> Discovery {
    Discovery {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: source.spec_id,
        source_task_id: source.id,
        discovery_key: key.to_owned(),
        discovery_type: DiscoveryType::Bug,
        title: ODD.to_owned(),
        description: ODD.to_owned(),
        task_id: None,
        refused: None,
        created_at: tx.now(),
    }
}

pub(crate) fn cost(tx: &Tx, attempt: &Attempt, nanousd: i64) -> CostEntry {
    CostEntry {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: attempt.spec_id,
        purpose: PurposeKind::Attempt,
        attempt_id: Some(attempt.id),
        role: attempt.role,
        route: RouteName::Judge,
        model: ODD.to_owned(),
        simulated: true,
        input_tokens: 10,
        output_tokens: 5,
        cache_read_tokens: 3,
        cache_write_tokens: 2,
        cache_write_1h_tokens: 1,
        cost_nanousd: NanoUsd::from_nanos(nanousd),
        latency_ms: 7,
        calls: 2,
        estimated: false,
        unrecorded: false,
        cache_miss: None,
        created_at: tx.now(),
    }
}

/// A project of `org` that shares no key with another.
pub(crate) fn project(tx: &Tx, org: OrgId, path: &str) -> Project {
    Project {
        id: tx.new_id(),
        org_id: org,
        name: ODD.to_owned(),
        name_key: ODD.to_lowercase(),
        repo_path: Some(path.to_owned()),
        description: Some(ODD.to_owned()),
        status: ProjectStatus::Archived,
        autonomous: false,
        deploy_check: Some(ODD.to_owned()),
        next_spec_no: 4,
        next_ticket_no: 5,
        next_task_no: 6,
        created_at: at(1),
        updated_at: at(2),
        archived_at: Some(at(3)),
        state_version: 7,
    }
}

/// The digest of a token that no other attempt has.
pub(crate) fn token_hash(tx: &Tx) -> String {
    format!("{:064x}", tx.new_id::<Uuid>().as_u128())
}
