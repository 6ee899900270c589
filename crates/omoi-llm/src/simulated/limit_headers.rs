//! The headers by which each vendor tells its limits.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use omoi_domain::time::Timestamp;

use super::Dialect;
use crate::scenario::{CountLimit, ProviderLimits, WindowLimit};

/// Adds what `limits` tells. One vendor names the instant of a reset, which takes `now`; the other
/// says how long it is until then.
pub(super) fn add_limits(
    headers: &mut HeaderMap,
    wire: Dialect,
    limits: &ProviderLimits,
    now: Timestamp,
) {
    let lines = match wire {
        Dialect::Messages => anthropic_lines(limits, now),
        Dialect::ChatCompletions | Dialect::Responses => openai_lines(limits),
    };
    for (name, value) in lines {
        // Both are made of letters and digits of our own.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}

type HeaderLines = Vec<(String, String)>;

fn anthropic_lines(limits: &ProviderLimits, now: Timestamp) -> HeaderLines {
    let mut lines = HeaderLines::new();
    for (meter, limit) in [
        ("requests", limits.requests),
        ("tokens", limits.tokens),
        ("input-tokens", limits.input_tokens),
        ("output-tokens", limits.output_tokens),
    ] {
        let Some(CountLimit {
            limit,
            remaining,
            reset_s,
        }) = limit
        else {
            continue;
        };
        let at = now + Duration::from_secs(reset_s);
        let reset = format!("{}T{}Z", at.calendar_date(), at.time_of_day());
        let name = |part: &str| format!("anthropic-ratelimit-{meter}-{part}");
        lines.extend([
            (name("limit"), limit.to_string()),
            (name("remaining"), remaining.to_string()),
            (name("reset"), reset),
        ]);
    }
    lines.extend(unified_lines(limits, now));
    lines
}

/// The windows of a subscription; the one that is fuller speaks for both.
fn unified_lines(limits: &ProviderLimits, now: Timestamp) -> HeaderLines {
    let windows = [
        ("5h", "five_hour", limits.five_hours),
        ("7d", "seven_day", limits.seven_days),
    ];
    let windows = windows.into_iter();
    let windows: Vec<_> = windows
        .filter_map(|(short, claim, window)| Some((short, claim, window?)))
        .collect();
    let epoch_s = |window: &WindowLimit| {
        let at = now + Duration::from_secs(window.reset_s);
        (at.as_micros() / 1_000_000).to_string()
    };
    let name = |part: &str| format!("anthropic-ratelimit-unified-{part}");
    let mut lines = HeaderLines::new();
    for (short, _, window) in &windows {
        let used = window.used_percent as f64 / 100.0;
        lines.extend([
            (
                name(&format!("{short}-status")),
                status_of(window).to_owned(),
            ),
            (name(&format!("{short}-utilization")), used.to_string()),
            (name(&format!("{short}-reset")), epoch_s(window)),
        ]);
    }
    if let Some((_, claim, window)) = windows
        .iter()
        .rev()
        .max_by_key(|(_, _, window)| window.used_percent)
    {
        lines.extend([
            (name("status"), status_of(window).to_owned()),
            (name("reset"), epoch_s(window)),
            (name("representative-claim"), (*claim).to_owned()),
        ]);
    }
    lines
}

fn status_of(window: &WindowLimit) -> &'static str {
    match window.used_percent {
        100.. => "rejected",
        75.. => "allowed_warning",
        _ => "allowed",
    }
}

fn openai_lines(limits: &ProviderLimits) -> HeaderLines {
    let mut lines = HeaderLines::new();
    for (meter, limit) in [("requests", limits.requests), ("tokens", limits.tokens)] {
        let Some(CountLimit {
            limit,
            remaining,
            reset_s,
        }) = limit
        else {
            continue;
        };
        let name = |part: &str| format!("x-ratelimit-{part}-{meter}");
        lines.extend([
            (name("limit"), limit.to_string()),
            (name("remaining"), remaining.to_string()),
            (name("reset"), go_duration(reset_s)),
        ]);
    }
    for (rank, minutes, window) in [
        ("primary", 300, limits.five_hours),
        ("secondary", 10_080, limits.seven_days),
    ] {
        let Some(window) = window else { continue };
        let name = |part: &str| format!("x-codex-{rank}-{part}");
        lines.extend([
            (name("used-percent"), window.used_percent.to_string()),
            (name("window-minutes"), minutes.to_string()),
            (name("reset-after-seconds"), window.reset_s.to_string()),
        ]);
    }
    lines
}

/// A length of time as the vendor writes it: `5h0m0s`, `6m0s`, `1s`.
fn go_duration(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use super::*;

    fn told(wire: Dialect, limits: &ProviderLimits) -> Vec<String> {
        let mut headers = HeaderMap::new();
        let now = Timestamp::of_date("2026-11-28").unwrap();
        add_limits(&mut headers, wire, limits, now);
        let lines = headers.iter();
        let mut lines: Vec<_> = lines
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn each_vendor_tells_its_limits_in_its_own_headers() {
        let limits = ProviderLimits {
            requests: Some(CountLimit {
                limit: 50,
                remaining: 0,
                reset_s: 18_061,
            }),
            input_tokens: Some(CountLimit {
                limit: 9,
                remaining: 1,
                reset_s: 59,
            }),
            five_hours: Some(WindowLimit {
                used_percent: 100,
                reset_s: 18_000,
            }),
            seven_days: Some(WindowLimit {
                used_percent: 80,
                reset_s: 86_400,
            }),
            ..ProviderLimits::default()
        };
        assert_eq!(
            told(Dialect::Messages, &limits),
            [
                "anthropic-ratelimit-input-tokens-limit: 9",
                "anthropic-ratelimit-input-tokens-remaining: 1",
                "anthropic-ratelimit-input-tokens-reset: 2026-11-28T00:00:59Z",
                "anthropic-ratelimit-requests-limit: 50",
                "anthropic-ratelimit-requests-remaining: 0",
                "anthropic-ratelimit-requests-reset: 2026-11-28T05:01:01Z",
                "anthropic-ratelimit-unified-5h-reset: 1795842000",
                "anthropic-ratelimit-unified-5h-status: rejected",
                "anthropic-ratelimit-unified-5h-utilization: 1",
                "anthropic-ratelimit-unified-7d-reset: 1795910400",
                "anthropic-ratelimit-unified-7d-status: allowed_warning",
                "anthropic-ratelimit-unified-7d-utilization: 0.8",
                "anthropic-ratelimit-unified-representative-claim: five_hour",
                "anthropic-ratelimit-unified-reset: 1795842000",
                "anthropic-ratelimit-unified-status: rejected",
            ]
        );
        let openai = [
            "x-codex-primary-reset-after-seconds: 18000",
            "x-codex-primary-used-percent: 100",
            "x-codex-primary-window-minutes: 300",
            "x-codex-secondary-reset-after-seconds: 86400",
            "x-codex-secondary-used-percent: 80",
            "x-codex-secondary-window-minutes: 10080",
            "x-ratelimit-limit-requests: 50",
            "x-ratelimit-remaining-requests: 0",
            "x-ratelimit-reset-requests: 5h1m1s",
        ];
        assert_eq!(told(Dialect::ChatCompletions, &limits), openai);
        assert_eq!(told(Dialect::Responses, &limits), openai);
        assert_eq!(told(Dialect::Messages, &ProviderLimits::default()), [""; 0]);
        assert_eq!([59, 61, 7200].map(go_duration), ["59s", "1m1s", "2h0m0s"]);
    }
}
