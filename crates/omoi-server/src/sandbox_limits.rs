//! How often one sandbox may report and ask. More is refused until it has waited.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;

use omoi_domain::id::AttemptId;
use omoi_domain::time::Timestamp;
use omoi_execution::{DeploymentParts, FromParts};
use omoi_runtime::clock::Clocked;

const MINUTE: Duration = Duration::from_mins(1);
/// Sandboxes whose traffic is remembered before those that are quiet are forgotten.
const REMEMBERED_MAX: usize = 4_096;

/// What a sandbox sends; each kind is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SandboxTraffic {
    /// Events, each of a batch by itself.
    Events,
    /// Signs of life.
    Heartbeats,
    /// Questions for messages of people.
    MessagePolls,
    /// Connections to the proxy.
    Connections,
    /// Every other report.
    Reports,
    /// Requests to the model gateway.
    ModelRequests,
}

impl SandboxTraffic {
    /// The kind of a report by its method and the last part of its path; none for events, which are
    /// counted once their number is known.
    pub(crate) fn of_report(method: &Method, path: &str) -> Option<Self> {
        Some(match path.rsplit('/').next().unwrap_or_default() {
            "events" => return None,
            "heartbeat" => Self::Heartbeats,
            "messages" if method == Method::GET => Self::MessagePolls,
            "egress" => Self::Connections,
            _ => Self::Reports,
        })
    }

    /// Its name in a refusal.
    const fn plural_name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Heartbeats => "heartbeats",
            Self::MessagePolls => "questions for messages",
            Self::Connections => "connections",
            Self::Reports => "reports",
            Self::ModelRequests => "model requests",
        }
    }
}

/// A rate, and for how long it may be passed by.
#[derive(Clone, Copy, Debug)]
struct TrafficRate {
    per_minute: u32,
    /// What this time allows may come at once.
    burst: Duration,
}

/// The counts of every sandbox. Clones share them.
#[derive(Clone)]
pub struct TrafficLimits {
    clock: Clocked,
    heartbeats_per_minute: u32,
    /// When the traffic of a sandbox so far would have ended at its rate.
    paid_until: Arc<Mutex<HashMap<(AttemptId, SandboxTraffic), Timestamp>>>,
}

impl FromParts for TrafficLimits {
    fn from_parts(parts: &DeploymentParts) -> Self {
        // Twice as often as workers are told to, where that is more than usual.
        let interval_s = parts.monitoring.heartbeat.as_secs().max(1);
        let twice = u32::try_from(2 * 60 / interval_s).unwrap_or(u32::MAX);
        Self {
            clock: parts.clock.clone(),
            heartbeats_per_minute: twice.max(10),
            paid_until: Arc::default(),
        }
    }
}

/// A sandbox that sends too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuchTraffic {
    traffic: SandboxTraffic,
    per_minute: u32,
    /// When it may send again.
    pub(crate) retry_after: Duration,
}

impl std::fmt::Display for TooMuchTraffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (per_minute, what) = (self.per_minute, self.traffic.plural_name());
        write!(
            f,
            "more than {per_minute} {what} a minute came from this sandbox"
        )
    }
}

impl TrafficLimits {
    /// Counts `n` of `traffic`.
    ///
    /// # Errors
    /// Refuses what is more than the sandbox may send; nothing is counted then.
    pub(crate) fn count_traffic(
        &self,
        attempt: AttemptId,
        traffic: SandboxTraffic,
        n: u32,
    ) -> Result<(), TooMuchTraffic> {
        let (now, rate) = (self.clock.now(), self.rate_of(traffic));
        let mut paid = self
            .paid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if paid.len() >= REMEMBERED_MAX {
            paid.retain(|_, until| *until > now);
        }
        let until = paid.entry((attempt, traffic)).or_insert(now);
        *until = admit_traffic(*until, now, n, rate).map_err(|retry_after| TooMuchTraffic {
            traffic,
            per_minute: rate.per_minute,
            retry_after,
        })?;
        Ok(())
    }

    const fn rate_of(&self, traffic: SandboxTraffic) -> TrafficRate {
        let (per_minute, burst_minutes) = match traffic {
            SandboxTraffic::Events => (600, 1),
            SandboxTraffic::Heartbeats => (self.heartbeats_per_minute, 1),
            SandboxTraffic::MessagePolls => (60, 1),
            // A package manager opens some dozens at once, and many short ones.
            SandboxTraffic::Connections => (600, 1),
            // A planner hands in a whole plan within seconds.
            SandboxTraffic::Reports => (60, 5),
            // A program and its helpers, several of each.
            SandboxTraffic::ModelRequests => (240, 1),
        };
        TrafficRate {
            per_minute,
            burst: Duration::from_secs(60 * burst_minutes),
        }
    }
}

/// Until when the traffic is paid once `n` more came at `now`; or how long they have to wait.
fn admit_traffic(
    paid_until: Timestamp,
    now: Timestamp,
    n: u32,
    rate: TrafficRate,
) -> Result<Timestamp, Duration> {
    let cost = MINUTE / rate.per_minute * n;
    let until = paid_until.max(now) + cost;
    let ahead = until.since(now);
    match ahead.checked_sub(rate.burst) {
        None | Some(Duration::ZERO) => Ok(until),
        Some(over) => Err(over),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000) + Duration::from_secs(seconds)
    }

    #[test]
    fn traffic_is_paid_by_time() {
        let rate = TrafficRate {
            per_minute: 60,
            burst: MINUTE,
        };
        let seconds = Duration::from_secs;
        for (paid, now, n, expected) in [
            // The first ever, and after a long quiet.
            (at(0), at(0), 1, Ok(at(1))),
            (at(0), at(900), 1, Ok(at(901))),
            // A burst of a minute's worth, and one more.
            (at(0), at(0), 60, Ok(at(60))),
            (at(60), at(0), 1, Err(seconds(1))),
            (at(60), at(1), 1, Ok(at(61))),
            (at(60), at(30), 30, Ok(at(90))),
            (at(60), at(30), 40, Err(seconds(10))),
        ] {
            let found = admit_traffic(paid, now, n, rate);
            assert_eq!(found, expected, "{paid:?} {now:?} {n}");
        }
    }

    #[test]
    fn reports_are_told_apart_by_their_path() {
        use SandboxTraffic::{Connections, Heartbeats, MessagePolls, Reports};
        for (method, path, expected) in [
            (Method::POST, "/api/v1/sandboxes/a/events", None),
            (
                Method::POST,
                "/api/v1/sandboxes/a/heartbeat",
                Some(Heartbeats),
            ),
            (
                Method::GET,
                "/api/v1/sandboxes/a/messages",
                Some(MessagePolls),
            ),
            (
                Method::POST,
                "/api/v1/sandboxes/a/messages/ack",
                Some(Reports),
            ),
            (Method::POST, "/api/v1/sandboxes/a/turns", Some(Reports)),
            (Method::GET, "/api/v1/sandboxes/a/egress", Some(Connections)),
        ] {
            assert_eq!(SandboxTraffic::of_report(&method, path), expected, "{path}");
        }
    }
}
