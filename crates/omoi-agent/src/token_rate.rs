//! How a model's own count of tokens compares with the estimate ([`omoi_llm::token_estimate`]).

/// Estimates below this say nothing about a model's tokenizer: a provider's own preamble outweighs them.
const MEASURED_TOKENS_MIN: u64 = 2_000;

/// How many tokens a model counts where a thousand are estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenRate(u64);

impl Default for TokenRate {
    /// Before the model has said anything: a fifth more than estimated.
    fn default() -> Self {
        Self(1_200)
    }
}

impl TokenRate {
    /// The rate of a model that read `reported` tokens where `estimated` were expected. Neither a provider
    /// that counts nonsense nor a short request makes it absurd.
    pub(crate) fn after_reading(self, reported: Option<u64>, estimated: u64) -> Self {
        match reported {
            Some(reported) if estimated >= MEASURED_TOKENS_MIN && reported > 0 => {
                Self((reported.saturating_mul(1_000) / estimated).clamp(400, 2_500))
            }
            _ => self,
        }
    }

    /// The model's own count for `estimated`.
    pub(crate) const fn scale_tokens(self, estimated: u64) -> u64 {
        estimated.saturating_mul(self.0).div_ceil(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_what_the_model_said() {
        let rate = TokenRate::default();
        assert_eq!(rate.scale_tokens(1_000), 1_200);
        assert_eq!(
            rate.after_reading(Some(8_000), 10_000).scale_tokens(1_000),
            800
        );
        assert_eq!(rate.after_reading(None, 10_000), rate);
        assert_eq!(
            rate.after_reading(Some(8_000), 100),
            rate,
            "too short to tell"
        );
        assert_eq!(rate.after_reading(Some(1), 10_000).scale_tokens(1_000), 400);
        assert_eq!(
            rate.after_reading(Some(u64::MAX), 10_000)
                .scale_tokens(1_000),
            2_500
        );
    }
}
