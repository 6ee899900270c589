//! Lists the commits of a ticket.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;

use omoi_protocol::api::{CommitView, ListPage};
use omoi_store::{StoreError, commit_links, tasks};

use super::{COMMITS_MAX, commit_views, commits_between};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::tickets::{ProjectOfTicket, TicketPath};
use crate::api::{Answer, Surface};

/// Lists the commits that tasks of a ticket made, and those that people tied to it, newest first; 200 at most.
#[utoipa::path(
    get, path = "/commits/ticket/{ticket_id}", tag = "commits", params(TicketPath, ProjectOfTicket),
    responses((status = 200, description = "The commits.", body = ListPage<CommitView>))
)]
pub(super) async fn list_ticket_commits(
    caller: Allowed<needs::TicketRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<TicketPath>,
    ApiQuery(of): ApiQuery<ProjectOfTicket>,
) -> Answer<ListPage<CommitView>> {
    let ticket = caller.find_ticket(&path.ticket_id, &of).await?;
    let (rows, project) = (caller.own_rows(), ticket.project_id);
    let read = rows.read(async |tx| {
        let tasks = tasks::of_ticket(tx, ticket.id).await?;
        Ok::<_, StoreError>((tasks, commit_links::of_ticket(tx, ticket.id).await?))
    });
    let (tasks, links) = read.await?;
    let mut entries = Vec::new();
    if let Some(mirror) = s.mirror_of(project).await? {
        for task in &tasks {
            if let Some(head) = &task.head_sha {
                let base = task.base_sha.as_deref();
                entries.extend(commits_between(&mirror, base, head, COMMITS_MAX).await?);
            }
        }
        for link in &links {
            entries.extend(commits_between(&mirror, None, &link.commit_sha, 1).await?);
        }
    }
    entries.sort_by_key(|entry| Reverse(entry.time));
    let mut seen = BTreeSet::new();
    entries.retain(|entry| seen.insert(entry.id.to_string()));
    entries.truncate(COMMITS_MAX);
    let views = rows.read(async |tx| commit_views(tx, project, entries).await);
    Ok(Json(ListPage::whole_list(views.await?)))
}
