//! How many tokens a request will read and may be answered with, by rule of thumb.

mod content_count;

use serde_json::Value;

use omoi_domain::model_price::ServiceLevel;

use self::content_count::ContentCount;
use crate::pricing::{is_us_only, service_named};
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

/// Fields of a request, of whichever dialect, that steer its provider: no model reads what stands in them.
const SETTING_FIELDS: [&str; 24] = [
    "client_metadata",
    "context_management",
    "include",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "metadata",
    "model",
    "n",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "reasoning_effort",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "thinking",
    "tool_choice",
    "top_k",
    "top_p",
    "user",
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
    /// The most it can be read as: no token is shorter than a byte. `None` where it holds a document.
    pub read_max: Option<u64>,
    /// The most tokens that the caller wants of one answer, where it says so; the largest of several.
    pub answer_cap: Option<u32>,
    /// How many answers it asks for.
    pub n_answers: u32,
    /// How it asks to be served.
    pub service: ServiceLevel,
    /// Whether it asks to be served in the United States alone.
    pub is_us_only: bool,
    /// Whether it has a prompt cache keep what it reads for an hour.
    pub keeps_cache_for_hour: bool,
}

impl RequestSize {
    /// The size of a request of `dialect`, whose `body` has `body_bytes` on the wire.
    pub fn of_body(dialect: Dialect, body: &Value, body_bytes: usize) -> Self {
        let count = count_body(dialect, body);
        let read_max = (body_bytes as u64) + PREAMBLE_TOKENS + count.images;
        let files = count.images + count.documents;
        Self {
            read_estimate: count.words + files,
            read_least: count.words * WORDS_LEAST_PERCENT / 100 + count.images,
            read_reserved: (count.words * WORDS_MOST_PERCENT).div_ceil(100) + files,
            read_max: (count.documents == 0).then_some(read_max),
            answer_cap: answer_cap(dialect, body),
            n_answers: count_field(dialect)
                .and_then(|name| small_number(&body[name]))
                .unwrap_or(1)
                .max(1),
            service: body.as_object().map(service_named).unwrap_or_default(),
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
    let messages = match dialect {
        Dialect::Messages | Dialect::ChatCompletions => "messages",
        Dialect::Responses => "input",
    };
    let mut count = ContentCount::default();
    let fields = body.as_object().into_iter().flatten();
    for (_, value) in fields.filter(|(name, _)| !SETTING_FIELDS.contains(&name.as_str())) {
        count.add_value(value);
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
    fn words_count_in_whichever_field_a_model_may_read_them() {
        use Dialect::{ChatCompletions, Messages, Responses};
        let words = "word ".repeat(1_000);
        for (dialect, name, value, is_read) in [
            (Messages, "system", json!(words), true),
            (
                Messages,
                "tools",
                json!([{"name": "x", "description": words}]),
                true,
            ),
            (
                Messages,
                "output_config",
                json!({"format": {"schema": {"description": words}}}),
                true,
            ),
            (
                ChatCompletions,
                "functions",
                json!([{"name": "x", "description": words}]),
                true,
            ),
            (
                ChatCompletions,
                "prediction",
                json!({"content": words}),
                true,
            ),
            (Responses, "instructions", json!(words), true),
            (Responses, "field_of_tomorrow", json!(words), true),
            (Responses, "metadata", json!({"a": words}), false),
        ] {
            let body = json!({ name: value });
            let read = size(dialect, &body).read_estimate;
            assert_eq!(read >= 1_000, is_read, "{dialect}: {name}: {read}");
        }
    }
}
