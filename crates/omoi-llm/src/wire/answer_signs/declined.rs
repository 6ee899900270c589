//! How each dialect says that a model declines what it is asked.

use serde_json::Value;

use super::AnswerSigns;
use crate::wire::anthropic::{MessageDeltaBody, StopReason};

/// What the pieces of an answer say by which its model declines.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeclinedWords(Option<String>);

/// Most characters that are kept of it.
const DECLINED_CHARS_MAX: usize = 500;

impl DeclinedWords {
    /// Takes in the next piece.
    pub(crate) fn add_signs(&mut self, signs: &AnswerSigns) {
        if let Some(more) = &signs.declined {
            let said = self.0.get_or_insert_default();
            let left = DECLINED_CHARS_MAX.saturating_sub(said.chars().count());
            said.extend(more.chars().take(left));
        }
    }

    /// The words so far; none where the model does not decline.
    pub(crate) fn declined_text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// The explanation of a message, or the end of one, by which the model declines.
pub(super) fn message_refusal(ended: &Value) -> Option<String> {
    let words = &ended["stop_details"]["explanation"];
    (ended["stop_reason"] == "refusal").then(|| words.as_str().unwrap_or_default().to_owned())
}

/// The same of the end of a message in its own type.
pub(super) fn ended_refusal(ended: &MessageDeltaBody) -> Option<String> {
    let details = ended.stop_details.as_ref();
    let words = details.and_then(|details| details.explanation.clone());
    (ended.stop_reason == Some(StopReason::Refusal)).then(|| words.unwrap_or_default())
}

/// The words of a chat answer by which the model, or its vendor's filter, declines; `part` names what its choices
/// hold them in.
pub(super) fn chat_refusal(answer: &Value, part: &str) -> Option<String> {
    let mut choices = answer["choices"].as_array().into_iter().flatten();
    choices.find_map(|choice| {
        let words = choice[part]["refusal"].as_str().unwrap_or_default();
        let declines = !words.is_empty() || choice["finish_reason"] == "content_filter";
        declines.then(|| words.to_owned())
    })
}

/// The same of a whole response.
pub(super) fn response_refusal(response: &Value) -> Option<String> {
    let items = response["output"].as_array().into_iter().flatten();
    let mut parts = items.flat_map(|item| item["content"].as_array().into_iter().flatten());
    let said = parts.find_map(|part| part["refusal"].as_str().map(str::to_owned));
    said.or_else(|| filtered_response(response))
}

pub(super) fn filtered_response(response: &Value) -> Option<String> {
    let reason = &response["incomplete_details"]["reason"];
    (*reason == "content_filter").then(String::new)
}
