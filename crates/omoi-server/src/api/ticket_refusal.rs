//! What is answered where a ticket or a board is not changed.

use serde_json::{Value, json};

use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::HumanRef;
use omoi_domain::lifecycle::approval::ApprovalRefusal;
use omoi_domain::lifecycle::merge::SidesFault;
use omoi_domain::lifecycle::ticket::TicketMoveRefusal;
use omoi_execution::commands::TicketCommandError;
use omoi_protocol::api::DuplicateTicket;
use omoi_store::tickets::Ticket;

use crate::error::ApiError;

impl From<TicketCommandError> for ApiError {
    fn from(source: TicketCommandError) -> Self {
        let says = source.to_string();
        match source {
            TicketCommandError::Title(_) => Self::invalid_value(says).with_field("/title"),
            TicketCommandError::LongDescription => Self::invalid_value(says),
            TicketCommandError::Labels(_) => Self::invalid_value(says).with_field("/labels"),
            TicketCommandError::Commands(_) => {
                Self::invalid_value(says).with_field("/check_commands")
            }
            TicketCommandError::Begun => Self::new(ErrorCode::InvalidTransition, says),
            TicketCommandError::ChecksStand => {
                Self::new(ErrorCode::InvalidTransition, says).with_field("/check_commands")
            }
            TicketCommandError::Comment(_) => Self::invalid_value(says).with_field("/content"),
            TicketCommandError::NoMember(user) => Self::invalid_value(says)
                .with_context("user_id", json!(user))
                .hint("name members of the organisation alone"),
            TicketCommandError::Duplicate(same) => refuse_duplicate(says, &same),
            TicketCommandError::StaleTicket(ticket) => Self::new(ErrorCode::StaleVersion, says)
                .with_context("current_version", json!(ticket.state_version))
                .with_field("If-Match")
                .hint("read the ticket, and send the change with its `ETag`"),
            TicketCommandError::StaleComment(comment) => Self::new(ErrorCode::StaleVersion, says)
                .with_context("current_version", json!(comment.state_version))
                .with_field("If-Match")
                .hint("read the comment, and send the change with its version"),
            TicketCommandError::StaleBoard(version) => Self::new(ErrorCode::StaleVersion, says)
                .with_context("current_version", json!(version))
                .with_field("If-Match")
                .hint("read the columns, and send the change with their `ETag`"),
            TicketCommandError::Refused(refusal) => refuse_move(says, refusal),
            TicketCommandError::Approval(refusal) => refuse_answer(says, &refusal),
            TicketCommandError::NotAsked => Self::new(ErrorCode::InvalidTransition, says),
            TicketCommandError::ManyArtifacts(_) => Self::new(ErrorCode::InvalidTransition, says),
            TicketCommandError::NotGiven(_) => {
                Self::invalid_value(says).with_field("/artifact_type")
            }
            TicketCommandError::BadArtifact(_) => Self::invalid_value(says).with_field("/content"),
            TicketCommandError::NoReason => Self::invalid_value(says).with_field("/reason"),
            TicketCommandError::OtherProject(_) => Self::invalid_value(says),
            TicketCommandError::TooManyLinks => Self::invalid_value(says).with_field("/ticket_ids"),
            TicketCommandError::OfPlan(_) => Self::new(ErrorCode::Conflict, says),
            TicketCommandError::Circular(cycle) => {
                let names = cycle.iter().map(HumanRef::to_string).collect::<Vec<_>>();
                Self::new(ErrorCode::CircularDependency, says).with_context("cycle", json!(names))
            }
            TicketCommandError::NoColumn(_) | TicketCommandError::BlockedColumn(_) => {
                Self::invalid_value(says).with_field("/target_column_id")
            }
            TicketCommandError::NoNextColumn(_) | TicketCommandError::NothingFollows(_) => {
                Self::new(ErrorCode::InvalidTransition, says)
            }
            TicketCommandError::Full(full) => Self::new(ErrorCode::WipLimitExceeded, says)
                .with_context("limit", json!(full.limit))
                .with_context("current", json!(full.current)),
            TicketCommandError::Columns(_) => Self::invalid_value(says).with_field("/columns"),
            TicketCommandError::NotAuthor => Self::forbidden_act(says),
            TicketCommandError::Store(store) => store.into(),
        }
    }
}

fn refuse_move(says: String, refusal: TicketMoveRefusal) -> ApiError {
    match refusal {
        TicketMoveRefusal::GateNotMet(verdict) => ApiError::new(ErrorCode::GateNotMet, says)
            .with_context("phase_id", json!(verdict.phase))
            .with_context("blocking_reasons", json!(verdict.reasons)),
        TicketMoveRefusal::Transition(_)
        | TicketMoveRefusal::Phase { .. }
        | TicketMoveRefusal::NothingBuilt(_)
        | TicketMoveRefusal::NotApproved(_) => ApiError::new(ErrorCode::InvalidTransition, says),
    }
}

fn refuse_answer(says: String, refusal: &ApprovalRefusal) -> ApiError {
    match refusal {
        ApprovalRefusal::NoComment
        | ApprovalRefusal::NoAnswer
        | ApprovalRefusal::OtherAnswer { .. } => {
            ApiError::invalid_value(says).with_field("/comment")
        }
        ApprovalRefusal::NoConflict => ApiError::invalid_value(says).with_field("/files"),
        ApprovalRefusal::Sides(fault) => {
            let refusal = ApiError::invalid_value(says).with_field("/files");
            match fault {
                SidesFault::NotInConflict { named: files, .. } | SidesFault::Unanswered(files) => {
                    refusal.with_context("files", json!(files))
                }
                SidesFault::Unreadable | SidesFault::NoPath(_) | SidesFault::SaidTwice(_) => {
                    refusal
                }
            }
        }
        ApprovalRefusal::OtherDecision { .. } => {
            ApiError::invalid_value(says).with_field("/decision")
        }
        ApprovalRefusal::Closed(_) | ApprovalRefusal::Overdue | ApprovalRefusal::Outdated => {
            ApiError::new(ErrorCode::InvalidTransition, says)
        }
    }
}

fn refuse_duplicate(says: String, same: &[Ticket]) -> ApiError {
    let candidates: Vec<Value> = duplicates_of(same)
        .iter()
        .map(|found| json!(found))
        .collect();
    ApiError::new(ErrorCode::DuplicateCandidate, says)
        .with_context("candidates", candidates.into())
        .with_context("method", DUPLICATE_METHOD.into())
        .hint("use that one, or send `force_create: true`")
}

/// How tickets that say the same are found.
pub(super) const DUPLICATE_METHOD: &str = "hash";

/// Tickets that say the same, as callers see them.
pub(super) fn duplicates_of(same: &[Ticket]) -> Vec<DuplicateTicket> {
    let found = same.iter().map(|ticket| DuplicateTicket {
        ticket_id: ticket.id,
        ticket_ref: HumanRef::ticket(ticket.number).to_string(),
        title: ticket.title.clone(),
        status: ticket.status,
        // Equal texts have all in common.
        similarity_score: 1.0,
    });
    found.collect()
}
