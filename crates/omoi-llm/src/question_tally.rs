//! Tokens and cost of one question so far, over all its tries, and a channel of those that failed.

use serde_json::Value;
use tokio::sync::mpsc;

use omoi_domain::money::NanoUsd;
use omoi_domain::outage::call_wait;
use omoi_domain::time::Timestamp;

use crate::failed_try::FailedTry;
use crate::meter::ReserveError;
use crate::metered_call::CallReservation;
use crate::pricing::{BilledUsage, ModelPrice, TokenCounts};
use crate::retry::{self, CallAllowance};
use crate::route::ModelRoute;
use crate::token_count::RequestSize;
use crate::token_gauge::{TokenCeiling, TokenGauge};
use crate::upstream::AnswerItem;
use crate::wire::answer_signs::{AnswerSigns, CACHE_MISS};

/// Most characters of a provider's reason for a miss of its cache.
const MISS_CHARS_MAX: usize = 60;

/// Allowance and usage of one question.
#[derive(Clone, Debug)]
pub struct QuestionTally {
    /// Calls and time that are left.
    pub allowance: CallAllowance,
    /// Calls made so far.
    pub calls: u32,
    /// Why the prompt cache was missed, in the provider's words.
    pub(crate) cache_miss: Option<String>,
    finished_tries: Vec<BilledUsage>,
    current: Option<TokenGauge>,
    is_overstated: bool,
    is_estimated: bool,
    /// Since when the provider has turned the question away, without anything else in between.
    turned_away_since: Option<Timestamp>,
    last_failed: Option<FailedTry>,
    /// What further tries are reserved by, where calls are metered.
    reservation: Option<CallReservation>,
    /// Receives failed tries, where somebody asked for them.
    failure_sender: Option<mpsc::Sender<FailedTry>>,
}

impl QuestionTally {
    /// An empty tally within `allowance`.
    pub fn new(allowance: CallAllowance) -> Self {
        Self {
            allowance,
            calls: 0,
            cache_miss: None,
            finished_tries: Vec::new(),
            current: None,
            is_overstated: false,
            is_estimated: false,
            turned_away_since: None,
            last_failed: None,
            reservation: None,
            failure_sender: None,
        }
    }

    /// This tally and a receiver of the failed tries of its question, as they happen.
    pub fn with_failures(mut self) -> (Self, mpsc::Receiver<FailedTry>) {
        // Room for every try that one question may make.
        let (told, failures) = mpsc::channel(retry::CALLS_MAX as usize);
        self.failure_sender = Some(told);
        (self, failures)
    }

    /// This tally, whose tries after the first that may be billed are reserved by `reservation`.
    #[must_use]
    pub(crate) fn reserved_by(mut self, reservation: CallReservation) -> Self {
        self.reservation = Some(reservation);
        self
    }

    /// Makes room in the budgets for another try, where tries so far may be billed: the reservation of the
    /// call covers one.
    pub(crate) async fn reserve_retry(
        &self,
        route: &ModelRoute,
        size: &RequestSize,
    ) -> Result<(), ReserveError> {
        let spent = self.total_cost(&route.price);
        match &self.reservation {
            Some(reservation) if spent > NanoUsd::ZERO => {
                reservation.reserve_retry(route, size, spent).await
            }
            _ => Ok(()),
        }
    }

    /// Counts a piece of the current answer; the reader of a stream calls it for each.
    pub fn count_item(&mut self, item: &impl AnswerItem) {
        self.count_signs(&item.read_signs());
    }

    pub(crate) fn count_signs(&mut self, signs: &AnswerSigns) {
        if let Some(gauge) = &mut self.current {
            gauge.push(signs);
        }
        let told = signs
            .usage
            .as_ref()
            .and_then(|usage| usage.extra.get(CACHE_MISS));
        if let Some(reason) = told.and_then(Value::as_str) {
            self.cache_miss = Some(reason.chars().take(MISS_CHARS_MAX).collect());
        }
    }

    /// Tokens of all tries so far, the one under way included.
    pub fn total_tokens(&self) -> TokenCounts {
        let mut tokens = TokenCounts::default();
        self.usage_by_try().for_each(|one| tokens += one.tokens);
        tokens
    }

    /// What all tries so far cost.
    pub fn total_cost(&self, price: &ModelPrice) -> NanoUsd {
        self.usage_by_try().map(|usage| price.cost_of(&usage)).sum()
    }

    /// Whether a try reported more tokens than its request allowed.
    pub fn is_overstated(&self) -> bool {
        self.is_overstated || self.current.as_ref().is_some_and(TokenGauge::is_overstated)
    }

    /// Whether some of its tokens are an estimate, because the provider did not tell them.
    pub fn is_estimated(&self) -> bool {
        self.is_estimated || self.current.as_ref().is_some_and(TokenGauge::is_estimated)
    }

    fn usage_by_try(&self) -> impl Iterator<Item = BilledUsage> {
        let current = self.current.as_ref().map(TokenGauge::billed_usage);
        self.finished_tries.iter().copied().chain(current)
    }

    pub(crate) fn begin_call(&mut self, route: &ModelRoute, size: RequestSize) {
        self.is_overstated = self.is_overstated();
        self.is_estimated = self.is_estimated();
        self.finished_tries
            .extend(self.current.as_ref().map(TokenGauge::billed_usage));
        let mut gauge = TokenGauge::new(TokenCeiling::of_size(route, size));
        // Whoever gives up before the answer begins does not know better.
        gauge.set_sent(true);
        self.current = Some(gauge);
        self.calls += 1;
        self.allowance.calls_left = self.allowance.calls_left.saturating_sub(1);
    }

    /// Notes that the provider refused the call under way or never had it, and so does not bill it: also
    /// when it had begun an answer and told tokens before it found out.
    pub(crate) fn set_not_billed(&mut self) {
        if let Some(gauge) = &mut self.current {
            gauge.reset();
        }
    }

    /// Notes a failed try at `now`, and since when the provider turns the question away.
    pub(crate) fn note_failed(&mut self, is_turned_away: bool, now: Timestamp) {
        match is_turned_away {
            true => self.turned_away_since = Some(self.turned_away_since.unwrap_or(now)),
            false => self.turned_away_since = None,
        }
    }

    /// Reports a failed try to the receiver of [`QuestionTally::with_failures`].
    pub(crate) fn report_failure(&mut self, failed: FailedTry, next_at: Option<Timestamp>) {
        self.last_failed = Some(failed.clone());
        let Some(told) = &self.failure_sender else {
            return;
        };
        let failed = FailedTry {
            n_calls: self.calls,
            calls_max: self.calls + self.allowance.calls_left,
            next_at,
            until: self.allowance.until,
            wait: call_wait(self.turned_away_since, next_at),
            ..failed
        };
        // Who does not listen any more is gone, and the question with it.
        let _ = told.try_send(failed);
    }

    /// Reports that the last failed try is not made again, where the provider turns the question away.
    pub(crate) fn report_end(&mut self) {
        if self.turned_away_since.is_some()
            && let Some(failed) = self.last_failed.take()
        {
            self.report_failure(failed, None);
        }
    }

    /// Forgets the events counted in this try: the reader of the stream counts them again.
    pub(crate) fn rewind_call(&mut self) {
        if let Some(gauge) = &mut self.current {
            gauge.reset();
        }
    }
}
