//! `GET /auth/me`.

use axum::Json;
use axum::extract::State;

use omoi_domain::access::decision::OrganisationReach;
use omoi_protocol::api::{AccountView, OrganizationAccess};
use omoi_store::{Tx, users};

use super::expect_person;
use crate::api::caller::AccountCaller;
use crate::api::policy::needs;
use crate::api::{Answer, Surface};

/// Shows the account of whoever asks, and what this credential may do in each organisation.
#[utoipa::path(
    get, path = "/auth/me", tag = "auth",
    responses((status = 200, description = "The account.", body = AccountView))
)]
pub(super) async fn get_account(
    caller: AccountCaller<needs::OwnAccount>,
    State(s): Surface,
) -> Answer<AccountView> {
    let id = expect_person(&caller)?;
    let system = s.accounts.store.system();
    let user = system
        .read(async |tx: &mut Tx| users::get(tx, id).await)
        .await?;
    Ok(Json(AccountView {
        id: user.id,
        is_verified: user.is_verified(),
        full_name: user.name,
        email: user.email,
        is_staff: user.is_staff,
        last_login_at: user.last_sign_in_at.map(Into::into),
        created_at: user.created_at.map(Into::into),
        organizations: caller.reaches.iter().map(organization_access).collect(),
    }))
}

fn organization_access(reach: &OrganisationReach) -> OrganizationAccess {
    OrganizationAccess {
        organization_id: reach.org,
        permissions: reach.permissions_in(None).list_permissions().collect(),
    }
}
