//! Lists the comments on a ticket.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_protocol::api::{CommentView, ListPage};
use omoi_store::comments::{self, Comment};

use super::{ProjectOfTicket, TicketPath};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::ticket_view::comment_views;
use crate::api::{Answer, Surface};
use crate::error::ApiError;

/// Which project's numbers the reference of the ticket means.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct CommentListQuery {
    /// The project of the reference, where several have one with its number.
    project_id: Option<ProjectId>,
}

/// Lists the comments on a ticket, oldest first. One that was taken away stays in its place, without its text.
///
/// They are sorted by `created_at` and `updated_at`.
#[utoipa::path(
    get, path = "/tickets/{ticket_id}/comments", tag = "tickets",
    params(
        TicketPath, CommentListQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?(created_at|updated_at)(,-?(created_at|updated_at)){0,3}$")
    ),
    responses((status = 200, description = "A page of comments.", body = ListPage<CommentView>))
)]
pub(super) async fn list_comments(
    caller: Allowed<needs::TicketRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<TicketPath>,
    list: ApiList<CommentListQuery>,
) -> Answer<ListPage<CommentView>> {
    let of = ProjectOfTicket {
        project_id: list.filter.project_id,
    };
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let asked = list.asked_page::<Comment>(&s, &caller, "created_at")?;
    let page = caller.own_rows().read(async |tx| {
        let window = list.asked_window();
        let mut page = comments::list_page(tx, ticket.id, &window, &asked).await?;
        let found = std::mem::take(&mut page.rows);
        let views = comment_views(tx, found).await?;
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(&s, &caller, page.await?))
}
