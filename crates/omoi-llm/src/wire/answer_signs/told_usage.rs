//! Token counts that an answer tells, in one form.

use serde_json::Value;

use crate::wire::Extra;
use crate::wire::anthropic::{CacheCreation, TokenUsage};
use crate::wire::dialect::Dialect;

/// Where the usage of an answer keeps why the prompt cache was missed.
pub(crate) const CACHE_MISS: &str = "cache_miss_reason";

/// The token counts of a message, with why it missed the prompt cache where it says so: a word, or an
/// object with its kind.
pub(super) fn message_usage(message: &Value) -> Option<TokenUsage> {
    let mut usage = anthropic_usage(&message["usage"])?;
    let told = &message["diagnostics"][CACHE_MISS];
    if let Some(reason) = told.as_str().or_else(|| told["type"].as_str()) {
        usage.extra.insert(CACHE_MISS.to_owned(), reason.into());
    }
    Some(usage)
}

/// The token counts of Anthropic's.
pub(super) fn anthropic_usage(usage: &Value) -> Option<TokenUsage> {
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
