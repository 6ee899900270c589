//! What a worker reports, without the secrets that this process knows: its model and its commands may
//! have printed one.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tracing::debug;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::json_shape::check_json_shape;
use omoi_domain::secret_mask::SecretMask;

use crate::error::{ApiError, JsonBody};
use crate::request_token::request_token;
use crate::worker::{WorkerCaller, WorkerSurface};

/// Values in one report.
const VALUES_MAX: usize = 250_000;

/// A report in JSON, masked before anything of it is read.
pub(crate) struct Reported<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<WorkerSurface> for Reported<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &WorkerSurface) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let own = request_token(&parts.headers).unwrap_or_default();
        let mask = state.parts.mask.with_secret(own);
        let mask = match organisation_mask(&parts, state) {
            Some(brought) => mask.joined_with(&brought),
            None => mask,
        };
        let request = Request::from_parts(parts.clone(), body);
        let bytes = match Bytes::from_request(request, state).await {
            Ok(bytes) => bytes,
            Err(refused) => {
                return Err(ApiError::unreadable(refused.status(), refused.body_text()));
            }
        };
        // A report can be large enough to hold up all others of its thread.
        let lifecycle = &state.parts.lifecycle;
        let masked = lifecycle.run_blocking("mask a report", move || {
            let masked = masked(bytes, &mask);
            check_json_shape(&masked, VALUES_MAX).map(|_| masked)
        });
        let masked = masked.await?;
        let masked = masked
            .map_err(|refused| ApiError::new(ErrorCode::MalformedJson, refused.to_string()))?;
        let body = Body::from(masked);
        let JsonBody(report) =
            JsonBody::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self(report))
    }
}

/// What hides the keys that the organisation of the reporting attempt brought for its models.
fn organisation_mask(parts: &Parts, state: &WorkerSurface) -> Option<SecretMask> {
    let caller = parts.extensions.get::<WorkerCaller>()?;
    let gateway = state.gateway.as_ref().ok()?;
    gateway.organisation_mask(caller.attempt.org_id)
}

fn masked(bytes: Bytes, mask: &SecretMask) -> Bytes {
    match std::str::from_utf8(&bytes).map(|text| mask.mask_text(text)) {
        Ok(Cow::Owned(masked)) => {
            debug!(bytes = masked.len(), "Masked a secret in a report");
            masked.into()
        }
        // No secret is in it; or it is no text, and so no JSON either.
        Ok(Cow::Borrowed(_)) | Err(_) => bytes,
    }
}
