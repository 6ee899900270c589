//! What a piece of an answer says about its progress, read beside the answer as it passes.
//!
//! The readers are tolerant: a field or kind that is new to them changes nothing.

mod declined;
mod told_usage;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

pub(crate) use self::declined::DeclinedWords;
use self::declined::{
    chat_refusal, ended_refusal, filtered_response, message_refusal, response_refusal,
};
pub(crate) use self::told_usage::{CACHE_MISS, openai_usage};
use self::told_usage::{anthropic_usage, message_usage};
use super::anthropic::{BlockDelta, StreamEvent, TokenUsage, error_of_status, status_of_error};
use super::dialect::Dialect;
use super::openai::{DONE, status_of_code};
use super::sse::SseFrame;

/// How far an answer is after one of its pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnswerStage {
    /// It shows no content yet: vendors send such pieces before they find out that they are overloaded.
    #[default]
    Opening,
    /// It shows content.
    Content,
    /// It says why it ends; nothing but figures follows.
    Ending,
    /// It is whole.
    Whole,
}

/// What one piece of an answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerSigns {
    /// How far the answer is.
    pub stage: AnswerStage,
    /// Bytes of what the model wrote.
    pub answered_bytes: u64,
    /// Token counts so far, where it tells any; they replace the ones before.
    pub usage: Option<TokenUsage>,
    /// Whether those are the last.
    pub is_summary: bool,
    /// Whether it holds token counts alone.
    pub is_usage_only: bool,
    /// Words by which the model declines what it is asked, empty where it says none. None where it does not.
    pub declined: Option<String>,
}

/// A failure that is reported in the place of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedFailure {
    /// The status that it would have had as the head of the answer.
    pub status: u16,
    /// Stable word for the kind of failure.
    pub kind: String,
    /// The provider's message.
    pub message: String,
    /// Whether it says that asking again helps, as the gateway does.
    pub should_retry: bool,
}

/// What one frame of a stream, or a whole body, means.
pub type SignsOrFailure = Result<AnswerSigns, ReportedFailure>;

impl AnswerSigns {
    /// Whether it shows content and says nothing else.
    pub(crate) fn is_plain_content(&self) -> bool {
        let Self {
            stage,
            answered_bytes: _,
            usage,
            is_summary,
            is_usage_only,
            declined,
        } = self;
        *stage == AnswerStage::Content
            && usage.is_none()
            && declined.is_none()
            && !is_summary
            && !is_usage_only
    }

    /// What `event` says.
    pub fn of_event(event: &StreamEvent) -> Self {
        let signs = Self {
            stage: AnswerStage::Content,
            ..Self::default()
        };
        match event {
            StreamEvent::MessageStart(start) => Self {
                usage: Some(start.message.usage.clone()),
                ..Self::default()
            },
            StreamEvent::Ping(_) => Self::default(),
            StreamEvent::ContentBlockDelta(delta) => Self {
                answered_bytes: match &delta.delta {
                    BlockDelta::Text(d) => d.text.len(),
                    BlockDelta::InputJson(d) => d.partial_json.len(),
                    BlockDelta::Thinking(d) => d.thinking.len(),
                    BlockDelta::Signature(_) | BlockDelta::Other(_) => 0,
                } as u64,
                ..signs
            },
            StreamEvent::MessageDelta(delta) => Self {
                stage: AnswerStage::Ending,
                usage: Some(delta.usage.clone()),
                is_summary: true,
                declined: ended_refusal(&delta.delta),
                ..signs
            },
            StreamEvent::MessageStop(_) => Self {
                stage: AnswerStage::Whole,
                ..signs
            },
            _ => signs,
        }
    }
}

/// Reads the frames of one streamed answer.
#[derive(Debug)]
pub struct FrameReader {
    dialect: Dialect,
    /// The choices of a chat answer seen so far, and whether each said why it ends.
    ended_choices: BTreeMap<u64, bool>,
}

impl FrameReader {
    /// A reader of an answer in `dialect`.
    pub const fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            ended_choices: BTreeMap::new(),
        }
    }

    /// Reads its next frame.
    ///
    /// # Errors
    /// Returns the error of the reader where its data is not JSON.
    pub fn read_frame(&mut self, frame: &SseFrame) -> Result<SignsOrFailure, serde_json::Error> {
        if self.dialect == Dialect::ChatCompletions && frame.data.trim() == DONE {
            return Ok(Ok(AnswerSigns {
                stage: AnswerStage::Whole,
                ..AnswerSigns::default()
            }));
        }
        if self.dialect == Dialect::Messages
            && let Some(signs) = plain_delta(frame)
        {
            return Ok(Ok(signs));
        }
        let data: Value = serde_json::from_str(&frame.data)?;
        Ok(match self.dialect {
            Dialect::Messages => message_signs(&data),
            Dialect::ChatCompletions => self.chat_signs(&data),
            Dialect::Responses => response_signs(&data),
        })
    }

    fn chat_signs(&mut self, data: &Value) -> SignsOrFailure {
        let mut signs = chat_signs(data)?;
        for (at, choice) in data["choices"].as_array().into_iter().flatten().enumerate() {
            let index = choice["index"].as_u64().unwrap_or(at as u64);
            // Some servers say nothing by an empty text.
            let ends = choice["finish_reason"]
                .as_str()
                .is_some_and(|r| !r.is_empty());
            *self.ended_choices.entry(index).or_default() |= ends;
        }
        let all_ended = self.ended_choices.values().all(|ended| *ended);
        if !self.ended_choices.is_empty() && all_ended {
            signs.stage = AnswerStage::Ending;
        }
        Ok(signs)
    }
}

/// Reads a whole answer that did not come as a stream.
///
/// # Errors
/// Returns the error of the reader where it is not JSON.
pub fn read_whole(dialect: Dialect, body: &[u8]) -> Result<SignsOrFailure, serde_json::Error> {
    let body: Value = serde_json::from_slice(body)?;
    if body["error"].is_object() {
        return Ok(Err(read_failure(&body["error"])));
    }
    let written = match dialect {
        Dialect::Messages => &body["content"],
        Dialect::ChatCompletions => &body["choices"],
        Dialect::Responses => &body["output"],
    };
    Ok(Ok(AnswerSigns {
        stage: AnswerStage::Whole,
        answered_bytes: written.to_string().len() as u64,
        usage: match dialect {
            Dialect::Messages => message_usage(&body),
            Dialect::ChatCompletions | Dialect::Responses => openai_usage(dialect, &body),
        },
        is_summary: true,
        is_usage_only: false,
        declined: match dialect {
            Dialect::Messages => message_refusal(&body),
            Dialect::ChatCompletions => chat_refusal(&body, "message"),
            Dialect::Responses => response_refusal(&body),
        },
    }))
}

fn message_signs(data: &Value) -> SignsOrFailure {
    let signs = AnswerSigns {
        stage: AnswerStage::Content,
        ..AnswerSigns::default()
    };
    Ok(match data["type"].as_str().unwrap_or_default() {
        "message_start" => AnswerSigns {
            usage: message_usage(&data["message"]),
            ..AnswerSigns::default()
        },
        "ping" => AnswerSigns::default(),
        "content_block_delta" => {
            let delta = &data["delta"];
            let texts = ["text", "partial_json", "thinking"].map(|name| text_bytes(&delta[name]));
            AnswerSigns {
                answered_bytes: texts.iter().sum(),
                ..signs
            }
        }
        "message_delta" => AnswerSigns {
            stage: AnswerStage::Ending,
            usage: anthropic_usage(&data["usage"]),
            is_summary: true,
            declined: message_refusal(&data["delta"]),
            ..signs
        },
        "message_stop" => AnswerSigns {
            stage: AnswerStage::Whole,
            ..signs
        },
        "error" => return Err(read_failure(&data["error"])),
        _ => signs,
    })
}

/// A piece of content, read for no more than its length.
#[derive(Deserialize)]
struct PlainDelta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    delta: DeltaTexts<'a>,
}

#[derive(Deserialize)]
struct DeltaTexts<'a> {
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    partial_json: Cow<'a, str>,
    #[serde(borrow, default)]
    thinking: Cow<'a, str>,
}

/// What a frame of content says, which nearly all are. One of another form is read by [`message_signs`].
fn plain_delta(frame: &SseFrame) -> Option<AnswerSigns> {
    const CONTENT: &str = "content_block_delta";
    if frame.event.as_deref() != Some(CONTENT) {
        return None;
    }
    let PlainDelta { kind, delta } = serde_json::from_str(&frame.data).ok()?;
    let texts = [delta.text, delta.partial_json, delta.thinking];
    (kind == CONTENT).then(|| AnswerSigns {
        stage: AnswerStage::Content,
        answered_bytes: texts.iter().map(|text| text.len() as u64).sum(),
        ..AnswerSigns::default()
    })
}

/// What one chunk says by itself; whether the answer ends lies in all of them.
fn chat_signs(data: &Value) -> SignsOrFailure {
    if data["error"].is_object() {
        return Err(read_failure(&data["error"]));
    }
    let choices = data["choices"].as_array().map(Vec::as_slice);
    let choices = choices.unwrap_or_default();
    let mut answered_bytes = 0;
    let mut calls = false;
    for delta in choices.iter().map(|choice| &choice["delta"]) {
        let texts = ["content", "refusal", "reasoning_content", "reasoning"];
        answered_bytes += texts
            .map(|name| text_bytes(&delta[name]))
            .iter()
            .sum::<u64>();
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            calls = true;
            answered_bytes += text_bytes(&call["function"]["arguments"]);
        }
    }
    let usage = openai_usage(Dialect::ChatCompletions, data);
    let is_usage_only = choices.is_empty() && usage.is_some();
    Ok(AnswerSigns {
        stage: if is_usage_only {
            AnswerStage::Ending
        } else if answered_bytes > 0 || calls {
            AnswerStage::Content
        } else {
            AnswerStage::Opening
        },
        answered_bytes,
        is_summary: usage.is_some(),
        usage,
        is_usage_only,
        declined: chat_refusal(data, "delta"),
    })
}

fn response_signs(data: &Value) -> SignsOrFailure {
    let kind = data["type"].as_str().unwrap_or_default();
    Ok(match kind {
        "response.created" | "response.in_progress" | "response.queued" => AnswerSigns::default(),
        "response.completed" | "response.incomplete" => AnswerSigns {
            stage: AnswerStage::Whole,
            usage: openai_usage(Dialect::Responses, &data["response"]),
            is_summary: true,
            declined: filtered_response(&data["response"]),
            ..AnswerSigns::default()
        },
        // A message that begins, before anybody knows whether it answers or declines.
        "response.output_item.added" if data["item"]["type"] == "message" => AnswerSigns::default(),
        "response.content_part.added" => AnswerSigns::default(),
        "response.refusal.delta" | "response.refusal.done" => AnswerSigns {
            stage: AnswerStage::Content,
            answered_bytes: text_bytes(&data["delta"]),
            declined: Some(data["refusal"].as_str().unwrap_or_default().to_owned()),
            ..AnswerSigns::default()
        },
        "response.failed" => return Err(read_failure(&data["response"]["error"])),
        "error" if data["error"].is_object() => return Err(read_failure(&data["error"])),
        "error" => return Err(read_failure(data)),
        _ => AnswerSigns {
            stage: AnswerStage::Content,
            answered_bytes: match kind.rsplit('.').next() == Some("delta") {
                true => text_bytes(&data["delta"]),
                false => 0,
            },
            ..AnswerSigns::default()
        },
    })
}

fn text_bytes(value: &Value) -> u64 {
    value.as_str().map_or(0, str::len) as u64
}

/// What an error object says. A status stands in `code` or behind the kind's word; without one it is
/// the server's own fault.
fn read_failure(error: &Value) -> ReportedFailure {
    let word = |name: &str| error[name].as_str().filter(|word| *word != "error");
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let numbered = number(&error["code"])
        .or_else(|| number(&error["status"]))
        .and_then(|code| u16::try_from(code).ok())
        .filter(|code| (400..600).contains(code));
    let by_word = [word("type"), word("code")]
        .into_iter()
        .flatten()
        .find_map(|word| status_of_error(word).or_else(|| status_of_code(word)));
    let status = numbered.or(by_word).unwrap_or(500);
    let kind = match (word("type"), word("code")) {
        (Some(kind), _) => kind,
        (None, Some(code)) if number(&error["code"]).is_none() => code,
        _ => error_of_status(status),
    };
    ReportedFailure {
        status,
        kind: kind.to_owned(),
        message: error["message"].as_str().unwrap_or_default().to_owned(),
        should_retry: false,
    }
}

#[cfg(test)]
mod tests;
