//! What goes to receivers of live events.

use std::borrow::Cow;
use std::sync::Arc;

use omoi_domain::access::cost_sight::CostSight;
use omoi_domain::event::{EventKind, LoggedEvent};
use omoi_domain::live::event_filter::EventFacts;
use omoi_domain::live::frame_queue::SeqRange;
use omoi_protocol::live::{ActivityItem, EventFrame, PAYLOAD_BYTES_MAX};

/// What surrounds the items of several activities.
const ITEMS_FRAME: &str = r#"{"items":[]}"#;

/// A frame, made once for all who receive it.
#[derive(Debug)]
pub struct LiveFrame {
    /// The events that it tells of: there may be others between them.
    pub seqs: SeqRange,
    /// The last event of which a receiver of this frame, and of those before it, was told, as of all before that.
    pub known_seq: i64,
    /// What filters look at.
    pub facts: EventFacts,
    /// The name of its event.
    pub event_type: &'static str,
    /// The frame as JSON.
    pub text: Arc<str>,
}

impl LiveFrame {
    /// The frame as it is told to one who is told of costs what `sight` says.
    pub(super) fn seen_by(self: Arc<Self>, sight: CostSight) -> Arc<Self> {
        let changed = match sight.told_text(&self.text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(told) => Some(told),
        };
        match changed {
            None => self,
            Some(told) => Arc::new(Self {
                seqs: self.seqs,
                known_seq: self.known_seq,
                facts: self.facts,
                event_type: self.event_type,
                text: told.into(),
            }),
        }
    }

    /// The frame of one event, after which all before it are known.
    pub(super) fn of_event(event: &LoggedEvent) -> Option<Self> {
        Self::of_events(std::slice::from_ref(event), event.stored.seq)
    }

    /// The frame of events of one organisation: of one, or of several activities of one agent. It bears the number
    /// of the first and the id of the last.
    pub(super) fn of_events(events: &[LoggedEvent], known_seq: i64) -> Option<Self> {
        let (first, last) = (events.first()?, events.last()?);
        let mut frame = EventFrame::of_event(first);
        if events.len() > 1 {
            let items = events.iter().map(ActivityItem::of_event).collect();
            frame.set_items(items);
        }
        let mut text = frame.to_json();
        if text.len() > PAYLOAD_BYTES_MAX && frame.bound_payload() {
            text = frame.to_json();
        }
        let kind: EventKind = first.stored.event.kind();
        Some(Self {
            seqs: SeqRange {
                org: first.org_id,
                first: first.stored.seq,
                last: last.stored.seq,
            },
            known_seq,
            facts: EventFacts::of_event(first),
            event_type: kind.as_str(),
            text: text.into(),
        })
    }
}

/// Parts of `events`, activities of one agent in their order, each of which has room in one frame.
pub(super) fn split_activity(events: Vec<LoggedEvent>) -> Vec<Vec<LoggedEvent>> {
    let mut parts: Vec<Vec<LoggedEvent>> = Vec::new();
    let mut room_bytes = 0;
    for event in events {
        let item_bytes = ActivityItem::of_event(&event).to_json().len() + ",".len();
        match parts.last_mut() {
            Some(part) if item_bytes <= room_bytes => {
                room_bytes -= item_bytes;
                part.push(event);
            }
            _ => {
                let taken_bytes = ITEMS_FRAME.len() + item_bytes;
                room_bytes = PAYLOAD_BYTES_MAX.saturating_sub(taken_bytes);
                parts.push(vec![event]);
            }
        }
    }
    parts
}
