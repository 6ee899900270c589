//! The words of an answer to a caller who is told no costs: amounts that refusals of budgets name are left out, wherever
//! they were written down.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::Extensions;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::TryStreamExt as _;

use omoi_domain::access::cost_sight::CostSight;

use crate::error::ApiError;

/// Media types whose words are looked at; files are as they were given.
const TEXTS: [&str; 3] = ["application/json", "application/x-ndjson", "text/"];

/// Whether the caller of a request is told costs: nobody is of whom nothing is noted.
#[derive(Clone, Debug, Default)]
struct ShownCosts(Arc<AtomicBool>);

/// Notes what the caller of a request is told of costs.
pub(crate) fn note_cost_sight(extensions: &Extensions, sight: CostSight) {
    if let Some(shown) = extensions.get::<ShownCosts>() {
        shown.0.store(sight.shows_costs(), Ordering::Relaxed);
    }
}

/// Leaves amounts out of the words of an answer whose caller is told none.
pub(crate) async fn with_cost_texts(mut request: Request, next: Next) -> Response {
    let shown = ShownCosts::default();
    request.extensions_mut().insert(shown.clone());
    let response = next.run(request).await;
    match shown.0.load(Ordering::Relaxed) || !is_text(&response) {
        true => response,
        false => without_amounts(response).await,
    }
}

fn is_text(response: &Response) -> bool {
    let media = response.headers().get(CONTENT_TYPE);
    let media = media.and_then(|media| media.to_str().ok());
    media.is_some_and(|media| TEXTS.iter().any(|text| media.starts_with(text)))
}

async fn without_amounts(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let body = match body.size_hint().exact() {
        // What is there as a whole stays so, with its length.
        Some(n_bytes) => {
            let whole = to_bytes(body, usize::try_from(n_bytes).unwrap_or(usize::MAX)).await;
            match whole {
                Ok(whole) => Body::from(told_bytes(whole)),
                Err(error) => return ApiError::internal_failure(&error).into_response(),
            }
        }
        // Each part of a stream is an event or a line, or several.
        None => Body::from_stream(body.into_data_stream().map_ok(told_bytes)),
    };
    Response::from_parts(parts, body)
}

fn told_bytes(bytes: Bytes) -> Bytes {
    let told = match std::str::from_utf8(&bytes).map(|text| CostSight::Hidden.told_text(text)) {
        Ok(Cow::Owned(told)) => Some(told),
        Ok(Cow::Borrowed(_)) | Err(_) => None,
    };
    told.map_or(bytes, Bytes::from)
}
