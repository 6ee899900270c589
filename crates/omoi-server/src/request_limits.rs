//! Requests of one caller, or of one address, are counted and told of; the limits are those of
//! `omoi_domain::access::rate_limit`.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Extensions, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use omoi_accounts::holder::{CredentialHolder, CredentialKind};
use omoi_domain::access::rate_limit::{RateAnswer, RateScope};
use omoi_domain::access::sign_in_limit::counted_address;
use omoi_domain::error_code::ErrorCode;
use omoi_runtime::rate_limiter::RateLimiter;

use crate::api::ApiSurface;
use crate::api::credential::{RequestHead, peer_address};
use crate::error::ApiError;

/// When to ask again what nobody could count.
const COUNTER_WAIT: Duration = Duration::from_secs(1);

/// How long a body may take to come where nobody says.
const BODY_TIME: Duration = Duration::from_mins(1);

/// Counts requests, or lets all of them in, and says how long each may take to come.
#[derive(Clone, Debug)]
pub struct RequestLimits {
    limiter: Option<RateLimiter>,
    body_time: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            limiter: None,
            body_time: BODY_TIME,
        }
    }
}

/// The strictest of what was counted for a request: its answer tells it.
#[derive(Clone, Debug, Default)]
struct RateNote(Arc<Mutex<Option<RateAnswer>>>);

impl RequestLimits {
    /// Counts by `limiter`.
    pub const fn counted_by(limiter: RateLimiter) -> Self {
        Self {
            limiter: Some(limiter),
            body_time: BODY_TIME,
        }
    }

    /// The same, where a body may take `body_time` to come.
    #[must_use]
    pub const fn with_body_time(mut self, body_time: Duration) -> Self {
        self.body_time = body_time;
        self
    }

    /// How long a body may take to come.
    pub(crate) const fn body_time(&self) -> Duration {
        self.body_time
    }

    /// Counts a request of whoever holds a credential.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`].
    pub(crate) async fn count_caller(
        &self,
        holder: &CredentialHolder,
        head: RequestHead<'_>,
    ) -> Result<(), ApiError> {
        let subject = match (holder.credential, holder.user_id()) {
            // The person whose data folder it is.
            (CredentialKind::Folder, _) => return Ok(()),
            (_, Some(user)) => format!("user {user}"),
            (CredentialKind::Key(key), None) => format!("key {key}"),
            (CredentialKind::SignIn { session, .. }, None) => format!("session {session}"),
        };
        let path = head.extensions.get::<MatchedPath>();
        let path = path.map(MatchedPath::as_str);
        for scope in caller_scopes(head.method, path.unwrap_or_default()) {
            self.count(*scope, &subject, head.extensions).await?;
        }
        Ok(())
    }

    /// Counts a request from an address.
    ///
    /// # Errors
    /// As [`RequestLimits::count_caller`]; [`ErrorCode::NotReady`] where nobody can count.
    pub(crate) async fn count_address(
        &self,
        scope: RateScope,
        address: IpAddr,
        extensions: &Extensions,
    ) -> Result<(), ApiError> {
        let subject = counted_address(address);
        self.count(scope, &subject, extensions).await
    }

    /// Counts a request of `subject`.
    ///
    /// # Errors
    /// As [`RequestLimits::count_address`].
    pub(crate) async fn count(
        &self,
        scope: RateScope,
        subject: &str,
        extensions: &Extensions,
    ) -> Result<(), ApiError> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        let answer = limiter.judge_one(scope, subject).await.map_err(|away| {
            ApiError::new(ErrorCode::NotReady, away.to_string()).retry_after(COUNTER_WAIT)
        })?;
        if let Some(note) = extensions.get::<RateNote>() {
            note.keep_strictest(answer);
        }
        match answer.retry_after {
            None => Ok(()),
            Some(wait) => {
                let rule = scope.rate_rule();
                let says = format!(
                    "more than {} requests a minute of this kind (`{scope}`)",
                    rule.per_minute
                );
                Err(ApiError::new(ErrorCode::RateLimited, says).retry_after(wait))
            }
        }
    }
}

impl RateNote {
    fn keep_strictest(&self, answer: RateAnswer) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stricter = |kept: &RateAnswer| {
            (answer.retry_after.is_none(), answer.remaining)
                < (kept.retry_after.is_none(), kept.remaining)
        };
        if kept.as_ref().is_none_or(is_stricter) {
            *kept = Some(answer);
        }
    }

    fn strictest(&self) -> Option<RateAnswer> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts what strangers ask by their address, and tells in every answer how much is left.
pub(crate) async fn with_request_limits(
    State(surface): State<ApiSurface>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let note = RateNote::default();
    request.extensions_mut().insert(note.clone());
    let path = request.extensions().get::<MatchedPath>();
    let scope = path.and_then(|path| address_scope(path.as_str()));
    if let Some(scope) = scope {
        let address = peer_address(request.headers(), request.extensions(), &surface.site);
        let counted = surface
            .limits
            .count_address(scope, address, request.extensions());
        if let Err(refused) = counted.await {
            return Ok(with_rate_headers(refused, &note));
        }
    }
    Ok(with_rate_headers(next.run(request).await, &note))
}

fn with_rate_headers(answer: impl IntoResponse, note: &RateNote) -> Response {
    let mut response = answer.into_response();
    let Some(answer) = note.strictest() else {
        return response;
    };
    let reset = answer.reset.as_secs() + u64::from(answer.reset.subsec_nanos() > 0);
    for (name, value) in [
        ("ratelimit-limit", u64::from(answer.limit)),
        ("ratelimit-remaining", u64::from(answer.remaining)),
        ("ratelimit-reset", reset),
    ] {
        let name = HeaderName::from_static(name);
        response
            .headers_mut()
            .insert(name, HeaderValue::from(value));
    }
    response
}

/// What a request of somebody known counts against.
fn caller_scopes(method: &Method, path: &str) -> &'static [RateScope] {
    let is_search = path.ends_with("/search") || path.ends_with("/export");
    let is_provider_key = path.ends_with("/provider-keys/{provider_name}");
    match (method.is_safe(), is_search) {
        (_, true) => &[RateScope::Caller, RateScope::CallerSearch],
        (false, false) if is_provider_key => &[
            RateScope::Caller,
            RateScope::CallerWrites,
            RateScope::ProviderKeys,
        ],
        (true, false) => &[RateScope::Caller],
        (false, false) => &[RateScope::Caller, RateScope::CallerWrites],
    }
}

/// What a request of a stranger counts against. Passwords, mails and links have limits of their own, in rows
/// (`omoi_domain::access::sign_in_limit`).
fn address_scope(path: &str) -> Option<RateScope> {
    let path = path.strip_prefix("/api/v1")?;
    if path.starts_with("/auth/oauth/") {
        return Some(match path {
            "/auth/oauth/exchange" => RateScope::AddressTokens,
            _ => RateScope::AddressProviders,
        });
    }
    match path {
        "/auth/unlock" | "/auth/device" | "/auth/device/token" | "/auth/local-link/exchange" => {
            Some(RateScope::AddressTokens)
        }
        path if path.starts_with("/public/") => Some(RateScope::Address),
        _ => None,
    }
}
