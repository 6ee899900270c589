//! A caller's question on its way to a model: passed on in its own dialect, or put into another.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::model_route::RouteName;

use super::refusal::GatewayRefusal;
use crate::conversation::{
    AnswerForm, Conversation, SEAL_PREFIX, ToolNames, drop_sealed_reasoning, parse_request,
};
use crate::llm_client::{CallSender, UpstreamQuestion};
use crate::meter::ModelCaller;
use crate::route::{ModelRoute, RouteChoice};
use crate::token_count::RequestSize;
use crate::upstream::{
    AnswerLimits, AnswerStream, CallerSink, PassedCall, PassedPiece, TranslatedCall, UpstreamError,
};
use crate::wire::anthropic::StreamEvent;
use crate::wire::dialect::Dialect;
use crate::wire::raw_request::RawRequest;
use crate::wire::web_tool::passed_betas;
use crate::wire::{headers, sse};

/// What a caller of one vendor's API switches on by headers: the version that the request was written
/// for, and what it uses beyond.
const MESSAGES_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("anthropic-version"), BETA_HEADER];
const BETA_HEADER: HeaderName = HeaderName::from_static("anthropic-beta");
/// Switches on tokens of subscriptions in the place of keys.
const SUBSCRIPTION_BETA: &str = "oauth-2025-04-20";
/// The same for the other vendor.
const OPENAI_HEADERS: [HeaderName; 1] = [HeaderName::from_static("openai-beta")];

/// A question as its route takes it.
#[derive(Debug)]
pub(super) enum CallerAsk {
    /// In the caller's own words.
    Passed(Box<RawRequest>),
    /// To be put into the words of another dialect.
    Translated(Box<TranslatedAsk>),
}

/// How a question reaches a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskWay {
    /// As it came.
    Passed,
    /// By the neutral conversation, whose reasoning says who made it.
    Translated,
}

/// A question whose model speaks another dialect, or is served elsewhere.
#[derive(Debug)]
pub(super) struct TranslatedAsk {
    conversation: Conversation,
    names: ToolNames,
    /// How large it is.
    size: RequestSize,
    /// The caller's own dialect.
    dialect: Dialect,
    hides_usage: bool,
}

impl CallerAsk {
    /// `asked`, whose text is `body`, as it goes to a model by `way`.
    ///
    /// # Errors
    /// Refuses a question that has no form there.
    pub(super) fn for_upstream(
        mut asked: RawRequest,
        way: AskWay,
        body: &[u8],
    ) -> Result<Self, GatewayRefusal> {
        let dialect = asked.dialect;
        if way == AskWay::Passed {
            asked.rewrite_conversation(SEAL_PREFIX, drop_sealed_reasoning);
            return Ok(Self::Passed(Box::new(asked)));
        }
        let mut conversation = parse_request(dialect, body)
            .map_err(|error| GatewayRefusal::invalid_request(error.to_string()))?;
        conversation.drop_unsigned_seals();
        Ok(Self::Translated(Box::new(TranslatedAsk {
            names: ToolNames::of_conversation(&conversation),
            conversation,
            size: asked.size,
            dialect,
            hides_usage: asked.hides_usage(),
        })))
    }

    /// Whether the answer is wanted as a stream.
    pub(super) const fn is_streamed(&self) -> bool {
        match self {
            Self::Passed(request) => request.streams,
            Self::Translated(ask) => ask.conversation.stream,
        }
    }
}

/// One question with all that each of its calls needs.
#[derive(Clone, Copy)]
pub(super) struct RoutedAsk<'a> {
    pub(super) ask: &'a CallerAsk,
    pub(super) route: RouteChoice,
    pub(super) headers: &'a HeaderMap,
    /// Stands for the caller's user, where the question names one.
    pub(super) user: &'a str,
    /// The caller's program.
    pub(super) program: Option<AgentProgram>,
}

impl UpstreamQuestion for RoutedAsk<'_> {
    type Item = PassedPiece;

    fn route_choice(self) -> RouteChoice {
        self.route
    }

    fn request_size(self) -> RequestSize {
        match self.ask {
            CallerAsk::Passed(request) => request.size,
            CallerAsk::Translated(ask) => ask.size,
        }
    }

    fn program(self) -> Option<AgentProgram> {
        self.program
    }

    fn answer_limits(self, route: &ModelRoute) -> AnswerLimits {
        match self.ask.is_streamed() {
            true => route.limits,
            false => route.limits.for_whole(),
        }
    }

    async fn send_once(
        self,
        sender: CallSender<'_>,
    ) -> Result<AnswerStream<PassedPiece>, UpstreamError> {
        let CallSender {
            connections,
            route,
            limits,
            pace,
        } = sender;
        let headers = self.headers;
        match self.ask {
            CallerAsk::Passed(request) => {
                let call = PassedCall {
                    route,
                    request,
                    headers,
                    user: self.user,
                };
                connections.send_passed(call, limits, pace).await
            }
            CallerAsk::Translated(ask) => {
                let form = AnswerForm {
                    dialect: ask.dialect,
                    names: ask.names.clone(),
                    created_s: pace.now().as_micros() / 1_000_000,
                    hides_usage: ask.hides_usage,
                };
                let sink = CallerSink::new(form, ask.conversation.stream);
                let call = TranslatedCall {
                    route,
                    conversation: &ask.conversation,
                    headers,
                    user: Some(self.user),
                    // The upstream streams in any case.
                    limits: route.limits,
                };
                connections.send_translated(call, sink, pace).await
            }
        }
    }
}

/// `event` as it goes to the caller.
pub(super) fn event_bytes(event: &StreamEvent) -> Bytes {
    // Wire types hold only strings, numbers and maps with string keys: they can always be written.
    let data = serde_json::to_string(event).unwrap_or_default();
    sse::encode_frame(Some(event.kind()), &data).into()
}

/// Tells a simulated model the route: what goes to `title` needs no rule there.
pub(super) fn name_route(out: &mut HeaderMap, route: RouteName) {
    let name = HeaderName::from_static(headers::ROUTE);
    out.insert(name, HeaderValue::from_static(route.as_str()));
}

/// What of a header is passed on. A scripted model hears all of it.
fn passed_header(
    name: &HeaderName,
    value: &HeaderValue,
    is_simulated: bool,
) -> Option<HeaderValue> {
    if is_simulated || *name != BETA_HEADER {
        return Some(value.clone());
    }
    let passed = passed_betas(value.to_str().ok()?);
    HeaderValue::from_str(&passed?).ok()
}

/// Headers for the upstream: who asks, for the simulated model alone, and what the caller switched on.
/// `turn` says how many answers the conversation holds.
pub(crate) fn outgoing_headers(
    caller: &ModelCaller,
    turn: Option<usize>,
    target: &ModelRoute,
    incoming: &HeaderMap,
) -> HeaderMap {
    let mut out = HeaderMap::new();
    let passed = match target.dialect {
        Dialect::Messages => &MESSAGES_HEADERS[..],
        Dialect::ChatCompletions | Dialect::Responses => &OPENAI_HEADERS[..],
    };
    for name in passed {
        for value in incoming.get_all(name) {
            if let Some(value) = passed_header(name, value, target.simulated) {
                out.append(name, value);
            }
        }
    }
    if target.only_program.is_some() {
        out.append(BETA_HEADER, HeaderValue::from_static(SUBSCRIPTION_BETA));
    }
    if !target.simulated {
        return out;
    }
    if let Some(own) = incoming.get(headers::CLIENT) {
        out.insert(HeaderName::from_static(headers::CLIENT), own.clone());
    }
    let (round, turn) = (caller.round.to_string(), turn.map(|turn| turn.to_string()));
    let title = caller.title.as_deref().map(headers::percent_encode);
    for (name, value) in [
        (headers::ROLE, Some(caller.role.as_str())),
        (headers::PHASE, Some(caller.phase.as_str())),
        (headers::TASK, caller.task.as_deref()),
        (headers::TITLE, title.as_deref()),
        (headers::ROUND, Some(round.as_str())),
        (headers::TURN, turn.as_deref()),
    ] {
        // Roles, phases and ids are words of our own; one that cannot be a header matches nothing.
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            out.insert(HeaderName::from_static(name), value);
        }
    }
    out
}
