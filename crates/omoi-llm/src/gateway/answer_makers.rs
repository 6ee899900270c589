//! Who made the answers of a conversation: decides who gets its reasoning back, and who is asked next.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use omoi_domain::id::AttemptId;
use omoi_domain::model_route::RouteName;

use super::GatewayShared;
use super::caller_ask::AskWay;
use crate::meter::ModelCaller;
use crate::route::ModelRoute;
use crate::wire::carried_reasoning::{AnswerAuthor, CarriedReasoning};
use crate::wire::dialect::Dialect;
use crate::wire::raw_request::RawRequest;

/// Most conversations that are remembered; those of the oldest attempts are forgotten first.
const CONVERSATIONS_MAX: usize = 4_096;

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
        Self {
            dialect: asked.dialect,
            route,
            attempt,
            is_beside: route != shared.llm.routes.work_route(caller),
            has_tools: asked.has_tools,
            carried: asked.carried.clone(),
            home: home_maker(shared, caller, asked.dialect).await,
            last: makers.and_then(|makers| makers.last),
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

    /// The order in which `choices` are asked, by their places: as they stand, but in the midst of a tool
    /// round first the model that gave its last answer, whose reasoning and prompt cache are at hand.
    pub(super) fn order_choices(&self, choices: &[ModelRoute]) -> Vec<usize> {
        let round = self.carried.round.as_ref();
        let author = round.and_then(|round| match &round.answered_by {
            AnswerAuthor::Signed(maker) => Some(maker),
            AnswerAuthor::Unsigned => self.home.as_ref(),
            AnswerAuthor::Silent => self.last.as_ref(),
        });
        let mut order: Vec<usize> = (0..choices.len()).collect();
        if let Some(author) = author {
            order.sort_by_key(|nth| {
                let maker = choices.get(*nth).map(ModelRoute::maker_id);
                maker.as_ref() != Some(author)
            });
        }
        order
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
