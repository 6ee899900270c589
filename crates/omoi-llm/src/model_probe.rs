//! Small questions that find out whether a model does what its provider says: words, a tool call, an
//! answer in pieces, and figures that can be true.

mod judge;

use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;

pub use self::judge::{ProbeFeature, ProbeFinding};
use self::judge::{SeenAnswer, SeenAnswers, SeenCall, TOOL, WORD, judge_answers};
use crate::error_chain::ErrorChain;
use crate::llm_client::{LlmClient, QuestionTally, RoutedRequest};
use crate::pricing::TokenCounts;
use crate::retry::CallAllowance;
use crate::route::{AnswerMode, ModelRoute};
use crate::token_count::RequestSize;
use crate::wire::answer::AnswerAccumulator;
use crate::wire::anthropic::{
    BlockDelta, ContentBlock, ConversationMessage, MessagesRequest, MessagesTool, StreamEvent,
    TokenUsage, ToolChoice,
};
use crate::wire::headers;

/// The scenario by which the simulated model answers the questions.
pub const PROBE_SCENARIO: &str = include_str!("model_probe/scenario.yaml");

/// Tokens of one answer: enough for models that think first.
const TOKENS_MAX: u32 = 2_000;

/// What the questions found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// Whether each feature holds.
    pub findings: Vec<ProbeFinding>,
    /// Tokens of all questions; estimated where the model did not say.
    pub tokens: TokenCounts,
    /// What they cost.
    pub cost: NanoUsd,
    /// Whether some of the tokens are an estimate, because the provider did not tell them.
    pub is_estimated: bool,
    /// How long they took together.
    pub took_ms: u64,
}

impl ProbeReport {
    /// Whether agents can work with the model.
    pub fn is_whole(&self) -> bool {
        self.findings.iter().all(|one| one.problem.is_none())
    }
}

/// Asks the model of `route` three small questions, one call each.
pub async fn probe_model(llm: &LlmClient, route: RouteName) -> ProbeReport {
    let start = llm.pace.now();
    let target = llm.routes.route_named(route);
    let mut session = ProbeSession {
        llm,
        route,
        tokens: TokenCounts::default(),
        cost: NanoUsd::ZERO,
        is_estimated: false,
    };
    let text = session.ask_question("probe: text", &text_request()).await;
    let seen = match text {
        // One refusal is enough: the others would fail alike.
        Err(error) => SeenAnswers {
            text: Err(error),
            tool: Err(NOT_ASKED.to_owned()),
            stream: Err(NOT_ASKED.to_owned()),
        },
        Ok(text) => SeenAnswers {
            text: Ok(text),
            tool: session
                .ask_question("probe: tool", &tool_request(target))
                .await,
            stream: session
                .ask_question("probe: stream", &stream_request())
                .await,
        },
    };
    ProbeReport {
        findings: judge_answers(&seen),
        tokens: session.tokens,
        cost: session.cost,
        is_estimated: session.is_estimated,
        took_ms: llm.pace.now().since(start).as_millis() as u64,
    }
}

/// Why a question was left out.
const NOT_ASKED: &str = "not asked, since the first question failed";

fn text_request() -> MessagesRequest {
    let prompt = "Answer with the word ok and nothing else.";
    MessagesRequest::new("", TOKENS_MAX, vec![ConversationMessage::from_user(prompt)])
}

fn tool_request(route: &ModelRoute) -> MessagesRequest {
    let prompt = format!("Call the tool {TOOL} with the word {WORD}. Do not answer in words.");
    let prompt = vec![ConversationMessage::from_user(prompt)];
    let mut request = MessagesRequest::new("", TOKENS_MAX, prompt);
    request.tools = vec![MessagesTool::new(
        TOOL,
        "Writes down one word.",
        json!({"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"],
            "additionalProperties": false}),
    )];
    // Agents leave the choice to the model; some cannot be forced at all.
    if route.answer_mode == AnswerMode::ToolCall {
        request.tool_choice = Some(ToolChoice::Any {
            disable_parallel_tool_use: None,
        });
    }
    request
}

fn stream_request() -> MessagesRequest {
    let prompt = "Write the numbers from 1 to 40, with a blank between them, and nothing else.";
    MessagesRequest::new("", TOKENS_MAX, vec![ConversationMessage::from_user(prompt)])
}

/// The questions of one probe and what they have used.
struct ProbeSession<'a> {
    llm: &'a LlmClient,
    route: RouteName,
    tokens: TokenCounts,
    cost: NanoUsd,
    is_estimated: bool,
}

impl ProbeSession<'_> {
    /// What came back for `request`; in words why nothing did.
    async fn ask_question(
        &mut self,
        title: &'static str,
        request: &MessagesRequest,
    ) -> Result<SeenAnswer, String> {
        let allowance = CallAllowance {
            calls_left: 1,
            ..CallAllowance::new(self.llm.pace.now())
        };
        let mut tally = QuestionTally::new(allowance);
        let seen = self.read_answer(title, request, &mut tally).await;
        let target = self.llm.routes.route_named(self.route);
        self.tokens += tally.total_tokens();
        let cost = tally.total_cost(&target.price);
        self.cost = self.cost.saturating_add(cost);
        self.is_estimated |= tally.is_estimated();
        seen
    }

    async fn read_answer(
        &self,
        title: &'static str,
        request: &MessagesRequest,
        tally: &mut QuestionTally,
    ) -> Result<SeenAnswer, String> {
        let simulated = self.llm.routes.route_named(self.route).simulated;
        let headers = match simulated {
            true => probe_headers(title),
            false => HeaderMap::new(),
        };
        let ask = RoutedRequest {
            route: self.route.into(),
            request,
            headers: &headers,
        };
        let events = self.llm.stream_answer(ask, tally).await;
        let mut events = events.map_err(|error| ErrorChain(&error).to_string())?;
        let mut answer = AnswerAccumulator::default();
        let mut usage = TokenUsage::default();
        let mut seen = SeenAnswer {
            asked_tokens: RequestSize::of_message(request).read_estimate,
            tokens_max: u64::from(request.max_tokens),
            ..SeenAnswer::default()
        };
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| ErrorChain(&error).to_string())?;
            tally.count_item(&event);
            answer
                .push(&event)
                .map_err(|error| ErrorChain(&error).to_string())?;
            count_event(&event, &mut seen, &mut usage);
        }
        let answer = answer.finish();
        let answer = answer.map_err(|error| ErrorChain(&error).to_string())?;
        for block in &answer.response.content {
            match block {
                ContentBlock::Text(block) => seen.text.push_str(&block.text),
                ContentBlock::ToolUse(call) => {
                    let broken = answer.broken_calls.iter().find(|b| b.id == call.id);
                    seen.calls.push(SeenCall {
                        name: call.name.clone(),
                        word: call
                            .input
                            .get("word")
                            .and_then(Value::as_str)
                            .map(ToOwned::to_owned),
                        broken: broken.map(|broken| broken.problem.clone()),
                    });
                }
                _ => {}
            }
        }
        seen.told = TokenCounts::of_usage(&usage);
        Ok(seen)
    }
}

/// Notes pieces and figures of one event.
fn count_event(event: &StreamEvent, seen: &mut SeenAnswer, usage: &mut TokenUsage) {
    match event {
        StreamEvent::MessageStart(start) => usage.merge(&start.message.usage),
        StreamEvent::MessageDelta(delta) => usage.merge(&delta.usage),
        StreamEvent::ContentBlockDelta(delta) => {
            let bytes = match &delta.delta {
                BlockDelta::Text(piece) => {
                    seen.n_pieces += usize::from(!piece.text.is_empty());
                    piece.text.len()
                }
                BlockDelta::Thinking(piece) => piece.thinking.len(),
                BlockDelta::InputJson(piece) => piece.partial_json.len(),
                BlockDelta::Signature(_) | BlockDelta::Other(_) => 0,
            };
            seen.answered_bytes = seen.answered_bytes.saturating_add(bytes as u64);
        }
        _ => {}
    }
}

/// The headers by which the simulated model finds the rule of a question.
fn probe_headers(title: &str) -> HeaderMap {
    let mut all = headers::own_headers();
    let title = headers::percent_encode(title);
    for (name, value) in [
        (headers::ROLE, "judge"),
        (headers::TITLE, title.as_str()),
        (headers::ROUND, "1"),
        (headers::TURN, "0"),
    ] {
        // What is percent-encoded is a header value.
        if let Ok(value) = HeaderValue::from_str(value) {
            all.insert(HeaderName::from_static(name), value);
        }
    }
    all
}
