//! How many tokens a request will read and may be answered with, by rule of thumb.

mod content_count;

use serde_json::Value;

use omoi_domain::model_price::ServiceLevel;

use self::content_count::ContentCount;
use crate::pricing::{is_us_only, searches_asked, service_named};
use crate::wire::anthropic::MessagesRequest;
use crate::wire::cache_marks::MarkedLives;
use crate::wire::dialect::Dialect;

/// Bytes of an answer that make a token, on average, where its provider does not tell how many there were.
pub const BYTES_PER_TOKEN: u64 = 4;
/// What a model may read where 100 tokens of words are estimated: tokenizers differ by about a fifth.
const WORDS_MOST_PERCENT: u64 = 120;
/// What it reads at least.
const WORDS_LEAST_PERCENT: u64 = 75;
/// What vendors put before a request with tools, generously.
const PREAMBLE_TOKENS: u64 = 4_096;
/// What a message costs besides its words.
const MESSAGE_TOKENS: u64 = 4;

/// Kinds of tools that the caller runs itself. What the provider runs may read whatever it fetches.
const CALLER_TOOLS: [&str; 5] = ["custom", "function", "namespace", "local_shell", "shell"];
/// Fields of a request that stand for text which the provider keeps.
const KEPT_BY_PROVIDER: [&str; 5] = [
    "previous_response_id",
    "conversation",
    "prompt",
    "mcp_servers",
    "container",
];

/// Tokens of one request: what it reads, and the most it may be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSize {
    /// What it will read, by kinds of characters and bytes of documents; rather too many than too few.
    pub read_estimate: u64,
    /// What it will read by the sparsest tokenizer, without its documents.
    pub read_least: u64,
    /// What it may read by the densest tokenizer: what is reserved.
    pub read_reserved: u64,
    /// The most it can be read as: no token is shorter than a byte. `None` where it holds a document or names
    /// something that the provider fetches or adds by itself.
    pub read_max: Option<u64>,
    /// The most tokens that the caller wants of one answer, where it says so; the largest of several.
    pub answer_cap: Option<u32>,
    /// How many answers it asks for.
    pub n_answers: u32,
    /// How it asks to be served.
    pub service: ServiceLevel,
    /// Web searches that it lets the provider make.
    pub searches: u64,
    /// Whether it asks to be served in the United States alone.
    pub is_us_only: bool,
    /// Whether it has a prompt cache keep what it reads for an hour.
    pub keeps_cache_for_hour: bool,
}

impl RequestSize {
    /// The size of a request of `dialect`, whose `body` has `body_bytes` on the wire.
    pub fn of_body(dialect: Dialect, body: &Value, body_bytes: usize) -> Self {
        let count = count_body(dialect, body);
        let is_open = count.documents > 0 || has_provider_tool(body) || has_remote_source(body);
        let read_max = (body_bytes as u64) + PREAMBLE_TOKENS + count.images;
        let files = count.images + count.documents;
        Self {
            read_estimate: count.words + files,
            read_least: count.words * WORDS_LEAST_PERCENT / 100 + count.images,
            read_reserved: (count.words * WORDS_MOST_PERCENT).div_ceil(100) + files,
            read_max: (!is_open).then_some(read_max),
            answer_cap: answer_cap(dialect, body),
            n_answers: count_field(dialect)
                .and_then(|name| small_number(&body[name]))
                .unwrap_or(1)
                .max(1),
            service: body.as_object().map(service_named).unwrap_or_default(),
            searches: searches_asked(body),
            is_us_only: body.as_object().is_some_and(is_us_only),
            keeps_cache_for_hour: dialect == Dialect::Messages
                && MarkedLives::of_part(body).has_hour,
        }
    }

    /// The size of a request of our own.
    pub fn of_message(request: &MessagesRequest) -> Self {
        // What was read from JSON or built from text can be written as JSON.
        let body = serde_json::to_value(request).unwrap_or_default();
        Self::of_body(Dialect::Messages, &body, body.to_string().len())
    }

    /// The most tokens of all answers together, where a route allows `route_max` for each.
    pub fn answered_max(&self, route_max: u32) -> u64 {
        let one = self.answer_cap.map_or(route_max, |cap| cap.min(route_max));
        self.of_all_answers(one)
    }

    /// The tokens of all answers together, where each has `tokens`.
    pub(crate) fn of_all_answers(&self, tokens: u32) -> u64 {
        u64::from(tokens).saturating_mul(u64::from(self.n_answers))
    }
}

/// Estimates what a request of `dialect` will read.
pub fn estimate_body(dialect: Dialect, body: &Value) -> u64 {
    let count = count_body(dialect, body);
    count.words + count.images + count.documents
}

fn count_body(dialect: Dialect, body: &Value) -> ContentCount {
    let (parts, messages) = match dialect {
        Dialect::Messages => (&["system", "messages", "tools"][..], "messages"),
        Dialect::ChatCompletions => (&["messages", "tools", "response_format"][..], "messages"),
        Dialect::Responses => (&["instructions", "input", "tools", "text"][..], "input"),
    };
    let mut count = ContentCount::default();
    for part in parts {
        count.add_value(&body[*part]);
    }
    let n_messages = body[messages].as_array().map_or(1, Vec::len) as u64;
    count.words += n_messages * MESSAGE_TOKENS;
    count
}

/// Fields of a request of `dialect` by which a caller bounds its answer.
pub(crate) const fn cap_fields(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Messages => &["max_tokens"],
        Dialect::ChatCompletions => &["max_completion_tokens", "max_tokens"],
        Dialect::Responses => &["max_output_tokens"],
    }
}

/// The field of a request of `dialect` that asks for several answers.
const fn count_field(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::ChatCompletions => Some("n"),
        Dialect::Messages | Dialect::Responses => None,
    }
}

/// The largest, so that no field can hide another: nobody knows which of them a server reads.
fn answer_cap(dialect: Dialect, body: &Value) -> Option<u32> {
    let caps = cap_fields(dialect).iter();
    caps.filter_map(|name| small_number(&body[*name])).max()
}

/// The first field of `body` that says how much is wanted, and not by a whole number of at least 1.
pub(crate) fn uncountable_field(dialect: Dialect, body: &Value) -> Option<&'static str> {
    let names = cap_fields(dialect).iter().copied();
    let mut names = names.chain(count_field(dialect));
    names.find(|name| {
        let value = &body[*name];
        !value.is_null() && small_number(value).is_none_or(|number| number == 0)
    })
}

/// A whole number, also one written as `1000.0`; the largest there is where it does not fit.
fn small_number(value: &Value) -> Option<u32> {
    let number = value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0)?;
        Some(number as u64)
    })?;
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Whether the provider runs one of the tools.
fn has_provider_tool(body: &Value) -> bool {
    let tools = body["tools"].as_array().map(Vec::as_slice);
    tools.unwrap_or_default().iter().any(|tool| {
        let kind = tool.get("type").and_then(Value::as_str);
        kind.is_some_and(|kind| !CALLER_TOOLS.contains(&kind))
    })
}

/// Whether a field or block leaves to the provider what stands in it.
fn has_remote_source(body: &Value) -> bool {
    let mut kept = KEPT_BY_PROVIDER.iter().map(|name| &body[*name]);
    let mut parts = ["messages", "input"].iter().map(|name| &body[*name]);
    kept.any(|value| !value.is_null()) || parts.any(names_remote)
}

fn names_remote(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(names_remote),
        Value::Object(map) => {
            let kinds = ["url", "file", "item_reference"];
            let by_kind = map
                .get("type")
                .and_then(Value::as_str)
                .is_some_and(|kind| kinds.contains(&kind));
            let by_address = ["image_url", "file_url", "file_id"]
                .iter()
                .any(|name| map.get(*name).is_some_and(is_address));
            by_kind || by_address || map.values().any(names_remote)
        }
        _ => false,
    }
}

/// Whether text is an address or a name, and not a file itself.
fn is_address(value: &Value) -> bool {
    let text = value.as_str().or_else(|| value.get("url")?.as_str());
    text.is_some_and(|text| !text.starts_with("data:"))
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

    fn size(dialect: Dialect, body: &Value) -> RequestSize {
        RequestSize::of_body(dialect, body, body.to_string().len())
    }

    #[test]
    fn words_count_and_picture_bytes_do_not() {
        let sized = |content: Value| {
            let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": content}]});
            size(Dialect::Messages, &body)
        };
        let picture = |bytes: usize| {
            json!([{"type": "image", "source":
            {"type": "base64", "media_type": "image/png", "data": "A".repeat(bytes)}}])
        };
        let words = sized(json!("word ".repeat(1_000)));
        let read = words.read_estimate - sized(json!("")).read_estimate;
        assert_eq!(read, 1_000);
        assert!((750..760).contains(&words.read_least), "{words:?}");
        assert!((1_200..1_220).contains(&words.read_reserved), "{words:?}");
        let (small, large) = (sized(picture(4)), sized(picture(400_000)));
        assert_eq!(small.read_estimate, large.read_estimate);
        for read in [small.read_least, small.read_estimate] {
            assert!(read >= 1_600, "{small:?}");
        }
        assert!(
            small
                .read_max
                .is_some_and(|most| most >= small.read_reserved)
        );
        let pdf = json!([{"type": "document", "source":
            {"type": "base64", "media_type": "application/pdf", "data": "A"}}]);
        assert_eq!(sized(pdf).read_max, None, "a page is more than its bytes");
    }

    #[test]
    fn every_dialect_says_how_much_it_wants() {
        use Dialect::{ChatCompletions, Messages, Responses};
        for (dialect, body, cap, n_answers) in [
            (Messages, json!({"max_tokens": 7}), Some(7), 1),
            (Messages, json!({"max_tokens": 7.0, "n": 3}), Some(7), 1),
            (Messages, json!({"max_tokens": u64::MAX}), Some(u32::MAX), 1),
            (
                ChatCompletions,
                json!({"max_tokens": 9, "n": 3}),
                Some(9),
                3,
            ),
            (
                ChatCompletions,
                json!({"max_completion_tokens": 5, "max_tokens": 9}),
                Some(9),
                1,
            ),
            (
                ChatCompletions,
                json!({"max_completion_tokens": 64_000, "max_tokens": 1}),
                Some(64_000),
                1,
            ),
            (ChatCompletions, json!({"max_tokens": null}), None, 1),
            (Responses, json!({"max_output_tokens": 4}), Some(4), 1),
            (Responses, json!({"max_tokens": 4}), None, 1),
        ] {
            let size = size(dialect, &body);
            assert_eq!(
                (size.answer_cap, size.n_answers),
                (cap, n_answers),
                "{body}"
            );
        }
        let twice = size(ChatCompletions, &json!({"max_tokens": 900, "n": 2}));
        assert_eq!(twice.answered_max(100), 200);
    }

    #[test]
    fn what_the_provider_adds_has_no_bound() {
        use Dialect::{ChatCompletions, Messages, Responses};
        for (dialect, body, is_bounded) in [
            (
                Messages,
                json!({"tools": [{"name": "x"}, {"type": "custom", "name": "y"}]}),
                true,
            ),
            (
                Messages,
                json!({"tools": [{"type": "web_search_20260209", "name": "x"}]}),
                false,
            ),
            (
                Messages,
                json!({"messages": [{"content": [{"source": {"type": "url"}}]}]}),
                false,
            ),
            (
                ChatCompletions,
                json!({"tools": [{"type": "function"}]}),
                true,
            ),
            (
                ChatCompletions,
                json!({"messages": [{"content": [{"image_url": {"url": "https://a/b.png"}}]}]}),
                false,
            ),
            (
                Responses,
                json!({"input": [{"content": [{"image_url": "data:image/png;base64,AA"}]}]}),
                true,
            ),
            (
                Responses,
                json!({"tools": [{"type": "namespace"}, {"type": "function"}]}),
                true,
            ),
            (Responses, json!({"tools": [{"type": "web_search"}]}), false),
            (Responses, json!({"previous_response_id": "resp_1"}), false),
            (Responses, json!({"previous_response_id": null}), true),
        ] {
            let found = size(dialect, &body).read_max.is_some();
            assert_eq!(found, is_bounded, "{dialect}: {body}");
        }
    }
}
