//! The bracket around a question: reserve before, record after.

use std::collections::VecDeque;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::mpsc::Receiver;

use omoi_domain::model_route::RouteName;
use omoi_domain::time::Timestamp;

use crate::ask::{Llm, Tally};
use crate::chain::Chain;
use crate::failed_try::FailedTry;
use crate::meter::{
    Caller, Meter, Outcome, Projection, RecordError, ReserveError, ReservedCall, Usage,
};
use crate::pricing::Tokens;
use crate::wire::anthropic::MessagesRequest;
use crate::{count, retry};

/// How often a cost is tried to be recorded again: for about 20 s.
const RECORD_RETRIES_MAX: u32 = 4;

/// Tells of the failed tries of one question, each failure once. Noting one takes no time; writing it
/// down may take as long as the meter likes, beside the call.
pub(crate) struct FailureTeller<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) meter: &'a dyn Meter,
    noted: Option<FailedTry>,
    unwritten: VecDeque<FailedTry>,
    writing: Option<BoxFuture<'a, ()>>,
}

impl<'a> FailureTeller<'a> {
    pub(crate) fn new(caller: &'a Caller, meter: &'a dyn Meter) -> Self {
        Self {
            caller,
            meter,
            noted: None,
            unwritten: VecDeque::new(),
            writing: None,
        }
    }

    /// Takes `failed` for telling unless the last one was like it.
    pub(crate) fn note(&mut self, failed: FailedTry) {
        if self
            .noted
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
        self.noted = Some(failed);
    }

    /// Writes down one failure that was noted; waits while there is none. Cancel-safe: what was begun
    /// goes on with the next call.
    pub(crate) async fn write_next(&mut self) {
        if !self.begin_writing() {
            return std::future::pending().await;
        }
        if let Some(writing) = &mut self.writing {
            writing.await;
            self.writing = None;
        }
    }

    /// Writes down all failures that were noted.
    pub(crate) async fn write_all(&mut self) {
        while self.begin_writing() {
            self.write_next().await;
        }
    }

    /// Tells of the failures that nobody has taken out of `failures` yet, and of all noted before.
    pub(crate) async fn tell_rest(&mut self, failures: &mut Receiver<FailedTry>) {
        while let Ok(failed) = failures.try_recv() {
            self.note(failed);
        }
        self.write_all().await;
    }

    /// False when nothing is left to write.
    fn begin_writing(&mut self) -> bool {
        if self.writing.is_none()
            && let Some(failed) = self.unwritten.pop_front()
        {
            let (caller, meter) = (self.caller, self.meter);
            let writing = async move { meter.tell_failure(caller, &failed).await };
            self.writing = Some(writing.boxed());
        }
        self.writing.is_some()
    }
}

/// A granted call, to be closed by [`Metered::record`].
#[must_use = "a granted call stays open until it is recorded"]
pub(crate) struct Metered<'a> {
    llm: &'a Llm,
    caller: &'a Caller,
    route: RouteName,
    asked_at: Timestamp,
    call: Box<dyn ReservedCall>,
}

impl<'a> Metered<'a> {
    /// Asks whether the call may be made.
    pub(crate) async fn reserve(
        llm: &'a Llm,
        caller: &'a Caller,
        meter: &'a dyn Meter,
        (name, request): (RouteName, &MessagesRequest),
    ) -> Result<Self, ReserveError> {
        let asked_at = llm.pace.now();
        let route = llm.routes.get(name);
        let tokens = Tokens {
            input: count::of_request(request),
            output: u64::from(request.max_tokens.min(route.max_tokens)),
            ..Tokens::default()
        };
        let projection = Projection {
            route: name,
            model: route.model.clone(),
            simulated: route.simulated,
            tokens,
            cost: route.price.cost(tokens),
        };
        let call = meter.reserve(caller, &projection).await?;
        Ok(Self {
            llm,
            caller,
            route: name,
            asked_at,
            call,
        })
    }

    /// Reports what the call cost. Whoever gets an error withholds the answer, so that spending stops
    /// where nobody can count it.
    pub(crate) async fn record(self, tally: &Tally, outcome: Outcome) -> Result<(), RecordError> {
        let route = self.llm.routes.get(self.route);
        let tokens = tally.tokens();
        if tally.is_overstated() {
            self.llm.tell_overstated(route);
        }
        let usage = Usage {
            route: self.route,
            model: route.model.clone(),
            tokens,
            cost: tally.cost(&route.price),
            latency_ms: self.llm.pace.now().since(self.asked_at).as_millis() as u64,
            calls: tally.calls,
            simulated: route.simulated,
            outcome,
        };
        let recorded = self.write(&usage).await;
        if let Err(error) = &recorded {
            tracing::error!(
                error = %Chain(error), org.id = %self.caller.principal.org, cost_nanousd = usage.cost.as_nanos(),
                tokens.input = usage.tokens.input, tokens.output = usage.tokens.output,
                "Could not record the cost of a model call"
            );
        }
        recorded
    }

    /// Writes it down, several times where the failure may pass.
    async fn write(&self, usage: &Usage) -> Result<(), RecordError> {
        let mut failures = 0;
        loop {
            let error = match self.call.record(usage).await {
                Err(RecordError::Unavailable(error)) if failures < RECORD_RETRIES_MAX => error,
                done => return done,
            };
            let pause = retry::delay(failures, self.llm.pace.jitter(), None);
            failures += 1;
            let pause_ms = pause.as_millis() as u64;
            tracing::warn!(
                error = %Chain(error.as_ref()), failures, pause_ms,
                "Will try again to record the cost of a model call"
            );
            self.llm.pace.sleep(pause).await;
        }
    }
}
