//! Requests that callers name by `Idempotency-Key`: each is carried out once, however often it comes, and answered again
//! as it was answered first.
//!
//! [`with_request_key`] reads the key and the body. The extractor that says who calls takes the request up
//! ([`take_up_request`]) once the caller is known to be let in, so that nobody learns by a key what they may not do. What
//! the handler then writes is noted as done in the transaction that writes it (`omoi_store::request_keys`): where the
//! process dies before it has answered, the same request is answered from the rows. A refusal frees the key, unless
//! something was written before.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tracing::warn;
use uuid::Uuid;

use omoi_accounts::holder::{CredentialHolder, CredentialKind};
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::{KeyedRequestId, OrgId};
use omoi_domain::planted_bug::{PlantedBug, is_planted};
use omoi_domain::request_key::KEY_CHARS_MAX;
use omoi_execution::commands::{claim_request, give_up_request, keep_answer, note_shown};
use omoi_runtime::telemetry::error_chain;
use omoi_store::request_keys::{
    KeptAnswer, KeyedRequest, RequestDigests, RunningRequest, find_answer,
};
use omoi_store::{Store, StoreError};

use super::ApiSurface;
use super::body::read_bytes;
use super::credential::{RequestHead, find_holder};
use crate::error::ApiError;

/// The header that names a request.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// What an answer says that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Bytes of an answer that is kept; a longer one is made again from the rows.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// When to ask again what an earlier request is about to answer.
const WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// Says of an answer that it holds what is told once, and is kept nowhere.
#[derive(Clone, Copy)]
pub(super) struct ShownOnce;

/// Why a handler is not run.
pub(crate) enum NotRun {
    /// The caller is refused.
    Refused(ApiError),
    /// The request was answered before.
    Replayed(Box<Response>),
}

impl From<ApiError> for NotRun {
    fn from(refused: ApiError) -> Self {
        Self::Refused(refused)
    }
}

impl IntoResponse for NotRun {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refused) => refused.into_response(),
            Self::Replayed(response) => *response,
        }
    }
}

/// How a handler's request was taken up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum RequestTurn {
    /// It has no key.
    #[default]
    Unnamed,
    /// It is carried out by this run.
    Run(RunningRequest),
    /// An earlier one did it: this run may write nothing, and answers from the rows.
    ShowAgain {
        /// The run.
        running: RunningRequest,
        /// The row that the earlier one made.
        made: Option<Uuid>,
    },
}

impl RequestTurn {
    /// The run that carries the request out, or shows it again.
    const fn running(self) -> Option<RunningRequest> {
        match self {
            Self::Unnamed => None,
            Self::Run(running) | Self::ShowAgain { running, .. } => Some(running),
        }
    }

    /// `store` for what the request changes.
    pub(super) fn store_for(self, store: &Store) -> Store {
        match self.running() {
            Some(running) => store.for_run(running),
            None => store.clone(),
        }
    }
}

/// A request with a key, on its way to its handler.
#[derive(Clone)]
struct NamedRequest {
    key: String,
    body_digest: String,
    taken_up: Arc<OnceLock<TakenUp>>,
}

/// A request that was taken up.
#[derive(Clone, Copy, Debug)]
struct TakenUp {
    turn: RequestTurn,
    /// Whose rows it is about.
    org: Option<OrgId>,
}

/// Reads the key of a request and its body, and keeps what the request is answered with.
pub(super) async fn with_request_key(
    State(surface): State<ApiSurface>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let is_named =
        request.method() == Method::POST && request.headers().contains_key(IDEMPOTENCY_KEY);
    // Whoever has no credential is refused without their body being read, or asks for what is everybody's.
    let head = RequestHead::of_request(&request);
    if !is_named || find_holder(head, &surface).await.is_err() {
        return Ok(next.run(request).await);
    }
    let key = read_key(request.headers())?;
    let (mut parts, body) = request.into_parts();
    let bytes = read_bytes(Request::from_parts(parts.clone(), body), &surface).await?;
    let named = NamedRequest {
        key,
        body_digest: surface.cursor_keys.secret_digest(&bytes),
        taken_up: Arc::default(),
    };
    parts.extensions.insert(named.clone());
    let request = Request::from_parts(parts, Body::from(bytes));
    let response = next.run(request).await;
    Ok(match named.taken_up.get() {
        Some(taken_up) => end_request(&surface, *taken_up, response).await,
        None => response,
    })
}

fn read_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = given.next().and_then(|key| key.to_str().ok());
    // A header may hold tabs, too.
    let is_printable = |key: &str| key.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let is_key = |key: &&str| (1..=KEY_CHARS_MAX).contains(&key.len()) && is_printable(key);
    match (key.filter(is_key), given.next()) {
        (Some(key), None) => Ok(key.to_owned()),
        _ => {
            let says = format!(
                "`Idempotency-Key` is one text of 1 to {KEY_CHARS_MAX} printable characters"
            );
            Err(ApiError::invalid_value(says).with_field("Idempotency-Key"))
        }
    }
}

/// Takes up the request of `holder` about the rows of `org`, or about none; nothing is done for one without a key.
///
/// # Errors
/// [`NotRun`] where an earlier request had the key and its answer is known, or not yet.
pub(super) async fn take_up_request(
    parts: &Parts,
    surface: &ApiSurface,
    holder: &CredentialHolder,
    org: Option<OrgId>,
) -> Result<RequestTurn, NotRun> {
    let named = parts.extensions.get::<NamedRequest>();
    let Some(named) = named.filter(|_| !is_planted(PlantedBug::RequestKey)) else {
        return Ok(RequestTurn::Unnamed);
    };
    let digests = RequestDigests {
        request: request_digest(parts, holder, org, &named.key),
        body: named.body_digest.clone(),
    };
    let store = surface.parts.store.store();
    let claimed = claim_request(store, &digests).await;
    let turn = match claimed.map_err(ApiError::from)? {
        KeyedRequest::Run(running) => RequestTurn::Run(running),
        KeyedRequest::ShowAgain { running, made } => RequestTurn::ShowAgain { running, made },
        KeyedRequest::Replay { id, status } => {
            let answer = replay_answer(store, (id, org), status).await;
            return Err(NotRun::Replayed(Box::new(answer.map_err(ApiError::from)?)));
        }
        refused => return Err(refuse_key(&refused).into()),
    };
    // One handler has one caller: nobody took it up before.
    let _ = named.taken_up.set(TakenUp { turn, org });
    Ok(turn)
}

/// Tells a request by who asks for what where.
fn request_digest(
    parts: &Parts,
    holder: &CredentialHolder,
    org: Option<OrgId>,
    key: &str,
) -> String {
    let caller = match (holder.credential, holder.user_id()) {
        (CredentialKind::Key(key), _) => format!("key {key}"),
        (_, Some(user)) => format!("user {user}"),
        (_, None) => String::new(),
    };
    let org = org.map(|org| org.to_string()).unwrap_or_default();
    let uri = parts.uri.path_and_query();
    let uri = uri.map_or("", |uri| uri.as_str());
    let mut told = Vec::new();
    for part in [&caller, &org, parts.method.as_str(), uri, key] {
        told.extend_from_slice(&(part.len() as u64).to_be_bytes());
        told.extend_from_slice(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(digest(&SHA256, &told))
}

fn refuse_key(refused: &KeyedRequest) -> ApiError {
    match refused {
        KeyedRequest::RefuseReuse => ApiError::new(
            ErrorCode::IdempotencyKeyReused,
            "this key was sent with another body before",
        )
        .with_field("Idempotency-Key")
        .hint("give each request a key of its own, and repeat a request as it was"),
        KeyedRequest::RefuseShown => ApiError::new(
            ErrorCode::AlreadyShown,
            "this was done, and what it told is told once",
        )
        .hint("where the answer is lost, revoke what it made and make another with a new key"),
        _ => ApiError::new(
            ErrorCode::IdempotencyInProgress,
            "an earlier request with this key is not answered yet",
        )
        .retry_after(WAIT),
    }
}

async fn replay_answer(
    store: &Store,
    (id, org): (KeyedRequestId, Option<OrgId>),
    status: u32,
) -> Result<Response, StoreError> {
    let kept = match org {
        Some(org) => {
            let rows = store.tenant(org);
            rows.read(async |tx| find_answer(tx, id).await).await?
        }
        None => None,
    };
    let status = u16::try_from(status).ok();
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = status.unwrap_or(StatusCode::OK).into_response();
    if let Some(kept) = kept {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [(ETAG, kept.etag), (LOCATION, kept.location)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        *response.body_mut() = Body::from(kept.body);
    }
    Ok(marked_replayed(response))
}

fn marked_replayed(mut response: Response) -> Response {
    let yes = HeaderValue::from_static("true");
    response.headers_mut().insert(REPLAYED, yes);
    response
}

/// Keeps the answer, or frees the key of what was refused. Where that fails, the request is answered all the same: what
/// was written is noted, and one that comes again is answered from the rows.
async fn end_request(surface: &ApiSurface, taken_up: TakenUp, response: Response) -> Response {
    let Some(running) = taken_up.turn.running() else {
        return response;
    };
    let store = surface.parts.store.store();
    let (response, ended) = match response.status().is_success() {
        true => keep_response(store, taken_up, running, response).await,
        false => (response, give_up_request(store, running).await),
    };
    if let Err(error) = ended {
        warn!(
            request_key.id = %running.id, error = error_chain(&error),
            "What a request with a key was answered could not be noted"
        );
    }
    match taken_up.turn {
        RequestTurn::ShowAgain { .. } if response.status().is_success() => {
            marked_replayed(response)
        }
        _ => response,
    }
}

async fn keep_response(
    store: &Store,
    taken_up: TakenUp,
    running: RunningRequest,
    response: Response,
) -> (Response, Result<(), StoreError>) {
    let is_empty = response.body().is_end_stream();
    let is_secret = response.extensions().get::<ShownOnce>().is_some();
    if is_secret || (taken_up.org.is_none() && !is_empty) {
        return (response, note_shown(store, running).await);
    }
    let status = u32::from(response.status().as_u16());
    let Some(org) = taken_up.org.filter(|_| !is_empty) else {
        return (response, keep_answer(store, running, status, None).await);
    };
    let n_bytes = response.body().size_hint().upper();
    if n_bytes.is_none_or(|n_bytes| n_bytes > ANSWER_BYTES_MAX as u64) {
        return (response, Ok(()));
    }
    let (parts, body) = response.into_parts();
    // A body of a known size lies in memory: reading it cannot fail.
    let bytes = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
    let header = |name: &HeaderName| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let answer = KeptAnswer {
        request_id: running.id,
        org_id: org,
        body: String::from_utf8_lossy(&bytes).into_owned(),
        etag: header(&ETAG),
        location: header(&LOCATION),
    };
    let kept = keep_answer(store, running, status, Some(&answer)).await;
    (Response::from_parts(parts, Body::from(bytes)), kept)
}
