//! Lists tasks that are at work.

use omoi_domain::task::TaskStatus;
use omoi_protocol::api::{ListPage, QueuedTaskView};

use super::AskedOrganizationPath;
use super::queued_tasks::{QueuedTasksQuery, answer_tasks};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// A dispatcher, an agent or the platform has them in hand.
const AT_WORK: [TaskStatus; 5] = [
    TaskStatus::Claiming,
    TaskStatus::Assigned,
    TaskStatus::Running,
    TaskStatus::PendingValidation,
    TaskStatus::Validating,
];

/// Lists the tasks of an organisation that are at work, from their claim to the end of their checks.
#[utoipa::path(
    get, path = "/admin/tasks/running/{organization_id}", tag = "admin",
    params(
        AskedOrganizationPath, QueuedTasksQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION,
            pattern = "^-?(created_at|updated_at|number|priority|level|ordinal)(,-?(created_at|updated_at|number|priority|level|ordinal)){0,3}$")
    ),
    responses((status = 200, description = "A page of tasks.", body = ListPage<QueuedTaskView>))
)]
pub(super) async fn list_running_tasks(
    caller: Allowed<needs::PlatformStaff>,
    surface: Surface,
    ApiPath(path): ApiPath<AskedOrganizationPath>,
    list: ApiList<QueuedTasksQuery>,
) -> Answer<ListPage<QueuedTaskView>> {
    caller.expect_organization(path.organization_id)?;
    answer_tasks(surface, &caller, &list, &AT_WORK).await
}
