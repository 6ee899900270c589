//! What models cost: whole billionths of a US dollar.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

/// An amount in billionths of a US dollar.
///
/// One token of the cheapest model costs some of them, so that no call is free by rounding; the
/// largest amount is nine billion dollars. Sums saturate: a ledger that overflows still refuses.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NanoUsd(i64);

impl NanoUsd {
    /// No money at all.
    pub const ZERO: Self = Self(0);
    /// The largest amount that can be stored.
    pub const MAX: Self = Self(i64::MAX);

    /// `nanos` billionths of a dollar.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The amount of `usd` whole dollars.
    pub const fn from_dollars(usd: i64) -> Self {
        Self(usd.saturating_mul(1_000_000_000))
    }

    /// The nearest amount to `usd` dollars.
    pub fn from_usd(usd: f64) -> Self {
        Self((usd * 1e9).round() as i64)
    }

    /// Billionths of a dollar.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The amount in dollars, for people.
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The sum, at most [`NanoUsd::MAX`].
    #[must_use]
    pub const fn saturating_add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

/// `0.0042 USD` with the precision asked for, two digits without.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$} USD", self.as_usd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_convert_add_up_and_saturate() {
        assert_eq!(NanoUsd::from_usd(1.5), NanoUsd::from_nanos(1_500_000_000));
        assert_eq!(NanoUsd::from_usd(0.1).as_nanos(), 100_000_000);
        assert_eq!(NanoUsd::from_usd(f64::MAX), NanoUsd::MAX);
        assert_eq!(NanoUsd::from_dollars(i64::MAX), NanoUsd::MAX);
        let all = [NanoUsd::from_dollars(2), NanoUsd::from_nanos(5)];
        assert_eq!(all.into_iter().sum::<NanoUsd>().as_nanos(), 2_000_000_005);
        assert_eq!(
            NanoUsd::MAX.saturating_add(NanoUsd::from_nanos(1)),
            NanoUsd::MAX
        );
        assert_eq!(
            format!("{:.4}", NanoUsd::from_nanos(4_200_000)),
            "0.0042 USD"
        );
        assert_eq!(NanoUsd::from_dollars(50).to_string(), "50.00 USD");
    }
}
