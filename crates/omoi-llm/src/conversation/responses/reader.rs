//! From the events of OpenAI Responses.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::conversation::{
    AnswerEvent, AnswerFailure, AnswerStart, AnswerUsage, EndReason, ReasoningSeal, StartedCall,
    StopReport,
};
use crate::wire::dialect::Dialect;
use crate::wire::responses::{
    ItemContent, ItemPart, ReasoningItem, ResponsesAnswer, ResponsesEvent, ResponsesItem,
    ResponsesUsage,
};

/// Reads the events of one answer.
#[derive(Debug)]
pub(crate) struct ResponsesReader {
    maker: String,
    started: bool,
    /// By their position in the answer.
    items: BTreeMap<usize, ItemProgress>,
    called: bool,
    refused: bool,
}

/// How far an item was read.
#[derive(Debug, Default)]
struct ItemProgress {
    /// A call was announced.
    begun: bool,
    /// A piece of it came.
    grown: bool,
    done: bool,
}

impl ResponsesReader {
    /// A reader of what the model at `maker` says.
    pub(crate) fn new(maker: &str) -> Self {
        Self {
            maker: maker.to_owned(),
            started: false,
            items: BTreeMap::new(),
            called: false,
            refused: false,
        }
    }

    /// The events that `event` stands for.
    pub(crate) fn push(&mut self, event: &ResponsesEvent) -> Vec<AnswerEvent> {
        let mut out = Vec::new();
        match event {
            ResponsesEvent::Created(state) | ResponsesEvent::InProgress(state) => {
                self.begin_answer(&state.response, &mut out);
            }
            ResponsesEvent::ItemAdded(state) => {
                self.begin_item(state.output_index, &state.item, &mut out);
            }
            ResponsesEvent::TextDelta(delta) | ResponsesEvent::RefusalDelta(delta) => {
                self.refused |= matches!(event, ResponsesEvent::RefusalDelta(_));
                if !delta.delta.is_empty() {
                    self.grow(delta.output_index);
                    out.push(AnswerEvent::Text(delta.delta.clone()));
                }
            }
            ResponsesEvent::SummaryPartAdded(part) if part.summary_index > 0 => {
                out.push(AnswerEvent::Reasoning("\n\n".to_owned()));
            }
            ResponsesEvent::SummaryDelta(delta) | ResponsesEvent::ReasoningDelta(delta) => {
                if !delta.delta.is_empty() {
                    self.grow(delta.output_index);
                    out.push(AnswerEvent::Reasoning(delta.delta.clone()));
                }
            }
            ResponsesEvent::ArgumentsDelta(delta) | ResponsesEvent::CustomInputDelta(delta) => {
                self.grow(delta.output_index);
                out.push(AnswerEvent::CallInput {
                    slot: delta.output_index,
                    piece: delta.delta.clone(),
                });
            }
            ResponsesEvent::ItemDone(state) => {
                self.end_item(state.output_index, &state.item, &mut out);
            }
            ResponsesEvent::Completed(state)
            | ResponsesEvent::Incomplete(state)
            | ResponsesEvent::Failed(state) => self.end_answer(&state.response, &mut out),
            ResponsesEvent::Error(fault) => {
                let failure = AnswerFailure::from_code(fault.code.as_ref(), &fault.message);
                out.push(AnswerEvent::Failed(failure));
            }
            // What these say came piece by piece before.
            ResponsesEvent::PartAdded(_)
            | ResponsesEvent::TextDone(_)
            | ResponsesEvent::PartDone(_)
            | ResponsesEvent::SummaryPartAdded(_)
            | ResponsesEvent::SummaryDone(_)
            | ResponsesEvent::SummaryPartDone(_)
            | ResponsesEvent::ArgumentsDone(_)
            | ResponsesEvent::CustomInputDone(_)
            | ResponsesEvent::Other(_) => {}
        }
        out
    }

    fn begin_answer(&mut self, answer: &ResponsesAnswer, out: &mut Vec<AnswerEvent>) {
        if !self.started {
            self.started = true;
            out.push(AnswerEvent::Started(AnswerStart {
                id: answer.id.clone(),
                model: answer.model.clone(),
            }));
        }
    }

    fn grow(&mut self, index: usize) {
        self.items.entry(index).or_default().grown = true;
    }

    fn begin_item(&mut self, index: usize, item: &ResponsesItem, out: &mut Vec<AnswerEvent>) {
        let progress = self.items.entry(index).or_default();
        let started = match item {
            ResponsesItem::FunctionCall(call) => StartedCall {
                slot: index,
                id: call.call_id.clone(),
                namespace: call.namespace.clone(),
                name: call.name.clone(),
                freeform: false,
            },
            ResponsesItem::CustomToolCall(call) => StartedCall {
                slot: index,
                id: call.call_id.clone(),
                namespace: call.namespace.clone(),
                name: call.name.clone(),
                freeform: true,
            },
            _ => return,
        };
        if !progress.begun {
            progress.begun = true;
            self.called = true;
            out.push(AnswerEvent::CallStarted(started));
        }
    }

    /// An item is whole; what of it did not come piece by piece comes now.
    fn end_item(&mut self, index: usize, item: &ResponsesItem, out: &mut Vec<AnswerEvent>) {
        self.begin_item(index, item, out);
        let progress = self.items.entry(index).or_default();
        if std::mem::replace(&mut progress.done, true) {
            return;
        }
        let is_new = !progress.grown;
        let input = |piece: &String| AnswerEvent::CallInput {
            slot: index,
            piece: piece.clone(),
        };
        match item {
            ResponsesItem::Message(message) if is_new => {
                for (text, refused) in said_texts(&message.content) {
                    self.refused |= refused;
                    out.push(AnswerEvent::Text(text));
                }
            }
            ResponsesItem::FunctionCall(call) => {
                out.extend(is_new.then(|| input(&call.arguments)));
                out.push(AnswerEvent::CallEnded { slot: index });
            }
            ResponsesItem::CustomToolCall(call) => {
                out.extend(is_new.then(|| input(&call.input)));
                out.push(AnswerEvent::CallEnded { slot: index });
            }
            ResponsesItem::Reasoning(item) => {
                let text = is_new.then(|| shown_text(item));
                let text = text.filter(|text| !text.is_empty());
                out.extend(text.map(AnswerEvent::Reasoning));
                out.push(AnswerEvent::ReasoningSealed(self.sealed(item)));
            }
            ResponsesItem::Message(_)
            | ResponsesItem::FunctionCallOutput(_)
            | ResponsesItem::CustomToolCallOutput(_) => {}
            ResponsesItem::Other(_) => {
                let kind = item.kind();
                tracing::debug!(kind, "Left out an item of the answer");
            }
        }
    }

    /// Without encrypted content there is nothing that could go back.
    fn sealed(&self, item: &ReasoningItem) -> ReasoningSeal {
        let payload = match item.encrypted_content {
            Some(_) => serde_json::to_value(item).unwrap_or_default(),
            None => Value::Null,
        };
        ReasoningSeal {
            maker: Some(self.maker.clone()),
            dialect: Dialect::Responses,
            payload,
        }
    }

    fn end_answer(&mut self, answer: &ResponsesAnswer, out: &mut Vec<AnswerEvent>) {
        self.begin_answer(answer, out);
        if let Some(usage) = &answer.usage {
            let tier = answer.extra.get("service_tier").and_then(Value::as_str);
            out.push(AnswerEvent::Usage(AnswerUsage {
                service_tier: tier.map(str::to_owned),
                ..usage_of(usage)
            }));
        }
        if answer.status.as_deref() == Some("failed") || answer.error.is_some() {
            let fault = answer.error.clone().unwrap_or_default();
            let code = fault.code.map(Value::from);
            let failure = AnswerFailure::from_code(code.as_ref(), &fault.message);
            out.push(AnswerEvent::Failed(failure));
            return;
        }
        for (index, item) in answer.output.iter().enumerate() {
            self.end_item(index, item, out);
        }
        let details = answer.incomplete_details.as_ref();
        let cause = match details.and_then(|details| details.reason.as_deref()) {
            Some("max_output_tokens") => EndReason::TokenLimit,
            Some("content_filter") => EndReason::Refused,
            Some(reason) => EndReason::Other(reason.to_owned()),
            None if self.refused => EndReason::Refused,
            None if self.called => EndReason::Calls,
            None => EndReason::Finished,
        };
        let stop_text = None;
        out.push(AnswerEvent::Stopped(StopReport { cause, stop_text }));
        out.push(AnswerEvent::Ended);
    }
}

/// The events a whole answer would have come in; `None` when it is still being worked on.
pub(crate) fn events_of_answer(answer: &ResponsesAnswer, maker: &str) -> Option<Vec<AnswerEvent>> {
    let open = ["in_progress", "queued"];
    if answer.status.as_deref().is_some_and(|s| open.contains(&s)) {
        return None;
    }
    let mut out = Vec::new();
    ResponsesReader::new(maker).end_answer(answer, &mut out);
    Some(out)
}

fn said_texts(content: &ItemContent) -> Vec<(String, bool)> {
    match content {
        ItemContent::Text(text) => vec![(text.clone(), false)],
        ItemContent::Parts(parts) => parts
            .iter()
            .filter_map(|part| match part {
                ItemPart::OutputText(text) | ItemPart::InputText(text) => {
                    Some((text.text.clone(), false))
                }
                ItemPart::Refusal(part) => Some((part.refusal.clone(), true)),
                _ => None,
            })
            .collect(),
    }
}

fn shown_text(item: &ReasoningItem) -> String {
    let content = item.content.iter().flatten();
    let shown: Vec<&str> = match item.summary.is_empty() {
        true => content.map(|text| text.text.as_str()).collect(),
        false => item.summary.iter().map(|text| text.text.as_str()).collect(),
    };
    shown.join("\n\n")
}

fn usage_of(usage: &ResponsesUsage) -> AnswerUsage {
    let read = &usage.input_tokens_details;
    let written = read.cache_write_tokens.unwrap_or(0);
    let by_age = read.extra.get("cache_write_tokens_details");
    let thought = usage.output_tokens_details.reasoning_tokens;
    AnswerUsage {
        cache_write_hour: by_age.and_then(|ages| ages.get("ttl_12h_tokens")?.as_u64()),
        output: Some(usage.output_tokens),
        reasoning: (thought > 0).then_some(thought),
        ..AnswerUsage::from_input_total(usage.input_tokens, read.cached_tokens, written)
    }
}
