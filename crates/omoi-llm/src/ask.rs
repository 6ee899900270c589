//! Asking a model, with tries, pauses and circuit breakers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, stream};
use http::HeaderMap;
use secrecy::ExposeSecret;
use thiserror::Error;

use omoi_domain::model_route::RouteName;
use omoi_domain::secret_mask::SecretMask;

use crate::chain::Chain;
use crate::circuit::{Circuits, Open, Permit};
use crate::failed_try::FailedTry;
use crate::pace::Pace;
use crate::retry::{self, Class, Spent};
use crate::route::{Key, Route, Routes};
use crate::upstream::{Call, EventStream, Http, Limits, UpstreamError, collect};
use crate::wire::answer::Answer;
use crate::wire::anthropic::{MessagesRequest, StreamEvent};

pub use crate::tally::Tally;

/// Everything needed to ask models. Clones share connections and circuits.
#[derive(Clone)]
pub struct Llm {
    /// Which model answers what.
    pub routes: Routes,
    /// By which clock.
    pub pace: Arc<dyn Pace>,
    /// What one answer may take.
    pub limits: Limits,
    /// How long one question is tried again; a call under way may take longer.
    pub retry_time: Duration,
    http: Http,
    mask: SecretMask,
    circuits: Circuits,
    /// Addresses whose usage figures were said to be wrong.
    overstated: Arc<Mutex<BTreeSet<String>>>,
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// To whom.
    pub route: RouteName,
    /// What; its `model` and `stream` are replaced.
    pub request: &'a MessagesRequest,
    /// Headers that go along.
    pub headers: &'a HeaderMap,
}

/// Why a question has no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// A failure that trying again does not mend.
    #[error("the model call failed")]
    Failed(#[source] UpstreamError),
    /// The next try would begin after the deadline.
    #[error("gave up on the model after {calls} calls: no time is left")]
    OutOfTime {
        /// Calls made.
        calls: u32,
        /// The last failure.
        #[source]
        last: Option<UpstreamError>,
    },
    /// No calls are left.
    #[error("gave up on the model after {calls} calls, the most that are allowed")]
    OutOfCalls {
        /// Calls made.
        calls: u32,
        /// The last failure.
        #[source]
        last: Option<UpstreamError>,
    },
    /// The model kept failing and is left alone for longer than this question may take.
    #[error("the model at {target} keeps failing and is left alone for {} s", .retry_after.as_secs())]
    CircuitOpen {
        /// Its address.
        target: String,
        /// For how long.
        retry_after: Duration,
    },
}

impl AskError {
    /// The failure underneath, when a call was made at all.
    pub fn upstream(&self) -> Option<&UpstreamError> {
        match self {
            Self::Failed(error) => Some(error),
            Self::OutOfTime { last, .. } | Self::OutOfCalls { last, .. } => last.as_ref(),
            Self::CircuitOpen { .. } => None,
        }
    }

    fn spent(spent: Spent, calls: u32, last: Option<UpstreamError>) -> Self {
        match spent {
            Spent::Time => Self::OutOfTime { calls, last },
            Spent::Calls => Self::OutOfCalls { calls, last },
        }
    }
}

impl Llm {
    /// Models reached by `routes`.
    ///
    /// # Errors
    /// Returns [`UpstreamError::Unsendable`] when the platform offers no sockets.
    pub fn new(routes: Routes, pace: Arc<dyn Pace>) -> Result<Self, UpstreamError> {
        // A provider that echoes its key is the first who could.
        let keys = RouteName::ALL.iter().map(|name| &routes.get(*name).key);
        let secrets = keys.filter_map(Key::secret);
        let mask = SecretMask::new(secrets.map(ExposeSecret::expose_secret));
        Ok(Self {
            routes,
            pace,
            limits: Limits::default(),
            retry_time: retry::DEADLINE,
            http: Http::new(mask.clone())?,
            mask,
            circuits: Circuits::default(),
            overstated: Arc::default(),
        })
    }

    /// Says, once for each address, that its usage figures are not believed.
    pub(crate) fn tell_overstated(&self, route: &Route) {
        let mut told = self
            .overstated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if told.insert(route.target().to_owned()) {
            tracing::warn!(
                model = route.model,
                address = route.target(),
                "The provider reports more tokens than the request allowed; they are counted up to that limit"
            );
        }
    }

    /// Asks and gives the answer as it comes.
    ///
    /// Failures are tried again until the answer shows its first content; a failure after that ends the
    /// stream with an error. The allowance bounds when calls begin, the limits what each of them
    /// takes. The reader shows every event to [`Tally::see`].
    ///
    /// # Errors
    /// Returns [`AskError`] when no answer began.
    pub async fn stream(&self, ask: Ask<'_>, tally: &mut Tally) -> Result<EventStream, AskError> {
        self.begin(ask, tally, &mut 0).await
    }

    /// Asks and gives the whole answer; a cut answer is asked for again.
    ///
    /// # Errors
    /// Returns [`AskError`] when there is no whole answer.
    pub async fn complete(&self, ask: Ask<'_>, tally: &mut Tally) -> Result<Answer, AskError> {
        let route = self.routes.get(ask.route);
        let mut failures = 0;
        loop {
            let events = self.begin(ask, tally, &mut failures).await?;
            match collect(events, |event| tally.see(event)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.pause(error, (tally, route), &mut failures).await?,
            }
        }
    }

    async fn begin(
        &self,
        ask: Ask<'_>,
        tally: &mut Tally,
        failures: &mut u32,
    ) -> Result<EventStream, AskError> {
        let route = self.routes.get(ask.route);
        loop {
            let permit = self.admit(route, tally).await?;
            match self.attempt(ask, tally, permit).await {
                Ok(events) => return Ok(events),
                Err(error) => self.pause(error, (tally, route), failures).await?,
            }
        }
    }

    /// Waits for the circuit to let a call through.
    async fn admit(&self, route: &Route, tally: &Tally) -> Result<Permit, AskError> {
        loop {
            let now = self.pace.now();
            let spent = |s| AskError::spent(s, tally.calls, None);
            tally.allowance.check(now, Duration::ZERO).map_err(spent)?;
            let Open { until } = match self.circuits.admit(route.target(), now) {
                Ok(permit) => return Ok(permit),
                Err(open) => open,
            };
            let retry_after = until.since(now);
            if tally.allowance.check(now, retry_after).is_err() {
                return Err(AskError::CircuitOpen {
                    target: route.target().to_owned(),
                    retry_after,
                });
            }
            self.pace.sleep(retry_after).await;
        }
    }

    /// One call, until it shows content.
    async fn attempt(
        &self,
        ask: Ask<'_>,
        tally: &mut Tally,
        mut permit: Permit,
    ) -> Result<EventStream, UpstreamError> {
        tally.begin_call(self.routes.get(ask.route), ask.request);
        let limit = self.limits.first_content;
        let no_content = UpstreamError::NoContent {
            limit_s: limit.as_secs(),
        };
        // Dropping the losing side abandons the call as a whole.
        let begun = tokio::select! {
            begun = self.first_content(ask, tally, &mut permit) => begun,
            () = self.pace.expire(limit) => Err(no_content),
        };
        // The same limit, noticed further below.
        let begun = begun.map_err(|error| match error {
            UpstreamError::Silent { limit_s } => UpstreamError::NoContent { limit_s },
            other => other,
        });
        match begun {
            Ok((first, rest)) => {
                tally.rewind();
                Ok(judged(first, rest, permit, Arc::clone(&self.pace)))
            }
            Err(error) => {
                if !error.may_be_billed() {
                    tally.set_not_billed();
                }
                judge(&error, permit, self.pace.as_ref());
                Err(error)
            }
        }
    }

    /// Opening events prove little: vendors send them before they find out that they are overloaded.
    async fn first_content(
        &self,
        ask: Ask<'_>,
        tally: &mut Tally,
        permit: &mut Permit,
    ) -> Result<(Vec<StreamEvent>, EventStream), UpstreamError> {
        let call = Call {
            route: self.routes.get(ask.route),
            request: ask.request,
            headers: ask.headers,
        };
        let mut events = self.http.send(call, self.limits, &self.pace).await?;
        let mut first = Vec::new();
        while let Some(event) = events.next().await {
            let event = event?;
            permit.alive();
            tally.see(&event);
            let opening = event.is_opening();
            first.push(event);
            if !opening {
                break;
            }
        }
        Ok((first, events))
    }

    /// Waits for the next try, or gives up.
    async fn pause(
        &self,
        error: UpstreamError,
        (tally, route): (&Tally, &Route),
        failures: &mut u32,
    ) -> Result<(), AskError> {
        let Class::Retry { after } = error.class() else {
            tally.tell(FailedTry::of(route, &error, &self.mask), None);
            return Err(AskError::Failed(error));
        };
        let pause = retry::delay(*failures, self.pace.jitter(), after);
        *failures += 1;
        let now = self.pace.now();
        if let Err(spent) = tally.allowance.check(now, pause) {
            tally.tell(FailedTry::of(route, &error, &self.mask), None);
            return Err(AskError::spent(spent, tally.calls, Some(error)));
        }
        tally.tell(FailedTry::of(route, &error, &self.mask), Some(now + pause));
        let pause_ms = pause.as_millis() as u64;
        tracing::info!(error = %Chain(&error), calls = tally.calls, pause_ms, "Will try a model call again");
        self.pace.sleep(pause).await;
        Ok(())
    }
}

/// The stream with its opening put back, which tells the circuit how it ended.
fn judged(
    first: Vec<StreamEvent>,
    rest: EventStream,
    permit: Permit,
    pace: Arc<dyn Pace>,
) -> EventStream {
    let mut permit = Some(permit);
    let events = stream::iter(first.into_iter().map(Ok)).chain(rest);
    EventStream::new(events.inspect(move |event| match event {
        Ok(StreamEvent::MessageStop(_)) => {
            if let Some(permit) = permit.take() {
                permit.succeed();
            }
        }
        Ok(_) => {}
        Err(error) => {
            if let Some(permit) = permit.take() {
                judge(error, permit, pace.as_ref());
            }
        }
    }))
}

fn judge(error: &UpstreamError, permit: Permit, pace: &dyn Pace) {
    match error.class() {
        Class::Retry { .. } => permit.fail(pace.now()),
        // Whoever refuses a request is there.
        Class::Final if matches!(error, UpstreamError::Status { .. }) => permit.succeed(),
        Class::Final => drop(permit),
    }
}
