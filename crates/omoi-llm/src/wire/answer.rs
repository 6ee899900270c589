//! From the events of a stream to a whole answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use thiserror::Error;

use super::anthropic::{BlockDelta, ContentBlock, MessageDeltaBody, MessagesResponse, StreamEvent};

/// A whole answer, with the tool calls whose input is broken.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelAnswer {
    /// The answer. The input of a broken call is `{}` in it, so that it can be sent back.
    pub response: MessagesResponse,
    /// Calls whose input the model did not write as a JSON object; they cannot be run.
    pub broken_calls: Vec<BrokenCall>,
}

/// A tool call whose input is not a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the input of tool call `{name}` ({id}) is not a JSON object: {problem}")]
pub struct BrokenCall {
    /// Id of the tool call.
    pub id: String,
    /// Name of the tool called.
    pub name: String,
    /// What the model wrote.
    pub raw: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Why events make no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// Something came before `message_start`.
    #[error("`{event}` came before `message_start`")]
    NotStarted {
        /// Kind of the event.
        event: String,
    },
    /// A second `message_start` came.
    #[error("`message_start` came twice")]
    StartedTwice,
    /// A block index that was not begun, or begun twice.
    #[error("`{event}` names block {index}, which is not open")]
    NoSuchBlock {
        /// Kind of the event.
        event: String,
        /// Index of the content block.
        index: usize,
    },
    /// A delta that does not fit its block.
    #[error("a `{delta}` came for a `{block}` block")]
    WrongDelta {
        /// Kind of the delta.
        delta: String,
        /// Kind of the block it was for.
        block: String,
    },
    /// The events ended without `message_stop`.
    #[error("`message_stop` is missing")]
    NotFinished,
}

/// Puts an answer together, event by event.
#[derive(Debug, Default)]
pub struct AnswerAccumulator {
    message: Option<MessagesResponse>,
    open: BTreeMap<usize, OpenBlock>,
    done: BTreeMap<usize, ContentBlock>,
    broken: Vec<BrokenCall>,
    stopped: bool,
}

#[derive(Debug)]
struct OpenBlock {
    block: ContentBlock,
    input_json: String,
}

impl AnswerAccumulator {
    /// Takes the next event.
    ///
    /// # Errors
    /// Returns [`AnswerError`] when it cannot follow the ones before.
    pub fn push(&mut self, event: &StreamEvent) -> Result<(), AnswerError> {
        let Some(message) = &mut self.message else {
            return match event {
                StreamEvent::MessageStart(start) => {
                    self.message = Some(start.message.clone());
                    Ok(())
                }
                StreamEvent::Ping(_) | StreamEvent::Other(_) => Ok(()),
                other => Err(AnswerError::NotStarted {
                    event: other.kind().to_owned(),
                }),
            };
        };
        let no_block = |index| AnswerError::NoSuchBlock {
            event: event.kind().to_owned(),
            index,
        };
        match event {
            StreamEvent::MessageStart(_) => return Err(AnswerError::StartedTwice),
            StreamEvent::ContentBlockStart(start) => {
                let index = start.index;
                if self.open.contains_key(&index) || self.done.contains_key(&index) {
                    return Err(no_block(index));
                }
                let block = start.content_block.clone();
                let input_json = String::new();
                self.open.insert(index, OpenBlock { block, input_json });
            }
            StreamEvent::ContentBlockDelta(delta) => {
                let open = self.open.get_mut(&delta.index);
                open.ok_or_else(|| no_block(delta.index))?
                    .append_delta(&delta.delta)?;
            }
            StreamEvent::ContentBlockStop(stop) => {
                let open = self.open.remove(&stop.index);
                let open = open.ok_or_else(|| no_block(stop.index))?;
                self.done
                    .insert(stop.index, open.close_block(&mut self.broken));
            }
            StreamEvent::MessageDelta(delta) => {
                message.usage.merge(&delta.usage);
                let MessageDeltaBody {
                    stop_reason,
                    stop_sequence,
                    stop_details,
                    ..
                } = &delta.delta;
                message.stop_reason = stop_reason.clone().or(message.stop_reason.take());
                message.stop_sequence = stop_sequence.clone().or(message.stop_sequence.take());
                message.stop_details = stop_details.clone().or(message.stop_details.take());
            }
            StreamEvent::MessageStop(_) => self.stopped = true,
            StreamEvent::Ping(_) | StreamEvent::Error(_) | StreamEvent::Other(_) => {}
        }
        Ok(())
    }

    /// The answer, once `message_stop` came.
    ///
    /// # Errors
    /// Returns [`AnswerError::NotFinished`] before that.
    pub fn finish(mut self) -> Result<ModelAnswer, AnswerError> {
        let mut response = match self.message {
            Some(message) if self.stopped => message,
            _ => return Err(AnswerError::NotFinished),
        };
        // A block that was never closed was still said.
        for (index, open) in std::mem::take(&mut self.open) {
            self.done.insert(index, open.close_block(&mut self.broken));
        }
        response.content.extend(self.done.into_values());
        Ok(ModelAnswer {
            response,
            broken_calls: self.broken,
        })
    }
}

impl OpenBlock {
    fn append_delta(&mut self, delta: &BlockDelta) -> Result<(), AnswerError> {
        match (&mut self.block, delta) {
            (ContentBlock::Text(block), BlockDelta::Text(delta)) => {
                block.text.push_str(&delta.text);
            }
            (ContentBlock::Thinking(block), BlockDelta::Thinking(delta)) => {
                block.thinking.push_str(&delta.thinking);
            }
            (ContentBlock::Thinking(block), BlockDelta::Signature(delta)) => {
                block.signature.push_str(&delta.signature);
            }
            (ContentBlock::ToolUse(_) | ContentBlock::Other(_), BlockDelta::InputJson(delta)) => {
                self.input_json.push_str(&delta.partial_json);
            }
            // Kinds that are new to us change nothing we understand.
            (_, BlockDelta::Other(_)) | (ContentBlock::Other(_), _) => {}
            (block, delta) => {
                return Err(AnswerError::WrongDelta {
                    delta: delta.kind().to_owned(),
                    block: block.kind().to_owned(),
                });
            }
        }
        Ok(())
    }

    fn close_block(mut self, broken: &mut Vec<BrokenCall>) -> ContentBlock {
        let raw = self.input_json;
        if raw.trim().is_empty() {
            return self.block;
        }
        let parsed = serde_json::from_str::<Value>(&raw);
        match &mut self.block {
            ContentBlock::ToolUse(call) => match parsed {
                Ok(input @ Value::Object(_)) => call.input = input,
                other => {
                    let problem = match other {
                        Ok(_) => "it is another kind of value".to_owned(),
                        Err(e) => e.to_string(),
                    };
                    call.input = json!({});
                    broken.push(BrokenCall {
                        id: call.id.clone(),
                        name: call.name.clone(),
                        raw,
                        problem,
                    });
                }
            },
            ContentBlock::Other(map) => {
                map.insert("input".to_owned(), parsed.unwrap_or(Value::String(raw)));
            }
            _ => {}
        }
        self.block
    }
}
