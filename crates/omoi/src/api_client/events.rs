//! Events of a spec: those there are by pages, and those that come by a stream, which goes on where its line broke.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use reqwest::Method;
use uuid::Uuid;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::event::{EventAudience, StoredEvent};
use omoi_llm::wire::headers::percent_encode;
use omoi_protocol::api::ReferenceUse;
use omoi_protocol::live::EventFrame;
use omoi_runtime::clock::{Clock as _, SystemClock};

use super::{ApiClient, ClientError};

/// Lines in a row that may break, or not come about, without an event between them.
const BREAKS_MAX: u32 = 5;
/// Pause after the first of them; it doubles with each.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest silence of a line that lives: the server says something every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_mins(1);

impl ApiClient {
    /// The events of a spec after the event `after` that a follower shows, oldest first.
    pub(crate) async fn list_events(
        &self,
        spec: &str,
        after: i64,
    ) -> Result<Vec<StoredEvent>, ClientError> {
        let spec = self.spec_id(spec, ReferenceUse::Read).await?;
        let path = format!("/events?spec_id={spec}&after_seq={after}&sort=seq");
        let mut events = Vec::new();
        for frame in self.get_rows::<EventFrame>(&path).await? {
            self.take_frame(frame, &mut events).await?;
        }
        Ok(events)
    }

    /// The same, and those that come, as they happen.
    pub(crate) async fn follow_events(
        &self,
        spec: &str,
        after: i64,
    ) -> Result<impl Stream<Item = Result<StoredEvent, ClientError>> + Send + use<>, ClientError>
    {
        let follower = SpecEventFollower {
            spec: self.spec_id(spec, ReferenceUse::Read).await?,
            client: self.clone(),
            shown: after,
            cursor: after.to_string(),
            ready: VecDeque::new(),
            line: None,
            n_breaks: 0,
        };
        Ok(stream::unfold(follower, |mut follower| async move {
            let next = follower.next_event().await?;
            Some((next, follower))
        }))
    }

    /// Adds to `events` what the frame tells a follower; what had no room in it is fetched.
    async fn take_frame(
        &self,
        mut frame: EventFrame,
        events: &mut Vec<StoredEvent>,
    ) -> Result<(), ClientError> {
        if frame.truncated {
            frame = self
                .get_json(&format!("/events/{}", frame.event_id))
                .await?;
        }
        let told = frame.told_events().map_err(ClientError::Answer)?;
        let is_shown =
            |stored: &StoredEvent| stored.event.kind().audience_kind() == EventAudience::Run;
        events.extend(told.into_iter().filter(is_shown));
        Ok(())
    }
}

/// What became of a line.
enum LineStep {
    /// Something came.
    Told,
    /// It has ended.
    Ended,
}

/// Whether a line that failed like that may come about again.
fn is_break(error: &ClientError) -> bool {
    matches!(error, ClientError::Unreachable(_)) || error.has_code(ErrorCode::NotReady)
}

/// Follows a spec over as many lines as it takes.
struct SpecEventFollower {
    client: ApiClient,
    spec: Uuid,
    /// The last event that was handed out or waits in `ready`.
    shown: i64,
    /// Where the next line begins.
    cursor: String,
    ready: VecDeque<StoredEvent>,
    line: Option<EventLine>,
    n_breaks: u32,
}

impl SpecEventFollower {
    /// The next event; none once nobody answers any more.
    async fn next_event(&mut self) -> Option<Result<StoredEvent, ClientError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            match self.read_on().await {
                Ok(LineStep::Told) => self.n_breaks = 0,
                Ok(LineStep::Ended) => self.wait_for_line().await?,
                Err(error) if is_break(&error) => self.wait_for_line().await?,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Waits before the next line; none where it has waited often enough.
    async fn wait_for_line(&mut self) -> Option<()> {
        if self.n_breaks >= BREAKS_MAX {
            return None;
        }
        SystemClock
            .sleep(PAUSE_MIN * 2_u32.pow(self.n_breaks))
            .await;
        self.n_breaks += 1;
        Some(())
    }

    /// Takes in what comes next on the line; opens one where there is none.
    async fn read_on(&mut self) -> Result<LineStep, ClientError> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => open_line(&self.client, self.spec, &self.cursor).await?,
        };
        let Some(block) = line.next_block().await? else {
            return Ok(LineStep::Ended);
        };
        let mut told = Vec::new();
        match block.event.as_deref() {
            // What was dropped, or is too far back for the stream, stands in the list.
            Some("gap" | "reset") => {
                told = self
                    .client
                    .list_events(&self.spec.to_string(), self.shown)
                    .await?;
            }
            Some(_) => {
                let frame = serde_json::from_str(&block.data).map_err(ClientError::Answer)?;
                self.client.take_frame(frame, &mut told).await?;
            }
            None => {}
        }
        for event in told {
            if event.seq > self.shown {
                self.shown = event.seq;
                self.ready.push_back(event);
            }
        }
        if let Some(id) = block.id {
            self.cursor = id;
        }
        self.line = Some(line);
        Ok(LineStep::Told)
    }
}

async fn open_line(client: &ApiClient, spec: Uuid, cursor: &str) -> Result<EventLine, ClientError> {
    let cursor = percent_encode(cursor);
    let path = format!("/events/stream?entity_ids={spec}&after_seq={cursor}");
    let response = client
        .send_request(client.new_request(Method::GET, &path))
        .await?;
    Ok(EventLine {
        bytes: response.bytes_stream().boxed(),
        buffer: BytesMut::new(),
    })
}

/// One answer with server-sent events.
struct EventLine {
    bytes: BoxStream<'static, Result<Bytes, reqwest::Error>>,
    buffer: BytesMut,
}

/// What the server sent at once.
#[derive(Debug, Default, PartialEq, Eq)]
struct SentBlock {
    id: Option<String>,
    event: Option<String>,
    data: String,
}

impl EventLine {
    /// What is sent next; none where the line has ended or is dead.
    async fn next_block(&mut self) -> Result<Option<SentBlock>, ClientError> {
        loop {
            let end = self.buffer.windows(2).position(|bytes| bytes == b"\n\n");
            if let Some(end) = end {
                let block = self.buffer.split_to(end + 2);
                return Ok(Some(SentBlock::read(&block)));
            }
            // Cancel-safe: a stream keeps its place, and a timer.
            let chunk = tokio::select! {
                chunk = self.bytes.next() => chunk,
                () = SystemClock.sleep(SILENCE_MAX) => None,
            };
            match chunk {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(error)) => return Err(ClientError::Unreachable(error)),
                None => return Ok(None),
            }
        }
    }
}

impl SentBlock {
    fn read(block: &[u8]) -> Self {
        let text = String::from_utf8_lossy(block);
        let mut read = Self::default();
        for line in text.lines() {
            match line.split_once(": ") {
                Some(("id", value)) => read.id = Some(value.to_owned()),
                Some(("event", value)) => read.event = Some(value.to_owned()),
                Some(("data", value)) => read.data.push_str(value),
                _ => {}
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use axum::extract::{Query, State};
    use axum::http::StatusCode;
    use axum::response::{IntoResponse as _, Response};
    use axum::routing::get;
    use axum::{Json, Router};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use omoi_protocol::api::ListPage;

    use crate::api_client::ClientEndpoint;

    use super::*;

    const SPEC: &str = "01930000-0000-7000-8000-000000000002";

    /// The cursors with which lines were opened.
    type Asked = State<Arc<Mutex<Vec<String>>>>;

    fn frame(seq: i64) -> Value {
        json!({
            "v": 1, "event_id": Uuid::from_u128(u128::try_from(seq).unwrap()), "seq": seq,
            "event_type": "spec.progress", "entity_type": "spec", "entity_id": SPEC, "org_id": SPEC,
            "occurred_at": "2026-11-30T08:00:00.000Z", "actor": { "kind": "system" },
            "related": { "spec_id": SPEC }, "payload": { "spec_id": SPEC, "phase": "prd", "section": "goals", "key": "a", "seq": 1 },
        })
    }

    fn block(seq: i64) -> String {
        format!("id: {seq}\nevent: spec.progress\ndata: {}\n\n", frame(seq))
    }

    /// Five lines: the last one says that it is too late, and what comes after them is refused.
    async fn open_line(
        State(asked): Asked,
        Query(query): Query<BTreeMap<String, String>>,
    ) -> Response {
        let mut asked = asked.lock().unwrap();
        asked.push(query["after_seq"].clone());
        match asked.len() {
            1 => format!(":\n\n{}{}id: 7\n\n", block(3), block(4)).into_response(),
            2 => {
                let told =
                    json!({ "error": "not_ready", "message": "", "detail": "", "request_id": "" });
                (StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response()
            }
            3 => {
                let mut large = frame(8);
                large["truncated"] = true.into();
                large["payload"] = json!({});
                format!("id: 8\nevent: spec.progress\ndata: {large}\n\n").into_response()
            }
            4 => format!(
                "id: 20\nevent: reset\ndata: {{}}\n\n{}{}",
                block(19),
                block(21)
            )
            .into_response(),
            _ => (StatusCode::FORBIDDEN, "no").into_response(),
        }
    }

    async fn list_rows() -> Json<ListPage<Value>> {
        Json(ListPage::whole_list(vec![frame(9), frame(19)]))
    }

    #[tokio::test]
    async fn a_broken_line_goes_on_after_the_last_event_and_nothing_comes_twice() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new()
            .route("/api/v1/events/stream", get(open_line))
            .route("/api/v1/events", get(list_rows))
            .route("/api/v1/events/{id}", get(async || Json(frame(8))))
            .with_state(Arc::clone(&asked));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = ClientEndpoint::Loopback(listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await });
        let client = ApiClient::new(&endpoint, None).unwrap();
        let mut events = Box::pin(client.follow_events(SPEC, 2).await.unwrap());
        let mut seqs = Vec::new();
        let refused = loop {
            match events.next().await.unwrap() {
                Ok(event) => seqs.push(event.seq),
                Err(error) => break error,
            }
        };
        assert_eq!(seqs, [3, 4, 8, 9, 19, 21]);
        assert_eq!(*asked.lock().unwrap(), ["2", "7", "7", "8", "21"]);
        assert!(refused.to_string().contains("no"), "{refused}");
    }
}
