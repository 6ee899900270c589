//! What events of OpenAI Responses are made of.

use serde_json::Value;

use super::open_items::{CallItemState, OpenMessage, OpenReasoning};
use crate::conversation::AnswerUsage;
use crate::wire::Extra;
use crate::wire::responses::{
    InputTokensDetails, ItemDelta, ItemState, OutputTokensDetails, PartState, ResponsesEvent,
    ResponsesItem, ResponsesUsage, SummaryPart,
};

pub(super) fn item_added(output_index: usize, item: ResponsesItem) -> ResponsesEvent {
    ResponsesEvent::ItemAdded(ItemState {
        output_index,
        item,
        extra: Extra::new(),
    })
}

pub(super) fn part_state(open: &OpenMessage) -> PartState {
    PartState {
        item_id: open.id.clone(),
        output_index: open.index,
        content_index: 0,
        part: open.text_part(),
        extra: Extra::new(),
    }
}

pub(super) fn summary_part(open: &OpenReasoning) -> SummaryPart {
    SummaryPart {
        item_id: open.id.clone(),
        output_index: open.index,
        summary_index: 0,
        part: open.summary_part(),
        extra: Extra::new(),
    }
}

pub(super) fn input_delta(open: &CallItemState, piece: &str) -> ResponsesEvent {
    let delta = item_delta(open.index, &open.id, piece.to_owned(), Extra::new());
    match open.is_freeform() {
        true => ResponsesEvent::CustomInputDelta(delta),
        false => ResponsesEvent::ArgumentsDelta(delta),
    }
}

pub(super) fn item_delta(
    output_index: usize,
    item_id: &str,
    delta: String,
    extra: Extra,
) -> ItemDelta {
    ItemDelta {
        item_id: item_id.to_owned(),
        output_index,
        delta,
        extra,
    }
}

/// Every message and summary of ours has one part.
pub(super) fn with_index(field: &str) -> Extra {
    Extra::from_iter([(field.to_owned(), Value::from(0))])
}

pub(super) fn number_event(event: &mut ResponsesEvent, number: u64) {
    let extra = match event {
        ResponsesEvent::Created(e)
        | ResponsesEvent::InProgress(e)
        | ResponsesEvent::Completed(e)
        | ResponsesEvent::Incomplete(e)
        | ResponsesEvent::Failed(e) => &mut e.extra,
        ResponsesEvent::ItemAdded(e) | ResponsesEvent::ItemDone(e) => &mut e.extra,
        ResponsesEvent::PartAdded(e) | ResponsesEvent::PartDone(e) => &mut e.extra,
        ResponsesEvent::TextDelta(e)
        | ResponsesEvent::RefusalDelta(e)
        | ResponsesEvent::SummaryDelta(e)
        | ResponsesEvent::ReasoningDelta(e)
        | ResponsesEvent::ArgumentsDelta(e)
        | ResponsesEvent::CustomInputDelta(e) => &mut e.extra,
        ResponsesEvent::TextDone(e) | ResponsesEvent::SummaryDone(e) => &mut e.extra,
        ResponsesEvent::SummaryPartAdded(e) | ResponsesEvent::SummaryPartDone(e) => &mut e.extra,
        ResponsesEvent::ArgumentsDone(e) => &mut e.extra,
        ResponsesEvent::CustomInputDone(e) => &mut e.extra,
        ResponsesEvent::Error(e) => &mut e.extra,
        ResponsesEvent::Other(map) => map,
    };
    extra.insert("sequence_number".to_owned(), Value::from(number));
}

pub(super) fn answer_usage(usage: &AnswerUsage) -> ResponsesUsage {
    let (read, answered) = (usage.input_total(), usage.output.unwrap_or(0));
    ResponsesUsage {
        input_tokens: read,
        input_tokens_details: InputTokensDetails {
            cached_tokens: usage.cache_read.unwrap_or(0),
            cache_write_tokens: usage.cache_write,
            extra: Extra::new(),
        },
        output_tokens: answered,
        output_tokens_details: OutputTokensDetails {
            reasoning_tokens: usage.reasoning.unwrap_or(0),
            extra: Extra::new(),
        },
        total_tokens: read + answered,
        extra: Extra::new(),
    }
}
