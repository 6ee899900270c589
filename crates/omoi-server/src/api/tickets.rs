//! Operations on tickets.

mod add_comment;
mod add_ticket_dependency;
mod approve_ticket;
mod attach_artifact;
mod block_ticket;
mod can_transition_ticket;
mod check_phase_completion;
mod check_ticket_advance;
mod check_ticket_duplicates;
mod complete_ticket;
mod count_pending_reviews;
mod create_ticket;
mod delete_comment;
mod detect_blocking;
mod edit_comment;
mod fast_track_ticket;
mod get_ticket;
mod get_ticket_approval;
mod get_ticket_context;
mod get_ticket_gate;
mod list_comments;
mod list_ticket_history;
mod list_tickets;
mod phase_move;
mod progress_ticket;
mod regress_ticket;
mod reject_ticket;
mod remove_ticket_dependency;
mod spawn_phase_tasks;
mod transition_ticket;
mod transition_ticket_phase;
mod unblock_ticket;
mod update_ticket;
mod update_ticket_context;
mod validate_ticket_gate;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::{CommentId, ProjectId};
use omoi_protocol::api::{CommentView, EXAMPLE_COMMENT, EXAMPLE_TICKET, TicketView};
use omoi_store::StoreError;
use omoi_store::comments::Comment;
use omoi_store::tickets::Ticket;

pub(super) use self::create_ticket::{expect_begun_by, project_of_body};
use super::ApiSurface;
use super::caller::ApiCaller;
use super::find::{self, AskedReference};
use super::router::{ApiRouter, operation};
use super::ticket_view::{comment_views, ticket_view};
use super::version::{VersionedAnswer, VersionedJson};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    shown_tickets()
        .merge(changed_tickets())
        .merge(moved_tickets())
        .merge(comments_of_tickets())
        .merge(approved_tickets())
        .merge(phases_of_tickets())
        .merge(contexts_of_tickets())
        .merge(gates_of_tickets())
}

fn shown_tickets() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            list_tickets::list_tickets,
            InvalidCursor,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            list_tickets::list_tickets_alias,
            InvalidCursor,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            get_ticket::get_ticket,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            list_ticket_history::list_ticket_history,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            check_ticket_duplicates::check_ticket_duplicates,
            NotFound
        ))
}

fn changed_tickets() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            create_ticket::create_ticket,
            NotFound,
            UnclearReference,
            DuplicateCandidate,
            Conflict
        ))
        .add(operation!(
            update_ticket::update_ticket,
            NotFound,
            UnclearReference,
            StaleVersion,
            GateNotMet,
            InvalidTransition,
            Conflict,
            WipLimitExceeded
        ))
        .add(operation!(
            add_ticket_dependency::add_ticket_dependency,
            NotFound,
            UnclearReference,
            CircularDependency,
            Conflict
        ))
        .add(operation!(
            remove_ticket_dependency::remove_ticket_dependency,
            NotFound,
            UnclearReference,
            Conflict
        ))
}

fn moved_tickets() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            transition_ticket::transition_ticket,
            NotFound,
            UnclearReference,
            StaleVersion,
            GateNotMet,
            InvalidTransition,
            Conflict,
            WipLimitExceeded
        ))
        .add(operation!(
            progress_ticket::progress_ticket,
            NotFound,
            UnclearReference,
            GateNotMet,
            InvalidTransition,
            Conflict,
            WipLimitExceeded
        ))
        .add(operation!(
            regress_ticket::regress_ticket,
            NotFound,
            UnclearReference,
            InvalidTransition,
            Conflict,
            WipLimitExceeded
        ))
        .add(operation!(
            block_ticket::block_ticket,
            NotFound,
            UnclearReference,
            Conflict
        ))
        .add(operation!(
            unblock_ticket::unblock_ticket,
            NotFound,
            UnclearReference,
            Conflict,
            InvalidTransition,
            OtherModel,
            TaskCancelled,
            WipLimitExceeded
        ))
}

fn phases_of_tickets() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            transition_ticket_phase::transition_ticket_phase,
            NotFound,
            UnclearReference,
            StaleVersion,
            GateNotMet,
            InvalidTransition,
            Conflict,
            WipLimitExceeded
        ))
        .add(operation!(
            fast_track_ticket::fast_track_ticket,
            NotFound,
            UnclearReference,
            GateNotMet,
            InvalidTransition,
            Conflict,
            WipLimitExceeded
        ))
        .add(operation!(
            spawn_phase_tasks::spawn_phase_tasks,
            NotFound,
            UnclearReference,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            complete_ticket::complete_ticket,
            NotFound,
            UnclearReference,
            GateNotMet,
            InvalidTransition,
            Conflict,
            WipLimitExceeded
        ))
        .add(operation!(
            check_ticket_advance::check_ticket_advance,
            NotFound,
            UnclearReference,
            GateNotMet,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            get_ticket_gate::get_ticket_gate,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            can_transition_ticket::can_transition_ticket,
            NotFound,
            UnclearReference
        ))
}

/// What the work on tickets came to, and where nothing goes on.
fn contexts_of_tickets() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            get_ticket_context::get_ticket_context,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            update_ticket_context::update_ticket_context,
            NotFound,
            UnclearReference,
            Conflict
        ))
        .add(operation!(detect_blocking::detect_blocking, Conflict))
}

fn gates_of_tickets() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            validate_ticket_gate::validate_ticket_gate,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            attach_artifact::attach_artifact,
            NotFound,
            UnclearReference,
            InvalidTransition
        ))
        .add(operation!(
            check_phase_completion::check_phase_completion,
            NotFound,
            UnclearReference,
            InvalidTransition,
            Conflict,
            WipLimitExceeded
        ))
}

fn approved_tickets() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            approve_ticket::approve_ticket,
            NotFound,
            UnclearReference,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            reject_ticket::reject_ticket,
            NotFound,
            UnclearReference,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            count_pending_reviews::count_pending_reviews,
            NotFound
        ))
        .add(operation!(
            get_ticket_approval::get_ticket_approval,
            NotFound,
            UnclearReference
        ))
}

fn comments_of_tickets() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            list_comments::list_comments,
            InvalidCursor,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            add_comment::add_comment,
            NotFound,
            UnclearReference,
            Conflict
        ))
        .add(operation!(
            edit_comment::edit_comment,
            NotFound,
            UnclearReference,
            StaleVersion,
            Conflict
        ))
        .add(operation!(
            delete_comment::delete_comment,
            NotFound,
            UnclearReference,
            StaleVersion,
            Conflict
        ))
}

/// Which ticket.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TicketPath {
    /// Row id of the ticket, or its reference `TKT-n`.
    #[param(
        example = json!(EXAMPLE_TICKET),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Kk][Tt]-0*[1-9][0-9]{0,17})$"
    )]
    pub(super) ticket_id: String,
}

/// Which ticket, and which of its comments.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct CommentPath {
    /// Row id of the ticket, or its reference `TKT-n`.
    #[param(
        example = json!(EXAMPLE_TICKET),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Kk][Tt]-0*[1-9][0-9]{0,17})$"
    )]
    ticket_id: String,
    /// Row id of the comment.
    #[param(example = json!(EXAMPLE_COMMENT))]
    comment_id: CommentId,
}

/// Which project's numbers a reference means.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectOfTicket {
    /// The project of the reference, where several have one with its number.
    pub(super) project_id: Option<ProjectId>,
}

impl ApiCaller {
    /// The ticket that `text` names.
    pub(super) async fn find_ticket(
        &self,
        text: &str,
        of: &ProjectOfTicket,
    ) -> Result<Ticket, ApiError> {
        let asked = AskedReference::of_path(text, of.project_id);
        self.own_rows()
            .read(async |tx| find::find_ticket(tx, asked).await)
            .await
    }
}

/// A ticket as it is now, with its version.
async fn answered(caller: &ApiCaller, ticket: Ticket) -> VersionedAnswer<TicketView> {
    let version = ticket.state_version;
    let view = caller
        .own_rows()
        .read(async |tx| ticket_view(tx, ticket).await);
    Ok(VersionedJson {
        version,
        body: view.await?,
    })
}

/// A comment as it is now, with its version.
async fn answered_comment(caller: &ApiCaller, comment: Comment) -> VersionedAnswer<CommentView> {
    let (id, version) = (comment.id, comment.state_version);
    let views = caller
        .own_rows()
        .read(async |tx| comment_views(tx, vec![comment]).await);
    let body = views.await?.pop().ok_or_else(|| StoreError::NotFound {
        what: "comment",
        key: id.to_string(),
    })?;
    Ok(VersionedJson { version, body })
}
