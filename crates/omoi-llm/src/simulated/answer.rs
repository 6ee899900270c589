//! From a rule to an answer: the blocks, their ids, the token counts, and whether the request allows them.

use serde_json::{Map, Value as Json, json};

use super::{
    checked_request::{CheckedRequest, RequestedChoice},
    refusal::{RefusalReason, RequestRefusal},
    wire_output::WireOutput,
};
use crate::{
    scenario::{ReplyPart, ScenarioRule},
    schema,
};

/// An answer, not yet in any wire format.
#[derive(Debug)]
pub(super) struct ScriptedAnswer {
    pub(super) id: String,
    pub(super) pieces: Vec<AnswerPiece>,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) stop: AnswerStop,
}

/// A block of the answer, or a pause.
#[derive(Debug)]
pub(super) enum AnswerPiece {
    Delay { ms: u64 },
    Text(String),
    Call(ScriptedCall),
}

impl AnswerPiece {
    /// The pause, if it is one.
    pub(super) fn as_wait(&self) -> Option<WireOutput> {
        match self {
            Self::Delay { ms } => Some(WireOutput::wait_ms(*ms)),
            Self::Text(_) | Self::Call(_) => None,
        }
    }
}

/// A tool call of the answer.
#[derive(Debug)]
pub(super) struct ScriptedCall {
    pub(super) id: String,
    pub(super) name: String,
    /// The arguments as JSON text, which a fault may have cut.
    pub(super) input: String,
}

/// Why the answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerStop {
    EndTurn,
    ToolUse,
    MaxTokens,
    Refusal,
}

/// A token is taken to be this many bytes.
const BYTES_PER_TOKEN: u64 = 4;

/// Builds the reply of `rule` and checks that the request allows it.
pub(super) fn script_answer(
    rule: &ScenarioRule,
    request: &CheckedRequest,
) -> Result<ScriptedAnswer, RequestRefusal> {
    let mut pieces = Vec::new();
    let mut n_calls = 0;
    let mut bytes = 0;
    for part in &rule.reply {
        let (name, input, unoffered) = match part {
            ReplyPart::Delay { ms } => {
                pieces.push(AnswerPiece::Delay { ms: *ms });
                continue;
            }
            ReplyPart::Text(text) => {
                bytes += text.len() as u64;
                pieces.push(AnswerPiece::Text(text.clone()));
                continue;
            }
            ReplyPart::Tool {
                name,
                input,
                unoffered,
            } => (name.as_str(), input.clone(), *unoffered),
            ReplyPart::Item {
                section,
                key,
                value,
            } => {
                let phase = request_phase(rule, request)?;
                let input = json!({"phase": phase, "section": section, "key": key, "value": value});
                ("submit_item", json_object(input), false)
            }
            ReplyPart::Done => {
                let input = json!({"phase": request_phase(rule, request)?});
                ("submit_done", json_object(input), false)
            }
        };
        let input = Json::Object(input);
        if !unoffered {
            check_call(rule, request, name, &input)?;
        }
        let input = input.to_string();
        bytes += (name.len() + input.len()) as u64;
        n_calls += 1;
        let id = format!("toolu_{}_{n_calls}", &request.digest[..16]);
        pieces.push(AnswerPiece::Call(ScriptedCall {
            id,
            name: name.to_owned(),
            input,
        }));
    }
    check_choice(rule, request, n_calls)?;
    let estimate = bytes.div_ceil(BYTES_PER_TOKEN).max(1);
    check_length(rule, request, estimate)?;
    let read = (request.body_bytes as u64).div_ceil(BYTES_PER_TOKEN);
    Ok(ScriptedAnswer {
        id: request.digest[..24].to_owned(),
        pieces,
        input_tokens: rule.usage.input.unwrap_or(read),
        output_tokens: rule.usage.output.unwrap_or(estimate),
        stop: match rule.stop {
            Some("max_tokens") => AnswerStop::MaxTokens,
            Some(_) => AnswerStop::Refusal,
            None if n_calls > 0 => AnswerStop::ToolUse,
            None => AnswerStop::EndTurn,
        },
    })
}

/// Refuses an answer above the limit that the request sets.
fn check_length(
    rule: &ScenarioRule,
    request: &CheckedRequest,
    tokens: u64,
) -> Result<(), RequestRefusal> {
    match request.form.max_tokens {
        Some(max_tokens) if tokens > max_tokens => {
            let rule = rule.name.clone();
            let reason = RefusalReason::AnswerTooLong {
                rule,
                tokens,
                max_tokens,
            };
            Err(reason.into())
        }
        _ => Ok(()),
    }
}

fn json_object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

fn request_phase<'a>(
    rule: &ScenarioRule,
    request: &'a CheckedRequest,
) -> Result<&'a str, RequestRefusal> {
    let missing = || {
        RefusalReason::NoPhase {
            rule: rule.name.clone(),
        }
        .into()
    };
    request.keys.phase.as_deref().ok_or_else(missing)
}

fn check_call(
    rule: &ScenarioRule,
    request: &CheckedRequest,
    name: &str,
    input: &Json,
) -> Result<(), RequestRefusal> {
    let (rule, tool) = (rule.name.clone(), name.to_owned());
    let Some(offered) = request
        .form
        .tools
        .iter()
        .find(|offered| offered.name == name)
    else {
        let names: Vec<_> = request
            .form
            .tools
            .iter()
            .map(|tool| format!("`{}`", tool.name))
            .collect();
        let offered = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        return Err(RefusalReason::ToolNotOffered {
            rule,
            tool,
            offered,
        }
        .into());
    };
    schema::check_value(&offered.schema, input).map_err(|violations| {
        let why = violations
            .iter()
            .map(|found| format!("input{} {}", found.path, found.problem));
        let why = why.collect::<Vec<_>>().join("; ");
        RefusalReason::InputRefused { rule, tool, why }.into()
    })
}

fn check_choice(
    rule: &ScenarioRule,
    request: &CheckedRequest,
    n_calls: usize,
) -> Result<(), RequestRefusal> {
    let calls = |wanted: &str| {
        rule.reply.iter().any(|part| match part {
            ReplyPart::Tool { name, .. } => name == wanted,
            ReplyPart::Item { .. } => wanted == "submit_item",
            ReplyPart::Done => wanted == "submit_done",
            ReplyPart::Text(_) | ReplyPart::Delay { .. } => false,
        })
    };
    let unmet = match &request.form.choice {
        RequestedChoice::Any if n_calls == 0 => Some("a tool call".to_owned()),
        RequestedChoice::None if n_calls > 0 => Some("that no tool is called".to_owned()),
        RequestedChoice::Named(name) if !calls(name) => Some(format!("a call of `{name}`")),
        _ => None,
    };
    let rule = rule.name.clone();
    if let Some(demanded) = unmet {
        return Err(RefusalReason::ChoiceUnmet { rule, demanded }.into());
    }
    if n_calls > 1 && !request.form.parallel {
        return Err(RefusalReason::ParallelForbidden { rule }.into());
    }
    Ok(())
}
