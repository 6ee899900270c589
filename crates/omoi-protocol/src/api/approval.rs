//! What waits for a person's yes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use omoi_domain::approval::{ApprovalDecision, ApprovalKind, ApprovalState};
use omoi_domain::id::{ApprovalId, ProjectId, TicketId, UserId};
use omoi_domain::merge::ConflictSide;
use omoi_domain::ticket::ApprovalStatus;
use omoi_domain::workflow::PhaseId;

use super::ticket::ActorView;
use super::time::ApiTime;

/// A question to people. `GET /approvals/{approval_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalView {
    /// Row id of the question.
    pub id: ApprovalId,
    /// What it is about.
    pub kind: ApprovalKind,
    /// The project of that.
    pub project_id: ProjectId,
    /// The same more precisely.
    pub subject: ApprovalSubject,
    /// Where it stands.
    pub state: ApprovalState,
    /// What people may decide; nothing once it is closed.
    pub allowed_decisions: Vec<ApprovalDecision>,
    /// Who asked.
    pub requested_by: ActorView,
    /// When.
    pub requested_at: ApiTime,
    /// Until when somebody has to decide; none where it waits for as long as it takes.
    pub deadline_at: Option<ApiTime>,
    /// The person who decided.
    pub decided_by_id: Option<UserId>,
    /// When they did, or it was too late.
    pub decided_at: Option<ApiTime>,
    /// What they said: why, or the answer.
    pub comment: Option<String>,
    /// What is asked, or what a gate lacks; none where the subject alone is.
    #[serde(default)]
    pub question: Option<String>,
    /// What may be answered; anything where it is empty.
    #[serde(default)]
    pub choices: Vec<String>,
    /// The files in conflict, where it is about a conflict. An answer may take another side for each.
    #[serde(default)]
    pub conflicts: Vec<String>,
    /// The phase whose gate refused, where one did.
    #[serde(default)]
    pub gate_phase: Option<PhaseId>,
    /// Where the ticket goes with a yes to that.
    #[serde(default)]
    pub target_phase: Option<PhaseId>,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalSubject {
    /// Row id of the ticket, the spec, the task or the project.
    pub id: Uuid,
    /// `project/TKT-n`, `project/SPEC-n`, `project/TSK-n` or the project.
    pub name: String,
    /// Title shown to people.
    pub title: String,
}

/// Body of `POST /approvals/{approval_id}/decide`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "decision": "reject", "comment": "We have that already." }))]
#[serde(deny_unknown_fields)]
pub struct DecideApproval {
    /// What is decided.
    pub decision: ApprovalDecision,
    /// Why, needed for a no; or the answer to a question: for a conflict `ours` or `theirs`, in all files that `files` does not name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// With the answer to a conflict, the side of single files. Every file in conflict needs a side, here or by `comment`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<TakenFile>,
}

/// Which side of a conflict a file is taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "path": "src/tags.rs", "side": "theirs" }))]
#[serde(deny_unknown_fields)]
pub struct TakenFile {
    /// The file, as `conflicts` of the question names it.
    pub path: String,
    /// `ours` is what landed before, `theirs` what the task brings. A file that this side does not have goes.
    pub side: ConflictSide,
}

/// Body of `POST /specs/{spec_id}/approve-requirements` and `/approve-design`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "comment": "Just so." }))]
#[serde(deny_unknown_fields)]
pub struct ApproveOutput {
    /// What is said with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Body of `POST /specs/{spec_id}/answers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "answers": "1. Whoever keeps more than one list." }))]
#[serde(deny_unknown_fields)]
pub struct AnswerQuestions {
    /// The answers, each with the number of its question.
    pub answers: String,
}

/// Body of `POST /specs/{spec_id}/reject-requirements` and `/reject-design`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "comment": "Tags are not shared between lists." }))]
#[serde(deny_unknown_fields)]
pub struct RejectOutput {
    /// What is to be another; the next attempt at the phase is told.
    pub comment: String,
}

/// Body of `POST /tickets/approve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "ticket_id": "TKT-002" }))]
#[serde(deny_unknown_fields)]
pub struct ApproveTicket {
    /// The ticket, by id or `TKT-n`.
    pub ticket_id: String,
}

/// Body of `POST /tickets/reject`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "ticket_id": "TKT-002", "rejection_reason": "We have that already." }))]
#[serde(deny_unknown_fields)]
pub struct RejectTicket {
    /// The ticket, by id or `TKT-n`.
    pub ticket_id: String,
    /// Why.
    pub rejection_reason: String,
}

/// How many questions wait. `GET /tickets/pending-review-count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PendingReviewCount {
    /// That many.
    pub pending_count: u32,
}

/// Whether a ticket may be worked on. `GET /tickets/approval-status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketApproval {
    /// Row id of the ticket.
    pub ticket_id: TicketId,
    /// What people decided.
    pub approval_status: ApprovalStatus,
    /// Until when somebody has to decide; none where nobody is asked.
    pub approval_deadline_at: Option<ApiTime>,
    /// Why it may not, where somebody said so.
    pub rejection_reason: Option<String>,
}
