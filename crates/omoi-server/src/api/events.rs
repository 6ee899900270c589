//! The outbox as a stream of JSON lines, from a cursor on, for as long as the reader stays.

mod follow_events;

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use serde::Deserialize;
use tokio::sync::watch;
use tracing::{trace, warn};
use utoipa::IntoParams;

use omoi_domain::event::{EventAudience, StoredEvent};
use omoi_domain::id::SpecId;
use omoi_runtime::clock::Clocked;
use omoi_runtime::lifecycle::LifecycleHandle;
use omoi_runtime::telemetry::error_chain;
use omoi_store::{StoreError, Tenant, events};

use super::caller::Allowed;
use super::find::{self, AskedReference};
use super::policy::needs;
use super::query::ApiQuery;
use super::router::{ApiRouter, operation};
use super::{ApiSurface, Surface};
use crate::error::ApiError;

/// Longest wait for news that another process may have written.
const POLL: Duration = Duration::from_millis(500);
/// Reads in a row that may fail before a stream ends.
const FAILURES_MAX: u32 = 20;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(stream_events, NotFound, UnclearReference))
        .add(operation!(
            follow_events::follow_events,
            Forbidden,
            NotFound,
            InvalidCursor
        ))
}

/// Which events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsFrom {
    /// Those after this sequence number; 0 is the beginning.
    #[serde(default)]
    after: i64,
    /// Those of this spec: its row id, or its reference `SPEC-n`.
    #[param(
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Ss][Pp][Ee][Cc]-0*[1-9][0-9]{0,17})$"
    )]
    spec_id: Option<String>,
    /// Ends at the newest event instead of waiting for more.
    #[serde(default)]
    #[param(example = true)]
    once: bool,
}

/// A reader and how far it has come.
struct EventReader {
    store: Tenant,
    clock: Clocked,
    lifecycle: LifecycleHandle,
    commits: watch::Receiver<u64>,
    spec: Option<SpecId>,
    at: i64,
    once: bool,
    ended: bool,
    /// Reads that failed in a row.
    failing: u32,
}

/// Streams events as JSON lines, from a sequence number on, for as long as the reader stays.
#[utoipa::path(
    get, path = "/events", tag = "events", params(EventsFrom),
    responses((status = 200, description = "One event per line.", content_type = "application/x-ndjson", body = String))
)]
pub(super) async fn stream_events(
    caller: Allowed<needs::SpecRead>,
    State(s): Surface,
    ApiQuery(query): ApiQuery<EventsFrom>,
) -> Result<Response, ApiError> {
    let tenant = caller.own_rows().clone();
    let spec = match &query.spec_id {
        Some(text) => {
            let asked = AskedReference::of_path(text, None);
            let found = tenant.read(async |tx| find::spec(tx, asked).await);
            Some(found.await?.id)
        }
        None => None,
    };
    let reader = EventReader {
        commits: tenant.store().commits(),
        store: tenant,
        clock: s.parts.clock,
        lifecycle: s.parts.lifecycle,
        spec,
        at: query.after,
        once: query.once,
        ended: false,
        failing: 0,
    };
    let lines = stream::unfold(reader, |mut reader| async move {
        let chunk = reader.next().await?;
        Some((Ok::<Bytes, std::convert::Infallible>(chunk), reader))
    });
    Ok((
        [(CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines),
    )
        .into_response())
}

impl EventReader {
    /// The next lines; none when the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        let soft = self.lifecycle.soft_token();
        while !self.ended {
            self.commits.mark_unchanged();
            let batch = self.batch().await;
            if batch.is_ok() {
                self.failing = 0;
            }
            match batch {
                Ok(batch) if batch.is_empty() && self.once => {
                    trace!(at = self.at, "Told every event there is");
                    return None;
                }
                Ok(batch) if batch.is_empty() => {
                    // Cancel-safe: a watch, a token and a timer.
                    tokio::select! {
                        _ = self.commits.changed() => {}
                        () = soft.cancelled() => self.ended = true,
                        () = self.clock.sleep(POLL) => {}
                    }
                }
                Ok(batch) => return Some(lines(&batch)),
                Err(error) => {
                    self.failing += 1;
                    if !error.is_retryable() || self.failing >= FAILURES_MAX {
                        // The reader sees the stream break off; why is told here.
                        let text = error_chain(&error);
                        warn!(error = %text, "Could not read the events of a stream: it ends");
                        return None;
                    }
                    self.clock.sleep(POLL).await;
                }
            }
        }
        None
    }

    async fn batch(&mut self) -> Result<Vec<StoredEvent>, StoreError> {
        let (spec, at) = (self.spec, self.at);
        let batch = self.store.read(async |tx| match spec {
            Some(spec) => events::of_spec(tx, spec, at).await,
            None => events::after(tx, at).await,
        });
        let batch = batch.await?;
        if let Some(last) = batch.last() {
            self.at = last.seq;
        }
        Ok(batch)
    }
}

/// Events that people are told of, one JSON object per line; the rest only moves the cursor.
fn lines(batch: &[StoredEvent]) -> Bytes {
    let mut out = Vec::new();
    for event in batch.iter().filter(|event| is_shown(event)) {
        if serde_json::to_writer(&mut out, event).is_ok() {
            out.push(b'\n');
        }
    }
    out.into()
}

fn is_shown(event: &StoredEvent) -> bool {
    event.event.kind().audience_kind() == EventAudience::Run
}
