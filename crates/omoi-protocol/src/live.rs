//! Live events on the wire, the same on sockets and streams.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use omoi_domain::actor::Actor;
use omoi_domain::event::{EntityType, LoggedEvent, RelatedIds};
use omoi_domain::id::{EventId, OrgId, ProjectId};

use crate::api::ApiTime;

/// An event, or several activities of one agent, as a receiver gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub payload: Value,
    /// Whether the payload was left out, as it is too large for a frame.
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

    /// Leaves the payload out and says so.
    pub fn truncate_payload(&mut self) {
        self.payload = json!({});
        self.truncated = true;
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
