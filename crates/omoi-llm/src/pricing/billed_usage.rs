//! What a provider bills of a call: tokens by kind, how it was served, where, and searches.

use serde_json::{Map, Value};

use omoi_domain::model_price::ServiceLevel;

use crate::route::ModelRoute;
use crate::token_count::RequestSize;
use crate::wire::anthropic::TokenUsage;

/// Tokens of one or several calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Read at full price.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written to the prompt cache for its usual life: 5 minutes at some makers, 30 at others.
    pub cache_write: u64,
    /// Written to the prompt cache for a long life: an hour at some makers, 12 at others.
    pub cache_write_1h: u64,
}

impl TokenCounts {
    /// Everything read, at whatever price.
    pub const fn read_tokens(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_1h)
    }

    /// What `usage` names; what it leaves out is 0.
    pub fn of_usage(usage: &TokenUsage) -> Self {
        let by_age = usage.cache_creation.as_ref();
        let of_age = |tokens: Option<u64>| tokens.unwrap_or(0);
        let cache_write_1h = by_age.map_or(0, |c| of_age(c.ephemeral_1h_input_tokens));
        let written = usage.cache_creation_input_tokens.unwrap_or_else(|| {
            let young = by_age.map_or(0, |c| of_age(c.ephemeral_5m_input_tokens));
            young.saturating_add(cache_write_1h)
        });
        Self {
            input: usage.input_tokens.unwrap_or(0),
            output: usage.output_tokens.unwrap_or(0),
            cache_read: usage.cache_read_input_tokens.unwrap_or(0),
            cache_write: written.saturating_sub(cache_write_1h),
            cache_write_1h,
        }
    }
}

impl std::ops::AddAssign for TokenCounts {
    fn add_assign(&mut self, more: Self) {
        self.input = self.input.saturating_add(more.input);
        self.output = self.output.saturating_add(more.output);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
        self.cache_write_1h = self.cache_write_1h.saturating_add(more.cache_write_1h);
    }
}

/// What one call is billed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BilledUsage {
    /// Tokens read and answered.
    pub tokens: TokenCounts,
    /// How the call was served.
    pub service: ServiceLevel,
    /// Web searches that the provider made.
    pub searches: u64,
    /// The call was to be served in the United States alone, which some makers charge for.
    pub is_us_only: bool,
}

impl BilledUsage {
    /// What `usage` names of a whole answer.
    pub fn of_usage(usage: &TokenUsage) -> Self {
        Self::with_tokens(usage, TokenCounts::of_usage(usage))
    }

    /// What a request of `size` may be billed at most on `route`: all of it read at the dearest of what its
    /// provider may bill it as. Some makers write to their cache without being asked, so that a mark is no
    /// condition; an hour has to be asked for.
    pub(crate) fn projected_usage(size: &RequestSize, route: &ModelRoute) -> Self {
        let read = size
            .read_reserved
            .min(route.window_tokens.unwrap_or(u64::MAX));
        let output = size.answered_max(route.max_tokens);
        let billed_as = |read: TokenCounts| Self {
            tokens: TokenCounts { output, ..read },
            service: size.service,
            // No question goes out that lets its provider search.
            searches: 0,
            is_us_only: size.is_us_only,
        };
        let nothing = TokenCounts::default();
        let plain = billed_as(TokenCounts {
            input: read,
            ..nothing
        });
        let written = billed_as(TokenCounts {
            cache_write: read,
            ..nothing
        });
        let for_hour = billed_as(TokenCounts {
            cache_write_1h: read,
            ..nothing
        });
        let dearer = |one: Self, other: Self| {
            let is_dearer = route.price.cost_of(&other) > route.price.cost_of(&one);
            if is_dearer { other } else { one }
        };
        let asked = match size.keeps_cache_for_hour || route.keeps_cache_for_hour() {
            true => dearer(plain, for_hour),
            false => plain,
        };
        dearer(asked, written)
    }

    /// `tokens`, served as `usage` says.
    pub(crate) fn with_tokens(usage: &TokenUsage, tokens: TokenCounts) -> Self {
        let searched = usage.extra.get("server_tool_use");
        let searches = searched.and_then(|tools| tools.get("web_search_requests"));
        Self {
            tokens,
            service: service_named(&usage.extra),
            searches: searches.and_then(Value::as_u64).unwrap_or(0),
            is_us_only: is_us_only(&usage.extra),
        }
    }
}

/// The service level that `fields` name: those of a usage, which tell it, or of a request, which asks for it.
pub(crate) fn service_named(fields: &Map<String, Value>) -> ServiceLevel {
    let word = |name: &str| fields.get(name).and_then(Value::as_str);
    if word("speed") == Some("fast") {
        return ServiceLevel::Fast;
    }
    match word("service_tier") {
        Some("batch") => ServiceLevel::Batch,
        Some("flex") => ServiceLevel::Flex,
        // One maker sells its priority under a second name.
        Some("priority" | "fast") => ServiceLevel::Priority,
        Some("ultrafast") => ServiceLevel::Ultrafast,
        _ => ServiceLevel::Standard,
    }
}

/// Whether `fields` of a usage or request name the United States as the only place.
pub(crate) fn is_us_only(fields: &Map<String, Value>) -> bool {
    let place = fields.get("inference_geo").and_then(Value::as_str);
    place.is_some_and(|place| place.eq_ignore_ascii_case("us"))
}
