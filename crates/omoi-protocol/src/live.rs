//! Events on the wire, the same in lists, on sockets and on streams.

pub mod socket_message;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use omoi_domain::actor::Actor;
use omoi_domain::event::{EntityType, Event, LoggedEvent, RelatedIds, StoredEvent};
use omoi_domain::id::{EventId, OrgId, ProjectId};

use crate::api::ApiTime;

/// Largest payload that goes along; a larger one is left out.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 10;

/// An event, or several activities of one agent, as a receiver gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventFrame {
    /// Version of this shape: 1.
    pub v: u32,
    /// Globally unique id; a receiver leaves out what it knows. Of several, of the last: its items are told apart by
    /// ids of their own.
    pub event_id: EventId,
    /// Position in the organisation's log; of several, of the first.
    pub seq: i64,
    /// Of several, the position of the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<i64>,
    /// Name of the event; `docs/events.md` lists them.
    pub event_type: String,
    /// The kind of row that it is about.
    pub entity_type: EntityType,
    /// The row.
    pub entity_id: Uuid,
    /// The organisation.
    pub org_id: OrgId,
    /// The project, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Time of the transaction that wrote it.
    pub occurred_at: ApiTime,
    /// Who the change was made for.
    pub actor: Actor,
    /// The rows that it is found by beside.
    pub related: RelatedIds,
    /// What happened; `{"items": […]}` of several.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// Whether the payload was left out, as it is too large: `GET /events/{event_id}` has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// One of several activities of an agent in one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActivityItem {
    /// Globally unique id of the event.
    pub event_id: EventId,
    /// Position in the organisation's log.
    pub seq: i64,
    /// Time of the transaction that wrote it.
    pub occurred_at: ApiTime,
    /// What the agent did.
    pub payload: Value,
}

impl EventFrame {
    /// The frame of one event.
    pub fn of_event(event: &LoggedEvent) -> Self {
        let stored = &event.stored;
        Self {
            v: 1,
            event_id: stored.event_id,
            seq: stored.seq,
            last_seq: None,
            event_type: stored.event.kind().as_str().to_owned(),
            entity_type: stored.event.kind().entity_type(),
            entity_id: event.entity_id(),
            org_id: event.org_id,
            project_id: event.project_id,
            occurred_at: stored.occurred_at.into(),
            actor: stored.actor,
            related: event.related_ids(),
            payload: payload_of(event),
            truncated: false,
        }
    }

    /// Has it carry several activities, of which its own is the first.
    pub fn set_items(&mut self, items: Vec<ActivityItem>) {
        if let Some(last) = items.last() {
            self.event_id = last.event_id;
            self.last_seq = Some(last.seq);
        }
        self.payload = json!({ "items": items });
    }

    /// Leaves a payload out that is larger than [`PAYLOAD_BYTES_MAX`]; tells whether it was.
    pub fn bound_payload(&mut self) -> bool {
        if self.payload.to_string().len() > PAYLOAD_BYTES_MAX {
            self.payload = json!({});
            self.truncated = true;
        }
        self.truncated
    }

    /// The events that it tells of, in their order.
    ///
    /// # Errors
    /// When it has no payload, or one that is none of its event.
    pub fn told_events(self) -> Result<Vec<StoredEvent>, serde_json::Error> {
        let stored = |event_id, seq, occurred_at: ApiTime, payload| {
            let told = json!({ "event_type": self.event_type, "payload": payload });
            let event: Event = serde_json::from_value(told)?;
            Ok(StoredEvent {
                seq,
                event_id,
                spec_id: self.related.spec_id,
                actor: self.actor,
                occurred_at: occurred_at.to_timestamp(),
                event,
            })
        };
        if self.last_seq.is_none() {
            return Ok(vec![stored(
                self.event_id,
                self.seq,
                self.occurred_at,
                &self.payload,
            )?]);
        }
        let items = self.payload.get("items").cloned().unwrap_or_default();
        let items: Vec<ActivityItem> = serde_json::from_value(items)?;
        let events = items.iter();
        events
            .map(|item| stored(item.event_id, item.seq, item.occurred_at, &item.payload))
            .collect()
    }

    /// The frame as JSON.
    pub fn to_json(&self) -> String {
        json!(self).to_string()
    }
}

impl ActivityItem {
    /// One event of several.
    pub fn of_event(event: &LoggedEvent) -> Self {
        Self {
            event_id: event.stored.event_id,
            seq: event.stored.seq,
            occurred_at: event.stored.occurred_at.into(),
            payload: payload_of(event),
        }
    }

    /// The item as JSON.
    pub fn to_json(&self) -> String {
        json!(self).to_string()
    }
}

/// What the event carries, without its name.
fn payload_of(event: &LoggedEvent) -> Value {
    let mut told = json!(event.stored.event);
    told["payload"].take()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_domain::time::Timestamp;

    use super::*;

    fn activity(n: u128, summary: &str) -> LoggedEvent {
        let id = Uuid::from_u128(n);
        let payload = json!({
            "event_type": "agent.activity",
            "payload": {
                "attempt_id": id, "subject": "base_suite", "kind": "agent.tool_use", "summary": summary,
                "lines_added": 0, "lines_removed": 0,
            },
        });
        LoggedEvent {
            org_id: OrgId::LOCAL,
            project_id: None,
            ticket_id: None,
            stored: StoredEvent {
                seq: i64::try_from(n).unwrap(),
                event_id: EventId::from_uuid(id),
                spec_id: None,
                actor: Actor::System,
                occurred_at: Timestamp::from_micros(1_900_000_000_123_000),
                event: serde_json::from_value(payload).unwrap(),
            },
        }
    }

    fn told(frame: &EventFrame) -> Vec<StoredEvent> {
        let read: EventFrame = serde_json::from_str(&frame.to_json()).unwrap();
        read.told_events().unwrap()
    }

    #[test]
    fn a_frame_is_read_as_the_events_that_it_was_made_of() {
        let events = [1, 2, 3].map(|n| activity(n, "reads a file"));
        let mut frame = EventFrame::of_event(&events[0]);
        assert_eq!(told(&frame), [events[0].stored.clone()]);
        frame.set_items(events.iter().map(ActivityItem::of_event).collect());
        assert_eq!(told(&frame), events.map(|event| event.stored));
        let mut large = EventFrame::of_event(&activity(4, &"x".repeat(PAYLOAD_BYTES_MAX)));
        assert!(!frame.bound_payload() && large.bound_payload());
        assert_eq!(large.payload, json!({}));
        assert!(large.told_events().is_err());
    }
}
