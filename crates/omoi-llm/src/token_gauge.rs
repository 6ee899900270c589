//! Counts the tokens of one try from the pieces of its answer, within what can be.

use crate::pricing::{BilledUsage, TokenCounts};
use crate::route::ModelRoute;
use crate::token_count::{BYTES_PER_TOKEN, RequestSize};
use crate::wire::answer_signs::AnswerSigns;
use crate::wire::anthropic::TokenUsage;

/// The most tokens that one try can have used; what a provider reports beyond is capped. What the
/// asker allowed is no bound of it: whose server ignores that is billed all the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenCeiling {
    /// Estimated tokens of the request.
    read_estimate: u64,
    /// The most tokens that the model can have read.
    read_max: u64,
    /// The most tokens that the asker allowed of the answer.
    asked_max: u64,
    /// The most tokens that the route allows of it.
    answered_max: u64,
}

/// The most a model reads where its window is not known.
const WINDOW_TOKENS_MAX: u64 = 4_000_000;

impl TokenCeiling {
    /// The ceiling of a request of `size` on `route`: nothing is read beyond the model's window.
    pub(crate) fn of_size(route: &ModelRoute, size: RequestSize) -> Self {
        let window = route.window_tokens.unwrap_or(WINDOW_TOKENS_MAX);
        Self {
            read_estimate: size.read_estimate,
            read_max: size.read_max.map_or(window, |most| most.min(window)),
            asked_max: size.answered_max(route.max_tokens),
            answered_max: size.of_all_answers(route.max_tokens),
        }
    }

    /// `told` within the ceiling.
    fn cap_tokens(&self, told: TokenCounts) -> TokenCounts {
        let mut left = self.read_max;
        let mut take = |tokens: u64| {
            let taken = tokens.min(left);
            left -= taken;
            taken
        };
        TokenCounts {
            input: take(told.input),
            cache_write: take(told.cache_write),
            cache_write_1h: take(told.cache_write_1h),
            cache_read: take(told.cache_read),
            output: told.output.min(self.answered_max),
        }
    }
}

/// Counts the tokens of one try from its events.
#[derive(Clone, Debug)]
pub(crate) struct TokenGauge {
    ceiling: TokenCeiling,
    usage: TokenUsage,
    answered_bytes: u64,
    is_sent: bool,
    started: bool,
    summed_up: bool,
}

impl TokenGauge {
    /// A gauge for a request with this ceiling.
    pub(crate) fn new(ceiling: TokenCeiling) -> Self {
        Self {
            ceiling,
            usage: TokenUsage::default(),
            answered_bytes: 0,
            is_sent: false,
            started: false,
            summed_up: false,
        }
    }

    /// Forgets what was seen.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.ceiling);
    }

    /// Notes whether the provider may have read the request, and so may bill it, before it shows a word
    /// of its answer.
    pub(crate) fn set_sent(&mut self, is_sent: bool) {
        self.is_sent = is_sent;
    }

    /// Counts a piece of the answer by what it says.
    pub(crate) fn push(&mut self, signs: &AnswerSigns) {
        self.started = true;
        self.answered_bytes = self.answered_bytes.saturating_add(signs.answered_bytes);
        if let Some(usage) = &signs.usage {
            self.usage.merge(usage);
        }
        self.summed_up |= signs.is_summary;
    }

    /// The tokens so far. A model reports what it answered only at the end, and some never do: what is
    /// missing is estimated, so that an interrupted answer is not free; what is impossible is capped.
    pub(crate) fn token_counts(&self) -> TokenCounts {
        self.ceiling.cap_tokens(self.reported_tokens())
    }

    /// The same with how the call was served, as far as the provider told it.
    pub(crate) fn billed_usage(&self) -> BilledUsage {
        BilledUsage::with_tokens(&self.usage, self.token_counts())
    }

    /// Whether some of the tokens are an estimate, because the provider did not tell them.
    pub(crate) fn is_estimated(&self) -> bool {
        if !self.started {
            return self.is_sent;
        }
        let told = TokenCounts::of_usage(&self.usage);
        let is_answer_told = self.summed_up && (told.output > 0 || self.answered_bytes == 0);
        told.read_tokens() == 0 || !is_answer_told
    }

    /// Whether the provider reports what cannot be, or more than the asker allowed.
    pub(crate) fn is_overstated(&self) -> bool {
        let told = self.reported_tokens();
        let answered = self.usage.output_tokens.unwrap_or(0);
        answered > self.ceiling.asked_max || self.ceiling.cap_tokens(told) != told
    }

    fn reported_tokens(&self) -> TokenCounts {
        if !self.started {
            let input = if self.is_sent {
                self.ceiling.read_estimate
            } else {
                0
            };
            return TokenCounts {
                input,
                ..TokenCounts::default()
            };
        }
        let mut tokens = TokenCounts::of_usage(&self.usage);
        let told = std::mem::take(&mut tokens.output);
        if tokens.read_tokens() == 0 {
            tokens.input = self.ceiling.read_estimate;
        }
        let estimate = self.answered_bytes.div_ceil(BYTES_PER_TOKEN);
        tokens.output = match told {
            told if self.summed_up && told > 0 => told,
            // An estimate is ours, and no reason to doubt the provider.
            opening => opening.max(estimate.min(self.ceiling.asked_max)),
        };
        tokens
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]
    use serde_json::{Value, json};

    use super::*;

    fn signs(event: Value) -> AnswerSigns {
        AnswerSigns::of_event(&serde_json::from_value(event).unwrap())
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table of cases")]
    fn what_the_model_does_not_say_is_estimated() {
        let start = |usage| {
            json!({"type": "message_start", "message": {"id": "m", "role": "assistant", "model": "x",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage}})
        };
        let text = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x".repeat(41)}});
        let end = |usage| json!({"type": "message_delta", "delta": {}, "usage": usage});
        for (name, events, want) in [
            ("nothing came", vec![], (0, 0, 0, 0)),
            ("sent, and nothing came", vec![], (100, 0, 0, 0)),
            (
                "told",
                vec![
                    start(
                        json!({"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 7}),
                    ),
                    text.clone(),
                    end(json!({"output_tokens": 3})),
                ],
                (5, 3, 7, 0),
            ),
            (
                "interrupted",
                vec![
                    start(json!({"input_tokens": 5, "output_tokens": 1})),
                    text.clone(),
                ],
                (5, 11, 0, 0),
            ),
            (
                "all cached",
                vec![
                    start(json!({"input_tokens": 0, "cache_creation_input_tokens": 9})),
                    end(json!({"output_tokens": 2})),
                ],
                (0, 2, 0, 9),
            ),
            (
                "more than can be",
                vec![
                    start(
                        json!({"input_tokens": u64::MAX, "cache_read_input_tokens": u64::MAX,
                        "cache_creation_input_tokens": u64::MAX, "output_tokens": u64::MAX}),
                    ),
                    end(json!({"output_tokens": u64::MAX})),
                ],
                (1_000, 50, 0, 0),
            ),
            (
                "never told",
                vec![
                    start(json!({"input_tokens": 0, "output_tokens": 0})),
                    text,
                    end(json!({})),
                ],
                (100, 11, 0, 0),
            ),
        ] {
            let mut gauge = TokenGauge::new(TokenCeiling {
                read_estimate: 100,
                read_max: 1_000,
                asked_max: 50,
                answered_max: 50,
            });
            gauge.set_sent(name == "sent, and nothing came");
            for event in events {
                gauge.push(&signs(event));
            }
            let t = gauge.token_counts();
            assert_eq!(
                (t.input, t.output, t.cache_read, t.cache_write),
                want,
                "{name}"
            );
            assert_eq!(gauge.is_overstated(), name == "more than can be", "{name}");
            let is_told = ["nothing came", "told", "all cached", "more than can be"];
            assert_eq!(gauge.is_estimated(), !is_told.contains(&name), "{name}");
        }
    }

    #[test]
    fn cache_writes_are_told_apart_by_how_long_they_are_kept() {
        let ceiling = TokenCeiling {
            read_estimate: 1,
            read_max: 1_000,
            asked_max: 50,
            answered_max: 50,
        };
        let mut gauge = TokenGauge::new(ceiling);
        let usage = json!({"input_tokens": 1, "cache_creation_input_tokens": 30, "cache_creation":
            {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}});
        let start = json!({"type": "message_start", "message": {"id": "m", "role": "assistant", "model": "x",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage}});
        gauge.push(&signs(start));
        let t = gauge.token_counts();
        assert_eq!((t.input, t.cache_write, t.cache_write_1h), (1, 10, 20));
    }
}
