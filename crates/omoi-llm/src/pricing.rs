//! What a call costs, in whole billionths of a US dollar. Where a model's price comes from is
//! [`ModelCatalogue::price_of`](crate::catalogue::ModelCatalogue::price_of).

use serde::{Deserialize, Serialize};

use omoi_domain::money::{NanoUsd, PriceRow};

/// Tokens of one or several calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Read at full price.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written to the prompt cache for five minutes.
    pub cache_write: u64,
    /// Written to the prompt cache for an hour.
    pub cache_write_1h: u64,
}

impl TokenCounts {
    /// Everything read, at whatever price.
    pub const fn read_tokens(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_1h)
    }
}

impl std::ops::AddAssign for TokenCounts {
    fn add_assign(&mut self, more: Self) {
        self.input = self.input.saturating_add(more.input);
        self.output = self.output.saturating_add(more.output);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
        self.cache_write_1h = self.cache_write_1h.saturating_add(more.cache_write_1h);
    }
}

/// Prices of calls that read more than `above_tokens`, in nano-USD for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTier {
    /// The tier holds for calls that read more than these; 0 for the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub above_tokens: u64,
    /// For a million tokens read.
    pub input: u64,
    /// For a million tokens answered.
    pub output: u64,
    /// For tokens read from the prompt cache.
    pub cache_read: u64,
    /// For tokens written to it for five minutes.
    pub cache_write_5m: u64,
    /// For tokens written to it for an hour.
    pub cache_write_1h: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl PriceTier {
    /// The dearer of both in every figure.
    #[must_use]
    pub fn dearer_of(self, other: Self) -> Self {
        Self {
            above_tokens: self.above_tokens.max(other.above_tokens),
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write_5m: self.cache_write_5m.max(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.max(other.cache_write_1h),
        }
    }

    fn tier_cost(&self, tokens: TokenCounts) -> NanoUsd {
        let parts = [
            (self.input, tokens.input),
            (self.output, tokens.output),
            (self.cache_read, tokens.cache_read),
            (self.cache_write_5m, tokens.cache_write),
            (self.cache_write_1h, tokens.cache_write_1h),
        ];
        let millionths = parts
            .iter()
            .map(|(price, n)| u128::from(*price) * u128::from(*n))
            .fold(0, u128::saturating_add);
        let nanos = millionths.div_ceil(1_000_000);
        NanoUsd::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

/// What one model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelPrice {
    /// Tiers, lowest first. Without one the model is free.
    pub tiers: Vec<PriceTier>,
    /// Nobody knows the model: it is taken to cost as much as its provider's dearest.
    pub is_assumed: bool,
}

impl ModelPrice {
    /// What nothing costs: scripted answers.
    pub const FREE: Self = Self {
        tiers: Vec::new(),
        is_assumed: false,
    };

    /// What a person says; caches cost as much as what they hold.
    pub fn from_row(row: &PriceRow) -> Self {
        let of = |amount: NanoUsd| u64::try_from(amount.as_nanos()).unwrap_or(0);
        let input = of(row.input_per_mtok);
        Self {
            tiers: vec![PriceTier {
                above_tokens: 0,
                input,
                output: of(row.output_per_mtok),
                cache_read: input,
                cache_write_5m: input,
                cache_write_1h: input,
            }],
            is_assumed: false,
        }
    }

    /// What the tokens of one call cost, rounded up, so that many small calls never add up to nothing.
    ///
    /// What the call read decides about the tier, for all its tokens; so calls are priced one by one.
    pub fn cost_of(&self, tokens: TokenCounts) -> NanoUsd {
        let mut tiers = self.tiers.iter().rev();
        let tier =
            tiers.find(|tier| tier.above_tokens == 0 || tokens.read_tokens() > tier.above_tokens);
        tier.map_or(NanoUsd::ZERO, |tier| tier.tier_cost(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sonnet() -> ModelPrice {
        let tier = PriceTier {
            above_tokens: 0,
            input: 3_000_000_000,
            output: 15_000_000_000,
            cache_read: 300_000_000,
            cache_write_5m: 3_750_000_000,
            cache_write_1h: 6_000_000_000,
        };
        let long = PriceTier {
            above_tokens: 200_000,
            input: 6_000_000_000,
            output: 22_500_000_000,
            ..tier
        };
        ModelPrice {
            tiers: vec![tier, long],
            is_assumed: false,
        }
    }

    #[test]
    fn costs_are_exact_and_follow_caches_and_tiers() {
        let none = TokenCounts::default();
        let all = TokenCounts {
            input: u64::MAX,
            output: u64::MAX,
            cache_read: u64::MAX,
            cache_write: u64::MAX,
            cache_write_1h: u64::MAX,
        };
        for (tokens, nanos) in [
            (none, 0),
            (TokenCounts { input: 1, ..none }, 3_000),
            (
                TokenCounts {
                    input: 1_000,
                    output: 1_000,
                    ..none
                },
                18_000_000,
            ),
            (
                TokenCounts {
                    cache_read: 1_000,
                    ..none
                },
                300_000,
            ),
            (
                TokenCounts {
                    cache_write: 1_000,
                    ..none
                },
                3_750_000,
            ),
            (
                TokenCounts {
                    cache_write_1h: 1_000,
                    ..none
                },
                6_000_000,
            ),
            // The tier begins above its figure, counts cached tokens, and holds for the answer too.
            (
                TokenCounts {
                    input: 200_000,
                    output: 1,
                    ..none
                },
                600_015_000,
            ),
            (
                TokenCounts {
                    input: 200_000,
                    cache_read: 1,
                    output: 1,
                    ..none
                },
                1_200_022_800,
            ),
            (all, i64::MAX),
        ] {
            assert_eq!(sonnet().cost_of(tokens).as_nanos(), nanos, "{tokens:?}");
        }
        assert_eq!(ModelPrice::FREE.cost_of(all), NanoUsd::ZERO);
        // Less than a billionth is not nothing.
        let cheap = PriceTier {
            input: 1,
            ..PriceTier::default()
        };
        assert_eq!(
            cheap.tier_cost(TokenCounts { input: 1, ..none }).as_nanos(),
            1
        );
    }
}
