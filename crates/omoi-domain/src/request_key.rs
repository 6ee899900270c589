//! Requests that their sender named by an `Idempotency-Key`, so that they are done once however often they come.

use std::time::Duration;

use crate::closed_set;
use crate::time::Timestamp;

/// Characters of a key at most.
pub const KEY_CHARS_MAX: usize = 128;
/// How long the answer to a key is kept.
pub const KEY_KEPT_FOR: Duration = Duration::from_hours(24);
/// How long a request may take before one that comes again takes its place.
pub const KEY_LEASE: Duration = Duration::from_mins(1);

closed_set! {
    /// How far a named request has come.
    RequestState {
        /// It was taken up; nothing of it is written.
        Open = "open",
        /// What it asks for is written, and no answer is kept.
        Done = "done",
        /// Its answer is kept.
        Answered = "answered",
        /// It was answered with what is told once.
        Shown = "shown",
    }
}

/// An earlier request of the same sender with the same key.
#[derive(Clone, Copy, Debug)]
pub struct EarlierRequest {
    /// How far it has come.
    pub state: RequestState,
    /// Whether it had the same body.
    pub is_same_body: bool,
    /// Until when nobody takes its place.
    pub lease_until: Timestamp,
    /// Until when it counts.
    pub expires_at: Timestamp,
}

/// What becomes of a request with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyDecision {
    /// It is carried out: the key is new, or what it named is forgotten.
    Run,
    /// It is carried out in place of an earlier one that came to nothing.
    TakeOver,
    /// It is answered with what the earlier one was answered.
    Replay,
    /// It is answered from the rows: the earlier one changed them, and its answer is lost.
    ShowAgain,
    /// It is to come again later.
    Wait,
    /// The key is that of another request.
    RefuseReuse,
    /// The answer was told once.
    RefuseShown,
}

/// Decides what becomes of a request at `now` whose key an `earlier` one had, if one did.
pub fn judge_key(earlier: Option<EarlierRequest>, now: Timestamp) -> KeyDecision {
    let Some(earlier) = earlier.filter(|earlier| now < earlier.expires_at) else {
        return KeyDecision::Run;
    };
    if !earlier.is_same_body {
        return KeyDecision::RefuseReuse;
    }
    match earlier.state {
        RequestState::Answered => KeyDecision::Replay,
        RequestState::Shown => KeyDecision::RefuseShown,
        // Whoever wrote may still be about to answer.
        RequestState::Open | RequestState::Done if now < earlier.lease_until => KeyDecision::Wait,
        RequestState::Open => KeyDecision::TakeOver,
        RequestState::Done => KeyDecision::ShowAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn check(earlier: Option<EarlierRequest>, now_s: i64, expected: KeyDecision) {
        assert_eq!(
            judge_key(earlier, at(now_s)),
            expected,
            "{earlier:?} {now_s}"
        );
    }

    #[test]
    fn state_body_and_time_decide() {
        use KeyDecision::{RefuseReuse, RefuseShown, Replay, Run, ShowAgain, TakeOver, Wait};
        let of = |state, is_same_body| {
            Some(EarlierRequest {
                state,
                is_same_body,
                lease_until: at(60),
                expires_at: at(86_400),
            })
        };
        check(None, 0, Run);
        for (state, within_lease, after_it) in [
            (RequestState::Open, Wait, TakeOver),
            (RequestState::Done, Wait, ShowAgain),
            (RequestState::Answered, Replay, Replay),
            (RequestState::Shown, RefuseShown, RefuseShown),
        ] {
            check(of(state, true), 59, within_lease);
            check(of(state, true), 60, after_it);
            check(of(state, false), 59, RefuseReuse);
            check(of(state, false), 86_399, RefuseReuse);
            check(of(state, false), 86_400, Run);
            check(of(state, true), 86_400, Run);
        }
    }
}
