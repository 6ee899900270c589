//! Events on their way to the platform: in order, in batches, never more than a bounded queue of them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::id::EventId;
use omoi_protocol::worker::{EVENT_BYTES_MAX, EVENTS_MAX, EventsAck, ReportEvents, WorkerEvent};
use omoi_runtime::clock::Clocked;
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::rng::Rng;

use crate::platform_client::{CallError, PlatformClient};

const QUEUE_MAX: usize = 1_000;
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// Bytes of one report.
const BATCH_BYTES_MAX: usize = 1 << 20;
const SUMMARY_CHARS_MAX: usize = 160;

/// Queues events for the platform; clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct EventReporter {
    queue: mpsc::Sender<WorkerEvent>,
    clock: Clocked,
    rng: Rng,
}

/// A reporter and the queue that [`deliver_events`] sends.
pub(crate) fn event_queue(
    clock: &Clocked,
    rng: &Rng,
) -> (EventReporter, mpsc::Receiver<WorkerEvent>) {
    let (queue, events) = mpsc::channel(QUEUE_MAX);
    let reporter = EventReporter {
        queue,
        clock: clock.clone(),
        rng: rng.clone(),
    };
    (reporter, events)
}

impl EventReporter {
    /// Reports an event that is kept but not shown as it comes.
    pub(crate) async fn report_event(&self, kind: AgentEventKind, data: Value) {
        self.queue_event(kind, data, None).await;
    }

    /// Reports an event with one line for people.
    pub(crate) async fn show_event(&self, kind: AgentEventKind, data: Value, summary: &str) {
        self.queue_event(kind, data, Some(one_line(summary))).await;
    }

    async fn queue_event(&self, kind: AgentEventKind, data: Value, summary: Option<String>) {
        let event = WorkerEvent {
            event_id: EventId::from_uuid(uuid_v7(self.clock.as_ref(), &self.rng)),
            event_type: kind,
            event_data: fit_event(data),
            summary,
        };
        // The queue is closed only when nobody will ever read it again.
        let _ = self.queue.send(event).await;
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= SUMMARY_CHARS_MAX {
        return line;
    }
    let cut: String = line.chars().take(SUMMARY_CHARS_MAX - 1).collect();
    format!("{cut}…")
}

/// Leaves out the longest texts of an event that is larger than the platform takes.
fn fit_event(mut data: Value) -> Value {
    while data.to_string().len() > EVENT_BYTES_MAX {
        let longest = data.as_object_mut().and_then(|fields| {
            let longest = fields.iter().max_by_key(|(_, v)| v.to_string().len());
            let key = longest.map(|(key, _)| key.clone())?;
            fields.insert(key, Value::Null)
        });
        if longest.is_none_or(|v| v.is_null()) {
            return json!({ "left_out": true });
        }
    }
    data
}

/// Sends queued events in batches until every [`EventReporter`] is gone and the queue is empty, or the
/// platform takes no more.
pub(crate) async fn deliver_events(
    platform: PlatformClient,
    mut events: mpsc::Receiver<WorkerEvent>,
    clock: Clocked,
) {
    let mut held = None;
    while let Some(first) = match held.take() {
        Some(event) => Some(event),
        None => events.recv().await,
    } {
        let mut bytes = event_bytes(&first);
        let mut batch = vec![first];
        let flush = clock.sleep(FLUSH_INTERVAL);
        tokio::pin!(flush);
        while batch.len() < EVENTS_MAX {
            // Both are cancel-safe: an event not yet received stays in the queue.
            let next = tokio::select! {
                biased;
                next = events.recv() => next,
                () = &mut flush => None,
            };
            let Some(next) = next else { break };
            bytes += event_bytes(&next);
            if bytes > BATCH_BYTES_MAX {
                held = Some(next);
                break;
            }
            batch.push(next);
        }
        if send_batch(&platform, batch).await.is_err() {
            return;
        }
    }
}

fn event_bytes(event: &WorkerEvent) -> usize {
    event.event_data.to_string().len() + 300
}

/// A refused batch is sent one by one, so that one bad event costs only itself.
async fn send_batch(platform: &PlatformClient, batch: Vec<WorkerEvent>) -> Result<(), CallError> {
    let report = ReportEvents { events: batch };
    match platform.post_json::<EventsAck>("/events", &report).await {
        Ok(_) => return Ok(()),
        Err(CallError::Refused { .. }) => {}
        Err(other) => return Err(other),
    }
    for event in report.events {
        let kind = event.event_type;
        let report = ReportEvents {
            events: vec![event],
        };
        match platform.post_json::<EventsAck>("/events", &report).await {
            Ok(_) => {}
            Err(CallError::Refused { message, .. }) => {
                tracing::warn!(kind = %kind, reason = message, "An event was refused");
            }
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_made_to_fit() {
        let long = "é\"".repeat(EVENT_BYTES_MAX / 3);
        let data = fit_event(json!({"file": "a", "diff": long, "lines": 3}));
        assert_eq!(data, json!({"file": "a", "diff": null, "lines": 3}));
        assert_eq!(fit_event(json!([long])), json!({"left_out": true}));
        assert_eq!(one_line("a\n  b"), "a b");
        assert_eq!(one_line(&"ä".repeat(500)).chars().count(), 160);
    }
}
