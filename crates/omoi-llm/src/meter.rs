//! The hook that allows and records model calls, and what it is told: caller, projected cost, usage.
//!
//! This crate knows no budgets: it asks before a call and reports after it.

use futures::future::BoxFuture;
use thiserror::Error;

use omoi_domain::attempt::AgentRole;
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::principal::Principal;

use crate::failed_try::FailedTry;
use crate::pricing::{BilledUsage, TokenCounts};
use crate::route::ModelRoute;
use crate::token_count::{BYTES_PER_TOKEN, RequestSize};
use crate::wire::answer_signs::AnswerSigns;
use crate::wire::anthropic::TokenUsage;

/// Who calls a model: what the server knows from the attempt's token, or the platform of its own question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCaller {
    /// Who pays, and for what.
    pub principal: Principal,
    /// Role of the agent, for example `planner`.
    pub role: AgentRole,
    /// Planning phase, for example `requirements`.
    pub phase: String,
    /// The task's plan-local id, for example `TSK-003`; none while planning.
    pub task: Option<String>,
    /// The task's title; none while planning.
    pub title: Option<String>,
    /// Round of the subject, counted from 1.
    pub round: u32,
}

/// The highest cost of a call, estimated before it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostProjection {
    /// The route asked for.
    pub route: RouteName,
    /// Name of the model on that route.
    pub model: String,
    /// Its answers are scripted and cost nothing.
    pub simulated: bool,
    /// Estimated tokens read, and the limit of tokens answered.
    pub tokens: TokenCounts,
    /// Price of those tokens in nano-dollars.
    pub cost: NanoUsd,
}

/// Tokens and cost of a finished call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallUsage {
    /// The route asked for.
    pub route: RouteName,
    /// The model that answered.
    pub model: String,
    /// Tokens of all tries, failed ones included; estimated where the model did not say.
    pub tokens: TokenCounts,
    /// Price of those tokens in nano-dollars.
    pub cost: NanoUsd,
    /// From the question to the end of the answer.
    pub latency_ms: u64,
    /// Calls made to the provider, retries included.
    pub calls: u32,
    /// The answers were scripted and cost nothing.
    pub simulated: bool,
    /// How the question ended.
    pub outcome: CallOutcome,
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// With a whole answer.
    Complete,
    /// With part of an answer: the model's stream was cut.
    Cut,
    /// With part of an answer or none: the caller went away.
    Abandoned,
    /// With no answer at all.
    Failed,
}

/// Why a call may not be made.
#[derive(Debug, Error)]
pub enum ReserveError {
    /// The budget does not cover the call.
    #[error("{reason}")]
    Refused {
        /// Which budget, its size and what to do.
        reason: String,
    },
    /// The attempt that asks is over.
    #[error("the attempt is over: it may ask no model any more")]
    Superseded,
    /// The budgets cannot be read.
    #[error("the budget cannot be checked")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why the cost of a call was not written down; nothing was.
#[derive(Debug, Error)]
pub enum RecordError {
    /// A retry may help: the database is busy, or its disk is full.
    #[error("the cost of a model call could not be recorded for now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A retry does not help: the call no longer belongs to this process.
    #[error("the cost of a model call could not be recorded")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The hook around every call.
pub trait CallMeter: Send + Sync + 'static {
    /// Asks whether `caller` may make a call, before any upstream hears of it. Until it is recorded, a
    /// granted call counts against the budgets of all others with what it may cost.
    fn reserve_call<'a>(
        &'a self,
        caller: &'a ModelCaller,
        projection: &'a CostProjection,
    ) -> BoxFuture<'a, Result<Box<dyn ReservedCall>, ReserveError>>;

    /// Reports a failed try, while the caller waits for the next one or for the error.
    fn report_failure<'a>(
        &'a self,
        caller: &'a ModelCaller,
        failed: &'a FailedTry,
    ) -> BoxFuture<'a, ()>;

    /// Ends the attempt that asks, whose provider turned it away with `failed` until no try was left, so
    /// that it goes on later. False where nobody is to go on: the caller then gets the failure.
    fn save_attempt<'a>(
        &'a self,
        caller: &'a ModelCaller,
        failed: &'a FailedTry,
    ) -> BoxFuture<'a, bool>;
}

/// A granted call. Dropped without a record, the meter has to settle it by itself.
#[must_use = "a reserved call counts against the budgets until it is recorded"]
pub trait ReservedCall: Send + Sync {
    /// Reports what the call cost, in place of what it might have. Every granted call is recorded, also
    /// when it failed or its caller went away, before the caller learns of the end; again after a
    /// failure that may pass.
    fn record_usage<'a>(&'a self, usage: &'a CallUsage) -> BoxFuture<'a, Result<(), RecordError>>;
}

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
