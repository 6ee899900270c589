//! What a call costs, in whole millionths of a US dollar.

/// Tokens of one or several calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read at full price.
    pub input: u64,
    /// Answered.
    pub output: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written to the prompt cache.
    pub cache_write: u64,
}

impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, more: Self) {
        self.input = self.input.saturating_add(more.input);
        self.output = self.output.saturating_add(more.output);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
    }
}

/// Prices in millionths of a dollar for a million tokens; equally, dollars per million times a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// For tokens read.
    pub input_microusd_per_mtok: u64,
    /// For tokens answered.
    pub output_microusd_per_mtok: u64,
}

impl Price {
    /// What `tokens` cost, rounded up, so that many small calls never add up to nothing.
    ///
    /// Reading the prompt cache costs a tenth of the input price, writing it a quarter more.
    pub fn cost_microusd(self, tokens: Tokens) -> i64 {
        let input = u128::from(self.input_microusd_per_mtok);
        let output = u128::from(self.output_microusd_per_mtok);
        // In hundredths, as the cache factors are 0.10 and 1.25.
        let hundredths = 100 * input * u128::from(tokens.input)
            + 100 * output * u128::from(tokens.output)
            + 10 * input * u128::from(tokens.cache_read)
            + 125 * input * u128::from(tokens.cache_write);
        i64::try_from(hundredths.div_ceil(100 * 1_000_000)).unwrap_or(i64::MAX)
    }
}

/// What a model costs whose name no row knows: as much as a large one, so that budgets hold.
pub const UNKNOWN: Price = price(3_000_000, 15_000_000);

const fn price(input_microusd_per_mtok: u64, output_microusd_per_mtok: u64) -> Price {
    Price {
        input_microusd_per_mtok,
        output_microusd_per_mtok,
    }
}

/// The price list: model name prefixes, the longest match wins.
#[derive(Clone, Debug)]
pub struct Pricing {
    rows: Vec<(String, Price)>,
}

impl Default for Pricing {
    fn default() -> Self {
        let rows = [
            ("claude-sonnet", price(3_000_000, 15_000_000)),
            ("claude-3-5-sonnet", price(3_000_000, 15_000_000)),
            ("claude-3-7-sonnet", price(3_000_000, 15_000_000)),
            ("claude-opus", price(15_000_000, 75_000_000)),
            ("claude-3-opus", price(15_000_000, 75_000_000)),
            ("claude-haiku", price(250_000, 1_250_000)),
            ("claude-3-haiku", price(250_000, 1_250_000)),
            // The newer small models are dearer than the class they are named after.
            ("claude-3-5-haiku", price(800_000, 4_000_000)),
            ("claude-haiku-4-5", price(1_000_000, 5_000_000)),
            ("text-embedding-3-small", price(20_000, 0)),
        ];
        Self::new(rows.map(|(name, price)| (name.to_owned(), price)))
    }
}

impl Pricing {
    /// A list of its own; add it to the built-in one with [`Pricing::extended`].
    pub fn new(rows: impl IntoIterator<Item = (String, Price)>) -> Self {
        Self {
            rows: rows.into_iter().collect(),
        }
    }

    /// This list with `rows` taking precedence over equal names.
    pub fn extended(mut self, rows: impl IntoIterator<Item = (String, Price)>) -> Self {
        for (name, price) in rows {
            self.rows.retain(|(known, _)| *known != name);
            self.rows.push((name, price));
        }
        self
    }

    /// The price of `model`, [`UNKNOWN`] when no row knows it. A vendor prefix (`anthropic/…`) is
    /// looked past.
    pub fn of(&self, model: &str) -> Price {
        let bare = model.rsplit('/').next().unwrap_or(model);
        self.rows
            .iter()
            .filter(|(prefix, _)| model.starts_with(prefix) || bare.starts_with(prefix))
            .max_by_key(|(prefix, _)| prefix.len())
            .map_or(UNKNOWN, |(_, price)| *price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(input: u64, output: u64, cache_read: u64, cache_write: u64) -> Tokens {
        Tokens {
            input,
            output,
            cache_read,
            cache_write,
        }
    }

    #[test]
    fn costs_are_exact_and_rounded_up() {
        let pricing = Pricing::default();
        for (model, spent, microusd) in [
            (
                "claude-sonnet-4-5-20250929",
                tokens(1_000_000, 0, 0, 0),
                3_000_000,
            ),
            (
                "claude-sonnet-4-5-20250929",
                tokens(1_000, 1_000, 0, 0),
                18_000,
            ),
            ("claude-opus-4-5-20251101", tokens(1, 1, 0, 0), 90),
            ("claude-3-haiku-20240307", tokens(4, 4, 0, 0), 6),
            ("claude-3-haiku-20240307", tokens(1, 0, 0, 0), 1),
            (
                "claude-haiku-4-5-20251001",
                tokens(1_000_000, 1_000_000, 0, 0),
                6_000_000,
            ),
            ("text-embedding-3-small", tokens(1_000_000, 5, 0, 0), 20_000),
            (
                "anthropic/claude-sonnet-4-5",
                tokens(0, 0, 1_000_000, 1_000_000),
                300_000 + 3_750_000,
            ),
            (
                "some/model-nobody-knows",
                tokens(1_000, 1_000, 0, 0),
                18_000,
            ),
            ("claude-sonnet-4-5", tokens(0, 0, 0, 0), 0),
            (
                "claude-opus-4",
                tokens(u64::MAX, u64::MAX, u64::MAX, u64::MAX),
                i64::MAX,
            ),
        ] {
            assert_eq!(
                pricing.of(model).cost_microusd(spent),
                microusd,
                "{model} {spent:?}"
            );
        }
    }

    #[test]
    fn own_rows_win() {
        let row = ("claude-sonnet".to_owned(), price(7, 9));
        assert_eq!(
            Pricing::default().extended([row]).of("claude-sonnet-9"),
            price(7, 9)
        );
    }
}
