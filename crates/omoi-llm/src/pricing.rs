//! What a call costs, in whole billionths of a US dollar. Where a model's price comes from is
//! [`ModelCatalogue::price_of`](crate::catalogue::ModelCatalogue::price_of).

mod billed_usage;

use omoi_domain::model_price::{PriceRow, PriceTier, ServiceLevel};
use omoi_domain::money::NanoUsd;

pub use self::billed_usage::{BilledUsage, TokenCounts};
pub(crate) use self::billed_usage::{is_us_only, service_named};

/// A factor of one, in thousandths.
pub const WHOLE_PERMILLE: u32 = 1_000;

/// What one model costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPrice {
    /// Tiers of each service level, lowest first. Without one the model is free.
    pub tiers: Vec<PriceTier>,
    /// What one web search costs that the provider makes, in nano-USD.
    pub search_nanousd: u64,
    /// What tokens of calls served in the United States cost, in thousandths of their price.
    pub us_permille: u32,
    /// Nobody knows the model: it is taken to cost as much as its provider's dearest.
    pub is_assumed: bool,
}

impl ModelPrice {
    /// What nothing costs: scripted answers.
    pub const FREE: Self = Self {
        tiers: Vec::new(),
        search_nanousd: 0,
        us_permille: WHOLE_PERMILLE,
        is_assumed: false,
    };

    /// What a person says.
    pub fn from_row(row: &PriceRow) -> Self {
        let mut tiers = row.tiers.clone();
        tiers.sort_by_key(|tier| (tier.service, tier.above_tokens));
        Self {
            tiers,
            search_nanousd: row.search_nanousd,
            us_permille: row.us_permille,
            is_assumed: false,
        }
    }

    /// What one call costs, rounded up, so that many small calls never add up to nothing.
    ///
    /// What the call read decides about the tier, for all its tokens; so calls are priced one by one. A
    /// level without prices of its own costs what the standard one does.
    pub fn cost_of(&self, usage: &BilledUsage) -> NanoUsd {
        let tokens = self.tier_for(usage).map_or(0, |tier| {
            let millionths = millionths_of(tier, usage.tokens);
            let factor = match usage.is_us_only {
                true => self.us_permille,
                false => WHOLE_PERMILLE,
            };
            let exact = millionths.saturating_mul(u128::from(factor));
            exact.div_ceil(1_000_000 * u128::from(WHOLE_PERMILLE))
        });
        let searches = u128::from(self.search_nanousd) * u128::from(usage.searches);
        let nanos = tokens.saturating_add(searches);
        NanoUsd::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// The tier that `usage` is priced by.
    fn tier_for(&self, usage: &BilledUsage) -> Option<&PriceTier> {
        let has_own = self.tiers.iter().any(|t| t.service == usage.service);
        let service = match has_own {
            true => usage.service,
            false => ServiceLevel::Standard,
        };
        let read = usage.tokens.read_tokens();
        let tiers = self.tiers.iter().filter(|tier| tier.service == service);
        tiers
            .rev()
            .find(|tier| tier.above_tokens == 0 || read > tier.above_tokens)
    }
}

/// Millionths of a nano-dollar.
fn millionths_of(tier: &PriceTier, tokens: TokenCounts) -> u128 {
    let parts = [
        (tier.input, tokens.input),
        (tier.output, tokens.output),
        (tier.cache_read, tokens.cache_read),
        (tier.cache_write_5m, tokens.cache_write),
        (tier.cache_write_1h, tokens.cache_write_1h),
    ];
    parts
        .iter()
        .map(|(price, n)| u128::from(*price) * u128::from(*n))
        .fold(0, u128::saturating_add)
}

#[cfg(test)]
mod tests;
