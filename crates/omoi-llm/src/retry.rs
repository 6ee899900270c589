//! What may be tried again, when, and when to stop: pure decisions.
//!
//! The status decides whether the same model is asked again, never the text of an error. Whether the next
//! one is asked, [`crate::window_refusal`] may tell from its words.

use std::time::Duration;

use omoi_domain::time::Timestamp;

/// Statuses that may pass by themselves.
pub const RETRIED_STATUSES: [u16; 7] = [408, 429, 500, 502, 503, 504, 529];
/// Longest wait between two tries where the server asks for none.
pub const DELAY_MAX: Duration = Duration::from_mins(1);
/// How long one question is tried again, unless configured.
pub const RETRY_TIME: Duration = Duration::from_mins(10);
/// How long a model is tried again while another one of its list is left.
pub const FALLBACK_TIME: Duration = Duration::from_secs(20);
/// Most calls one question may make.
pub const CALLS_MAX: u32 = 24;

/// What a failure means for trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// It may pass; the server may have said when.
    Retry {
        /// Least pause, from the server's `Retry-After`.
        after: Option<Duration>,
    },
    /// It will not pass.
    Final,
}

/// The class of an answer with `status`.
pub fn class_of_status(status: u16, after: Option<Duration>) -> RetryClass {
    if RETRIED_STATUSES.contains(&status) {
        RetryClass::Retry { after }
    } else {
        RetryClass::Final
    }
}

/// The pause after failure number `n`, counted from 0: 2ⁿ s and up to half as much again, at most
/// [`DELAY_MAX`], and at least what the server asked for. `jitter` is in `0.0..1.0`.
pub fn retry_delay(n: u32, jitter: f64, after: Option<Duration>) -> Duration {
    let base_s = f64::from(1_u32 << n.min(6));
    let backoff = Duration::from_secs_f64(base_s * (1.0 + jitter.clamp(0.0, 1.0) / 2.0));
    backoff.min(DELAY_MAX).max(after.unwrap_or_default())
}

/// Reads `Retry-After`: whole seconds, or a date that is compared with `now`.
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let at = Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).ok()?);
    Some(at.since(now))
}

/// What is left of the limits of one question. Several calls for one question share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallAllowance {
    /// No call begins after this.
    pub until: Timestamp,
    /// Calls that may still be made.
    pub calls_left: u32,
}

impl CallAllowance {
    /// The ordinary limits, from `now`.
    pub fn new(now: Timestamp) -> Self {
        Self::within_time(now, RETRY_TIME)
    }

    /// [`CALLS_MAX`] calls that all begin within `time` from `now`.
    pub fn within_time(now: Timestamp, time: Duration) -> Self {
        Self {
            until: now + time,
            calls_left: CALLS_MAX,
        }
    }

    /// These limits with `time` from `now`: whoever was answered has all of it for what it asks next.
    #[must_use]
    pub fn renew_time(self, now: Timestamp, time: Duration) -> Self {
        Self {
            until: now + time,
            ..self
        }
    }

    /// Whether a call may begin after `pause`.
    ///
    /// # Errors
    /// Returns [`AllowanceSpent`] naming the limit in the way.
    pub fn check_pause(&self, now: Timestamp, pause: Duration) -> Result<(), AllowanceSpent> {
        if self.calls_left == 0 {
            return Err(AllowanceSpent::Calls);
        }
        if now + pause >= self.until {
            return Err(AllowanceSpent::Time);
        }
        Ok(())
    }
}

/// Why a failure that might pass was not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowanceSpent {
    /// The next try would begin after the deadline.
    Time,
    /// No calls are left.
    Calls,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_alone_decides() {
        let retried: Vec<u16> = (100..600)
            .filter(|s| class_of_status(*s, None) != RetryClass::Final)
            .collect();
        assert_eq!(retried, RETRIED_STATUSES);
    }

    #[test]
    fn delays_double_and_listen_to_the_server() {
        let s = Duration::from_secs_f64;
        for (n, jitter, after, want) in [
            (0, 0.0, None, 1.0),
            (0, 1.0, None, 1.5),
            (1, 0.5, None, 2.5),
            (2, 1.0, None, 6.0),
            (5, 0.0, None, 32.0),
            (6, 0.0, None, 60.0),
            (4_000_000_000, 0.9, None, 60.0),
            (0, 0.5, Some(7.0), 7.0),
            (3, 0.0, Some(7.0), 8.0),
            (0, 0.0, Some(3600.0), 3600.0),
        ] {
            assert_eq!(
                retry_delay(n, jitter, after.map(s)),
                s(want),
                "{n} {jitter} {after:?}"
            );
        }
    }

    #[test]
    fn retry_after_in_both_forms() {
        // Wed, 21 Oct 2015 07:28:00 GMT
        let now = Timestamp::from_micros(1_445_412_480_000_000 - 7_000_000);
        for (header, want) in [
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(7)),
            ("Fri, 21 Oct 2005 07:28:00 GMT", Some(0)),
            ("soon", None),
            ("-3", None),
        ] {
            assert_eq!(
                retry_after(header, now),
                want.map(Duration::from_secs),
                "{header}"
            );
        }
    }
}
