//! The bracket around a question: reserve before, record after.

use omoi_domain::time::Timestamp;

use crate::ask::{Llm, Tally};
use crate::chain::Chain;
use crate::count;
use crate::meter::{
    Caller, Meter, Outcome, Projection, RecordError, Reservation, ReserveError, Usage,
};
use crate::pricing::Tokens;
use crate::route::RouteName;
use crate::wire::anthropic::MessagesRequest;

/// A granted reservation, to be closed by [`Metered::record`].
#[must_use = "a reservation stays open until it is recorded"]
pub(crate) struct Metered<'a> {
    llm: &'a Llm,
    caller: &'a Caller,
    meter: &'a dyn Meter,
    route: RouteName,
    asked_at: Timestamp,
    reservation: Reservation,
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
            tokens,
            cost: route.price.cost(tokens),
        };
        let reservation = meter.reserve(caller, &projection).await?;
        Ok(Self {
            llm,
            caller,
            meter,
            route: name,
            asked_at,
            reservation,
        })
    }

    /// Reports what the call cost.
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
        let recorded = self
            .meter
            .record(self.caller, &usage, self.reservation)
            .await;
        if let Err(error) = &recorded {
            tracing::error!(
                error = %Chain(error), org.id = %self.caller.org, cost_nanousd = usage.cost.as_nanos(),
                tokens.input = usage.tokens.input, tokens.output = usage.tokens.output,
                "Could not record the cost of a model call"
            );
        }
        recorded
    }
}
