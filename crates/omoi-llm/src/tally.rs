//! What one question has cost so far, over all its tries, and who hears of those that failed.

use omoi_domain::money::NanoUsd;
use omoi_domain::time::Timestamp;
use tokio::sync::mpsc;

use crate::failed_try::FailedTry;
use crate::meter::{Gauge, TokenCeiling};
use crate::pricing::{ModelPrice, Tokens};
use crate::retry::{self, Allowance};
use crate::route::Route;
use crate::wire::anthropic::{MessagesRequest, StreamEvent};

/// What a question may take and has taken.
#[derive(Clone, Debug)]
pub struct Tally {
    /// What is left.
    pub allowance: Allowance,
    /// Calls made.
    pub calls: u32,
    over: Vec<Tokens>,
    current: Option<Gauge>,
    is_overstated: bool,
    /// Who hears of failed tries.
    told: Option<mpsc::Sender<FailedTry>>,
}

impl Tally {
    /// An empty tally within `allowance`.
    pub fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            calls: 0,
            over: Vec::new(),
            current: None,
            is_overstated: false,
            told: None,
        }
    }

    /// This tally, and every failed try of its question that is made again, as it happens.
    pub fn with_failures(mut self) -> (Self, mpsc::Receiver<FailedTry>) {
        // Room for every try that one question may make.
        let (told, failures) = mpsc::channel(retry::CALLS_MAX as usize);
        self.told = Some(told);
        (self, failures)
    }

    /// Counts an event of the answer under way. Who reads a stream tells its tally.
    pub fn see(&mut self, event: &StreamEvent) {
        if let Some(gauge) = &mut self.current {
            gauge.push(event);
        }
    }

    /// Tokens of all tries so far, the one under way included.
    pub fn tokens(&self) -> Tokens {
        let mut tokens = Tokens::default();
        self.tries().for_each(|one| tokens += one);
        tokens
    }

    /// What all tries so far cost.
    pub fn cost(&self, price: &ModelPrice) -> NanoUsd {
        self.tries().map(|tokens| price.cost(tokens)).sum()
    }

    /// Whether a try reported more tokens than its request allowed.
    pub fn is_overstated(&self) -> bool {
        self.is_overstated || self.current.as_ref().is_some_and(Gauge::is_overstated)
    }

    fn tries(&self) -> impl Iterator<Item = Tokens> {
        let current = self.current.as_ref().map(Gauge::tokens);
        self.over.iter().copied().chain(current)
    }

    pub(crate) fn begin_call(&mut self, route: &Route, request: &MessagesRequest) {
        self.is_overstated = self.is_overstated();
        self.over.extend(self.current.as_ref().map(Gauge::tokens));
        let mut gauge = Gauge::new(TokenCeiling::of(route, request));
        // Whoever gives up before the answer begins does not know better.
        gauge.set_sent(true);
        self.current = Some(gauge);
        self.calls += 1;
        self.allowance.calls_left = self.allowance.calls_left.saturating_sub(1);
    }

    /// Notes that the provider refused the call under way or never had it, and so does not bill it.
    pub(crate) fn set_not_billed(&mut self) {
        if let Some(gauge) = &mut self.current {
            gauge.set_sent(false);
        }
    }

    /// Tells whoever listens of a failed try.
    pub(crate) fn tell(&self, failed: FailedTry, next_at: Option<Timestamp>) {
        let Some(told) = &self.told else {
            return;
        };
        let failed = FailedTry {
            n_calls: self.calls,
            calls_max: self.calls + self.allowance.calls_left,
            next_at,
            until: self.allowance.until,
            ..failed
        };
        // Who does not listen any more is gone, and the question with it.
        let _ = told.try_send(failed);
    }

    /// The events seen so far will be seen again, by the reader of the stream.
    pub(crate) fn rewind(&mut self) {
        if let Some(gauge) = &mut self.current {
            gauge.reset();
        }
    }
}
