//! What events of tickets, their comments and their board carry.

use serde::{Deserialize, Serialize};

use crate::approval::{ApprovalKind, ApprovalState};
use crate::id::{ApprovalId, CommentId, NotificationId, SpecId, TaskId, TicketId, UserId};
use crate::notification::NotificationKind;
use crate::ticket::{TicketBlockReason, TicketStatus};
use crate::workflow::PhaseId;

/// A ticket was written or moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketChange {
    /// Row id of the ticket.
    pub ticket_id: TicketId,
    /// The number `n` of its reference `TKT-n`.
    pub number: i64,
    /// Title shown to people.
    pub title: String,
    /// Status before; none when it was created.
    pub from: Option<TicketStatus>,
    /// Status after the change.
    pub to: TicketStatus,
    /// Phase after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_id: Option<PhaseId>,
}

/// A ticket is held up, or goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketBlockChange {
    /// Row id of the ticket.
    pub ticket_id: TicketId,
    /// The number `n` of its reference `TKT-n`.
    pub number: i64,
    /// Title shown to people.
    pub title: String,
    /// What holds it up; none once it goes on.
    pub blocked_reason: Option<TicketBlockReason>,
    /// The same in words.
    pub blocked_detail: Option<String>,
}

/// A ticket waits for another one, or does so no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketEdgeChange {
    /// Row id of the ticket that waits.
    pub ticket_id: TicketId,
    /// Row id of the one that it waits for.
    pub depends_on_id: TicketId,
    /// Whether it waits for it no more.
    #[serde(default)]
    pub is_removed: bool,
}

/// A person put a ticket to another place of the board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoardMove {
    /// Row id of the ticket.
    pub ticket_id: TicketId,
    /// The number `n` of its reference `TKT-n`.
    pub number: i64,
    /// Title shown to people.
    pub title: String,
    /// The column it was in.
    pub from_column: Option<String>,
    /// The column it is in.
    pub to_column: String,
    /// Its place there, from 0.
    pub place: u32,
}

/// People are asked something, or it is decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApprovalChange {
    /// Row id of the question.
    pub approval_id: ApprovalId,
    /// Row id of the ticket that it is about, where it is about one.
    pub ticket_id: Option<TicketId>,
    /// Row id of the spec that it is about, where it is about one.
    #[serde(default)]
    pub spec_id: Option<SpecId>,
    /// Row id of the task whose agent asks, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// What it is about.
    pub approval_kind: ApprovalKind,
    /// Where it stands.
    pub approval_state: ApprovalState,
}

/// A comment was written, changed or taken away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommentChange {
    /// Row id of the comment.
    pub comment_id: CommentId,
    /// Row id of the ticket it is on.
    pub ticket_id: TicketId,
}

/// A person is told of something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationChange {
    /// Row id of the notification.
    pub notification_id: NotificationId,
    /// The person, who alone is told.
    pub user_id: UserId,
    /// Row id of the ticket that it is about, where it is about one.
    pub ticket_id: Option<TicketId>,
    /// Row id of the spec whose plan it is about, where it is about one.
    pub spec_id: Option<SpecId>,
    /// Why they are told.
    pub notification_kind: NotificationKind,
}
