//! To the events of OpenAI Responses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::event_parts::{
    answer_usage, input_delta, item_added, item_delta, number_event, part_state, summary_part,
    with_index,
};
use super::open_items::{CallItemState, OpenMessage, OpenReasoning};
use crate::conversation::chat::unwrapped_input;
use crate::conversation::{
    AnswerEvent, AnswerFailure, AnswerStart, AnswerUsage, EndReason, ReasoningSeal, StartedCall,
    StopReport, ToolNames,
};
use crate::wire::Extra;
use crate::wire::responses::{
    AnswerFault, AnswerState, ArgumentsDone, CustomInputDone, IncompleteDetails, ItemState,
    ItemTextDone, ResponsesAnswer, ResponsesEvent, ResponsesItem,
};

/// Writes the events of one answer, and the answer as a whole.
#[derive(Debug)]
pub(crate) struct ResponsesWriter {
    names: ToolNames,
    created_s: i64,
    start: AnswerStart,
    n_items: usize,
    n_events: u64,
    message: Option<OpenMessage>,
    thought: Option<OpenReasoning>,
    calls: BTreeMap<usize, CallItemState>,
    /// Whole items by their position.
    output: BTreeMap<usize, ResponsesItem>,
    usage: AnswerUsage,
    stop: Option<StopReport>,
}

impl ResponsesWriter {
    /// A writer of an answer, begun at second `created_s` of the epoch, to a conversation whose tools have
    /// `names`.
    pub(crate) fn new(names: ToolNames, created_s: i64) -> Self {
        Self {
            names,
            created_s,
            start: AnswerStart::default(),
            n_items: 0,
            n_events: 0,
            message: None,
            thought: None,
            calls: BTreeMap::new(),
            output: BTreeMap::new(),
            usage: AnswerUsage::default(),
            stop: None,
        }
    }

    /// The events that say `event`.
    pub(crate) fn push(&mut self, event: AnswerEvent) -> Vec<ResponsesEvent> {
        let mut out = Vec::new();
        match event {
            AnswerEvent::Started(start) => {
                self.start = start;
                out.push(ResponsesEvent::Created(self.state("in_progress")));
                out.push(ResponsesEvent::InProgress(self.state("in_progress")));
            }
            AnswerEvent::Text(text) => self.add_text(text, &mut out),
            AnswerEvent::Reasoning(text) => self.add_thought(text, &mut out),
            AnswerEvent::ReasoningSealed(seal) => self.seal_thought(&seal, &mut out),
            AnswerEvent::CallStarted(call) => self.begin_call(&call, &mut out),
            AnswerEvent::CallInput { slot, piece } => self.add_input(slot, &piece, &mut out),
            AnswerEvent::CallEnded { slot } => self.end_call(slot, &mut out),
            AnswerEvent::Usage(usage) => self.usage.merge_figures(&usage),
            AnswerEvent::Stopped(stop) => self.stop = Some(stop),
            AnswerEvent::Failed(failure) => out.push(self.failed_event(&failure)),
            AnswerEvent::Ping => {}
            AnswerEvent::Ended => self.end_answer(&mut out),
        }
        for event in &mut out {
            number_event(event, self.n_events);
            self.n_events += 1;
        }
        out
    }

    /// The answer as a whole, once it ended.
    pub(crate) fn whole_answer(self) -> ResponsesAnswer {
        self.answer(self.end_status())
    }

    fn add_text(&mut self, text: String, out: &mut Vec<ResponsesEvent>) {
        self.end_thought(None, out);
        if self.message.is_none() {
            let (index, id) = self.next_item("msg");
            let text = String::new();
            let open = OpenMessage { index, id, text };
            out.push(item_added(index, open.written_item(false)));
            out.push(ResponsesEvent::PartAdded(part_state(&open)));
            self.message = Some(open);
        }
        if let Some(open) = &mut self.message {
            open.text.push_str(&text);
            let extra = with_index("content_index");
            out.push(ResponsesEvent::TextDelta(item_delta(
                open.index, &open.id, text, extra,
            )));
        }
    }

    fn end_message(&mut self, out: &mut Vec<ResponsesEvent>) {
        let Some(open) = self.message.take() else {
            return;
        };
        out.push(ResponsesEvent::TextDone(ItemTextDone {
            item_id: open.id.clone(),
            output_index: open.index,
            text: open.text.clone(),
            extra: with_index("content_index"),
        }));
        out.push(ResponsesEvent::PartDone(part_state(&open)));
        self.end_item(open.index, open.written_item(true), out);
    }

    fn add_thought(&mut self, text: String, out: &mut Vec<ResponsesEvent>) {
        self.end_message(out);
        if self.thought.is_none() {
            let (index, id) = self.next_item("rs");
            let empty = String::new();
            let open = OpenReasoning {
                index,
                id,
                text: empty,
            };
            out.push(item_added(index, open.written_item(None)));
            out.push(ResponsesEvent::SummaryPartAdded(summary_part(&open)));
            self.thought = Some(open);
        }
        if let Some(open) = &mut self.thought {
            open.text.push_str(&text);
            let extra = with_index("summary_index");
            out.push(ResponsesEvent::SummaryDelta(item_delta(
                open.index, &open.id, text, extra,
            )));
        }
    }

    /// Reasoning that shows nothing is an item without a summary.
    fn seal_thought(&mut self, seal: &ReasoningSeal, out: &mut Vec<ResponsesEvent>) {
        if self.thought.is_some() {
            self.end_thought(Some(seal), out);
        } else if !seal.payload.is_null() {
            self.end_message(out);
            let (index, id) = self.next_item("rs");
            let text = String::new();
            let open = OpenReasoning { index, id, text };
            out.push(item_added(index, open.written_item(None)));
            self.end_item(index, open.written_item(Some(seal)), out);
        }
    }

    fn end_thought(&mut self, seal: Option<&ReasoningSeal>, out: &mut Vec<ResponsesEvent>) {
        let Some(open) = self.thought.take() else {
            return;
        };
        out.push(ResponsesEvent::SummaryDone(ItemTextDone {
            item_id: open.id.clone(),
            output_index: open.index,
            text: open.text.clone(),
            extra: with_index("summary_index"),
        }));
        out.push(ResponsesEvent::SummaryPartDone(summary_part(&open)));
        self.end_item(open.index, open.written_item(seal), out);
    }

    fn begin_call(&mut self, call: &StartedCall, out: &mut Vec<ResponsesEvent>) {
        self.end_thought(None, out);
        self.end_message(out);
        let tool = self.names.find_tool(&call.name);
        let kind = if tool.freeform { "ctc" } else { "fc" };
        let (index, id) = self.next_item(kind);
        let open = CallItemState::new(index, id, call, tool);
        out.push(item_added(index, open.written_item(false)));
        self.calls.insert(call.slot, open);
    }

    fn add_input(&mut self, slot: usize, piece: &str, out: &mut Vec<ResponsesEvent>) {
        let Some(open) = self.calls.get_mut(&slot).filter(|_| !piece.is_empty()) else {
            return;
        };
        if let Some(wrapped) = &mut open.wrapped {
            wrapped.push_str(piece);
            return;
        }
        open.input.push_str(piece);
        out.push(input_delta(open, piece));
    }

    fn end_call(&mut self, slot: usize, out: &mut Vec<ResponsesEvent>) {
        let Some(mut open) = self.calls.remove(&slot) else {
            return;
        };
        let late = match open.wrapped.take() {
            Some(wrapped) => Some(unwrapped_input(&wrapped)),
            None if open.input.is_empty() && !open.is_freeform() => Some("{}".to_owned()),
            None => None,
        };
        if let Some(late) = late {
            open.input.push_str(&late);
            out.push(input_delta(&open, &late));
        }
        let (item_id, output_index) = (open.id.clone(), open.index);
        let (input, extra) = (open.input.clone(), Extra::new());
        out.push(match open.is_freeform() {
            true => ResponsesEvent::CustomInputDone(CustomInputDone {
                item_id,
                output_index,
                input,
                extra,
            }),
            false => ResponsesEvent::ArgumentsDone(ArgumentsDone {
                item_id,
                output_index,
                arguments: input,
                extra,
            }),
        });
        self.end_item(open.index, open.written_item(true), out);
    }

    fn end_item(
        &mut self,
        output_index: usize,
        item: ResponsesItem,
        out: &mut Vec<ResponsesEvent>,
    ) {
        self.output.insert(output_index, item.clone());
        out.push(ResponsesEvent::ItemDone(ItemState {
            output_index,
            item,
            extra: Extra::new(),
        }));
    }

    fn end_answer(&mut self, out: &mut Vec<ResponsesEvent>) {
        self.end_thought(None, out);
        self.end_message(out);
        let open: Vec<usize> = self.calls.keys().copied().collect();
        for slot in open {
            self.end_call(slot, out);
        }
        let status = self.end_status();
        let state = self.state(status);
        out.push(match status {
            "completed" => ResponsesEvent::Completed(state),
            _ => ResponsesEvent::Incomplete(state),
        });
    }

    fn failed_event(&self, failure: &AnswerFailure) -> ResponsesEvent {
        let mut state = self.state("failed");
        state.response.error = Some(AnswerFault {
            code: Some(failure.openai_code().to_owned()),
            message: failure.message.clone(),
            extra: Extra::new(),
        });
        ResponsesEvent::Failed(state)
    }

    fn end_status(&self) -> &'static str {
        match self.incomplete_reason() {
            None => "completed",
            Some(_) => "incomplete",
        }
    }

    fn incomplete_reason(&self) -> Option<&str> {
        match &self.stop.as_ref()?.cause {
            EndReason::TokenLimit => Some("max_output_tokens"),
            EndReason::Refused => Some("content_filter"),
            EndReason::Finished
            | EndReason::StopText
            | EndReason::Calls
            | EndReason::Paused
            | EndReason::Other(_) => None,
        }
    }

    fn state(&self, status: &str) -> AnswerState {
        AnswerState {
            response: self.answer(status),
            extra: Extra::new(),
        }
    }

    fn answer(&self, status: &str) -> ResponsesAnswer {
        let ended = status != "in_progress";
        let reason = self.incomplete_reason().filter(|_| status == "incomplete");
        let extra = json!({"parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "metadata": {}});
        ResponsesAnswer {
            id: format!("resp_{}", self.start.id),
            object: "response".to_owned(),
            created_at: Value::from(self.created_s),
            status: Some(status.to_owned()),
            model: self.start.model.clone(),
            output: self.output.values().cloned().collect(),
            error: None,
            incomplete_details: reason.map(|reason| IncompleteDetails {
                reason: Some(reason.to_owned()),
            }),
            usage: ended.then(|| answer_usage(&self.usage)),
            extra: match extra {
                Value::Object(extra) => extra,
                _ => Extra::new(),
            },
        }
    }

    fn next_item(&mut self, kind: &str) -> (usize, String) {
        let index = self.n_items;
        self.n_items += 1;
        (index, format!("{kind}_{index}_{}", self.start.id))
    }
}
