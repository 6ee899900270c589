//! Counts requests by the rule of `omoi_domain::access::rate_limit`: in Redis for all processes where there is one, else in
//! this one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use omoi_domain::access::rate_limit::{RateAnswer, RateRule, RateScope, answer_at, judge_request};
use omoi_domain::time::Timestamp;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tracing::warn;

use crate::bus::{BusError, open_client};
use crate::clock::{Clocked, with_deadline};
use crate::options::RedisOptions;

/// Callers that are told apart in this process at once, at most.
const SUBJECTS_MAX: usize = 50_000;
/// How long a request waits for the server.
const ANSWER_LIMIT: Duration = Duration::from_millis(250);
/// How long the server is not asked after it did not answer.
const AWAY_PAUSE: Duration = Duration::from_secs(5);

/// `judge_request` where all processes count. Keys: the caller. Arguments: pace and burst in microseconds. Gives how far
/// ahead of an even pace the caller is, and how long they wait, in microseconds; the server's clock is that of all.
const JUDGE_SCRIPT: &str = "
local pace, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local spent = tonumber(redis.call('GET', KEYS[1]) or '0')
if spent < now then spent = now end
local next = spent + pace
if next - now > burst then return {spent - now, next - now - burst} end
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
return {next - now, 0}";

/// The server that counts for all processes does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server that counts requests does not answer")]
pub struct CounterAway;

/// Counts requests. Cheap to clone; the clones count together.
#[derive(Clone)]
pub struct RateLimiter {
    clock: Clocked,
    here: Arc<Mutex<LocalCounts>>,
    shared: Option<SharedCounts>,
}

#[derive(Debug, Default)]
struct LocalCounts {
    spent_until: HashMap<(RateScope, String), Timestamp>,
    /// Until when the server is not asked again.
    away_until: Option<Timestamp>,
}

#[derive(Clone)]
struct SharedCounts {
    connection: ConnectionManager,
    key_prefix: String,
}

impl RateLimiter {
    /// Counts in this process alone.
    pub fn of_process(clock: Clocked) -> Self {
        Self {
            clock,
            here: Arc::default(),
            shared: None,
        }
    }

    /// Counts with all processes on a Redis server. Does not wait for it.
    ///
    /// # Errors
    /// [`BusError::Address`] when the address is malformed.
    pub fn of_server(clock: Clocked, options: &RedisOptions) -> Result<Self, BusError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(ANSWER_LIMIT))
            .set_response_timeout(Some(ANSWER_LIMIT));
        let shared = SharedCounts {
            connection: open_client(options, config)?,
            key_prefix: options.key_prefix.clone(),
        };
        Ok(Self {
            shared: Some(shared),
            ..Self::of_process(clock)
        })
    }

    /// Judges one request of `subject`, and counts it where it is let in.
    ///
    /// # Errors
    /// [`CounterAway`] for a scope that lets nobody in while only this process counts.
    pub async fn judge_one(
        &self,
        scope: RateScope,
        subject: &str,
    ) -> Result<RateAnswer, CounterAway> {
        let Some(shared) = &self.shared else {
            return Ok(self.judge_here(scope, subject));
        };
        let is_away = {
            let away_until = self.lock().away_until;
            away_until.is_some_and(|until| self.clock.now() < until)
        };
        if !is_away {
            if let Some(answer) = self.judge_shared(shared, scope, subject).await {
                return Ok(answer);
            }
            let mut counts = self.lock();
            counts.away_until = Some(self.clock.now() + AWAY_PAUSE);
        }
        match scope.fails_closed() {
            true => Err(CounterAway),
            false => Ok(self.judge_here(scope, subject)),
        }
    }

    fn judge_here(&self, scope: RateScope, subject: &str) -> RateAnswer {
        let now = self.clock.now();
        let mut counts = self.lock();
        let key = (scope, subject.to_owned());
        let spent_until = counts.spent_until.get(&key).copied();
        let (answer, next) = judge_request(scope.rate_rule(), spent_until, now);
        if let Some(next) = next {
            counts.make_room(now);
            counts.spent_until.insert(key, next);
        }
        answer
    }

    async fn judge_shared(
        &self,
        shared: &SharedCounts,
        scope: RateScope,
        subject: &str,
    ) -> Option<RateAnswer> {
        let rule = scope.rate_rule();
        let mut command = redis::cmd("EVAL");
        command
            .arg(JUDGE_SCRIPT)
            .arg(1)
            .arg(format!("{}:rate:{scope}:{subject}", shared.key_prefix))
            .arg(rule.even_pace().as_micros() as u64)
            .arg(rule.burst_time().as_micros() as u64);
        let mut connection = shared.connection.clone();
        let judged = command.query_async::<(u64, u64)>(&mut connection);
        match with_deadline(&*self.clock, ANSWER_LIMIT, judged).await {
            Ok(Ok((spent, wait))) => Some(told_answer(rule, spent, wait)),
            Ok(Err(error)) => {
                warn!(%error, "Requests cannot be counted for all processes now");
                None
            }
            Err(_) => {
                warn!("Requests cannot be counted for all processes now: the server is silent");
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, LocalCounts> {
        // Each critical section leaves the counts whole.
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalCounts {
    /// Forgets who may ask at once again; where nobody may, all: so many are no longer told apart.
    fn make_room(&mut self, now: Timestamp) {
        if self.spent_until.len() < SUBJECTS_MAX {
            return;
        }
        self.spent_until.retain(|_, spent| *spent > now);
        if self.spent_until.len() >= SUBJECTS_MAX {
            self.spent_until.clear();
        }
    }
}

impl std::fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimiter")
            .field("is_shared", &self.shared.is_some())
            .finish_non_exhaustive()
    }
}

fn told_answer(rule: RateRule, spent: u64, wait: u64) -> RateAnswer {
    let now = Timestamp::from_micros(0);
    let answer = answer_at(rule, now + Duration::from_micros(spent), now);
    let retry_after = (wait > 0).then(|| Duration::from_micros(wait));
    RateAnswer {
        retry_after,
        ..answer
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;
    use crate::clock::ManualClock;

    #[tokio::test]
    async fn callers_and_scopes_are_counted_apart() {
        let clock = ManualClock::new(Timestamp::from_micros(1_760_000_000_000_000));
        let limiter = RateLimiter::of_process(Arc::new(clock.clone()));
        let scope = RateScope::AddressProviders;
        for remaining in (0..20).rev() {
            let answer = limiter.judge_one(scope, "192.0.2.1").await.unwrap();
            assert_eq!((answer.remaining, answer.retry_after), (remaining, None));
        }
        let refused = limiter.judge_one(scope, "192.0.2.1").await.unwrap();
        assert_eq!(refused.retry_after, Some(Duration::from_secs(3)));
        let other = limiter.judge_one(scope, "192.0.2.2").await.unwrap();
        assert_eq!(other.retry_after, None);
        let elsewhere = limiter.judge_one(RateScope::Address, "192.0.2.1").await;
        assert_eq!(elsewhere.unwrap().retry_after, None);
        clock.advance(Duration::from_secs(3));
        let again = limiter.clone().judge_one(scope, "192.0.2.1").await.unwrap();
        assert_eq!(again.retry_after, None);
    }

    #[test]
    fn no_more_callers_are_kept_than_may_be() {
        let mut counts = LocalCounts::default();
        let now = Timestamp::from_micros(1_760_000_000_000_000);
        let mut fill = |spent: Timestamp| {
            for n in counts.spent_until.len()..SUBJECTS_MAX {
                let key = (RateScope::Address, format!("{spent} {n}"));
                counts.spent_until.insert(key, spent);
            }
            counts.make_room(now);
            counts.spent_until.len()
        };
        assert_eq!(fill(now), 0);
        assert_eq!(fill(now + Duration::from_secs(1)), 0);
    }
}
