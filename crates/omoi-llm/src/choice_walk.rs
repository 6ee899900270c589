//! The way of one question through the models of its list: the gateway's for agents, and that of the
//! platform's own questions.

use std::time::Duration;

use omoi_domain::model_fallback::FallbackClass;

use crate::circuit::{PassReason, PassedTarget};
use crate::failed_try::FailedTry;
use crate::llm_client::LlmClient;
use crate::meter::{CallMeter, FallbackNote, ModelCaller};
use crate::retry::FALLBACK_TIME;
use crate::route::{ModelRoute, RouteChoice};
use crate::token_count::RequestSize;

/// The models of a question, each asked once.
pub(crate) struct ChoiceWalk<'a> {
    llm: &'a LlmClient,
    order: std::vec::IntoIter<RouteChoice>,
}

/// A model whose turn it is.
#[derive(Clone, Copy)]
pub(crate) struct WalkedChoice<'a> {
    /// Its place.
    pub(crate) choice: RouteChoice,
    /// The model.
    pub(crate) target: &'a ModelRoute,
    /// The one that is asked after it; none where no other is left.
    next: Option<&'a ModelRoute>,
    llm: &'a LlmClient,
}

impl<'a> ChoiceWalk<'a> {
    /// The models at `order`, asked in it.
    pub(crate) fn new(llm: &'a LlmClient, order: Vec<RouteChoice>) -> Self {
        Self {
            llm,
            order: order.into_iter(),
        }
    }

    /// The next model.
    pub(crate) fn next_choice(&mut self) -> Option<WalkedChoice<'a>> {
        let llm = self.llm;
        let choice = self.order.next()?;
        let next = self.order.as_slice().first();
        Some(WalkedChoice {
            choice,
            target: llm.routes.route_at(choice),
            next: next.map(|next| llm.routes.route_at(*next)),
            llm,
        })
    }
}

impl WalkedChoice<'_> {
    /// Whether no other model is left.
    pub(crate) const fn is_last(&self) -> bool {
        self.next.is_none()
    }

    /// How long it is tried again.
    pub(crate) fn retry_time(&self) -> Duration {
        match self.next {
            Some(_) => self.llm.retry_time.min(FALLBACK_TIME),
            None => self.llm.retry_time,
        }
    }

    /// How an earlier question found it away, where another model is left to be asked in its place.
    pub(crate) fn passed_target(&self) -> Option<PassedTarget> {
        self.next?;
        let (key, now) = (self.target.circuit_key(), self.llm.pace.now());
        self.llm.circuits.passed_target(&key, now)
    }

    /// In words, that it is passed over.
    pub(crate) fn passed_words(&self, passed: &PassedTarget) -> String {
        let (model, until) = (&self.target.model, passed.until.time_of_day());
        format!("`{model}` did not answer an earlier question and is not asked until {until}")
    }

    /// In words, that a request of `size` is more than it reads, by what is known of it, where another model
    /// is left to be asked in its place.
    pub(crate) fn window_excess(&self, size: RequestSize) -> Option<String> {
        self.next?;
        let (window, tokens) = (self.target.window_tokens?, size.read_least);
        // Where the caller names no bound, the provider fits the answer in. What is read is estimated, and callers
        // ask for all the room that is left: of a bound only a part counts, the provider knows the rest.
        let asked = size.answer_cap.filter(|_| self.target.has_shared_window());
        let answered = asked.map_or(0, |cap| u64::from(cap.min(self.target.max_tokens)));
        let answered = answered.min(window / 16);
        let words = match answered {
            0 => String::new(),
            _ => format!(" and may be answered with {answered}"),
        };
        (tokens.saturating_add(answered) > window).then(|| {
            let model = &self.target.model;
            format!("the request has at least {tokens} tokens{words}, and `{model}` reads {window}")
        })
    }

    /// Has other questions pass it over that failed this one, where it is away or limited and another model
    /// is left. `turned_away` is its last failure, where its provider turned the question away.
    pub(crate) fn note_failure(
        &self,
        class: Option<FallbackClass>,
        turned_away: Option<FailedTry>,
    ) {
        if let Some(class @ (FallbackClass::Away | FallbackClass::Limited)) = class
            && !self.is_last()
        {
            let (key, now) = (self.target.circuit_key(), self.llm.pace.now());
            let reason = PassReason { class, turned_away };
            self.llm.circuits.pass_over(&key, now, reason);
        }
    }

    /// What is told where the question goes on to the next model; none where it does not.
    pub(crate) fn fallback_note(
        &self,
        class: Option<FallbackClass>,
        words: String,
    ) -> Option<FallbackNote> {
        Some(FallbackNote {
            route: self.choice.name,
            from_model: self.target.model.clone(),
            to_model: self.next?.model.clone(),
            class: class?,
            words,
        })
    }
}

/// Tells of a question that goes on to the next model; `is_known` where an earlier question found out why.
pub(crate) async fn tell_fallback(
    meter: &dyn CallMeter,
    caller: &ModelCaller,
    note: &FallbackNote,
    is_known: bool,
) {
    let FallbackNote {
        route,
        from_model,
        to_model,
        class,
        words,
    } = note;
    match is_known {
        true => {
            tracing::debug!(%route, from = from_model, to = to_model, %class, "A model is passed over: {words}");
        }
        false => {
            tracing::warn!(%route, from = from_model, to = to_model, %class, "A question goes on to the next model: {words}");
        }
    }
    meter.report_fallback(caller, note).await;
}
