//! Who made the answers of a conversation: decides who gets its reasoning back, and who is asked next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use omoi_domain::id::AttemptId;
use omoi_domain::model_fallback::FallbackClass;
use omoi_domain::model_route::RouteName;

use super::GatewayShared;
use super::caller_ask::AskWay;
use crate::conversation::{DialectQuirks, ThinkingForm};
use crate::meter::ModelCaller;
use crate::route::{ModelRoute, name_fit};
use crate::wire::carried_reasoning::{AnswerAuthor, CarriedReasoning, ToolRound};
use crate::wire::dialect::Dialect;
use crate::wire::raw_request::RawRequest;
use crate::wire::round_entry::{RoundEntry, RoundReader, enter_round};

/// Most conversations that are remembered; those of the oldest attempts are forgotten first.
const CONVERSATIONS_MAX: usize = 4_096;

/// Answers in a row that call tools in words, from which on another model is asked. After the first one it was told
/// to use them.
const WORDED_ANSWERS_MAX: usize = 2;

/// What a process remembers of the conversations of attempts.
#[derive(Debug, Default)]
pub(super) struct AnswerMakers {
    known: Mutex<BTreeMap<(AttemptId, RouteName), KnownMakers>>,
}

#[derive(Clone, Debug, Default)]
struct KnownMakers {
    /// Whose answers pass as they come.
    home: Option<String>,
    /// Who answered last.
    last: Option<String>,
    /// Who could do nothing with a question, and how often somebody had said something in it.
    unfit: BTreeMap<String, usize>,
    /// Who calls tools in words, though told to use them.
    wordy: BTreeSet<String>,
}

impl AnswerMakers {
    fn find_makers(&self, attempt: AttemptId, route: RouteName) -> KnownMakers {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(attempt, route)).cloned().unwrap_or_default()
    }

    fn note_makers(&self, key: (AttemptId, RouteName), note: impl FnOnce(&mut KnownMakers)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        note(known.entry(key).or_default());
        if known.len() > CONVERSATIONS_MAX {
            known.pop_first();
        }
    }
}

/// A conversation that a question goes on with.
#[derive(Debug)]
pub(super) struct AskedConversation {
    dialect: Dialect,
    /// The model that it names.
    model: String,
    route: RouteName,
    attempt: Option<AttemptId>,
    /// Whether it is beside the work of its attempt, as titles are.
    is_beside: bool,
    has_tools: bool,
    carried: CarriedReasoning,
    /// Whose reasoning stands in it as it was written; none where no model of the work speaks its dialect.
    home: Option<String>,
    /// Who answered the attempt last by this route.
    last: Option<String>,
    /// Who could do nothing with a question, and how often somebody had said something in it.
    unfit: BTreeMap<String, usize>,
    /// Who calls tools in words, though told to use them.
    wordy: BTreeSet<String>,
    /// Who of them has just been found out.
    newly_wordy: Option<String>,
}

impl AskedConversation {
    /// The conversation of `asked`, a question of `caller` by `route`.
    pub(super) async fn of_request(
        shared: &GatewayShared,
        caller: &ModelCaller,
        route: RouteName,
        asked: &RawRequest,
    ) -> Self {
        let attempt = caller.principal.purpose.attempt();
        let makers = attempt.map(|attempt| shared.makers.find_makers(attempt, route));
        let mut makers = makers.unwrap_or_default();
        let is_wordy = asked.n_worded >= WORDED_ANSWERS_MAX;
        let newly_wordy = makers.last.clone().filter(|_| is_wordy);
        let newly_wordy = newly_wordy.filter(|last| makers.wordy.insert(last.clone()));
        if let (Some(attempt), Some(_)) = (attempt, &newly_wordy) {
            let wordy = makers.wordy.clone();
            let key = (attempt, route);
            shared.makers.note_makers(key, |known| known.wordy = wordy);
        }
        Self {
            dialect: asked.dialect,
            model: asked.model.clone(),
            route,
            attempt,
            is_beside: route != shared.llm.routes.work_route(caller),
            has_tools: asked.has_tools,
            carried: asked.carried.clone(),
            home: home_maker(shared, caller, asked.dialect).await,
            last: makers.last,
            unfit: makers.unfit,
            wordy: makers.wordy,
            newly_wordy,
        }
    }

    /// How its next question reaches `target`. Reasoning in an answer that passes does not say who made
    /// it, so answers of one maker alone may pass, and those that nobody sends back.
    pub(super) fn way_to(&self, target: &ModelRoute) -> AskWay {
        if target.dialect != self.dialect {
            return AskWay::Translated;
        }
        let is_home = self.home == Some(target.maker_id());
        let is_single = self.is_beside && !self.has_tools && !self.carried.is_unsigned;
        match is_home || is_single {
            true => AskWay::Passed,
            false => AskWay::Translated,
        }
    }

    /// The order in which `choices` are asked, by their places: as they stand, but first the model that the
    /// question names, and last those that could do nothing with what was said last or call tools in words, and
    /// those that may not enter the tool round under way. So a round that went on to another model comes back to
    /// the first one as soon as that may be asked.
    pub(super) fn order_choices(&self, choices: &[ModelRoute]) -> Vec<usize> {
        let rank = |one: &ModelRoute| (self.is_put_off(one), name_fit(&one.model, &self.model));
        let mut order: Vec<usize> = (0..choices.len()).collect();
        order.sort_by_key(|nth| choices.get(*nth).map(rank));
        order
    }

    /// Whether `target` has just been found to call tools in words.
    pub(super) fn is_newly_wordy(&self, target: &ModelRoute) -> bool {
        self.newly_wordy.as_ref() == Some(&target.maker_id())
    }

    fn is_put_off(&self, target: &ModelRoute) -> bool {
        let is_barred = |round| {
            let reader = self.round_reader(target, round);
            self.enters_round(target) && enter_round(round, reader) == RoundEntry::Barred
        };
        let maker = target.maker_id();
        self.unfit.get(&maker) == Some(&self.carried.n_said)
            || self.wordy.contains(&maker)
            || self.carried.round.as_ref().is_some_and(is_barred)
    }

    /// Whether `target` would go on with a tool round in which another model answered last.
    pub(super) fn enters_round(&self, target: &ModelRoute) -> bool {
        let round = self.carried.round.as_ref();
        let author = round.and_then(|round| match &round.answered_by {
            AnswerAuthor::Signed(maker) => Some(maker),
            AnswerAuthor::Unsigned => self.home.as_ref(),
            AnswerAuthor::Silent => self.last.as_ref(),
        });
        author.is_some_and(|author| *author != target.maker_id())
    }

    fn round_reader(&self, target: &ModelRoute, round: &ToolRound) -> RoundReader {
        match target.dialect {
            Dialect::Messages => RoundReader::Messages {
                thinks_by_budget: target.thinking == ThinkingForm::Budget,
            },
            Dialect::ChatCompletions => {
                let maker = target.maker_id();
                let is_home = self.home.as_ref() == Some(&maker);
                let takes_back = DialectQuirks::of_route(target).takes_reasoning_back;
                RoundReader::ChatCompletions {
                    wants_reasoning: takes_back && round.holds_reasoning_of(&maker, is_home),
                }
            }
            Dialect::Responses => RoundReader::Responses,
        }
    }

    /// Remembers that `target` failed a question for `class`. One that could do nothing with it is asked after
    /// all others until somebody says something else.
    pub(super) fn note_failure(
        &self,
        makers: &AnswerMakers,
        target: &ModelRoute,
        class: FallbackClass,
    ) {
        let is_unfit = match class {
            FallbackClass::WindowExceeded
            | FallbackClass::Refused
            | FallbackClass::Declined
            | FallbackClass::ToolsInWords
            | FallbackClass::Unusable => true,
            // They pass by themselves, and are known before anything is sent.
            FallbackClass::Away | FallbackClass::Limited | FallbackClass::OverBudget => false,
        };
        if let Some(attempt) = self.attempt.filter(|_| is_unfit) {
            let maker = target.maker_id();
            makers.note_makers((attempt, self.route), |known| {
                known.unfit.insert(maker, self.carried.n_said);
            });
        }
    }

    /// Remembers that `target` gave the next answer.
    pub(super) fn note_answer(&self, makers: &AnswerMakers, target: &ModelRoute) {
        if let Some(attempt) = self.attempt {
            let maker = target.maker_id();
            makers.note_makers((attempt, self.route), |known| known.last = Some(maker));
        }
    }
}

/// Whose answers to the work of `caller` pass as they come: the first of its models that speaks
/// `dialect`, and from then on, also after a restart with other models, the one that it was.
async fn home_maker(
    shared: &GatewayShared,
    caller: &ModelCaller,
    dialect: Dialect,
) -> Option<String> {
    let routes = &shared.llm.routes;
    let work = routes.work_route(caller);
    let mut choices = routes.choices_of(work).iter();
    let is_home = |choice: &&ModelRoute| {
        choice.dialect == dialect && !choice.is_reserved_from(caller.program)
    };
    let first = choices.find(is_home)?.maker_id();
    let Some(attempt) = caller.principal.purpose.attempt() else {
        return Some(first);
    };
    if let Some(home) = shared.makers.find_makers(attempt, work).home {
        return Some(home);
    }
    // Unknown, nothing passes: better no reasoning than that of another maker.
    let home = shared.meter.keep_maker(caller, &first).await?;
    let kept = Some(home.clone());
    shared
        .makers
        .note_makers((attempt, work), |known| known.home = kept);
    Some(home)
}
