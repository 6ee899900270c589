//! How many tokens a request will read, by rule of thumb.

use serde::Serialize;
use serde_json::Value;

use crate::wire::anthropic::{
    ConversationMessage, CountTokensRequest, MessageContent, MessagesRequest, MessagesTool,
};

/// Bytes of English or code that make a token, on average and rather too few than too many.
pub const BYTES_PER_TOKEN: u64 = 4;
/// What a picture costs, whatever its bytes: the largest that vendors do not scale down.
const IMAGE_TOKENS: u64 = 1_600;
/// What vendors put before a request with tools, generously.
const PREAMBLE_TOKENS: u64 = 4_096;
/// What a message costs besides its words.
const MESSAGE_TOKENS: u64 = 4;

/// Estimates what `request` will read.
pub fn estimate_request(request: &MessagesRequest) -> u64 {
    estimate_tokens(request.system.as_ref(), &request.messages, &request.tools)
}

/// The most tokens `request` can be read as: no token is shorter than a byte. `None` where it names
/// something that the provider fetches or adds by itself.
pub fn request_tokens_max(request: &MessagesRequest) -> Option<u64> {
    let wire = serde_json::to_value(request).ok()?;
    if request.tools.iter().any(|tool| !tool.is_custom()) || has_remote_source(&wire["messages"]) {
        return None;
    }
    let bytes = wire.to_string().len() as u64;
    Some(bytes.saturating_add(PREAMBLE_TOKENS))
}

/// Whether a block leaves to the provider what stands in it.
fn has_remote_source(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_remote_source),
        Value::Object(map) => {
            let remote = ["url", "file"]
                .iter()
                .any(|kind| map.get("type").is_some_and(|found| found == kind));
            remote || map.values().any(has_remote_source)
        }
        _ => false,
    }
}

/// Estimates what the request behind `request` would read.
pub fn estimate_count_request(request: &CountTokensRequest) -> u64 {
    estimate_tokens(request.system.as_ref(), &request.messages, &request.tools)
}

fn estimate_tokens(
    system: Option<&MessageContent>,
    messages: &[ConversationMessage],
    tools: &[MessagesTool],
) -> u64 {
    let mut count = ContentCount::default();
    count.add_part(&system);
    count.add_part(&messages);
    count.add_part(&tools);
    count.bytes.div_ceil(BYTES_PER_TOKEN)
        + count.images * IMAGE_TOKENS
        + messages.len() as u64 * MESSAGE_TOKENS
}

#[derive(Default)]
struct ContentCount {
    bytes: u64,
    images: u64,
}

impl ContentCount {
    fn add_part(&mut self, part: &impl Serialize) {
        // What was read from JSON or built from text can be written as JSON.
        self.add_value(&serde_json::to_value(part).unwrap_or_default());
    }

    fn add_value(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) => self.bytes += BYTES_PER_TOKEN,
            Value::String(text) => self.bytes += text.len() as u64,
            Value::Array(items) => items.iter().for_each(|item| self.add_value(item)),
            Value::Object(map) if map.get("type").is_some_and(|t| t == "base64") => {
                self.images += 1;
            }
            Value::Object(map) => {
                for (key, value) in map {
                    self.bytes += key.len() as u64;
                    self.add_value(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]
    use serde_json::json;

    use super::*;

    #[test]
    fn words_count_and_picture_bytes_do_not() {
        let request = |content: Value| {
            let request: MessagesRequest = serde_json::from_value(
                json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": content}]}),
            )
            .unwrap();
            estimate_request(&request)
        };
        let picture = |bytes: usize| {
            json!([{"type": "image", "source":
            {"type": "base64", "media_type": "image/png", "data": "A".repeat(bytes)}}])
        };
        assert_eq!(
            request(json!("x".repeat(4_000))) - request(json!("")),
            1_000
        );
        assert_eq!(request(picture(4)), request(picture(400_000)));
        assert!(request(picture(4)) >= 1_600);
    }
}
