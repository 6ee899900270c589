//! Instants on the wire.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use omoi_domain::time::Timestamp;

/// An instant in UTC: RFC 3339 with milliseconds and `Z`, such as `2026-11-30T04:05:06.789Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiTime(Timestamp);

impl ApiTime {
    /// The instant, cut to what was on the wire.
    pub const fn to_timestamp(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for ApiTime {
    fn from(instant: Timestamp) -> Self {
        Self(instant)
    }
}

/// The text is no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadApiTime;

impl fmt::Display for BadApiTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an instant such as `2026-11-30T04:05:06.789Z`")
    }
}

impl FromStr for ApiTime {
    type Err = BadApiTime;
    fn from_str(text: &str) -> Result<Self, BadApiTime> {
        Timestamp::of_rfc3339(text).map(Self).ok_or(BadApiTime)
    }
}

impl fmt::Display for ApiTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.rfc3339_millis())
    }
}

impl Serialize for ApiTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ApiTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl PartialSchema for ApiTime {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        let object = ObjectBuilder::new().schema_type(Type::String);
        RefOr::T(object.format(Some(format)).into())
    }
}

impl ToSchema for ApiTime {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn an_instant_is_told_in_milliseconds_and_read_in_any_zone() {
        let instant = ApiTime::from(Timestamp::from_micros(1_700_000_000_123_456));
        let text = serde_json::to_string(&instant).unwrap();
        assert_eq!(text, "\"2023-11-14T22:13:20.123Z\"");
        let read: ApiTime = serde_json::from_str("\"2023-11-14T23:13:20.123+01:00\"").unwrap();
        assert_eq!(read.to_string(), instant.to_string());
        for bad in ["\"yesterday\"", "1700000000", "\"2023-11-14\""] {
            assert!(serde_json::from_str::<ApiTime>(bad).is_err(), "{bad}");
        }
    }
}
