//! How many requests a caller may send: one table of limits, and the rule that spreads them over time.
//!
//! The rule is GCRA: of each caller one instant is kept, the one at which all that was let in so far would be used up at
//! an even pace. `omoi-runtime` keeps it, in this process or for all of them.

use std::time::Duration;

use crate::time::Timestamp;

crate::closed_set! {
    /// What is limited, and by what it is counted.
    RateScope {
        /// Whatever a person or a key asks.
        Caller = "caller",
        /// What a person or a key changes.
        CallerWrites = "caller_writes",
        /// Searches and exports of a person or a key.
        CallerSearch = "caller_search",
        /// Keys for providers of models that a person brings or takes away.
        ProviderKeys = "provider_keys",
        /// What strangers ask from an address.
        Address = "address",
        /// Credentials from an address that open nothing.
        BadCredential = "bad_credential",
        /// Refreshes of one session.
        RefreshFamily = "refresh_family",
        /// Codes and links that strangers bring from an address.
        AddressTokens = "address_tokens",
        /// Sign-ins by a provider that are begun from an address.
        AddressProviders = "address_providers",
    }
}

/// How many in a minute, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateRule {
    /// Requests within a minute, at an even pace.
    pub per_minute: u32,
    /// Requests that may come at once.
    pub burst: u32,
}

/// What the rule says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateAnswer {
    /// Requests that may come at once.
    pub limit: u32,
    /// Of them, how many still may.
    pub remaining: u32,
    /// When all of them may again.
    pub reset: Duration,
    /// How long a refused caller waits; none where the request is let in.
    pub retry_after: Option<Duration>,
}

impl RateScope {
    /// The limit of the scope.
    pub const fn rate_rule(self) -> RateRule {
        let (per_minute, burst) = match self {
            Self::Caller => (600, 100),
            Self::CallerWrites => (120, 60),
            Self::CallerSearch => (30, 30),
            // Each change has work go on that waits for a provider.
            Self::ProviderKeys => (20, 20),
            Self::Address => (60, 60),
            Self::BadCredential => (60, 60),
            Self::RefreshFamily => (30, 30),
            Self::AddressTokens => (120, 60),
            Self::AddressProviders => (20, 20),
        };
        RateRule { per_minute, burst }
    }

    /// Whether nobody is let in while nobody can count for all processes: what strangers might guess waits, what is
    /// known is counted by each process alone.
    pub const fn fails_closed(self) -> bool {
        match self {
            Self::RefreshFamily | Self::AddressTokens | Self::AddressProviders => true,
            Self::Caller
            | Self::CallerWrites
            | Self::CallerSearch
            | Self::ProviderKeys
            | Self::Address
            | Self::BadCredential => false,
        }
    }
}

impl RateRule {
    /// Time between two requests at an even pace.
    pub const fn even_pace(self) -> Duration {
        Duration::from_micros(60_000_000 / self.per_minute as u64)
    }

    /// How far ahead of an even pace a caller may be.
    pub fn burst_time(self) -> Duration {
        self.even_pace() * self.burst
    }
}

/// Judges a request that comes `now`, of a caller whose `spent_until` is known; with it the instant to keep, which is
/// none where the request is refused.
pub fn judge_request(
    rule: RateRule,
    spent_until: Option<Timestamp>,
    now: Timestamp,
) -> (RateAnswer, Option<Timestamp>) {
    let spent = spent_until.map_or(now, |spent| spent.max(now));
    let next = spent + rule.even_pace();
    match next.since(now) <= rule.burst_time() {
        true => (answer_at(rule, next, now), Some(next)),
        false => {
            let wait = next.since(now).saturating_sub(rule.burst_time());
            let answer = answer_at(rule, spent, now);
            let retry_after = Some(wait);
            (
                RateAnswer {
                    retry_after,
                    ..answer
                },
                None,
            )
        }
    }
}

/// What a caller is told whose `spent_until` is that, and who was let in.
pub fn answer_at(rule: RateRule, spent_until: Timestamp, now: Timestamp) -> RateAnswer {
    let spent = spent_until.since(now);
    let room = rule.burst_time().saturating_sub(spent);
    RateAnswer {
        limit: rule.burst,
        remaining: (room.as_micros() / rule.even_pace().as_micros()) as u32,
        reset: spent,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(1_760_000_000_000_000) + Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_is_let_in_and_the_rest_at_an_even_pace() {
        let rule = RateRule {
            per_minute: 60,
            burst: 3,
        };
        let mut spent = None;
        let mut ask = |now| {
            let (answer, next) = judge_request(rule, spent, now);
            spent = next.or(spent);
            answer
        };
        for remaining in [2, 1, 0] {
            let answer = ask(at(0));
            assert_eq!((answer.remaining, answer.retry_after), (remaining, None));
        }
        let refused = ask(at(0));
        assert_eq!(refused.retry_after, Some(Duration::from_secs(1)));
        assert_eq!(
            (refused.remaining, refused.reset),
            (0, Duration::from_secs(3))
        );
        // A refusal costs nothing.
        assert_eq!(ask(at(999)).retry_after, Some(Duration::from_millis(1)));
        assert_eq!(ask(at(1_000)).retry_after, None);
        assert!(ask(at(1_000)).retry_after.is_some());
        // After silence the whole burst is there again, and no more; a clock that was set back refuses for no longer.
        for _ in 0..3 {
            assert_eq!(ask(at(60_000)).retry_after, None);
        }
        assert!(ask(at(60_000)).retry_after.is_some());
    }

    #[test]
    fn every_scope_lets_somebody_in() {
        for scope in RateScope::ALL {
            let rule = scope.rate_rule();
            assert!(rule.per_minute > 0 && rule.burst > 0, "{scope}");
            let (answer, _) = judge_request(rule, None, at(0));
            let told = (answer.limit, answer.remaining, answer.retry_after);
            assert_eq!(told, (rule.burst, rule.burst - 1, None), "{scope}");
        }
    }
}
