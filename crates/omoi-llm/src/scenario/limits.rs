//! The limits that a provider tells with its answers: counts that fill up again, and windows of a subscription.

use std::ops::RangeInclusive;

use super::{
    checker::{MappingFields, ScenarioChecker},
    fault::RESET_S,
};

/// What a provider tells of its limits; what is not given is not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProviderLimits {
    /// Requests in a minute or so.
    pub requests: Option<CountLimit>,
    /// Tokens of any kind.
    pub tokens: Option<CountLimit>,
    /// Tokens of requests.
    pub input_tokens: Option<CountLimit>,
    /// Tokens of answers.
    pub output_tokens: Option<CountLimit>,
    /// The short window of a subscription.
    pub five_hours: Option<WindowLimit>,
    /// The long window of a subscription.
    pub seven_days: Option<WindowLimit>,
}

/// A count that is used up and fills up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountLimit {
    /// The most there can be.
    pub limit: u64,
    /// How much of it is left.
    pub remaining: u64,
    /// Seconds until it is full again.
    pub reset_s: u64,
}

/// A window of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimit {
    /// How much of it is used up, in percent.
    pub used_percent: u64,
    /// Seconds until a new one begins.
    pub reset_s: u64,
}

const KEYS: &[&str] = &[
    "requests",
    "tokens",
    "input_tokens",
    "output_tokens",
    "five_hours",
    "seven_days",
];
const COUNT: RangeInclusive<u64> = 0..=1_000_000_000_000;
const PERCENT: RangeInclusive<u64> = 0..=100;

/// Reads `limits` of a rule or a fault.
pub(super) fn read_limits(
    checker: &mut ScenarioChecker<'_>,
    fields: &mut MappingFields,
) -> ProviderLimits {
    let Some(node) = fields.take_field("limits") else {
        return ProviderLimits::default();
    };
    let Some(mut fields) = checker.open_fields("`limits`", node, KEYS) else {
        return ProviderLimits::default();
    };
    ProviderLimits {
        requests: read_count(checker, &mut fields, "requests"),
        tokens: read_count(checker, &mut fields, "tokens"),
        input_tokens: read_count(checker, &mut fields, "input_tokens"),
        output_tokens: read_count(checker, &mut fields, "output_tokens"),
        five_hours: read_window(checker, &mut fields, "five_hours"),
        seven_days: read_window(checker, &mut fields, "seven_days"),
    }
}

fn read_count(
    checker: &mut ScenarioChecker<'_>,
    fields: &mut MappingFields,
    key: &'static str,
) -> Option<CountLimit> {
    let node = fields.take_field(key)?;
    let known = &["limit", "remaining", "reset_s"];
    let mut fields = checker.open_fields("a limit", node, known)?;
    let limit = required_number(checker, &mut fields, "limit", COUNT);
    let remaining = required_number(checker, &mut fields, "remaining", COUNT);
    let reset_s = required_number(checker, &mut fields, "reset_s", RESET_S);
    Some(CountLimit {
        limit: limit?,
        remaining: remaining?,
        reset_s: reset_s?,
    })
}

fn read_window(
    checker: &mut ScenarioChecker<'_>,
    fields: &mut MappingFields,
    key: &'static str,
) -> Option<WindowLimit> {
    let node = fields.take_field(key)?;
    let known = &["used_percent", "reset_s"];
    let mut fields = checker.open_fields("a window", node, known)?;
    let used_percent = required_number(checker, &mut fields, "used_percent", PERCENT);
    let reset_s = required_number(checker, &mut fields, "reset_s", RESET_S);
    Some(WindowLimit {
        used_percent: used_percent?,
        reset_s: reset_s?,
    })
}

fn required_number(
    checker: &mut ScenarioChecker<'_>,
    fields: &mut MappingFields,
    key: &'static str,
    bounds: RangeInclusive<u64>,
) -> Option<u64> {
    let node = checker.required_field(fields, key)?;
    checker.read_number(key, &node, bounds)
}
