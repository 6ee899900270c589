//! Tickets, their history and their comments.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::actor::{Actor, ActorKind};
use omoi_domain::id::{
    CommentId, GateResultId, PhaseArtifactId, ProjectId, SpecId, StateTransitionId, TicketId,
    UserId,
};
use omoi_domain::lifecycle::ticket::GateReceipt;
use omoi_domain::spec::WorkEvidence;
use omoi_domain::task::Priority;
use omoi_domain::ticket::{
    ApprovalStatus, TicketBlockReason, TicketField, TicketStatus, WorkflowMode,
};
use omoi_domain::workflow::{ArtifactType, GateStatus, PhaseId};

use super::spec::given_value;
use super::time::ApiTime;

/// A ticket. `GET /tickets/{ticket_id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TicketView {
    /// Row id of the ticket.
    pub id: TicketId,
    /// Reference within its project, `TKT-n`.
    pub ticket_ref: String,
    /// `project/TKT-n`: what every command takes from anywhere.
    pub name: String,
    /// The project.
    pub project_id: ProjectId,
    /// Title shown to people.
    pub title: String,
    /// What is wanted.
    pub description: String,
    /// How much it matters.
    pub priority: Priority,
    /// Where it stands.
    pub status: TicketStatus,
    /// The phase that it is in; phase and status change together.
    pub phase_id: PhaseId,
    /// The phase that it was in before.
    pub previous_phase_id: Option<PhaseId>,
    /// The spec whose plan it is of.
    pub spec_id: Option<SpecId>,
    /// Reference of that spec, `SPEC-n`.
    pub spec_ref: Option<String>,
    /// What is begun for it by itself; none where it waits in its phase until people move it.
    pub workflow_mode: Option<WorkflowMode>,
    /// Commands that show that it is done, and fail before.
    #[serde(default)]
    pub check_commands: Vec<String>,
    /// Reference of the spec that works for this ticket alone, `SPEC-n`, once that is begun: its trace and its costs.
    pub run_ref: Option<String>,
    /// What shows that this work does what was asked for, where the ticket is its plan.
    pub evidence: Option<WorkEvidence>,
    /// Whether it may be worked on.
    pub approval_status: ApprovalStatus,
    /// Whether something holds it up.
    pub is_blocked: bool,
    /// What holds it up.
    pub blocked_reason: Option<TicketBlockReason>,
    /// The same in words.
    pub blocked_detail: Option<String>,
    /// Since when.
    pub blocked_at: Option<ApiTime>,
    /// The person who wrote it.
    pub user_id: Option<UserId>,
    /// The person who takes care of it.
    pub assignee_id: Option<UserId>,
    /// Words that people find it by.
    pub labels: Vec<String>,
    /// Which tickets wait for which.
    pub dependencies: TicketDependencyRefs,
    /// How many tasks it has.
    pub task_counts: TicketTaskCounts,
    /// How many comments it has.
    pub n_comments: u32,
    /// What the gate of a phase said last, when somebody tried to leave it.
    #[serde(default)]
    pub gate_result: Option<GateResultView>,
    /// Version of the row, as in `ETag`.
    pub version: i64,
    /// When it was written.
    pub created_at: ApiTime,
    /// When it last changed.
    pub updated_at: ApiTime,
}

/// Which tickets wait for which, as `TKT-n` of their project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketDependencyRefs {
    /// Those that the ticket waits for.
    pub blocked_by: Vec<String>,
    /// Those that wait for the ticket.
    pub blocks: Vec<String>,
}

/// How many tasks a ticket has, without those that were cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketTaskCounts {
    /// All of them.
    pub total: u32,
    /// Those whose checks have passed.
    pub completed: u32,
}

/// Body of `POST /tickets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "project_id": "01930000-0000-7000-8000-000000000001", "title": "Export todos", "description": "As CSV.",
    "priority": "MEDIUM", "labels": ["export"],
}))]
#[serde(deny_unknown_fields)]
pub struct CreateTicket {
    /// The project; the caller's only one where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Title, of up to 500 characters in one line.
    pub title: String,
    /// What is wanted, of up to 50,000 characters.
    #[serde(default)]
    pub description: String,
    /// How much it matters.
    #[serde(default = "usual_priority")]
    pub priority: Priority,
    /// The phase that it begins in; one after `PHASE_BACKLOG` needs the permission `ticket:force`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_id: Option<PhaseId>,
    /// Words that people find it by, up to 20.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The person who takes care of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee_id: Option<UserId>,
    /// What is begun for it by itself, once it may be worked on: `quick` is one task, `spec_driven` a spec that is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_mode: Option<WorkflowMode>,
    /// Commands that show that it is done, up to 10, run by `sh -c` at the root of the repository; each must fail before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub check_commands: Vec<String>,
    /// Tickets of the project that it waits for, by id or `TKT-n`.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Whether it is refused where an open ticket says the same.
    #[serde(default = "is_usual")]
    pub check_duplicates: bool,
    /// Whether it is written all the same.
    #[serde(default)]
    pub force_create: bool,
}

const fn usual_priority() -> Priority {
    Priority::Medium
}

const fn is_usual() -> bool {
    true
}

/// Body of `PATCH /tickets/{ticket_id}`: what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "title": "Export todos as CSV", "priority": "HIGH" }))]
#[serde(deny_unknown_fields)]
pub struct UpdateTicket {
    /// Another title.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub title: Option<String>,
    /// Another description.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = String)]
    pub description: Option<String>,
    /// Another priority.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Priority)]
    pub priority: Option<Priority>,
    /// Other labels.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<String>)]
    pub labels: Option<Vec<String>>,
    /// Another person who takes care of it; `null` is nobody.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<UserId>)]
    pub assignee_id: Option<Option<UserId>>,
    /// Other commands that show that it is done, while none of its tasks has begun.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Vec<String>)]
    pub check_commands: Option<Vec<String>>,
    /// What is begun for it by itself from now on, while nothing is.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = WorkflowMode)]
    pub workflow_mode: Option<WorkflowMode>,
    /// Another status, one move away; its gate must be met.
    #[serde(
        default,
        deserialize_with = "given_value",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = TicketStatus)]
    pub status: Option<TicketStatus>,
}

/// Body of `POST /tickets/{ticket_id}/transition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "to_status": "analyzing", "reason": "next in line" }))]
#[serde(deny_unknown_fields)]
pub struct TransitionTicket {
    /// The status, one move away.
    pub to_status: TicketStatus,
    /// Why; needed with `force`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the gate is passed by, which needs the permission `ticket:force`.
    #[serde(default)]
    pub force: bool,
}

/// Body of `POST /tickets/{ticket_id}/block`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "blocker_type": "waiting_on_clarification", "suggested_remediation": "Ask whose todos." }))]
#[serde(deny_unknown_fields)]
pub struct BlockTicket {
    /// What holds it up.
    pub blocker_type: TicketBlockReason,
    /// What would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested_remediation: Option<String>,
}

/// Body of `POST /tickets/{ticket_id}/regress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "feedback": "Commas in titles break the file." }))]
#[serde(deny_unknown_fields)]
pub struct RegressTicket {
    /// Why it goes back to building.
    pub feedback: String,
}

/// Body of `POST /tickets/{ticket_id}/dependencies`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "depends_on": "TKT-002" }))]
#[serde(deny_unknown_fields)]
pub struct AddTicketDependency {
    /// A ticket of the same project, by id or `TKT-n`.
    pub depends_on: String,
}

/// Body of `POST /tickets/check-duplicates`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "project_id": "01930000-0000-7000-8000-000000000001", "title": "Export todos", "description": "As CSV.",
}))]
#[serde(deny_unknown_fields)]
pub struct CheckTicketDuplicates {
    /// The project; the caller's only one where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Title of the draft.
    pub title: String,
    /// Description of the draft.
    #[serde(default)]
    pub description: String,
}

/// Open tickets that say what a draft says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TicketDuplicates {
    /// Whether there are any.
    pub is_duplicate: bool,
    /// They, oldest first.
    pub candidates: Vec<DuplicateTicket>,
    /// How they were found: `hash` finds equal texts, whatever their case and white space.
    pub method: String,
}

/// An open ticket that says what a draft says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DuplicateTicket {
    /// Row id of the ticket.
    pub ticket_id: TicketId,
    /// Reference within its project, `TKT-n`.
    pub ticket_ref: String,
    /// Title shown to people.
    pub title: String,
    /// Where it stands.
    pub status: TicketStatus,
    /// How much the texts have in common, 0 to 1.
    pub similarity_score: f64,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActorView {
    /// What they are.
    pub kind: ActorKind,
    /// Which one; none of the platform itself.
    pub id: Option<String>,
}

impl From<Actor> for ActorView {
    fn from(actor: Actor) -> Self {
        Self {
            kind: actor.actor_kind(),
            id: actor.actor_id().map(|id| id.to_string()),
        }
    }
}

/// A change of one thing about a ticket. `GET /tickets/{ticket_id}/history`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketHistoryEntry {
    /// Row id of the entry.
    pub id: StateTransitionId,
    /// What changed.
    pub field: TicketField,
    /// What it was; none where there was nothing.
    pub from_value: Option<String>,
    /// What it is; none where there is nothing any more.
    pub to_value: Option<String>,
    /// Why, where somebody said so.
    pub reason: Option<String>,
    /// Who changed it.
    pub actor: ActorView,
    /// When.
    pub occurred_at: ApiTime,
}

/// A comment on a ticket. `GET /tickets/{ticket_id}/comments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommentView {
    /// Row id of the comment.
    pub id: CommentId,
    /// The ticket.
    pub ticket_id: TicketId,
    /// Who wrote it.
    pub author: ActorView,
    /// The text, in Markdown; none once it was taken away.
    pub content: Option<String>,
    /// Whom it mentions.
    pub mentions: Vec<UserId>,
    /// When its author last changed it.
    pub edited_at: Option<ApiTime>,
    /// When it was taken away.
    pub deleted_at: Option<ApiTime>,
    /// Version of the row, as in `ETag`.
    pub version: i64,
    /// When it was written.
    pub created_at: ApiTime,
    /// When it last changed.
    pub updated_at: ApiTime,
}

/// Body of `POST /tickets/{ticket_id}/comments` and `PATCH /tickets/{ticket_id}/comments/{comment_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "content": "Which separator?" }))]
#[serde(deny_unknown_fields)]
pub struct WriteComment {
    /// Markdown of up to 20,000 characters. `@` and the id of a member of the organisation mentions them.
    pub content: String,
}

/// Body of `POST /tickets/{ticket_id}/phase-transition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "to_phase": "PHASE_IMPLEMENTATION", "reason": "small enough" }))]
#[serde(deny_unknown_fields)]
pub struct TransitionTicketPhase {
    /// The phase that it goes to, by as many moves as lead there.
    pub to_phase: PhaseId,
    /// Why; needed with `force`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether gates on the way are passed by, which needs the permission `ticket:force`.
    #[serde(default)]
    pub force: bool,
}

/// A move of a ticket between phases, made or looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketPhaseMove {
    /// Whether the ticket is where it was to go, or would get there.
    pub success: bool,
    /// The phase that it was in.
    pub from_phase: PhaseId,
    /// The phase that it is in, or was to go to.
    pub to_phase: PhaseId,
    /// Where it stood.
    pub from_status: TicketStatus,
    /// Where it stands.
    pub to_status: TicketStatus,
    /// What is against it.
    pub blocking_reasons: Vec<String>,
    /// What the phases on the way show.
    #[serde(default)]
    pub artifacts_collected: Vec<ArtifactType>,
    /// What a gate said last of the ticket.
    #[serde(default)]
    pub gate_result: Option<GateResultView>,
}

/// What the gate of a phase said when somebody tried to leave it. `POST /tickets/{ticket_id}/validate-gate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GateResultView {
    /// Row id of the result.
    pub id: GateResultId,
    /// The ticket.
    pub ticket_id: TicketId,
    /// The phase that was to be left.
    pub phase_id: PhaseId,
    /// Where it was to be left for.
    pub to_phase: PhaseId,
    /// Whether it might be.
    pub gate_status: GateStatus,
    /// What was missing.
    pub blocking_reasons: Vec<String>,
    /// What the phase showed.
    pub artifacts_collected: Vec<ArtifactType>,
    /// The receipts of checks among that, each with the attempt of the platform that ran it.
    #[serde(default)]
    pub receipts: Vec<GateReceipt>,
    /// Who tried.
    pub checked_by: ActorView,
    /// When.
    pub checked_at: ApiTime,
}

/// Body of `POST /tickets/{ticket_id}/artifacts`: a document, or a share that was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "artifact_type": "design_document", "content": "# Design\nOne function writes the rows as CSV.",
}))]
#[serde(deny_unknown_fields)]
pub struct AttachArtifact {
    /// What it is. What the platform sees itself is given by nobody.
    pub artifact_type: ArtifactType,
    /// The text of a document, of up to 256 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Hundredths of the code that tests run, for `test_coverage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100)]
    pub percent: Option<u32>,
}

/// Something that a phase of a ticket shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PhaseArtifactView {
    /// Row id of the artifact.
    pub id: PhaseArtifactId,
    /// The ticket.
    pub ticket_id: TicketId,
    /// The phase that the ticket was in.
    pub phase_id: PhaseId,
    /// What it is.
    pub artifact_type: ArtifactType,
    /// Its text, where it is a document.
    pub content: Option<String>,
    /// Its hundredths, where it is a share.
    pub percent: Option<u32>,
    /// Who gave it.
    pub given_by: ActorView,
    /// When.
    pub given_at: ApiTime,
}
