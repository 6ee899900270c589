//! What a model costs for each way of serving a call, and how a person writes it down.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::money::NanoUsd;

crate::closed_set! {
    /// How a provider serves a call, where it asks a price of its own for it.
    ServiceLevel {
        /// As everybody is served.
        Standard = "standard",
        /// Within a day, as part of a batch.
        Batch = "batch",
        /// When there is room.
        Flex = "flex",
        /// Ahead of others.
        Priority = "priority",
        /// At a higher speed, as the makers of the Messages format sell it.
        Fast = "fast",
        /// At the highest speed.
        Ultrafast = "ultrafast",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro declares the enum")]
impl Default for ServiceLevel {
    fn default() -> Self {
        Self::Standard
    }
}

/// Prices of calls that are served at one level and read more than `above_tokens`, in nano-USD for a
/// million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTier {
    /// The level it holds for.
    #[serde(default, skip_serializing_if = "is_standard")]
    pub service: ServiceLevel,
    /// The tier holds for calls that read more than these; 0 for the first of a level.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub above_tokens: u64,
    /// For a million tokens read.
    pub input: u64,
    /// For a million tokens answered.
    pub output: u64,
    /// For tokens read from the prompt cache.
    pub cache_read: u64,
    /// For tokens written to it for its usual life: 5 minutes at some makers, 30 at others.
    pub cache_write_5m: u64,
    /// For tokens written to it for a long life: an hour at some makers, 12 at others.
    pub cache_write_1h: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_standard(level: &ServiceLevel) -> bool {
    *level == ServiceLevel::Standard
}

impl PriceTier {
    /// The dearer of both in every figure.
    #[must_use]
    pub fn dearer_of(self, other: Self) -> Self {
        Self {
            service: self.service,
            above_tokens: self.above_tokens.max(other.above_tokens),
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write_5m: self.cache_write_5m.max(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.max(other.cache_write_1h),
        }
    }
}

/// What a person says a model costs.
///
/// `qwen=0.5/2` says it all for most servers. Behind it, after `;`, stand the prices of other levels and
/// of long requests, and those of a web search and of calls served in the United States:
/// `opus=4/20/0.2/5/8; >200000=6/30; batch=2/10; fast=8/40; search=0.01; us=1.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    /// The model's name, or the beginning of the names of several.
    pub model: String,
    /// Its tiers: the plain one first, the others as they were written.
    pub tiers: Vec<PriceTier>,
    /// What one web search costs that the provider makes, in nano-USD.
    pub search_nanousd: u64,
    /// What calls served in the United States cost, in thousandths of the price.
    pub us_permille: u32,
}

impl PriceRow {
    /// How a row is written.
    pub const SHAPE: &str = "MODEL=INPUT/OUTPUT[/CACHE READ[/CACHE WRITE[/LONG CACHE WRITE]]] in US dollars for a million tokens; \
         then, after `;`, [LEVEL][>TOKENS]=INPUT/OUTPUT…, search=USD, us=FACTOR";
}

/// The text is no price of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be {}", PriceRow::SHAPE)]
pub struct BadPriceRow;

/// The price of every call, as a factor.
const WHOLE_PERMILLE: u32 = 1_000;

impl FromStr for PriceRow {
    type Err = BadPriceRow;

    fn from_str(text: &str) -> Result<Self, BadPriceRow> {
        let mut parts = text.split(';');
        // Model names of some servers hold `=` or `/`, prices do not.
        let plain = parts.next().and_then(|part| part.rsplit_once('='));
        let (model, prices) = plain.ok_or(BadPriceRow)?;
        if model.trim().is_empty() {
            return Err(BadPriceRow);
        }
        let mut row = Self {
            model: model.trim().to_owned(),
            tiers: vec![parse_tier("", prices)?],
            search_nanousd: 0,
            us_permille: WHOLE_PERMILLE,
        };
        for part in parts.filter(|part| !part.trim().is_empty()) {
            let (name, value) = part.split_once('=').ok_or(BadPriceRow)?;
            match name.trim() {
                "search" => row.search_nanousd = parse_usd(value)?,
                "us" => row.us_permille = parse_factor(value)?,
                name => {
                    let tier = parse_tier(name, value)?;
                    let place = |other: &PriceTier| (other.service, other.above_tokens);
                    if row.tiers.iter().any(|other| place(other) == place(&tier)) {
                        return Err(BadPriceRow);
                    }
                    row.tiers.push(tier);
                }
            }
        }
        Ok(row)
    }
}

/// `batch>200000` and `0.5/2/0.1`: where it holds, and its figures.
fn parse_tier(place: &str, figures: &str) -> Result<PriceTier, BadPriceRow> {
    let (level, above) = place.split_once('>').unwrap_or((place, "0"));
    let service = match level.trim() {
        "" => ServiceLevel::Standard,
        level => ServiceLevel::parse(level).ok_or(BadPriceRow)?,
    };
    let above_tokens = above.trim().parse().map_err(|_| BadPriceRow)?;
    let figures: Result<Vec<u64>, _> = figures.split('/').map(parse_usd).collect();
    let figures = figures?;
    let [input, output, caches @ ..] = figures.as_slice() else {
        return Err(BadPriceRow);
    };
    if caches.len() > 3 {
        return Err(BadPriceRow);
    }
    // Without a price of its own a cached token costs what it would without a cache.
    let write = caches.get(1).copied().unwrap_or(*input);
    Ok(PriceTier {
        service,
        above_tokens,
        input: *input,
        output: *output,
        cache_read: caches.first().copied().unwrap_or(*input),
        cache_write_5m: write,
        cache_write_1h: caches.get(2).copied().unwrap_or(write),
    })
}

fn parse_usd(text: &str) -> Result<u64, BadPriceRow> {
    match text.trim().parse::<f64>() {
        Ok(usd) if (0.0..=1e6).contains(&usd) => {
            u64::try_from(NanoUsd::from_usd(usd).as_nanos()).map_err(|_| BadPriceRow)
        }
        _ => Err(BadPriceRow),
    }
}

fn parse_factor(text: &str) -> Result<u32, BadPriceRow> {
    match text.trim().parse::<f64>() {
        Ok(factor) if (0.0..=1e3).contains(&factor) => {
            Ok((factor * f64::from(WHOLE_PERMILLE)).round() as u32)
        }
        _ => Err(BadPriceRow),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    /// Where each tier holds, and its figures in thousandths of a dollar.
    fn tiers_of(text: &str) -> Vec<(&'static str, u64, [u64; 5])> {
        let row: PriceRow = text.parse().unwrap();
        let milli = |nanos: u64| nanos / 1_000_000;
        let figures = |tier: &PriceTier| {
            [
                tier.input,
                tier.output,
                tier.cache_read,
                tier.cache_write_5m,
                tier.cache_write_1h,
            ]
            .map(milli)
        };
        let tiers = row.tiers.iter();
        tiers
            .map(|tier| (tier.service.as_str(), tier.above_tokens, figures(tier)))
            .collect()
    }

    #[test]
    fn own_prices_say_two_figures_or_all_of_them() {
        let plain: PriceRow = "org/qwen=3 = 0.5/2".parse().unwrap();
        assert_eq!(plain.model, "org/qwen=3");
        assert_eq!((plain.search_nanousd, plain.us_permille), (0, 1_000));
        for (text, tiers) in [
            (
                "org/qwen=3 = 0.5/2",
                vec![("standard", 0, [500, 2_000, 500, 500, 500])],
            ),
            (
                "opus=4/20/0.2/5/8; >200000 = 6/30; batch=2/10/0.1; fast>9=8/40/1/2; search=0.01; us=1.1",
                vec![
                    ("standard", 0, [4_000, 20_000, 200, 5_000, 8_000]),
                    ("standard", 200_000, [6_000, 30_000, 6_000, 6_000, 6_000]),
                    ("batch", 0, [2_000, 10_000, 100, 2_000, 2_000]),
                    ("fast", 9, [8_000, 40_000, 1_000, 2_000, 2_000]),
                ],
            ),
        ] {
            assert_eq!(tiers_of(text), tiers, "{text}");
        }
        let extras: PriceRow = "m=1/2;us=1.1; search = 0.025;".parse().unwrap();
        assert_eq!(
            (extras.search_nanousd, extras.us_permille),
            (25_000_000, 1_100)
        );
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for bad in [
            "",
            "qwen",
            "qwen=1",
            "=1/2",
            "qwen=1/-2",
            "qwen=x/1",
            "qwen=1/NaN",
            "qwen=1/2/3/4/5/6",
            "qwen=1/2; sometimes=1/2",
            "qwen=1/2; >many=1/2",
            "qwen=1/2; >9=1/2; >9=3/4",
            "qwen=1/2; search=free",
            "qwen=1/2; us=-1",
            "qwen=1/2; batch",
        ] {
            assert_eq!(bad.parse::<PriceRow>(), Err(BadPriceRow), "{bad}");
        }
    }
}
