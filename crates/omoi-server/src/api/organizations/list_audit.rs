//! `GET /organizations/{organization_id}/audit`.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::audit::AuditAction;
use omoi_domain::id::ActorId;
use omoi_protocol::api::{ApiTime, AuditEntryView, ListPage};
use omoi_store::audit_log::{self, AuditEntry, AuditFilter};
use omoi_store::{StoreError, Tx};

use super::{OrganizationPath, audit_entry_view};
use crate::api::body::ApiPath;
use crate::api::caller::Allowed;
use crate::api::list::{ApiList, ListParams, SORT_DESCRIPTION};
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Which acts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// By this user, key or attempt; by any of them, when it is repeated.
    #[serde(default)]
    actor: Vec<ActorId>,
    /// What was done; any of them, when it is repeated.
    #[serde(default)]
    action: Vec<AuditAction>,
    /// Only what was done after this.
    after: Option<ApiTime>,
    /// Only what was done before this.
    before: Option<ApiTime>,
}

/// Lists what people did in an organisation, newest first.
///
/// An entry is never changed: `created_after` and `updated_after` mean the same, when it was done. They are sorted by
/// `seq`.
#[utoipa::path(
    get, path = "/organizations/{organization_id}/audit", tag = "organizations",
    params(
        OrganizationPath, AuditQuery, ListParams,
        ("sort" = Option<String>, Query, description = SORT_DESCRIPTION, pattern = "^-?seq$")
    ),
    responses((status = 200, description = "A page of acts.", body = ListPage<AuditEntryView>))
)]
pub(super) async fn list_audit(
    caller: Allowed<needs::OrgAuditRead>,
    State(s): Surface,
    ApiPath(path): ApiPath<OrganizationPath>,
    list: ApiList<AuditQuery>,
) -> Answer<ListPage<AuditEntryView>> {
    caller.expect_organization(path.organization_id)?;
    let request = list.asked_page::<AuditEntry>(&s, &caller, "-seq")?;
    let filter = asked_acts(&list);
    let rows = caller.own_rows();
    let page = rows.read(async |tx: &mut Tx| -> Result<_, StoreError> {
        let mut page = audit_log::list_page(tx, &filter, &request).await?;
        let found = std::mem::take(&mut page.rows).into_iter();
        Ok(page.replace_rows(found.map(audit_entry_view).collect()))
    });
    Ok(list.answer_page(&s, &caller, page.await?))
}

fn asked_acts(list: &ApiList<AuditQuery>) -> AuditFilter {
    let mut window = list.asked_window();
    let AuditQuery { after, before, .. } = &list.filter;
    window.updated_after = after.map(ApiTime::to_timestamp).or(window.updated_after);
    window.updated_before = before.map(ApiTime::to_timestamp).or(window.updated_before);
    AuditFilter {
        actors: list.filter.actor.clone(),
        actions: list.filter.action.clone(),
        window,
    }
}
