//! What the headers of an answer say about limits.

use std::time::Duration;

use http::HeaderMap;

use omoi_domain::time::Timestamp;

use crate::route::model_family;

/// Counts of Anthropic's that fill up again.
const ANTHROPIC_METERS: [&str; 4] = ["requests", "tokens", "input-tokens", "output-tokens"];
/// Windows of a subscription there, which hold for every model.
const ANTHROPIC_WINDOWS: [&str; 2] = ["unified-5h", "unified-7d"];
/// The window that an answer is about: one of those, or of one family of models, as its claim says.
const CLAIMED_WINDOW: &str = "unified";
/// What the claim of a window begins with; the name of a family follows where it is of one.
const CLAIM_BEGINNINGS: [&str; 2] = ["five_hour_", "seven_day_"];
/// Counts of OpenAI's that fill up again.
const OPENAI_METERS: [&str; 2] = ["requests", "tokens"];
/// Windows of a subscription there.
const OPENAI_WINDOWS: [&str; 2] = ["primary", "secondary"];
/// Until when limits are used up; none of both where there is room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToldLimits {
    /// Of the credential, whatever is asked with it.
    pub(crate) credential: Option<Timestamp>,
    /// Of the family of the model that was asked.
    pub(crate) family: Option<Timestamp>,
    /// Of the model that was asked.
    pub(crate) model: Option<Timestamp>,
}

impl ToldLimits {
    /// What the `headers` of an answer of `model` say at `now`. Of several limits the last to open counts.
    pub(crate) fn from_headers(headers: &HeaderMap, model: &str, now: Timestamp) -> Self {
        let text = |name: String| headers.get(name)?.to_str().ok().map(str::trim);
        let number = |name: String| text(name)?.parse::<f64>().ok();
        let counts = ANTHROPIC_METERS.into_iter().filter_map(|meter| {
            let part = |part: &str| format!("anthropic-ratelimit-{meter}-{part}");
            let is_empty = number(part("remaining"))? <= 0.0;
            is_empty.then(|| Timestamp::of_rfc3339(text(part("reset"))?))?
        });
        let window_end = |window: &str| {
            let part = |part: &str| format!("anthropic-ratelimit-{window}-{part}");
            let is_closed = text(part("status"))? == "rejected";
            let seconds = is_closed.then(|| text(part("reset"))?.parse::<i64>().ok())??;
            Some(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
        };
        let windows = ANTHROPIC_WINDOWS.into_iter().filter_map(window_end);
        let claimed = window_end(CLAIMED_WINDOW);
        let claim = text(format!(
            "anthropic-ratelimit-{CLAIMED_WINDOW}-representative-claim"
        ));
        let (of_family, of_all) = match claim.is_some_and(|claim| claims_family(claim, model)) {
            true => (claimed, None),
            false => (None, claimed),
        };
        let other_counts = OPENAI_METERS.into_iter().filter_map(|meter| {
            let part = |part: &str| format!("x-ratelimit-{part}-{meter}");
            let is_empty = number(part("remaining"))? <= 0.0;
            is_empty.then(|| Some(now + go_duration(text(part("reset"))?)?))?
        });
        let other_windows = OPENAI_WINDOWS.into_iter().filter_map(|window| {
            let part = |part: &str| format!("x-codex-{window}-{part}");
            let is_closed = number(part("used-percent"))? >= 100.0;
            let seconds = is_closed.then(|| text(part("reset-after-seconds"))?.parse().ok())??;
            Some(now + Duration::from_secs(seconds))
        });
        let is_ahead = |open_at: &Timestamp| *open_at > now;
        Self {
            credential: windows
                .chain(of_all)
                .chain(other_windows)
                .max()
                .filter(is_ahead),
            family: of_family.filter(is_ahead),
            model: counts.chain(other_counts).max().filter(is_ahead),
        }
    }

    /// These limits of a refusal at `now` that asks for `pause`: a count is told with the time when it is
    /// full again, and lets a question through before that.
    pub(crate) fn asking_pause(self, pause: Option<Duration>, now: Timestamp) -> Self {
        Self {
            model: pause.map(|pause| now + pause).or(self.model),
            ..self
        }
    }

    /// When all are open again.
    pub(crate) fn open_at(self) -> Option<Timestamp> {
        self.credential.max(self.family).max(self.model)
    }
}

/// Whether `claim`, such as `seven_day_opus`, is a window of the family of `model`. Other windows with a name of
/// their own are of a kind of use, whatever the model.
fn claims_family(claim: &str, model: &str) -> bool {
    let mut named = CLAIM_BEGINNINGS
        .iter()
        .filter_map(|begins| claim.strip_prefix(begins));
    let family = model_family(model);
    named.any(|name| family.split(['-', '/']).any(|word| word == name))
}

/// Reads a length of time as one vendor writes it: `5h0m0s`, `6m0s`, `1s`, `20ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let unit = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let seconds = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = after;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines.iter();
        lines
            .map(|(name, value)| {
                (
                    name.parse::<http::HeaderName>().unwrap(),
                    value.parse().unwrap(),
                )
            })
            .collect()
    }

    /// After how many seconds the credential, the family and the model are open again.
    fn all_told_after(lines: &[(&'static str, &str)]) -> [Option<u64>; 3] {
        let now = Timestamp::of_date("2026-11-28").unwrap();
        let told = ToldLimits::from_headers(&headers(lines), "claude-opus-5-5", now);
        [told.credential, told.family, told.model]
            .map(|open_at| Some(open_at?.since(now).as_secs()))
    }

    /// The same without the family, of which nothing is told.
    fn told_after(lines: &[(&'static str, &str)]) -> [Option<u64>; 2] {
        let [of_key, of_family, of_model] = all_told_after(lines);
        assert_eq!(of_family, None);
        [of_key, of_model]
    }

    #[test]
    fn a_window_of_one_family_leaves_the_others_of_its_credential() {
        let (week, day) = ("1796515200", "1795910400");
        for (claim, all_models, expected) in [
            ("seven_day_opus", "allowed", [None, Some(691_200), None]),
            (
                "seven_day_opus",
                "rejected",
                [Some(86_400), Some(691_200), None],
            ),
            // Of another family than was asked, of a kind of use, and of all.
            ("seven_day_sonnet", "allowed", [Some(691_200), None, None]),
            (
                "seven_day_oauth_apps",
                "allowed",
                [Some(691_200), None, None],
            ),
            ("seven_day", "allowed", [Some(691_200), None, None]),
            ("five_hour", "allowed", [Some(691_200), None, None]),
        ] {
            let found = all_told_after(&[
                ("anthropic-ratelimit-unified-status", "rejected"),
                ("anthropic-ratelimit-unified-reset", week),
                ("anthropic-ratelimit-unified-representative-claim", claim),
                ("anthropic-ratelimit-unified-7d-status", all_models),
                ("anthropic-ratelimit-unified-7d-reset", day),
            ]);
            assert_eq!(found, expected, "{claim}, all models {all_models}");
        }
    }

    #[test]
    fn each_vendor_tells_in_its_own_way_when_it_answers_again() {
        for (name, lines, seconds) in [
            ("nothing told", &[("x-request-id", "1")][..], [None, None]),
            (
                "room",
                &[
                    ("anthropic-ratelimit-requests-remaining", "1"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-28T05:00:00Z"),
                    ("anthropic-ratelimit-unified-status", "allowed_warning"),
                    ("anthropic-ratelimit-unified-reset", "1795842000"),
                ],
                [None, None],
            ),
            (
                "tokens used up",
                &[
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", "2026-11-28T00:00:59Z"),
                ],
                [None, Some(59)],
            ),
            (
                "five hours and seven days",
                &[
                    ("anthropic-ratelimit-unified-5h-status", "rejected"),
                    ("anthropic-ratelimit-unified-5h-reset", "1795842000"),
                    ("anthropic-ratelimit-unified-7d-status", "rejected"),
                    ("anthropic-ratelimit-unified-7d-reset", "1795910400"),
                ],
                [Some(86_400), None],
            ),
            (
                "requests used up there",
                &[
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "5h1m1s"),
                ],
                [None, Some(18_061)],
            ),
            (
                "a window used up there",
                &[
                    ("x-codex-primary-used-percent", "100"),
                    ("x-codex-primary-reset-after-seconds", "18000"),
                    ("x-codex-secondary-used-percent", "99.5"),
                    ("x-codex-secondary-reset-after-seconds", "86400"),
                ],
                [Some(18_000), None],
            ),
            (
                "long ago",
                &[
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", "2020-11-28T00:00:59Z"),
                ],
                [None, None],
            ),
            (
                "no time",
                &[
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "soon"),
                ],
                [None, None],
            ),
        ] {
            assert_eq!(told_after(lines), seconds, "{name}");
        }
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let read = ["1s", "6m0s", "20ms", "1h", "", "1", "x", "1d"].map(go_duration);
        let seconds = |s: f64| Some(Duration::from_secs_f64(s));
        let none = None;
        let expected = [
            seconds(1.0),
            seconds(360.0),
            seconds(0.02),
            seconds(3_600.0),
        ];
        assert_eq!(read[..4], expected);
        assert_eq!(read[4..], [seconds(0.0), none, none, none]);
    }

    #[test]
    fn a_pause_that_a_refusal_asks_for_wins_over_a_full_count() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let told = |of_key: Option<i64>, of_model: Option<i64>| ToldLimits {
            credential: of_key.map(at),
            family: None,
            model: of_model.map(at),
        };
        for (limits, pause, expected) in [
            (told(None, Some(60)), Some(3), told(None, Some(3))),
            (told(None, Some(60)), None, told(None, Some(60))),
            (told(Some(90), None), Some(3), told(Some(90), Some(3))),
            (told(None, None), None, told(None, None)),
        ] {
            let asked = limits.asking_pause(pause.map(Duration::from_secs), at(0));
            assert_eq!(asked, expected);
            assert_eq!(asked.open_at(), expected.credential.max(expected.model));
        }
    }
}

/// Fuzz target: headers of answers, as `name: value` lines.
#[cfg(test)]
mod fuzz {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

    use http::{HeaderName, HeaderValue};
    use omoi_testkit::fuzz::FuzzTarget;

    use super::*;

    /// Whatever a server says, what is closed opens later, and never before a pause that is asked for.
    #[test]
    fn limit_headers() {
        FuzzTarget::new(env!("CARGO_MANIFEST_DIR"), "limit_headers").run(|input| {
            let mut headers = HeaderMap::new();
            for line in input.split(|byte| *byte == b'\n') {
                let colon = line.iter().position(|byte| *byte == b':');
                let Some((name, value)) = colon.map(|at| (&line[..at], &line[at + 1..])) else {
                    continue;
                };
                let name = HeaderName::from_bytes(name);
                if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                    headers.append(name, value);
                }
            }
            let now = Timestamp::of_date("2026-11-28").unwrap();
            let told = ToldLimits::from_headers(&headers, "claude-opus-5-5", now);
            assert!(
                told.open_at().is_none_or(|open_at| open_at > now),
                "{told:?}"
            );
            let asked = told.asking_pause(Some(Duration::from_secs(9)), now);
            assert!(
                asked.open_at() >= Some(now + Duration::from_secs(9)),
                "{asked:?}"
            );
        });
    }
}
