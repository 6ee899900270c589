//! What tasks will probably cost: an estimate that people plan with, never a bound.

use crate::model_price::PriceTier;
use crate::money::NanoUsd;

/// Tokens of a task where nothing is known of such tasks.
pub const TOKENS_PER_TASK: u64 = 5_000;
/// What an estimate is more than the tasks before took, in percent.
const BUFFER_PERCENT: u128 = 120;
/// Most tasks of one forecast.
pub const FORECAST_TASKS_MAX: u32 = 10_000;
/// Most tokens of one task in a forecast.
pub const FORECAST_TOKENS_MAX: u64 = 1_000_000_000;

/// An estimate of what tasks cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostForecast {
    /// Price of all of them.
    pub cost: NanoUsd,
    /// Tokens of all of them.
    pub tokens: u64,
}

/// How much more than the tasks before an estimate says.
pub fn buffer_multiplier() -> f64 {
    BUFFER_PERCENT as f64 / 100.0
}

/// The middle of what tasks took before, the lower one of two; [`TOKENS_PER_TASK`] where there were none.
pub fn typical_tokens(mut before: Vec<u64>) -> u64 {
    if before.is_empty() {
        return TOKENS_PER_TASK;
    }
    before.sort_unstable();
    before[(before.len() - 1) / 2]
}

/// Estimates `n_tasks` tasks of `tokens_each` tokens, of which half are read and half are answered.
pub fn forecast_cost(n_tasks: u32, tokens_each: u64, price: PriceTier) -> CostForecast {
    let half = u128::from(tokens_each / 2);
    let of_one = half * (u128::from(price.input) + u128::from(price.output));
    let all = u128::from(n_tasks) * of_one * BUFFER_PERCENT / 100 / 1_000_000;
    CostForecast {
        cost: NanoUsd::from_nanos(i64::try_from(all).unwrap_or(i64::MAX)),
        tokens: u64::from(n_tasks).saturating_mul(tokens_each),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nano-USD for a million tokens: 3 and 15 dollars.
    const SONNET: PriceTier = PriceTier {
        service: crate::model_price::ServiceLevel::Standard,
        above_tokens: 0,
        input: 3_000_000_000,
        output: 15_000_000_000,
        cache_read: 0,
        cache_write_5m: 0,
        cache_write_1h: 0,
    };

    #[test]
    fn twenty_five_tasks_cost_what_the_sheet_says() {
        let forecast = forecast_cost(25, TOKENS_PER_TASK, SONNET);
        assert_eq!(forecast.tokens, 125_000);
        assert_eq!(forecast.cost, NanoUsd::from_nanos(1_350_000_000));
        assert_eq!(forecast_cost(0, 7, SONNET).cost, NanoUsd::ZERO);
        // The largest forecast fits.
        let most = forecast_cost(FORECAST_TASKS_MAX, FORECAST_TOKENS_MAX, SONNET);
        assert_eq!(most.cost.as_nanos(), 108_000_000_000_000_000);
    }

    #[test]
    fn the_middle_of_the_tasks_before_is_typical() {
        for (before, expected) in [
            (vec![], TOKENS_PER_TASK),
            (vec![9], 9),
            (vec![9, 1], 1),
            (vec![100, 1, 7], 7),
        ] {
            assert_eq!(typical_tokens(before), expected);
        }
    }
}
