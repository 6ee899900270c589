//! The headers by which the gateway tells the simulated model who asks.
//!
//! They go to a simulated upstream only: a real provider never learns task names.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Set by clients of our own, whose requests are checked to the letter.
pub const CLIENT: &str = "x-omoi-client";
/// Role of the agent, for example `planner`.
pub const ROLE: &str = "x-omoi-role";
/// Phase the agent works in, for example `requirements`.
pub const PHASE: &str = "x-omoi-phase";
/// Plan-local id of the task, for example `TSK-003`; absent while planning.
pub const TASK: &str = "x-omoi-task";
/// Title of the task, percent-encoded.
pub const TITLE: &str = "x-omoi-title";
/// Round of the subject, counted from 1.
pub const ROUND: &str = "x-omoi-round";
/// The gateway's route, for example `title`; what goes there needs no rule.
pub const ROUTE: &str = "x-omoi-route";
/// Assistant messages in the request: which answer of the conversation this will be, from 0.
pub const TURN: &str = "x-omoi-turn";

/// Turns of the attempt that a question of our own client goes on from. For the gateway alone: it takes no
/// attempt away whose last turn is still to be kept.
pub const TURNS: &str = "x-omoi-turns";

/// Read by the official clients of both vendors: whether they ask again by themselves.
pub const SHOULD_RETRY: &str = "x-should-retry";

/// On an answer to a question beside the work of its attempt, as titles are.
pub const BESIDE_WORK: &str = "x-omoi-beside-work";

/// The headers of every request of a client of our own.
pub fn own_headers() -> HeaderMap {
    let name = HeaderName::from_static(CLIENT);
    HeaderMap::from_iter([(name, HeaderValue::from_static("omoi"))])
}

/// The turns that a question with `headers` goes on from, where it says so.
pub fn told_turns(headers: &HeaderMap) -> Option<u32> {
    headers.get(TURNS)?.to_str().ok()?.parse().ok()
}

/// Writes `text` with the letters that a header may hold: everything but ASCII letters, digits and
/// `-._~` becomes `%XX`.
pub fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Reads what [`percent_encode`] wrote; `None` when `text` is not such a writing of UTF-8 text.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digit = |d: u8| char::from(d).to_digit(16);
            out.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_survive() {
        for title in ["", "Add /export — “CSV”", "a%20b\r\nx: y", "日本語 100%"] {
            let wire = percent_encode(title);
            assert!(wire.bytes().all(|b| b.is_ascii_graphic()), "{wire}");
            assert_eq!(percent_decode(&wire).as_deref(), Some(title));
        }
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(percent_decode(broken), None, "{broken}");
        }
    }
}
