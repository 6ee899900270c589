//! What goes to receivers of live events.

use std::sync::Arc;

use omoi_domain::access::permission::Permission;
use omoi_domain::event::{EventKind, LoggedEvent};
use omoi_domain::live::event_filter::EventFacts;
use omoi_domain::live::frame_queue::SeqRange;
use omoi_protocol::live::{ActivityItem, EventFrame};
use serde_json::Value;

/// Largest payload that goes along; a larger one is fetched by its event's id.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;

/// A frame, made once for all who receive it.
#[derive(Debug)]
pub struct LiveFrame {
    /// The events that it tells of.
    pub seqs: SeqRange,
    /// What filters look at.
    pub facts: EventFacts,
    /// What one needs to read it.
    pub permission: Permission,
    /// The name of its event.
    pub event_type: &'static str,
    /// The frame as JSON.
    pub text: Arc<str>,
}

impl LiveFrame {
    /// The frame of events of one organisation: of one, or of several activities of one agent. It bears the number
    /// and the id of the first.
    pub(super) fn of_events(events: &[LoggedEvent]) -> Option<Self> {
        let (first, last) = (events.first()?, events.last()?);
        let mut frame = EventFrame::of_event(first);
        if events.len() > 1 {
            let items = events.iter().map(ActivityItem::of_event).collect();
            frame.set_items(items);
        }
        let mut text = frame.to_json();
        if text.len() > PAYLOAD_BYTES_MAX && is_large(&frame.payload) {
            frame.truncate_payload();
            text = frame.to_json();
        }
        let kind: EventKind = first.stored.event.kind();
        Some(Self {
            seqs: SeqRange {
                org: first.org_id,
                first: first.stored.seq,
                last: last.stored.seq,
            },
            facts: EventFacts::of_event(first),
            permission: kind.read_permission(),
            event_type: kind.as_str(),
            text: text.into(),
        })
    }
}

fn is_large(payload: &Value) -> bool {
    payload.to_string().len() > PAYLOAD_BYTES_MAX
}
