//! Lists tasks that wait.

use omoi_domain::task::TaskStatus;
use omoi_protocol::api::{ListPage, QueuedTaskView};

use super::queued_tasks::{QueuedTasksQuery, answer_tasks};
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Lists the tasks of the caller's organisation that wait for their prerequisites, a slot or their time, the oldest first.
#[utoipa::path(
    get, path = "/admin/tasks/pending", tag = "admin",
    params(
        QueuedTasksQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?(created_at|updated_at|number|priority|level|ordinal)(,-?(created_at|updated_at|number|priority|level|ordinal)){0,3}$")
    ),
    responses((status = 200, description = "A page of tasks.", body = ListPage<QueuedTaskView>))
)]
pub(super) async fn list_pending_tasks(
    caller: Allowed<needs::PlatformStaff>,
    surface: Surface,
    list: ApiList<QueuedTasksQuery>,
) -> Answer<ListPage<QueuedTaskView>> {
    answer_tasks(surface, &caller, &list, &[TaskStatus::Pending]).await
}
