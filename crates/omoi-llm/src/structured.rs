//! Typed answers: the schema comes from the Rust type, a wrong answer goes back with what is wrong.

use std::pin::pin;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use omoi_domain::model_route::RouteName;

use crate::ask::{Ask, AskError, Llm, Tally};
use crate::gateway::outgoing;
use crate::meter::{Caller, Meter, Outcome, RecordError, ReserveError};
use crate::metered::{FailureTeller, Metered};
use crate::retry::Allowance;
use crate::route::AnswerMode;
use crate::schema::{self, Violation};
use crate::wire::answer::Answer;
use crate::wire::anthropic::{
    Content, ContentBlock, Message, MessagesRequest, OutputConfig, OutputFormat, StopReason, Tool,
    ToolChoice,
};
use crate::wire::{Extra, headers};

/// How often a wrong answer is sent back.
pub const REPAIRS_MAX: u32 = 5;
/// The tool by which a typed answer is given.
const TOOL: &str = "answer";

/// A question with a typed answer.
#[derive(Clone, Debug)]
pub struct Question {
    /// To whom.
    pub route: RouteName,
    /// Instructions.
    pub system: Option<String>,
    /// The question.
    pub prompt: String,
    /// Most tokens of the answer.
    pub max_tokens: u32,
    /// Randomness of the answer.
    pub temperature: Option<f64>,
}

/// Who asks, and who pays attention to the cost.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// Allows and records each call.
    pub meter: &'a dyn Meter,
}

/// Why there is no typed answer.
#[derive(Debug, Error)]
pub enum StructuredError {
    /// The call was not allowed.
    #[error("the model may not be called")]
    Reserve(#[source] ReserveError),
    /// The cost could not be written down; the answer is withheld so that spending stops.
    #[error("the model call was not accounted for")]
    Record(#[source] RecordError),
    /// The model could not be asked.
    #[error("the model gave no answer")]
    Ask(#[source] AskError),
    /// The model declined.
    #[error("the model declined to answer")]
    Declined,
    /// The answer stayed wrong.
    #[error("{answers} answers did not fit the schema; the last: {last}")]
    Malformed {
        /// Answers given.
        answers: u32,
        /// What was wrong with the last.
        last: Violation,
    },
}

/// Asks `question` and gives its answer as a `T`.
///
/// A wrong answer goes back with the exact error and the offending value, up to [`REPAIRS_MAX`] times.
/// All calls together keep within the number of one [`Allowance`], and each question within its time.
///
/// # Errors
/// Returns [`StructuredError`], in the end with the last violation.
pub async fn structured<T: JsonSchema + DeserializeOwned>(
    llm: &Llm,
    asker: Asker<'_>,
    question: &Question,
) -> Result<T, StructuredError> {
    let schema = schema::of::<T>();
    let mode = llm.routes.get(question.route).answer_mode;
    let mut request = first_request(question, &schema, mode);
    let mut allowance = Allowance::within(llm.pace.now(), llm.retry_time);
    let mut answers = 0;
    loop {
        let answer = ask(llm, asker, (question.route, &request), &mut allowance).await?;
        allowance = allowance.renewed(llm.pace.now(), llm.retry_time);
        answers += 1;
        if answer.response.stop_reason == Some(StopReason::Refusal) {
            return Err(StructuredError::Declined);
        }
        let mut violations = match value_of(&answer) {
            Ok(value) => match schema::read(&schema, &value) {
                Ok(typed) => return Ok(typed),
                Err(violations) => violations,
            },
            Err(violation) => vec![violation],
        };
        if answers > REPAIRS_MAX {
            let last = violations.swap_remove(0);
            return Err(StructuredError::Malformed { answers, last });
        }
        send_back(&mut request, answer, &violations);
    }
}

/// One metered question.
async fn ask(
    llm: &Llm,
    asker: Asker<'_>,
    (route, request): (RouteName, &MessagesRequest),
    allowance: &mut Allowance,
) -> Result<Answer, StructuredError> {
    let metered = Metered::reserve(llm, asker.caller, asker.meter, (route, request));
    let metered = metered.await.map_err(StructuredError::Reserve)?;
    let (mut tally, mut failures) = Tally::new(*allowance).with_failures();
    let mut teller = FailureTeller::new(asker.caller, asker.meter);
    let target = llm.routes.get(route);
    let headers = outgoing(asker.caller, request, (target, &headers::own()));
    let ask = Ask {
        route,
        request,
        headers: &headers,
    };
    let answer = {
        let mut answer = pin!(llm.complete(ask, &mut tally));
        loop {
            tokio::select! {
                answer = &mut answer => break answer,
                // Why there is no answer at all, who asks tells.
                Some(failed) = failures.recv() => if failed.next_at.is_some() {
                    teller.note(failed);
                },
                () = teller.write_next() => {}
            }
        }
    };
    teller.write_all().await;
    *allowance = tally.allowance;
    let outcome = match &answer {
        Ok(_) => Outcome::Complete,
        Err(_) => Outcome::Failed,
    };
    let recorded = metered.record(&tally, outcome).await;
    recorded.map_err(StructuredError::Record)?;
    answer.map_err(StructuredError::Ask)
}

fn first_request(question: &Question, schema: &Value, mode: AnswerMode) -> MessagesRequest {
    let prompt = Message::user(question.prompt.as_str());
    let mut request = MessagesRequest::new("", question.max_tokens, vec![prompt]);
    request.system = question.system.clone().map(Content::Text);
    request.temperature = question.temperature;
    match mode {
        AnswerMode::ToolCall => {
            let says = "Give the answer. Call this exactly once.";
            request.tools = vec![Tool::new(TOOL, says, schema.clone())];
            request.tool_choice = Some(ToolChoice::Tool {
                name: TOOL.to_owned(),
                disable_parallel_tool_use: Some(true),
            });
        }
        AnswerMode::JsonSchema => {
            let schema = schema.clone();
            request.output_config = Some(OutputConfig {
                format: Some(OutputFormat::JsonSchema { schema }),
                extra: Extra::new(),
            });
        }
        AnswerMode::Fenced => {
            let rule = format!(
                "Answer with one fenced block, ```json … ```, and nothing else. Its JSON must fit this \
                 schema:\n{schema}"
            );
            let system = match &question.system {
                Some(system) => format!("{system}\n\n{rule}"),
                None => rule,
            };
            request.system = Some(Content::Text(system));
        }
    }
    request
}

/// The JSON in an answer: the input of the tool call, else the text, fenced or bare.
fn value_of(answer: &Answer) -> Result<Value, Violation> {
    if let Some(broken) = answer.broken_calls.first() {
        let raw = Value::String(broken.raw.clone());
        return Err(Violation::new(
            "",
            format!("is not a JSON object: {}", broken.problem),
            &raw,
        ));
    }
    let call = answer
        .response
        .content
        .iter()
        .find_map(|block| match block {
            ContentBlock::ToolUse(call) if call.name == TOOL => Some(call.input.clone()),
            _ => None,
        });
    if let Some(input) = call {
        return Ok(input);
    }
    let texts = answer
        .response
        .content
        .iter()
        .filter_map(ContentBlock::as_text);
    let text = texts.collect::<Vec<_>>().join("\n");
    let json = fenced(&text).unwrap_or(&text).trim();
    serde_json::from_str(json).map_err(|error| {
        let cut = answer.response.stop_reason == Some(StopReason::MaxTokens);
        let why = if cut {
            " (the answer was cut at its token limit; be shorter)"
        } else {
            ""
        };
        Violation::new(
            "",
            format!("is not JSON: {error}{why}"),
            &Value::from(text.as_str()),
        )
    })
}

/// The inside of the first fenced block.
fn fenced(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("```")?;
    let (_, body) = after.split_once('\n')?;
    // A string in the JSON may hold a fence of its own, so the last one closes.
    body.rfind("```").map(|end| &body[..end])
}

/// Puts the wrong answer and what is wrong with it at the end of the conversation.
fn send_back(request: &mut MessagesRequest, answer: Answer, violations: &[Violation]) {
    let problems: Vec<String> = violations.iter().map(|v| format!("- {v}")).collect();
    let says = format!(
        "The answer does not fit the schema:\n{}\nGive the whole answer again, corrected.",
        problems.join("\n")
    );
    let mut content = answer.response.content;
    let results: Vec<ContentBlock> = content
        .iter()
        .filter_map(|block| match block {
            ContentBlock::ToolUse(call) => {
                Some(ContentBlock::tool_result(&call.id, says.as_str(), true))
            }
            _ => None,
        })
        .collect();
    // Vendors refuse empty text blocks and messages without content.
    content.retain(|block| block.as_text().is_none_or(|text| !text.trim().is_empty()));
    if content.is_empty() {
        content.push(ContentBlock::text("(empty answer)"));
    }
    request.messages.push(Message::assistant(content));
    request.messages.push(if results.is_empty() {
        Message::user(says)
    } else {
        Message::user(results)
    });
}
