//! A caller's question on its way to a model: passed on in its own dialect, or put into another.

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use omoi_domain::model_route::RouteName;

use super::refusal::GatewayRefusal;
use crate::llm_client::{CallSender, UpstreamQuestion};
use crate::meter::ModelCaller;
use crate::route::ModelRoute;
use crate::token_count::RequestSize;
use crate::upstream::{
    AnswerItem as _, AnswerLimits, AnswerStream, EventStream, MalformedAnswer, PassedCall,
    PassedPiece, UpstreamCall, UpstreamError,
};
use crate::wire::answer::AnswerAccumulator;
use crate::wire::answer_signs::{AnswerSigns, AnswerStage};
use crate::wire::anthropic::{MessagesRequest, StreamEvent};
use crate::wire::convert::ConvertError;
use crate::wire::dialect::Dialect;
use crate::wire::raw_request::RawRequest;
use crate::wire::{headers, sse};

/// What a caller of one vendor's API switches on by headers: the version that the request was written
/// for, and what it uses beyond.
const MESSAGES_HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
];
/// The same for the other vendor.
const OPENAI_HEADERS: [HeaderName; 1] = [HeaderName::from_static("openai-beta")];

/// A question as its route takes it.
#[derive(Debug)]
pub(super) enum CallerAsk {
    /// In the caller's own words.
    Passed(RawRequest),
    /// Put into the words of another dialect.
    Converted {
        /// The question in Anthropic's words.
        request: Box<MessagesRequest>,
        /// How large it is.
        size: RequestSize,
    },
}

impl CallerAsk {
    /// `asked`, whose text is `body`, as a model that speaks `upstream` takes it.
    ///
    /// # Errors
    /// Refuses a question that has no form there.
    pub(super) fn for_upstream(
        asked: RawRequest,
        upstream: Dialect,
        body: &[u8],
    ) -> Result<Self, GatewayRefusal> {
        match (asked.dialect, upstream) {
            (from, to) if from == to => Ok(Self::Passed(asked)),
            (Dialect::Messages, Dialect::ChatCompletions) => {
                let request = serde_json::from_slice(body).map_err(|error| {
                    GatewayRefusal::invalid_request(format!("the request: {error}"))
                })?;
                Ok(Self::Converted {
                    request: Box::new(request),
                    size: asked.size,
                })
            }
            (from, to) => {
                let error = ConvertError::Dialects { from, to };
                Err(GatewayRefusal::invalid_request(error.to_string()))
            }
        }
    }

    /// Whether the answer is wanted as a stream.
    pub(super) const fn is_streamed(&self) -> bool {
        match self {
            Self::Passed(request) => request.streams,
            Self::Converted { request, .. } => request.stream,
        }
    }
}

/// One question with all that each of its calls needs.
#[derive(Clone, Copy)]
pub(super) struct RoutedAsk<'a> {
    pub(super) ask: &'a CallerAsk,
    pub(super) route: RouteName,
    pub(super) headers: &'a HeaderMap,
    /// Stands for the caller's user, where the question names one.
    pub(super) user: &'a str,
}

impl UpstreamQuestion for RoutedAsk<'_> {
    type Item = PassedPiece;

    fn route_name(self) -> RouteName {
        self.route
    }

    fn request_size(self) -> RequestSize {
        match self.ask {
            CallerAsk::Passed(request) => request.size,
            CallerAsk::Converted { size, .. } => *size,
        }
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
            CallerAsk::Converted { request, .. } => {
                let call = UpstreamCall {
                    route,
                    request,
                    headers,
                };
                // The upstream streams in any case, so that its silence can be told from work.
                let events = connections.send_call(call, route.limits, pace).await?;
                Ok(match request.stream {
                    true => AnswerStream::new(events.map(|event| event.map(streamed_piece))),
                    false => collected_pieces(events),
                })
            }
        }
    }
}

fn streamed_piece(event: StreamEvent) -> PassedPiece {
    PassedPiece {
        signs: event.read_signs(),
        bytes: event_bytes(&event),
    }
}

/// `event` as it goes to the caller.
pub(super) fn event_bytes(event: &StreamEvent) -> Bytes {
    // Wire types hold only strings, numbers and maps with string keys: they can always be written.
    let data = serde_json::to_string(event).unwrap_or_default();
    sse::encode_frame(Some(event.kind()), &data).into()
}

/// The whole answer as one piece. Pieces without bytes come before it, by which its tokens are counted.
fn collected_pieces(events: EventStream) -> AnswerStream<PassedPiece> {
    let begun = Some((events, AnswerAccumulator::default()));
    AnswerStream::new(stream::unfold(begun, |state| async move {
        let (mut events, mut answer) = state?;
        let event = match events.next().await? {
            Ok(event) => event,
            Err(error) => return Some((Err(error), None)),
        };
        if let Err(error) = answer.push(&event) {
            let error = UpstreamError::Malformed(MalformedAnswer::Answer(error));
            return Some((Err(error), None));
        }
        let mut signs = event.read_signs();
        if signs.stage == AnswerStage::Whole {
            return Some((whole_piece(answer, signs), None));
        }
        // Nothing is shown before the answer is whole, so that a cut one can be asked for again.
        signs.stage = AnswerStage::Opening;
        let bytes = Bytes::new();
        Some((Ok(PassedPiece { bytes, signs }), Some((events, answer))))
    }))
}

fn whole_piece(
    answer: AnswerAccumulator,
    signs: AnswerSigns,
) -> Result<PassedPiece, UpstreamError> {
    let malformed = |error| UpstreamError::Malformed(MalformedAnswer::Answer(error));
    let answer = answer.finish().map_err(malformed)?;
    // A whole answer has no room for input that is not JSON; a stream has.
    if let Some(broken) = answer.broken_calls.into_iter().next() {
        return Err(UpstreamError::Malformed(MalformedAnswer::Call(broken)));
    }
    let bytes = serde_json::to_vec(&answer.response).unwrap_or_default();
    Ok(PassedPiece {
        bytes: bytes.into(),
        signs,
    })
}

/// Tells a simulated model the route: what goes to `title` needs no rule there.
pub(super) fn name_route(out: &mut HeaderMap, route: RouteName) {
    let name = HeaderName::from_static(headers::ROUTE);
    out.insert(name, HeaderValue::from_static(route.as_str()));
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
            out.append(name, value.clone());
        }
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
