//! What a piece of an answer says about its progress, read beside the answer as it passes.
//!
//! The readers are tolerant: a field or kind that is new to them changes nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Extra;
use super::anthropic::{
    BlockDelta, CacheCreation, StreamEvent, TokenUsage, error_of_status, status_of_error,
};
use super::dialect::Dialect;
use super::openai::DONE;
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
}

/// What one frame of a stream, or a whole body, means.
pub type SignsOrFailure = Result<AnswerSigns, ReportedFailure>;

impl AnswerSigns {
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

/// Where the usage of an answer keeps why the prompt cache was missed.
pub(crate) const CACHE_MISS: &str = "cache_miss_reason";

/// The token counts of a message, with why it missed the prompt cache where it says so: a word, or an
/// object with its kind.
fn message_usage(message: &Value) -> Option<TokenUsage> {
    let mut usage = anthropic_usage(&message["usage"])?;
    let told = &message["diagnostics"][CACHE_MISS];
    if let Some(reason) = told.as_str().or_else(|| told["type"].as_str()) {
        usage.extra.insert(CACHE_MISS.to_owned(), reason.into());
    }
    Some(usage)
}

/// The token counts of Anthropic's.
fn anthropic_usage(usage: &Value) -> Option<TokenUsage> {
    serde_json::from_value(usage.clone()).ok()
}

/// The token counts of OpenAI's in Anthropic's terms: there, tokens read from and written to the cache
/// are no part of the input. `holder` is what the counts stand in, with the level of service beside them.
pub(crate) fn openai_usage(dialect: Dialect, holder: &Value) -> Option<TokenUsage> {
    let (input, output) = match dialect {
        Dialect::Messages => return None,
        Dialect::ChatCompletions => ("prompt_tokens", "completion_tokens"),
        Dialect::Responses => ("input_tokens", "output_tokens"),
    };
    let usage = &holder["usage"];
    if !usage.is_object() {
        return None;
    }
    let details = &usage[format!("{input}_details").as_str()];
    let cached = details["cached_tokens"].as_u64().unwrap_or(0);
    let written = details["cache_write_tokens"].as_u64().unwrap_or(0);
    let long = details["cache_write_tokens_details"]["ttl_12h_tokens"].as_u64();
    let special = cached.saturating_add(written);
    let level = holder.get("service_tier").filter(|level| !level.is_null());
    // What a call costs depends on it.
    let extra = level.map(|level| ("service_tier".to_owned(), level.clone()));
    Some(TokenUsage {
        input_tokens: usage[input]
            .as_u64()
            .map(|read| read.saturating_sub(special)),
        cache_creation: long.map(|long| CacheCreation {
            ephemeral_5m_input_tokens: Some(written.saturating_sub(long)),
            ephemeral_1h_input_tokens: Some(long),
            extra: Extra::new(),
        }),
        cache_creation_input_tokens: (written > 0).then_some(written),
        cache_read_input_tokens: (cached > 0).then_some(cached),
        output_tokens: usage[output].as_u64(),
        extra: extra.into_iter().collect(),
    })
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
    }
}

/// The status that stands for an error code of OpenAI's.
fn status_of_code(code: &str) -> Option<u16> {
    Some(match code {
        "rate_limit_exceeded" | "insufficient_quota" => 429,
        "server_error" => 500,
        "server_is_overloaded" | "slow_down" => 503,
        "context_length_exceeded" | "invalid_prompt" | "invalid_request" => 400,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;

    fn signs(dialect: Dialect, data: &Value) -> SignsOrFailure {
        let data = data
            .as_str()
            .map_or_else(|| data.to_string(), str::to_owned);
        let frame = SseFrame { event: None, data };
        FrameReader::new(dialect).read_frame(&frame).unwrap()
    }

    #[test]
    fn a_chat_answer_ends_when_every_choice_said_why() {
        use AnswerStage::{Content, Ending, Opening};
        let mut reader = FrameReader::new(Dialect::ChatCompletions);
        for (index, text, reason, stage) in [
            (0, "", json!(""), Opening),
            (0, "a", json!(""), Content),
            (1, "b", json!(null), Content),
            (0, "", json!("stop"), Opening),
            (1, "c", json!(""), Content),
            (1, "", json!("length"), Ending),
            (1, "", json!(null), Ending),
        ] {
            let choice =
                json!({"index": index, "delta": {"content": text}, "finish_reason": reason});
            let data = json!({"choices": [choice]}).to_string();
            let frame = SseFrame { event: None, data };
            let signs = reader.read_frame(&frame).unwrap().unwrap();
            assert_eq!(signs.stage, stage, "{choice}");
        }
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table of cases")]
    fn frames_say_how_far_the_answer_is() {
        use AnswerStage::{Content, Ending, Opening, Whole};
        use Dialect::{ChatCompletions, Messages, Responses};
        let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
        for (dialect, data, stage, bytes) in [
            (
                Messages,
                json!({"type": "message_start", "message": {"usage": {}}}),
                Opening,
                0,
            ),
            (Messages, json!({"type": "ping", "new": 1}), Opening, 0),
            (Messages, json!({"type": "content_block_start"}), Content, 0),
            (
                Messages,
                json!({"type": "content_block_delta", "delta": {"type": "x", "text": "abc"}}),
                Content,
                3,
            ),
            (Messages, json!({"type": "never_heard_of"}), Content, 0),
            (
                Messages,
                json!({"type": "message_delta", "usage": {"output_tokens": "many"}}),
                Ending,
                0,
            ),
            (Messages, json!({"type": "message_stop"}), Whole, 0),
            (
                ChatCompletions,
                delta(json!({"role": "assistant", "content": ""})),
                Opening,
                0,
            ),
            (
                ChatCompletions,
                delta(json!({"reasoning": "ab"})),
                Content,
                2,
            ),
            (
                ChatCompletions,
                delta(json!({"tool_calls": [{"function": {"name": "x"}}]})),
                Content,
                0,
            ),
            (
                ChatCompletions,
                json!({"choices": [{"finish_reason": "stop"}]}),
                Ending,
                0,
            ),
            (
                ChatCompletions,
                json!({"choices": [], "usage": {"prompt_tokens": 1}}),
                Ending,
                0,
            ),
            (ChatCompletions, json!("[DONE]"), Whole, 0),
            (Responses, json!({"type": "response.created"}), Opening, 0),
            (
                Responses,
                json!({"type": "response.output_item.added"}),
                Content,
                0,
            ),
            (
                Responses,
                json!({"type": "response.function_call_arguments.delta", "delta": "{}"}),
                Content,
                2,
            ),
            (
                Responses,
                json!({"type": "response.completed", "response": {}}),
                Whole,
                0,
            ),
            (
                Responses,
                json!({"type": "response.incomplete", "response": {}}),
                Whole,
                0,
            ),
        ] {
            let signs = signs(dialect, &data).unwrap();
            assert_eq!(
                (signs.stage, signs.answered_bytes),
                (stage, bytes),
                "{data}"
            );
        }
    }

    #[test]
    fn token_counts_are_told_in_one_form() {
        let chat = json!({"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 10}, "cost": 0.1}});
        let response = json!({"type": "response.completed", "response": {"usage": {"input_tokens": 50,
            "input_tokens_details": {"cached_tokens": 10}, "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 3}}}});
        for (dialect, data) in [
            (Dialect::ChatCompletions, chat),
            (Dialect::Responses, response),
        ] {
            let signs = signs(dialect, &data).unwrap();
            let usage = signs.usage.unwrap();
            assert!(signs.is_summary);
            assert_eq!(
                (
                    usage.input_tokens,
                    usage.cache_read_input_tokens,
                    usage.output_tokens
                ),
                (Some(40), Some(10), Some(7))
            );
        }
    }

    #[test]
    fn failures_inside_an_answer_have_a_status() {
        use Dialect::{ChatCompletions, Messages, Responses};
        for (dialect, data, status, kind) in [
            (
                Messages,
                json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}),
                529,
                "overloaded_error",
            ),
            (
                ChatCompletions,
                json!({"error": {"message": "m", "code": 429}}),
                429,
                "rate_limit_error",
            ),
            (
                ChatCompletions,
                json!({"error": {"message": "m", "type": "strange"}}),
                500,
                "strange",
            ),
            (
                Responses,
                json!({"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "m"}}}),
                429,
                "rate_limit_exceeded",
            ),
            (
                Responses,
                json!({"type": "error", "code": "context_length_exceeded", "message": "m"}),
                400,
                "context_length_exceeded",
            ),
        ] {
            let failure = signs(dialect, &data).unwrap_err();
            let message = "m".to_owned();
            let kind = kind.to_owned();
            assert_eq!(
                failure,
                ReportedFailure {
                    status,
                    kind,
                    message
                },
                "{data}"
            );
        }
        assert!(
            read_whole(Messages, b"{\"error\": {\"message\": \"m\"}}")
                .unwrap()
                .is_err()
        );
        assert!(read_whole(Messages, b"<html>").is_err());
    }
}
