//! Who calls, what it cost, and the hook that allows and records it.
//!
//! This crate knows no budgets: it asks before a call and reports after it.

use std::any::Any;
use std::fmt;

use futures::future::BoxFuture;
use omoi_domain::id::{AttemptId, OrgId, ProjectId, SpecId};
use thiserror::Error;

use crate::count::BYTES_PER_TOKEN;
use crate::pricing::Tokens;
use crate::route::RouteName;
use crate::wire::anthropic::{Delta, StreamEvent, TokenUsage};

/// Who calls a model: what the server knows from the attempt's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose money.
    pub org: OrgId,
    /// In which project.
    pub project: ProjectId,
    /// For which spec.
    pub spec: Option<SpecId>,
    /// In which attempt; none for questions of the platform itself.
    pub attempt: Option<AttemptId>,
    /// In which role, for example `planner`.
    pub role: String,
    /// In which phase, for example `requirements`.
    pub phase: String,
    /// The task's plan-local id, for example `TSK-003`; none while planning.
    pub task: Option<String>,
    /// The task's title.
    pub title: Option<String>,
    /// How often the subject was begun, from 1.
    pub round: u32,
}

/// What a call may cost at most, as far as can be told before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// The route asked for.
    pub route: RouteName,
    /// Its model.
    pub model: String,
    /// Estimated tokens read, and the limit of tokens answered.
    pub tokens: Tokens,
    /// What those cost.
    pub cost_microusd: i64,
}

/// What a call did cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The route asked for.
    pub route: RouteName,
    /// The model that answered.
    pub model: String,
    /// Tokens of all tries, failed ones included; estimated where the model did not say.
    pub tokens: Tokens,
    /// What those cost.
    pub cost_microusd: i64,
    /// From the question to the end of the answer.
    pub latency_ms: u64,
    /// Tries.
    pub calls: u32,
    /// The answers were scripted and cost nothing.
    pub simulated: bool,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a whole answer.
    Complete,
    /// With part of an answer: the model's stream was cut.
    Cut,
    /// With part of an answer or none: the asker went away.
    Abandoned,
    /// With no answer.
    Failed,
}

/// Why a call may not be made.
#[derive(Debug, Error)]
pub enum ReserveError {
    /// There is no money for it.
    #[error("{reason}")]
    Refused {
        /// Which budget, its size and what to do.
        reason: String,
    },
    /// Nobody can tell: the budgets cannot be read.
    #[error("the budget cannot be checked")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A cost could not be written down.
#[derive(Debug, Error)]
#[error("the cost of a model call could not be recorded")]
pub struct RecordError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A granted call's claim on the budgets: what the meter has to keep for as long as the call is open.
/// Dropped without a record, the call counts no longer.
#[derive(Default)]
#[must_use = "a call counts only while its reservation is kept"]
pub struct Reservation(Option<Box<dyn Any + Send>>);

impl Reservation {
    /// Keeps `claim` until the call is recorded or dropped.
    pub fn of(claim: impl Send + 'static) -> Self {
        Self(Some(Box::new(claim)))
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reservation")
            .field(&self.0.is_some())
            .finish()
    }
}

/// The hook around every call.
pub trait Meter: Send + Sync + 'static {
    /// Asks whether `caller` may make a call, before any upstream hears of it. Until it is recorded, a
    /// granted call counts against the budgets of all others with what it may cost.
    fn reserve<'a>(
        &'a self,
        caller: &'a Caller,
        projection: &'a Projection,
    ) -> BoxFuture<'a, Result<Reservation, ReserveError>>;

    /// Reports what a reserved call cost, in place of what it might have. Follows every granted
    /// reservation exactly once, also when the call failed or its asker went away, and comes before the
    /// asker learns of the end.
    fn record<'a>(
        &'a self,
        caller: &'a Caller,
        usage: &'a Usage,
        reservation: Reservation,
    ) -> BoxFuture<'a, Result<(), RecordError>>;
}

/// Counts the tokens of one try from its events.
#[derive(Clone, Debug)]
pub(crate) struct Gauge {
    read_estimate: u64,
    usage: TokenUsage,
    answered_bytes: u64,
    started: bool,
    summed_up: bool,
}

impl Gauge {
    /// A gauge for a request of about `read_estimate` tokens.
    pub(crate) fn new(read_estimate: u64) -> Self {
        Self {
            read_estimate,
            usage: TokenUsage::default(),
            answered_bytes: 0,
            started: false,
            summed_up: false,
        }
    }

    /// Forgets what was seen.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.read_estimate);
    }

    pub(crate) fn push(&mut self, event: &StreamEvent) {
        self.started = true;
        match event {
            StreamEvent::MessageStart(start) => self.usage.merge(&start.message.usage),
            StreamEvent::ContentBlockDelta(delta) => {
                let text = match &delta.delta {
                    Delta::Text(d) => &d.text,
                    Delta::InputJson(d) => &d.partial_json,
                    Delta::Thinking(d) => &d.thinking,
                    Delta::Signature(_) | Delta::Other(_) => return,
                };
                self.answered_bytes += text.len() as u64;
            }
            StreamEvent::MessageDelta(delta) => {
                self.usage.merge(&delta.usage);
                self.summed_up = true;
            }
            _ => {}
        }
    }

    /// The tokens so far. A model reports what it answered only at the end, and some never do: what is
    /// missing is estimated, so that an interrupted answer is not free.
    pub(crate) fn tokens(&self) -> Tokens {
        if !self.started {
            return Tokens::default();
        }
        let usage = &self.usage;
        let cache_read = usage.cache_read_input_tokens.unwrap_or(0);
        let cache_write = usage.cache_creation_input_tokens.unwrap_or(0);
        let mut input = usage.input_tokens.unwrap_or(0);
        if input + cache_read + cache_write == 0 {
            input = self.read_estimate;
        }
        let told = usage.output_tokens.unwrap_or(0);
        let estimate = self.answered_bytes.div_ceil(BYTES_PER_TOKEN);
        let output = match told {
            told if self.summed_up && told > 0 => told,
            opening => opening.max(estimate),
        };
        Tokens {
            input,
            output,
            cache_read,
            cache_write,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_model_does_not_say_is_estimated() {
        let start = |usage| {
            json!({"type": "message_start", "message": {"id": "m", "role": "assistant", "model": "x",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage}})
        };
        let text = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x".repeat(41)}});
        let end = |usage| json!({"type": "message_delta", "delta": {}, "usage": usage});
        for (name, events, want) in [
            ("nothing came", vec![], (0, 0, 0, 0)),
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
                "never told",
                vec![
                    start(json!({"input_tokens": 0, "output_tokens": 0})),
                    text,
                    end(json!({})),
                ],
                (100, 11, 0, 0),
            ),
        ] {
            let mut gauge = Gauge::new(100);
            for event in events {
                gauge.push(&serde_json::from_value(event).unwrap());
            }
            let t = gauge.tokens();
            assert_eq!(
                (t.input, t.output, t.cache_read, t.cache_write),
                want,
                "{name}"
            );
        }
    }
}
