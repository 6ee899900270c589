//! `POST /organizations`.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, StatusCode};

use omoi_accounts::commands::organisation::{OrganisationDraft, create_organisation};
use omoi_accounts::holder::{CredentialHolder, CredentialKind};
use omoi_domain::access::role::SystemRole;
use omoi_domain::id::UserId;
use omoi_domain::organisation::BadOrganisationSlug;
use omoi_protocol::api::{CreateOrganization, OrganizationView};

use super::{described_text, mail_address, organization_view};
use crate::api::body::ApiBody;
use crate::api::caller::{AccountCaller, expect_verified};
use crate::api::policy::needs;
use crate::api::{BASE, Surface};
use crate::error::ApiError;

/// Makes an organisation, whose owner is whoever asks.
#[utoipa::path(
    post, path = "/organizations", tag = "organizations",
    request_body = CreateOrganization,
    responses((
        status = 201, description = "The organisation.", body = OrganizationView,
        headers(("Location" = String, description = "Where it is shown."))
    ))
)]
pub(super) async fn create_organization(
    caller: AccountCaller<needs::PersonSignedIn>,
    State(s): Surface,
    ApiBody(body): ApiBody<CreateOrganization>,
) -> Result<CreatedOrganization, ApiError> {
    expect_verified(&caller)?;
    let owner = expect_founder(&caller)?;
    let draft = OrganisationDraft {
        slug: body.slug.parse().map_err(|error: BadOrganisationSlug| {
            ApiError::invalid_value(error.to_string()).with_field("/slug")
        })?,
        name: body.name,
        description: described_text(body.description)?,
        billing_email: body
            .billing_email
            .as_deref()
            .map(mail_address)
            .transpose()?,
    };
    let made = create_organisation(&caller.accounts_of(&s), caller.actor, owner, draft).await;
    let made = made.map_err(|error| s.refuse_account(error))?;
    let place = format!("{BASE}/organizations/{}", made.id);
    let view = organization_view(made, SystemRole::Owner.permission_set());
    Ok((StatusCode::CREATED, [(LOCATION, place)], Json(view)))
}

/// The person who owns what they make. The token of a data folder reaches the organisation `local` alone: nobody would
/// reach another one that it made.
fn expect_founder(holder: &CredentialHolder) -> Result<UserId, ApiError> {
    if let (Some(user), CredentialKind::SignIn { .. }) = (holder.user_id(), holder.credential) {
        return Ok(user);
    }
    let says =
        "the token of a data folder reaches the organisation `local` alone, and owns no other";
    Err(ApiError::forbidden_act(says).hint(
        "sign in and make it then; whoever holds the database makes it by `omoi admin add-organisation NAME --owner MAIL`",
    ))
}

type CreatedOrganization = (
    StatusCode,
    [(HeaderName, String); 1],
    Json<OrganizationView>,
);
