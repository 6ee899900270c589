//! Makes a link by which strangers are shown a spec.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use secrecy::ExposeSecret as _;

use omoi_accounts::share_token::ShareToken;
use omoi_planning::commands::{WantedShare, share_spec};
use omoi_protocol::api::{ShareSpec, SharedLink};

use crate::api::body::{ApiBody, ApiPath};
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::query::ApiQuery;
use crate::api::request_key::ShownOnce;
use crate::api::specs::{OfProject, SpecPath};
use crate::api::{BASE, Surface};
use crate::error::ApiError;

/// Makes a link by which whoever has it is shown title and text of a spec with a few counts. It is told this once; the link
/// before it leads nowhere then.
#[utoipa::path(
    post, path = "/public/specs/{spec_id}/share", tag = "public", operation_id = "share_spec",
    request_body = ShareSpec, params(SpecPath, OfProject),
    responses((status = 201, description = "The link.", body = SharedLink))
)]
pub(super) async fn share_spec_with_strangers(
    caller: Allowed<needs::SpecShare>,
    State(s): Surface,
    ApiPath(path): ApiPath<SpecPath>,
    ApiQuery(of): ApiQuery<OfProject>,
    ApiBody(body): ApiBody<ShareSpec>,
) -> Result<(StatusCode, Extension<ShownOnce>, Json<SharedLink>), ApiError> {
    let rows = caller.own_rows();
    let fresh = ShareToken::draw_token(rows.org(), &s.accounts.rng);
    let wanted = WantedShare {
        spec: caller.find_spec(&path, &of).await?.id,
        digest: fresh.digest,
        is_listed: body.listed,
    };
    let share = share_spec(rows, wanted).await?;
    let token = fresh.token.expose_secret();
    let link = SharedLink {
        share_url: format!("{BASE}/public/showcase/{token}"),
        share_token: token.to_owned(),
        listed: share.is_listed,
    };
    Ok((StatusCode::CREATED, Extension(ShownOnce), Json(link)))
}
