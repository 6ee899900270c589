//! Limits of credentials as providers tell them, so that nobody asks with one whose limit is used up.
//!
//! A limit belongs to a credential, whoever uses it: all calls of a process share this board, and all
//! processes share its rows through a [`QuotaBook`]. What a board says is a hint: a provider's refusal
//! closes a credential, the time that it named opens it again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use http::HeaderMap;

use omoi_domain::time::Timestamp;

/// Counts of Anthropic's that fill up again.
const ANTHROPIC_METERS: [&str; 4] = ["requests", "tokens", "input-tokens", "output-tokens"];
/// Windows of a subscription there.
const ANTHROPIC_WINDOWS: [&str; 3] = ["unified", "unified-5h", "unified-7d"];
/// Counts of OpenAI's that fill up again.
const OPENAI_METERS: [&str; 2] = ["requests", "tokens"];
/// Windows of a subscription there.
const OPENAI_WINDOWS: [&str; 2] = ["primary", "secondary"];

/// A credential whose limit is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedCredential {
    /// Names the credential without telling it.
    pub credential: String,
    /// When its provider answers again.
    pub open_at: Timestamp,
}

/// Keeps closed credentials for all processes.
pub trait QuotaBook: Send + Sync + 'static {
    /// Keeps `closed`, and gives every credential that is closed now.
    fn exchange_closed<'a>(
        &'a self,
        closed: &'a [ClosedCredential],
    ) -> BoxFuture<'a, Result<Vec<ClosedCredential>, Box<dyn std::error::Error + Send + Sync>>>;
}

/// The credentials of a process whose limits are used up. Clones are the same board.
#[derive(Clone, Default)]
pub struct QuotaBoard(Arc<BoardState>);

#[derive(Default)]
struct BoardState {
    closed: Mutex<BTreeMap<String, Timestamp>>,
    /// Not yet in the book.
    unwritten: Mutex<Vec<ClosedCredential>>,
    book: OnceLock<Arc<dyn QuotaBook>>,
}

impl std::fmt::Debug for QuotaBoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("QuotaBoard").finish_non_exhaustive()
    }
}

impl QuotaBoard {
    /// Shares the board with other processes by `book`; the first one stays.
    pub fn set_book(&self, book: Arc<dyn QuotaBook>) {
        let _ = self.0.book.set(book);
    }

    /// Until when `credential` is closed, where that lies after `now`.
    pub fn closed_until(&self, credential: &str, now: Timestamp) -> Option<Timestamp> {
        let closed = lock(&self.0.closed);
        closed
            .get(credential)
            .copied()
            .filter(|open_at| *open_at > now)
    }

    /// Closes `credential` until `open_at`, or longer where it is already.
    pub fn close(&self, credential: &str, open_at: Timestamp) {
        let mut closed = lock(&self.0.closed);
        let known = closed.entry(credential.to_owned()).or_default();
        if *known >= open_at {
            return;
        }
        *known = open_at;
        drop(closed);
        lock(&self.0.unwritten).push(ClosedCredential {
            credential: credential.to_owned(),
            open_at,
        });
    }

    /// Writes to the book what it does not have, and takes over what other processes know.
    pub async fn exchange_closed(&self) {
        let Some(book) = self.0.book.get() else {
            return;
        };
        let unwritten = std::mem::take(&mut *lock(&self.0.unwritten));
        match book.exchange_closed(&unwritten).await {
            Ok(all) => {
                let mut closed = lock(&self.0.closed);
                for ClosedCredential {
                    credential,
                    open_at,
                } in all
                {
                    let known = closed.entry(credential).or_default();
                    *known = open_at.max(*known);
                }
            }
            // The next exchange brings it.
            Err(error) => {
                tracing::debug!(error = %error, "The limits of providers cannot be shared for now");
                lock(&self.0.unwritten).extend(unwritten);
            }
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing can panic between two changes of either.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When a provider answers again whose `headers` say that a limit is used up; none where there is room.
/// Of several limits the last to open counts.
pub fn exhausted_until(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = |name: String| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: String| text(name)?.parse::<f64>().ok();
    let counts = ANTHROPIC_METERS.into_iter().filter_map(|meter| {
        let part = |part: &str| format!("anthropic-ratelimit-{meter}-{part}");
        let is_empty = number(part("remaining"))? <= 0.0;
        is_empty.then(|| Timestamp::of_rfc3339(text(part("reset"))?))?
    });
    let windows = ANTHROPIC_WINDOWS.into_iter().filter_map(|window| {
        let part = |part: &str| format!("anthropic-ratelimit-{window}-{part}");
        let is_closed = text(part("status"))? == "rejected";
        let seconds = is_closed.then(|| text(part("reset"))?.parse::<i64>().ok())??;
        Some(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
    });
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
    let all = counts
        .chain(windows)
        .chain(other_counts)
        .chain(other_windows);
    all.max().filter(|open_at| *open_at > now)
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

    #[test]
    fn each_vendor_tells_in_its_own_way_when_it_answers_again() {
        let now = Timestamp::of_date("2026-11-28").unwrap();
        for (name, lines, seconds) in [
            ("nothing told", &[("x-request-id", "1")][..], None),
            (
                "room",
                &[
                    ("anthropic-ratelimit-requests-remaining", "1"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-28T05:00:00Z"),
                    ("anthropic-ratelimit-unified-status", "allowed_warning"),
                    ("anthropic-ratelimit-unified-reset", "1795842000"),
                ],
                None,
            ),
            (
                "tokens used up",
                &[
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", "2026-11-28T00:00:59Z"),
                ],
                Some(59),
            ),
            (
                "five hours and seven days",
                &[
                    ("anthropic-ratelimit-unified-5h-status", "rejected"),
                    ("anthropic-ratelimit-unified-5h-reset", "1795842000"),
                    ("anthropic-ratelimit-unified-7d-status", "rejected"),
                    ("anthropic-ratelimit-unified-7d-reset", "1795910400"),
                ],
                Some(86_400),
            ),
            (
                "requests used up there",
                &[
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "5h1m1s"),
                ],
                Some(18_061),
            ),
            (
                "a window used up there",
                &[
                    ("x-codex-primary-used-percent", "100"),
                    ("x-codex-primary-reset-after-seconds", "18000"),
                    ("x-codex-secondary-used-percent", "99.5"),
                    ("x-codex-secondary-reset-after-seconds", "86400"),
                ],
                Some(18_000),
            ),
            (
                "long ago",
                &[
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", "2020-11-28T00:00:59Z"),
                ],
                None,
            ),
            (
                "no time",
                &[
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "soon"),
                ],
                None,
            ),
        ] {
            let expected = seconds.map(|seconds| now + Duration::from_secs(seconds));
            assert_eq!(exhausted_until(&headers(lines), now), expected, "{name}");
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
    fn a_credential_is_closed_until_the_last_time_that_was_told() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let board = QuotaBoard::default();
        assert_eq!(board.closed_until("a", at(0)), None);
        board.close("a", at(20));
        board.close("a", at(10));
        assert_eq!(board.clone().closed_until("a", at(19)), Some(at(20)));
        assert_eq!(board.closed_until("a", at(20)), None);
        assert_eq!(board.closed_until("b", at(0)), None);
    }
}
