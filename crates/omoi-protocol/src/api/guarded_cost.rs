//! Amounts that only some are told.

use serde::{Deserialize, Serialize};

use omoi_domain::access::cost_sight::CostSight;

/// An amount for whoever has `cost:read`; a field of it is absent for all others.
///
/// **Invariant:** nobody makes one that is told without a [`CostSight`]: its field is private.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GuardedCost<T>(Option<T>);

impl<T> GuardedCost<T> {
    /// `amount` as far as `sight` goes.
    pub fn seen_by(sight: CostSight, amount: impl Into<T>) -> Self {
        Self(sight.shows_costs().then(|| amount.into()))
    }

    /// Whether it is told to nobody here.
    pub const fn is_hidden(&self) -> bool {
        self.0.is_none()
    }
}

impl<T: Copy> GuardedCost<T> {
    /// The amount, where it is told.
    pub const fn told_amount(&self) -> Option<T> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_domain::money::NanoUsd;
    use serde_json::{Value, json};

    use super::super::UsdText;
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Priced {
        #[serde(default, skip_serializing_if = "GuardedCost::is_hidden")]
        cost_usd: GuardedCost<UsdText>,
    }

    #[test]
    fn a_hidden_amount_is_no_field() {
        let check = |sight, expected: Value| {
            let cost_usd = GuardedCost::seen_by(sight, NanoUsd::from_dollars(7));
            let written = serde_json::to_value(Priced { cost_usd }).unwrap();
            assert_eq!(written, expected);
            let read: Priced = serde_json::from_value(written).unwrap();
            assert_eq!(read.cost_usd, cost_usd);
        };
        check(CostSight::Hidden, json!({}));
        check(CostSight::Shown, json!({ "cost_usd": "7.000000000" }));
    }
}
