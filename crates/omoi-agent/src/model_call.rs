//! One turn's model call, retried when the answer was cut or could not be read.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use omoi_domain::retry::ErrorClass;
use omoi_domain::time::Timestamp;
use omoi_llm::gateway::{BUDGET_KIND, MODEL_DECLINED_KIND, SUPERSEDED_KIND};
use omoi_llm::gateway_client::GatewayClient;
use omoi_llm::pace::CallPace;
use omoi_llm::upstream::{UpstreamError, collect_answer};
use omoi_llm::window_refusal::says_over_window;
use omoi_llm::wire::answer::ModelAnswer;
use omoi_llm::wire::anthropic::{MessagesRequest, StreamEvent};
use omoi_runtime::clock::Clocked;
use omoi_runtime::rng::Rng;
use omoi_runtime::telemetry::error_chain;

/// Retries of a turn after an answer that began and then failed.
const RETRIES_MAX: u32 = 3;
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The gateway does not know this attempt any more.
    Superseded,
    /// The model reads less than the request holds.
    OverWindow {
        /// Reason for people to read.
        message: String,
    },
    /// A failure that a retry by this attempt does not mend.
    Final {
        /// Error class that decides about a retry.
        class: ErrorClass,
        /// Reason for people to read.
        message: String,
    },
}

/// How to go on after one failure.
enum FailureStep {
    /// Ask again, as often as it takes: the gateway is away for a moment, or says that it cannot ask now.
    Wait {
        /// The least pause that it wants.
        least: Duration,
    },
    /// Ask again a few times.
    Again(ErrorClass),
    Give(NoAnswer),
}

/// The worker's clock and randomness, as the model client takes them.
#[derive(Clone, Debug)]
pub(crate) struct WorkerPace {
    pub(crate) clock: Clocked,
    pub(crate) rng: Rng,
}

impl CallPace for WorkerPace {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        self.clock.sleep(pause)
    }

    fn jitter(&self) -> f64 {
        self.rng.unit_fraction()
    }
}

/// Asks for the answer to `request`, which goes on from `n_turns` turns. The caller's wall limit ends the
/// waiting.
pub(crate) async fn ask_model(
    client: &GatewayClient,
    pace: &Arc<WorkerPace>,
    request: &MessagesRequest,
    n_turns: u32,
) -> Result<ModelAnswer, NoAnswer> {
    let mut again = 0;
    let mut pause = PAUSE_MIN;
    loop {
        let mut least = Duration::ZERO;
        let next = match client.stream_message(request, n_turns).await {
            Ok(events) => {
                let mut is_begun = false;
                let seen = |event: &StreamEvent| is_begun |= !matches!(event, StreamEvent::Ping(_));
                match collect_answer(events, seen).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) if is_begun => (after_cut(&error), error),
                    // The gateway says after its pings what it could have said in the head.
                    Err(error) => (after_refusal(&error), error),
                }
            }
            Err(error) => (after_refusal(&error), error),
        };
        match next {
            (FailureStep::Give(no_answer), _) => return Err(no_answer),
            (FailureStep::Again(class), error) if again == RETRIES_MAX => {
                let message = message_of(&error);
                return Err(NoAnswer::Final { class, message });
            }
            (FailureStep::Again(_), error) => {
                again += 1;
                tracing::info!(again, error = %error_chain(&error), "Asking for the turn again");
            }
            (FailureStep::Wait { least: told }, error) => {
                least = told;
                tracing::info!(error = %error_chain(&error), "Waiting for the gateway");
            }
        }
        let jittered = pause.mul_f64(0.75 + pace.jitter() / 2.0);
        pace.sleep(jittered.max(least)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Decides after a refusal of the gateway. It has made every retry of the question already, so a refusal is
/// final where it does not say itself that asking again helps.
fn after_refusal(error: &UpstreamError) -> FailureStep {
    let UpstreamError::Status {
        status,
        kind,
        message,
        retry_after,
        should_retry,
    } = error
    else {
        return match error {
            UpstreamError::Connect(_) => FailureStep::Wait {
                least: Duration::ZERO,
            },
            other => after_cut(other),
        };
    };
    if says_over_window(*status, kind, message) {
        let message = error_chain(error);
        return FailureStep::Give(NoAnswer::OverWindow { message });
    }
    if *should_retry {
        return FailureStep::Wait {
            least: retry_after.unwrap_or_default(),
        };
    }
    let class = match status {
        401 => return FailureStep::Give(NoAnswer::Superseded),
        403 if kind == SUPERSEDED_KIND => return FailureStep::Give(NoAnswer::Superseded),
        _ if kind == MODEL_DECLINED_KIND => ErrorClass::ModelDeclined,
        _ if kind == BUDGET_KIND => {
            let (class, message) = (ErrorClass::QuotaExceeded, message.clone());
            return FailureStep::Give(NoAnswer::Final { class, message });
        }
        // The platform has no key, or one the provider refuses: the same tomorrow.
        403 => ErrorClass::AuthFailed,
        429 => ErrorClass::RateLimited,
        500.. => ErrorClass::Upstream5xx,
        _ => ErrorClass::UpstreamRefused,
    };
    FailureStep::Give(NoAnswer::Final {
        class,
        message: error_chain(error),
    })
}

/// What a refusal means for an attempt whose agent program asked: no further try of it is of use.
pub(crate) fn refused_for_good(error: &UpstreamError) -> NoAnswer {
    match after_refusal(error) {
        FailureStep::Give(no_answer) => no_answer,
        FailureStep::Again(class) => NoAnswer::Final {
            class,
            message: message_of(error),
        },
        FailureStep::Wait { .. } => NoAnswer::Final {
            class: ErrorClass::Network,
            message: message_of(error),
        },
    }
}

/// The message of a failure of the worker's own connection, which must not be taken for the provider's:
/// the gateway reports those by a status or an event.
fn own_failure(error: &UpstreamError) -> Option<String> {
    Some(match error {
        UpstreamError::Connect(source) => {
            format!("could not connect to the platform: {}", error_chain(source))
        }
        UpstreamError::Broken(source) => {
            format!(
                "the connection to the platform broke: {}",
                error_chain(source)
            )
        }
        UpstreamError::Cut => "the platform ended an answer before it was whole".to_owned(),
        UpstreamError::Silent { limit_s } | UpstreamError::NoContent { limit_s } => {
            format!("the platform sent nothing for {limit_s} s")
        }
        UpstreamError::TooLong { limit_s } => {
            format!("the platform took longer than {limit_s} s to pass an answer on")
        }
        _ => return None,
    })
}

/// The message of a failure for people.
fn message_of(error: &UpstreamError) -> String {
    own_failure(error).unwrap_or_else(|| error_chain(error))
}

/// Decides after an answer that began and then failed.
fn after_cut(error: &UpstreamError) -> FailureStep {
    let final_as = |class| {
        FailureStep::Give(NoAnswer::Final {
            class,
            message: message_of(error),
        })
    };
    match error {
        UpstreamError::Status { kind, .. } if kind == MODEL_DECLINED_KIND => {
            final_as(ErrorClass::ModelDeclined)
        }
        UpstreamError::Status { kind, message, .. } if kind == BUDGET_KIND => {
            let (class, message) = (ErrorClass::QuotaExceeded, message.clone());
            FailureStep::Give(NoAnswer::Final { class, message })
        }
        UpstreamError::Status { status: 403, .. } => final_as(ErrorClass::AuthFailed),
        UpstreamError::Status { status: 429, .. } => FailureStep::Again(ErrorClass::RateLimited),
        UpstreamError::Status { status: 500.., .. } => FailureStep::Again(ErrorClass::Upstream5xx),
        UpstreamError::Connect(_)
        | UpstreamError::Broken(_)
        | UpstreamError::Cut
        | UpstreamError::Silent { .. }
        | UpstreamError::NoContent { .. } => FailureStep::Again(ErrorClass::Network),
        UpstreamError::Malformed(_) => FailureStep::Again(ErrorClass::AgentError),
        UpstreamError::TooLong { .. } => final_as(ErrorClass::Network),
        UpstreamError::Status { .. }
        | UpstreamError::Declined { .. }
        | UpstreamError::TooLarge { .. }
        | UpstreamError::WrongType { .. }
        | UpstreamError::Convert(_)
        | UpstreamError::BadKey
        | UpstreamError::Unsendable(_) => final_as(ErrorClass::AgentError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_budget_is_told_in_the_words_of_the_ledger_and_lacking_credit_is_the_providers() {
        let refused = |kind: &str| UpstreamError::Status {
            status: 402,
            kind: kind.to_owned(),
            message: "the task has spent all of it".to_owned(),
            retry_after: None,
            should_retry: false,
        };
        for step in [after_refusal, after_cut] {
            let FailureStep::Give(NoAnswer::Final { class, message }) = step(&refused(BUDGET_KIND))
            else {
                panic!("it is final");
            };
            let expected = (ErrorClass::QuotaExceeded, "the task has spent all of it");
            assert_eq!((class, message.as_str()), expected);
        }
        let (class, _) = told(&refused("billing_error"));
        assert_eq!(class, ErrorClass::UpstreamRefused);
    }

    #[test]
    fn a_model_that_declines_is_told_as_such_wherever_it_does() {
        let error = UpstreamError::Status {
            status: 400,
            kind: MODEL_DECLINED_KIND.to_owned(),
            message: "`m` declined".to_owned(),
            retry_after: None,
            should_retry: false,
        };
        for step in [after_refusal(&error), after_cut(&error)] {
            let FailureStep::Give(NoAnswer::Final { class, .. }) = step else {
                panic!("it is final");
            };
            assert_eq!(class, ErrorClass::ModelDeclined);
        }
    }

    /// Class and words of a failure that lasts.
    fn told(error: &UpstreamError) -> (ErrorClass, String) {
        match after_refusal(error) {
            FailureStep::Again(class) => (class, message_of(error)),
            FailureStep::Give(NoAnswer::Final { class, message }) => (class, message),
            FailureStep::Wait { .. }
            | FailureStep::Give(NoAnswer::Superseded | NoAnswer::OverWindow { .. }) => {
                panic!("{error}")
            }
        }
    }

    #[test]
    fn the_workers_own_connection_is_not_the_providers() {
        for (error, class, words) in [
            (
                UpstreamError::Cut,
                ErrorClass::Network,
                "the platform ended an answer before it was whole",
            ),
            (
                UpstreamError::Silent { limit_s: 75 },
                ErrorClass::Network,
                "the platform sent nothing for 75 s",
            ),
            (
                UpstreamError::TooLong { limit_s: 750 },
                ErrorClass::Network,
                "the platform took longer than 750 s to pass an answer on",
            ),
            (
                UpstreamError::Status {
                    status: 502,
                    kind: "api_error".to_owned(),
                    message: "could not connect to the model".to_owned(),
                    retry_after: None,
                    should_retry: false,
                },
                ErrorClass::Upstream5xx,
                "the model answered with status 502 (api_error): could not connect to the model",
            ),
        ] {
            assert_eq!(told(&error), (class, words.to_owned()));
        }
    }

    #[test]
    fn a_refusal_that_passes_by_itself_is_waited_for() {
        for status in [408, 429, 503] {
            let refused = |should_retry| {
                after_refusal(&UpstreamError::Status {
                    status,
                    kind: "api_error".to_owned(),
                    message: "not now".to_owned(),
                    retry_after: Some(Duration::from_secs(2)),
                    should_retry,
                })
            };
            let FailureStep::Wait { least } = refused(true) else {
                panic!("{status} is waited for");
            };
            assert_eq!(least, Duration::from_secs(2));
            assert!(matches!(refused(false), FailureStep::Give(_)), "{status}");
        }
    }
}
