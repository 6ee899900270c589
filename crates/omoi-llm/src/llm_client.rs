//! Asking a model, with tries, pauses and circuit breakers.

mod call_start;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::ExposeSecret;
use tracing::Instrument as _;

use omoi_domain::secret_mask::SecretMask;

use crate::brought_keys::OrganisationKeyring;
use crate::circuit::{CallPermit, CircuitBreakers, CircuitOpen, PROBE_POLL};
use crate::error_chain::ErrorChain;
use crate::failed_try::FailedTry;
use crate::pace::CallPace;
use crate::quota::QuotaBoard;
use crate::retry::{self, RetryClass};
use crate::route::{ModelRoute, RouteTable};
use crate::upstream::{AnswerStream, EventStream, ModelConnections, UpstreamError, collect_answer};
use crate::wire::answer::ModelAnswer;

pub use crate::ask_error::AskError;
pub use crate::question_tally::QuestionTally;
pub use crate::upstream_question::RoutedRequest;
pub(crate) use crate::upstream_question::{CallSender, UpstreamQuestion};

/// The longest time that a question comes after the end of a limit that it waits for.
const LIMIT_SPREAD_MAX: Duration = Duration::from_secs(5);

/// Calls models by route, with retries and circuit breakers. Clones share connections and circuits.
#[derive(Clone)]
pub struct LlmClient {
    /// The route of each kind of question.
    pub routes: RouteTable,
    /// Clock and jitter of pauses and deadlines.
    pub pace: Arc<dyn CallPace>,
    /// How long one question is tried again; a call under way may take longer.
    pub retry_time: Duration,
    /// Credentials whose limits are used up.
    pub quota: QuotaBoard,
    /// What organisations bring to be asked with.
    pub(crate) brought: OrganisationKeyring,
    connections: ModelConnections,
    mask: SecretMask,
    pub(crate) circuits: CircuitBreakers,
    /// Addresses for which a warning about wrong usage figures was logged.
    overstated_targets: Arc<Mutex<BTreeSet<String>>>,
}

impl LlmClient {
    /// Models reached by `routes`.
    ///
    /// # Errors
    /// Returns [`UpstreamError::Unsendable`] when the platform offers no sockets.
    pub fn new(routes: RouteTable, pace: Arc<dyn CallPace>) -> Result<Self, UpstreamError> {
        // A provider that echoes its key is the first who could.
        let secrets = routes
            .all_routes()
            .flat_map(|(_, route)| route.call_secrets());
        let mask = SecretMask::new(secrets.map(ExposeSecret::expose_secret));
        let quota = QuotaBoard::default();
        Ok(Self {
            routes,
            pace,
            retry_time: retry::RETRY_TIME,
            brought: OrganisationKeyring::default(),
            connections: ModelConnections::new(mask.clone())?.with_quota(quota.clone()),
            quota,
            mask,
            circuits: CircuitBreakers::default(),
            overstated_targets: Arc::default(),
        })
    }

    /// The same models; what is sent to them and told of them holds no secret of `mask`.
    #[must_use]
    pub fn hiding_secrets(self, mask: &SecretMask) -> Self {
        Self {
            connections: self.connections.hiding_mask(mask),
            mask: self.mask.joined_with(mask),
            ..self
        }
    }

    /// `words` of a provider without secrets.
    pub(crate) fn mask_words(&self, words: &str) -> String {
        self.mask.mask_text(words).into_owned()
    }

    /// Warns once for each address that it reports more tokens than the request allowed.
    pub(crate) fn warn_overstated(&self, route: &ModelRoute) {
        let mut told = self
            .overstated_targets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if told.insert(route.circuit_target()) {
            tracing::warn!(
                model = route.model,
                address = route.base_url,
                "The provider reports more tokens than the request allowed; they are counted up to what its route allows"
            );
        }
    }

    /// Calls the model and streams the answer.
    ///
    /// Failures are tried again until the answer shows its first content; a failure after that ends the
    /// stream with an error. The allowance bounds when calls begin, the limits how long each of them
    /// takes. The reader passes every event to [`QuestionTally::count_item`].
    ///
    /// # Errors
    /// Returns [`AskError`] when no answer began.
    pub async fn stream_answer(
        &self,
        ask: RoutedRequest<'_>,
        tally: &mut QuestionTally,
    ) -> Result<EventStream, AskError> {
        self.begin_answer(ask, tally, &mut 0).await
    }

    /// Calls the model and collects the whole answer; a cut answer is asked for again.
    ///
    /// # Errors
    /// Returns [`AskError`] when there is no whole answer.
    pub async fn complete_answer(
        &self,
        ask: RoutedRequest<'_>,
        tally: &mut QuestionTally,
    ) -> Result<ModelAnswer, AskError> {
        let route = self.routes.route_at(ask.route);
        let mut failures = 0;
        loop {
            let events = self.begin_answer(ask, tally, &mut failures).await?;
            match collect_answer(events, |event| tally.count_item(event)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    self.pause_before_retry(error, tally, route, &mut failures)
                        .await?;
                }
            }
        }
    }

    /// Calls the model until an answer begins.
    pub(crate) async fn begin_answer<Q: UpstreamQuestion>(
        &self,
        ask: Q,
        tally: &mut QuestionTally,
        failures: &mut u32,
    ) -> Result<AnswerStream<Q::Item>, AskError> {
        let route = self.routes.route_at(ask.route_choice());
        if let Some(awaited) = route.awaited_key() {
            return Err(AskError::NoKey {
                provider: route.key_provider().unwrap_or_default().to_owned(),
                variable: awaited.variable.clone(),
            });
        }
        if let Some(program) = route.only_program
            && route.is_reserved_from(ask.program())
        {
            let provider = route.provider_name();
            return Err(AskError::Reserved { provider, program });
        }
        loop {
            self.await_quota(route, tally).await?;
            let permit = self.admit_call(route, tally).await?;
            self.expect_same_keys().await?;
            let size = ask.request_size();
            let reserved = tally.reserve_retry(route, &size).await;
            reserved.map_err(AskError::OverBudget)?;
            let span = tracing::debug_span!(
                "model_call", route = %ask.route_choice().name, model = route.model, call = tally.calls + 1
            );
            match self.attempt_call(ask, tally, permit).instrument(span).await {
                Ok(events) => return Ok(events),
                Err(error) => {
                    self.pause_before_retry(error, tally, route, failures)
                        .await?;
                }
            }
        }
    }

    /// Waits until the limits of the credential and its model have room, as far as anybody was told.
    async fn await_quota(
        &self,
        route: &ModelRoute,
        tally: &mut QuestionTally,
    ) -> Result<(), AskError> {
        let now = self.pace.now();
        let Some(open_at) = self.quota.find_limit(route, now).await else {
            return Ok(());
        };
        let pause = open_at.since(now);
        // Who waits for one limit does not come back at one moment.
        let spread = (pause / 10).min(LIMIT_SPREAD_MAX);
        let spread = spread.mul_f64(self.pace.jitter());
        tally.note_failed(true, now);
        let failed = FailedTry::of_limit(route, open_at);
        if tally.allowance.check_pause(now, pause + spread).is_err() {
            tally.report_failure(failed, None);
            return Err(AskError::Limited {
                provider: route.provider_name(),
                retry_after: pause,
            });
        }
        tally.report_failure(failed, Some(open_at));
        self.pace.sleep(pause + spread).await;
        Ok(())
    }

    /// Waits for the circuit to let a call through. Who waits for a target that turns others away is turned
    /// away as well.
    async fn admit_call(
        &self,
        route: &ModelRoute,
        tally: &mut QuestionTally,
    ) -> Result<CallPermit, AskError> {
        let target = route.circuit_key();
        loop {
            let now = self.pace.now();
            if let Err(spent) = tally.allowance.check_pause(now, Duration::ZERO) {
                tally.report_end();
                return Err(AskError::from_spent(spent, tally.calls, None));
            }
            let CircuitOpen { until, turned_away } =
                match self.circuits.request_permit(&target, now) {
                    Ok(permit) => return Ok(permit),
                    Err(open) => open,
                };
            let retry_after = until.since(now);
            let is_last = tally.allowance.check_pause(now, retry_after).is_err();
            if let Some(failed) = turned_away.filter(|_| is_last || retry_after > PROBE_POLL) {
                tally.note_failed(true, now);
                let reset_at = failed.reset_at.filter(|reset_at| *reset_at > now);
                let failed = FailedTry {
                    reset_at,
                    ..*failed
                };
                tally.report_failure(failed, (!is_last).then_some(until));
            }
            let pause_ms = retry_after.as_millis() as u64;
            tracing::info!(
                circuit = target,
                pause_ms,
                "The model {target} is left alone until it may answer again"
            );
            if is_last {
                return Err(AskError::CircuitOpen {
                    target: route.circuit_target(),
                    retry_after,
                });
            }
            self.pace.sleep(retry_after).await;
        }
    }

    /// The call of `route` that failed with `error` just now, as people are told of it.
    fn failed_try(&self, route: &ModelRoute, error: &UpstreamError) -> FailedTry {
        let reset_at = match error.retry_class() {
            RetryClass::Retry { after } => after.map(|after| self.pace.now() + after),
            RetryClass::Final => None,
        };
        FailedTry {
            reset_at,
            ..FailedTry::from_error(route, error, &self.mask)
        }
    }

    /// Waits for the next try, or gives up.
    async fn pause_before_retry(
        &self,
        error: UpstreamError,
        tally: &mut QuestionTally,
        route: &ModelRoute,
        failures: &mut u32,
    ) -> Result<(), AskError> {
        let now = self.pace.now();
        tally.note_failed(error.is_turned_away(), now);
        let failed = self.failed_try(route, &error);
        let RetryClass::Retry { after } = error.retry_class_after(*failures) else {
            tally.report_failure(failed, None);
            return Err(AskError::Failed(error));
        };
        let pause = retry::retry_delay(*failures, self.pace.jitter(), after);
        *failures += 1;
        if let Err(spent) = tally.allowance.check_pause(now, pause) {
            tally.report_failure(failed, None);
            return Err(AskError::from_spent(spent, tally.calls, Some(error)));
        }
        tally.report_failure(failed, Some(now + pause));
        let pause_ms = pause.as_millis() as u64;
        tracing::info!(error = %ErrorChain(&error), calls = tally.calls, pause_ms, "Will try a model call again");
        self.pace.sleep(pause).await;
        Ok(())
    }
}
