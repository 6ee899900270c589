//! Live events as server-sent events.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use serde::Deserialize;
use serde_json::json;
use tracing::warn;
use utoipa::IntoParams;

use omoi_accounts::holder::{CredentialHolder, CredentialKind};
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::OrgId;
use omoi_domain::live::live_cursor::{CursorError, LiveCursor};
use omoi_domain::time::Timestamp;
use omoi_execution::live::{ListenerSeat, LiveEvents, LiveItem, LiveSubscription};
use omoi_runtime::clock::Clocked;
use omoi_runtime::telemetry::error_chain;
use omoi_store::StoreError;

use super::event_query::{EventFilterParams, EventQuery};
use crate::api::Surface;
use crate::api::caller::Allowed;
use crate::api::credential::credential_text;
use crate::api::policy::needs;
use crate::error::ApiError;
use crate::live::access_watch::{AccessStep, AccessWatch, WatchedCredential};

/// Longest silence on a stream: proxies end one that says nothing.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// What nginx and its like read of it.
const PROXY_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How long who listens on too many connections is told to wait.
const CROWDED_WAIT: Duration = Duration::from_secs(30);
/// Where a browser that comes back says which event it knows.
const LAST_EVENT: &str = "last-event-id";

/// From where on.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct FollowedEvents {
    /// The last event that the caller knows; without it and without `Last-Event-ID` from now on.
    after_seq: Option<String>,
    /// Ends at the newest event instead of waiting for more.
    #[serde(default)]
    #[param(example = true)]
    once: bool,
}

/// Streams events as server-sent events, for as long as the caller stays.
///
/// The `id` of each, which also comes by itself when nothing else has, is the last event up to which the caller then
/// knows all that it asked for: its next `Last-Event-ID`. `event` is the name of the event. `gap` says that the caller
/// was too slow for some, `reset` that it has to read everything anew.
#[utoipa::path(
    get, path = "/events/stream", tag = "events", params(EventFilterParams, FollowedEvents),
    responses((status = 200, description = "One frame for each event.", content_type = "text/event-stream", body = String))
)]
pub(in crate::api) async fn follow_events(
    caller: Allowed<needs::Credential>,
    State(s): Surface,
    headers: HeaderMap,
    query: EventQuery<FollowedEvents>,
) -> Result<Response, ApiError> {
    let tenant = caller.own_rows();
    let known = known_seq(&headers, &query.own, tenant.org())?;
    let access = caller.live_access();
    let live = s.parts.live.clone();
    let seat = seat_of(&live, caller.credential_holder(), &[tenant.org()])?;
    let opened = live.open_subscription(tenant, access, query.filter, known);
    let credential = credential_text(&headers, &s).ok_or_else(ApiError::no_credential)?;
    let credential = WatchedCredential::Text(credential.into());
    let holder = Arc::clone(caller.credential_holder());
    let clock = s.parts.clock.clone();
    let follower = EventFollower {
        subscription: opened.await?,
        org: tenant.org(),
        watch: AccessWatch::new(s, credential, holder),
        spoken_at: clock.now(),
        clock,
        once: query.own.once,
        _seat: seat,
    };
    let chunks = stream::unfold(follower, |mut follower| async move {
        let chunk = follower.next_chunk().await?;
        Some((Ok::<Bytes, Infallible>(chunk), follower))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // Proxies that collect answers pass each event on at once.
        (PROXY_BUFFERING, "no"),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// The last event that the caller knows, as it says itself or its browser does.
fn known_seq(
    headers: &HeaderMap,
    query: &FollowedEvents,
    org: OrgId,
) -> Result<Option<i64>, ApiError> {
    let told = headers.get(LAST_EVENT).and_then(|told| told.to_str().ok());
    let Some(text) = told.or(query.after_seq.as_deref()) else {
        return Ok(None);
    };
    let cursor: Result<LiveCursor, _> = text.parse();
    let positions = cursor.and_then(|cursor| cursor.positions_in(&BTreeSet::from([org])));
    let positions = positions.map_err(refuse_cursor)?;
    Ok(positions.get(&org).copied())
}

/// The refusal of a cursor that makes no sense for the caller.
pub(super) fn refuse_cursor(error: CursorError) -> ApiError {
    let next = "send the `id` of the last event as it came, or leave it out to listen from now on";
    ApiError::new(ErrorCode::InvalidCursor, error.to_string()).hint(next)
}

/// A place for one more connection of `holder`, which listens to `organisations`. The person whose data folder it is needs none.
///
/// # Errors
/// [`ErrorCode::TooManyConnections`] where they, or the members of an organisation, hold as many as they may.
pub(super) fn seat_of(
    live: &LiveEvents,
    holder: &CredentialHolder,
    organisations: &[OrgId],
) -> Result<Option<ListenerSeat>, ApiError> {
    if matches!(holder.credential, CredentialKind::Folder) {
        return Ok(None);
    }
    match live.take_seat(holder.actor, organisations) {
        Ok(seat) => Ok(Some(seat)),
        Err(full) => Err(
            ApiError::new(ErrorCode::TooManyConnections, full.to_string())
                .retry_after(CROWDED_WAIT)
                .hint("end one of them, or ask for more on one"),
        ),
    }
}

/// A stream and who is at its other end.
struct EventFollower {
    subscription: LiveSubscription,
    org: OrgId,
    watch: AccessWatch,
    clock: Clocked,
    /// When something was sent last.
    spoken_at: Timestamp,
    once: bool,
    _seat: Option<ListenerSeat>,
}

/// What happens next on a stream.
enum StreamStep {
    Access(AccessStep),
    Item(Result<Option<LiveItem>, StoreError>),
    Silence,
}

impl EventFollower {
    /// Says that the stream lives, and how far it is: what others were told meanwhile need not be read again.
    fn silence_text(&self) -> Bytes {
        match self.subscription.settled_seq() {
            Some(seq) => format!("id: {seq}\n\n").into(),
            None => Bytes::from_static(b":\n\n"),
        }
    }

    /// What is sent next; none when the stream ends.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        let chunk = loop {
            match self.next_step().await {
                StreamStep::Access(step) => self.follow_access(step).await?,
                StreamStep::Silence => break self.silence_text(),
                StreamStep::Item(Ok(item)) => break sent_text(&item?)?,
                StreamStep::Item(Err(error)) => {
                    // The caller sees the stream break off; why is told here.
                    let text = error_chain(&error);
                    warn!(error = %text, "Could not read the events of a stream: it ends");
                    return None;
                }
            }
        };
        self.spoken_at = self.clock.now();
        Some(chunk)
    }

    async fn next_step(&mut self) -> StreamStep {
        if self.once {
            return StreamStep::Item(self.subscription.next_missed().await);
        }
        let silence = (self.spoken_at + SILENCE_MAX).since(self.clock.now());
        // Cancel-safe: a watch, a subscription that keeps its place, and a timer. Who may read no more comes first.
        tokio::select! {
            biased;
            step = self.watch.next_step() => StreamStep::Access(step),
            item = self.subscription.next_item() => StreamStep::Item(item.map(Some)),
            () = self.clock.sleep(silence) => StreamStep::Silence,
        }
    }

    /// Follows what the caller may read now; none where that is nothing any more.
    async fn follow_access(&mut self, step: AccessStep) -> Option<()> {
        match step {
            AccessStep::Expired => None,
            AccessStep::Expiring(_) => Some(()),
            AccessStep::Look => {
                // Whoever reads on asks anew, and is told why not.
                if self.watch.look_again().await.ok()? {
                    let access = self.watch.access_in(self.org)?;
                    self.subscription.live_control().change_access(access);
                }
                Some(())
            }
        }
    }
}

/// The item as it is sent; none at the end.
fn sent_text(item: &LiveItem) -> Option<Bytes> {
    let mut text = String::new();
    let _ = match item {
        LiveItem::Frame(frame) => write!(
            text,
            "id: {}\nevent: {}\ndata: {}\n\n",
            frame.known_seq, frame.event_type, frame.text
        ),
        LiveItem::Gap(gap) => {
            let told = json!({ "org_id": gap.org, "from_seq": gap.first, "to_seq": gap.last });
            write!(text, "id: {}\nevent: gap\ndata: {told}\n\n", gap.last)
        }
        LiveItem::Reset(seq) => write!(text, "id: {seq}\nevent: reset\ndata: {{}}\n\n"),
        LiveItem::Over => return None,
    };
    Some(text.into())
}
