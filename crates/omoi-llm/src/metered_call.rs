//! A metered model call: reserves its cost before, records it after.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::mpsc::Receiver;

use omoi_domain::money::NanoUsd;
use omoi_domain::outage::CallWait;
use omoi_domain::time::Timestamp;

use crate::error_chain::ErrorChain;
use crate::failed_try::FailedTry;
use crate::llm_client::{LlmClient, QuestionTally};
use crate::meter::{
    CallMeter, CallOutcome, CallUsage, CostProjection, ModelCaller, RecordError, ReserveError,
    ReservedCall,
};
use crate::pricing::BilledUsage;
use crate::retry;
use crate::route::{ModelRoute, RouteChoice};
use crate::token_count::RequestSize;

/// How often a cost is tried to be recorded again: for about 20 s.
const RECORD_RETRIES_MAX: u32 = 4;

/// Reports the failed tries of one question to the meter, each distinct failure once. Noting one takes
/// no time; writing it down runs beside the call.
pub(crate) struct FailureWriter<'a> {
    pub(crate) caller: &'a ModelCaller,
    pub(crate) meter: &'a dyn CallMeter,
    last_noted: Option<FailedTry>,
    /// The last failure of the model that is asked, where its provider turned the question away.
    turned_away: Option<FailedTry>,
    unwritten: VecDeque<FailedTry>,
    writing: Option<BoxFuture<'a, ()>>,
}

impl<'a> FailureWriter<'a> {
    pub(crate) fn new(caller: &'a ModelCaller, meter: &'a dyn CallMeter) -> Self {
        Self {
            caller,
            meter,
            last_noted: None,
            turned_away: None,
            unwritten: VecDeque::new(),
            writing: None,
        }
    }

    /// As [`FailureWriter::note_failure`] where `failed` is tried again. Why there is no answer at all, who asks
    /// tells.
    pub(crate) fn note_passing(&mut self, failed: FailedTry) {
        match failed.next_at {
            Some(_) => self.note_failure(failed),
            None => self.keep_turned_away(&failed),
        }
    }

    fn keep_turned_away(&mut self, failed: &FailedTry) {
        if failed.wait == CallWait::Saved {
            self.turned_away = Some(failed.clone());
        }
    }

    /// Queues `failed` for the meter unless the last one was like it.
    pub(crate) fn note_failure(&mut self, failed: FailedTry) {
        self.keep_turned_away(&failed);
        if self
            .last_noted
            .as_ref()
            .is_some_and(|noted| failed.is_like(noted))
        {
            return;
        }
        tracing::warn!(
            provider = failed.provider,
            model = failed.model,
            status = failed.status,
            "A model call failed: {}",
            failed.words
        );
        self.unwritten.push_back(failed.clone());
        self.last_noted = Some(failed);
    }

    /// Writes down one failure that was noted; waits while there is none. Cancel-safe: what was begun
    /// goes on with the next call.
    pub(crate) async fn write_next_failure(&mut self) {
        if !self.begin_writing() {
            return std::future::pending().await;
        }
        if let Some(writing) = &mut self.writing {
            writing.await;
            self.writing = None;
        }
    }

    /// Writes down all failures that were noted.
    pub(crate) async fn write_noted_failures(&mut self) {
        while self.begin_writing() {
            self.write_next_failure().await;
        }
    }

    /// Writes down what is left in `failures` and all failures noted before.
    pub(crate) async fn write_remaining(&mut self, failures: &mut Receiver<FailedTry>) {
        while let Ok(failed) = failures.try_recv() {
            self.note_failure(failed);
        }
        self.write_noted_failures().await;
    }

    /// Takes the failure by which the provider of the model that was asked last turned the question away
    /// until no try was left; none where it failed otherwise.
    pub(crate) fn take_turned_away(&mut self) -> Option<FailedTry> {
        self.turned_away.take()
    }

    /// Has the attempt that asks saved, whose provider turned it away with `failed`; whether it is.
    pub(crate) async fn save_attempt(&mut self, failed: &FailedTry) -> bool {
        self.meter.save_attempt(self.caller, failed).await
    }

    /// False when nothing is left to write.
    fn begin_writing(&mut self) -> bool {
        if self.writing.is_none()
            && let Some(failed) = self.unwritten.pop_front()
        {
            let (caller, meter) = (self.caller, self.meter);
            let writing = async move { meter.report_failure(caller, &failed).await };
            self.writing = Some(writing.boxed());
        }
        self.writing.is_some()
    }
}

/// The reservation of a call that may be tried several times.
#[derive(Clone)]
pub(crate) struct CallReservation(Arc<dyn ReservedCall>);

impl CallReservation {
    /// Makes room for another try, after those that may cost `spent`.
    pub(crate) async fn reserve_retry(
        &self,
        route: &ModelRoute,
        size: &RequestSize,
        spent: NanoUsd,
    ) -> Result<(), ReserveError> {
        let next = BilledUsage::projected_usage(size, route);
        let cost = spent.saturating_add(route.price.cost_of(&next));
        self.0.raise_cost(cost).await
    }
}

impl std::fmt::Debug for CallReservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CallReservation").finish_non_exhaustive()
    }
}

/// The size of a request, and the route that it is asked by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallRequest {
    pub(crate) route: RouteChoice,
    pub(crate) size: RequestSize,
}

/// A granted call, to be closed by [`MeteredCall::record_outcome`].
#[must_use = "a granted call stays open until it is recorded"]
pub(crate) struct MeteredCall<'a> {
    llm: &'a LlmClient,
    caller: &'a ModelCaller,
    route: RouteChoice,
    asked_at: Timestamp,
    call: Arc<dyn ReservedCall>,
}

impl<'a> MeteredCall<'a> {
    /// Asks whether the call may be made. The upstream may be asked then; nothing that it says is told before
    /// [`MeteredCall::wait_kept`] has ended.
    pub(crate) async fn reserve_call(
        llm: &'a LlmClient,
        caller: &'a ModelCaller,
        meter: &'a dyn CallMeter,
        asked: CallRequest,
    ) -> Result<Self, ReserveError> {
        let CallRequest {
            route: choice,
            size,
        } = asked;
        let name = choice.name;
        let route = llm.routes.route_at(choice);
        let projected = BilledUsage::projected_usage(&size, route);
        let tokens = projected.tokens;
        let projection = CostProjection {
            route: name,
            model: route.model.clone(),
            simulated: route.simulated,
            tokens,
            cost: route.price.cost_of(&projected),
        };
        let call = meter.reserve_call(caller, &projection).await;
        let call = call.inspect_err(|error| {
            tracing::info!(route = %name, error = %ErrorChain(error), "A model call was refused");
        })?;
        tracing::debug!(
            route = %name, model = route.model, cost_nanousd = projection.cost.as_nanos(),
            tokens.input = tokens.input, tokens.output = tokens.output, "Reserved a model call"
        );
        Ok(Self {
            llm,
            caller,
            route: choice,
            // The time before is ours and not the model's.
            asked_at: llm.pace.now(),
            call: call.into(),
        })
    }

    /// Waits until the reservation outlives a loss of power.
    pub(crate) async fn wait_kept(&self) -> Result<(), ReserveError> {
        self.call.wait_kept().await
    }

    /// What the tries of the call reserve their cost by.
    pub(crate) fn call_reservation(&self) -> CallReservation {
        CallReservation(Arc::clone(&self.call))
    }

    /// Reports what the call cost. Whoever gets an error withholds the answer, so that spending stops
    /// where nobody can count it.
    pub(crate) async fn record_outcome(
        self,
        tally: &QuestionTally,
        outcome: CallOutcome,
    ) -> Result<(), RecordError> {
        let route = self.llm.routes.route_at(self.route);
        let tokens = tally.total_tokens();
        if tally.is_overstated() {
            self.llm.warn_overstated(route);
        }
        let usage = CallUsage {
            route: self.route.name,
            model: route.model.clone(),
            tokens,
            is_estimated: tally.is_estimated(),
            cost: tally.total_cost(&route.price),
            latency_ms: self.llm.pace.now().since(self.asked_at).as_millis() as u64,
            calls: tally.calls,
            simulated: route.simulated,
            outcome,
            cache_miss: tally.cache_miss.clone(),
        };
        tracing::debug!(
            route = %usage.route, model = usage.model, outcome = ?usage.outcome, calls = usage.calls,
            cost_nanousd = usage.cost.as_nanos(), tokens.input = tokens.input,
            tokens.output = tokens.output, ms = usage.latency_ms, "A model call ended"
        );
        let recorded = self.write_usage(&usage).await;
        if let Err(error) = &recorded {
            tracing::error!(
                error = %ErrorChain(error), org.id = %self.caller.principal.org, cost_nanousd = usage.cost.as_nanos(),
                tokens.input = usage.tokens.input, tokens.output = usage.tokens.output,
                "Could not record the cost of a model call"
            );
        }
        recorded
    }

    /// Writes it down, several times where the failure may pass.
    async fn write_usage(&self, usage: &CallUsage) -> Result<(), RecordError> {
        let mut failures = 0;
        loop {
            let error = match self.call.record_usage(usage).await {
                Err(RecordError::Unavailable(error)) if failures < RECORD_RETRIES_MAX => error,
                done => return done,
            };
            let pause = retry::retry_delay(failures, self.llm.pace.jitter(), None);
            failures += 1;
            let pause_ms = pause.as_millis() as u64;
            tracing::warn!(
                error = %ErrorChain(error.as_ref()), failures, pause_ms,
                "Will try again to record the cost of a model call"
            );
            self.llm.pace.sleep(pause).await;
        }
    }
}
