//! What models cost, on the wire.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use omoi_domain::money::NanoUsd;

/// Billionths in a dollar.
const NANOS: u64 = 1_000_000_000;
/// Digits after the point: billionths of a dollar, so that no amount is rounded.
const DIGITS: usize = 9;

/// An amount in US dollars as a decimal text with nine digits after the point, such as `0.004200000`.
///
/// A text, because the numbers of JSON are binary fractions in most programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsdText(NanoUsd);

impl UsdText {
    /// The amount.
    pub const fn to_nanos(self) -> NanoUsd {
        self.0
    }
}

impl From<NanoUsd> for UsdText {
    fn from(amount: NanoUsd) -> Self {
        Self(amount)
    }
}

impl From<UsdText> for NanoUsd {
    fn from(text: UsdText) -> Self {
        text.0
    }
}

/// The text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadUsdText;

impl fmt::Display for BadUsdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not an amount of dollars such as `0.0042`, with at most 9 digits after the point",
        )
    }
}

impl FromStr for UsdText {
    type Err = BadUsdText;
    fn from_str(text: &str) -> Result<Self, BadUsdText> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || fraction.len() > DIGITS {
            return Err(BadUsdText);
        }
        let nanos = format!("{whole}{fraction:0<DIGITS$}");
        let nanos: i64 = nanos.parse().map_err(|_| BadUsdText)?;
        Ok(Self(NanoUsd::from_nanos(sign * nanos)))
    }
}

impl fmt::Display for UsdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let sign = if nanos < 0 { "-" } else { "" };
        let nanos = nanos.unsigned_abs();
        write!(f, "{sign}{}.{:09}", nanos / NANOS, nanos % NANOS)
    }
}

impl Serialize for UsdText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UsdText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl PartialSchema for UsdText {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new().schema_type(Type::String);
        RefOr::T(object.pattern(Some(r"^-?\d+\.\d{9}$")).into())
    }
}

impl ToSchema for UsdText {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    #[test]
    fn amounts_come_back_to_the_last_billionth() {
        for (nanos, text) in [
            (0, "0.000000000"),
            (1, "0.000000001"),
            (-1, "-0.000000001"),
            (4_200_000, "0.004200000"),
            (i64::MAX, "9223372036.854775807"),
        ] {
            let amount = UsdText::from(NanoUsd::from_nanos(nanos));
            assert_eq!(amount.to_string(), text);
            assert_eq!(text.parse(), Ok(amount));
        }
        assert_eq!(
            "50".parse::<UsdText>().unwrap().to_nanos(),
            NanoUsd::from_dollars(50)
        );
        for bad in [
            "",
            ".5",
            "1.",
            "+1",
            "1e3",
            "0.0000000001",
            "9223372037",
            "1,5",
            "--1",
        ] {
            assert_eq!(bad.parse::<UsdText>(), Err(BadUsdText), "{bad}");
        }
    }
}
