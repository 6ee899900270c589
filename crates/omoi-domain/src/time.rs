//! The one instant type: microseconds since the Unix epoch, UTC.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::Datelike as _;
use serde::{Deserialize, Serialize};

/// An instant in microseconds since 1970-01-01T00:00:00Z.
///
/// Stored as `timestamptz` in PostgreSQL and as an integer in SQLite; printed as RFC 3339.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `micros` microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Time since `earlier`, or zero when `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Seconds since `earlier`; negative when `earlier` lies ahead.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0 as f64 - earlier.0 as f64) / 1e6
    }

    /// The calendar date in UTC, `YYYY-MM-DD`.
    pub fn calendar_date(self) -> String {
        self.to_chrono().format("%Y-%m-%d").to_string()
    }

    /// The time of day in UTC, `HH:MM:SS`.
    pub fn time_of_day(self) -> String {
        self.to_chrono().format("%H:%M:%S").to_string()
    }

    /// Date and time of day in UTC, `YYYY-MM-DD HH:MM:SS`, for what may lie days ahead.
    pub fn date_and_time(self) -> String {
        self.to_chrono().format("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// The instant that an RFC 3339 text names, such as `2026-11-28T05:01:01Z`; `None` for anything else.
    pub fn of_rfc3339(text: &str) -> Option<Self> {
        let instant = chrono::DateTime::parse_from_rfc3339(text).ok()?;
        Some(Self(instant.timestamp_micros()))
    }

    /// The beginning in UTC of a calendar date, `YYYY-MM-DD`; `None` for anything else.
    pub fn of_date(date: &str) -> Option<Self> {
        let date = chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
        let midnight = date.and_hms_opt(0, 0, 0)?.and_utc();
        Some(Self(midnight.timestamp_micros()))
    }

    /// The instant in RFC 3339, cut to milliseconds: `2023-11-14T22:13:20.123Z`.
    pub fn rfc3339_millis(self) -> String {
        let instant = self.to_chrono();
        instant.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    /// The beginning in UTC of its calendar month.
    pub fn month_start(self) -> Self {
        let date = self.to_chrono().date_naive();
        Self::of_month(date.year(), date.month()).unwrap_or(self)
    }

    /// The beginning in UTC of the calendar month after its own.
    pub fn next_month_start(self) -> Self {
        let date = self.to_chrono().date_naive();
        let next = match date.month() {
            12 => Self::of_month(date.year() + 1, 1),
            month => Self::of_month(date.year(), month + 1),
        };
        next.unwrap_or(self)
    }

    fn of_month(year: i32, month: u32) -> Option<Self> {
        let first = chrono::NaiveDate::from_ymd_opt(year, month, 1)?;
        Some(Self(
            first.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros(),
        ))
    }

    fn to_chrono(self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::from_timestamp_micros(self.0).unwrap_or(chrono::DateTime::UNIX_EPOCH)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(rhs.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(rhs.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_chrono().format("%Y-%m-%dT%H:%M:%S%.6fZ"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        for (at, start, next) in [
            ("2026-11-30", "2026-11-01", "2026-12-01"),
            ("2026-12-01", "2026-12-01", "2027-01-01"),
            ("2028-02-29", "2028-02-01", "2028-03-01"),
        ] {
            let at = Timestamp::of_date(at).unwrap() + Duration::from_secs(86_399);
            assert_eq!(at.month_start(), Timestamp::of_date(start).unwrap());
            assert_eq!(at.next_month_start(), Timestamp::of_date(next).unwrap());
        }
    }

    #[test]
    fn prints_rfc3339_and_saturates() {
        let t = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(t.to_string(), "2023-11-14T22:13:20.123456Z");
        assert_eq!(t.calendar_date(), "2023-11-14");
        assert_eq!(t.time_of_day(), "22:13:20");
        let day = Timestamp::of_date("2023-11-14").unwrap();
        assert_eq!(day.to_string(), "2023-11-14T00:00:00.000000Z");
        assert_eq!(Timestamp::of_date("14.11.2023"), None);
        assert_eq!(
            (t + Duration::from_secs(2)).since(t),
            Duration::from_secs(2)
        );
        assert_eq!(t.since(t + Duration::from_secs(2)), Duration::ZERO);
    }
}
