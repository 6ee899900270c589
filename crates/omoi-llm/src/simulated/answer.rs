//! From a rule to an answer: the blocks, their ids, the token counts, and whether the request allows them.

use serde_json::{Map, Value as Json, json};

use super::{
    asked::{Asked, Choice},
    events::Out,
    refusal::{Reason, Refusal},
};
use crate::{
    scenario::{Part, Rule},
    schema,
};

/// An answer, not yet in any wire format.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) pieces: Vec<Piece>,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) stop: Stop,
}

/// A block of the answer, or a pause.
#[derive(Debug)]
pub(super) enum Piece {
    Delay { ms: u64 },
    Text(String),
    Call(Call),
}

impl Piece {
    /// The pause, if it is one.
    pub(super) fn wait(&self) -> Option<Out> {
        match self {
            Self::Delay { ms } => Some(Out::wait_ms(*ms)),
            Self::Text(_) | Self::Call(_) => None,
        }
    }
}

/// A tool call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// The arguments as JSON text, which a fault may have cut.
    pub(super) input: String,
}

/// Why the answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    EndTurn,
    ToolUse,
    MaxTokens,
    Refusal,
}

/// A token is taken to be this many bytes.
const BYTES_PER_TOKEN: u64 = 4;

/// Builds the reply of `rule` and checks that the request allows it.
pub(super) fn answer(rule: &Rule, asked: &Asked) -> Result<Answer, Refusal> {
    let mut pieces = Vec::new();
    let mut n_calls = 0;
    let mut bytes = 0;
    for part in &rule.reply {
        let (name, input, unoffered) = match part {
            Part::Delay { ms } => {
                pieces.push(Piece::Delay { ms: *ms });
                continue;
            }
            Part::Text(text) => {
                bytes += text.len() as u64;
                pieces.push(Piece::Text(text.clone()));
                continue;
            }
            Part::Tool {
                name,
                input,
                unoffered,
            } => (name.as_str(), input.clone(), *unoffered),
            Part::Item {
                section,
                key,
                value,
            } => {
                let phase = phase(rule, asked)?;
                let input = json!({"phase": phase, "section": section, "key": key, "value": value});
                ("submit_item", object(input), false)
            }
            Part::Done => {
                let input = json!({"phase": phase(rule, asked)?});
                ("submit_done", object(input), false)
            }
        };
        let input = Json::Object(input);
        if !unoffered {
            check_call(rule, asked, name, &input)?;
        }
        let input = input.to_string();
        bytes += (name.len() + input.len()) as u64;
        n_calls += 1;
        let id = format!("toolu_{}_{n_calls}", &asked.digest[..16]);
        pieces.push(Piece::Call(Call {
            id,
            name: name.to_owned(),
            input,
        }));
    }
    check_choice(rule, asked, n_calls)?;
    let estimate = bytes.div_ceil(BYTES_PER_TOKEN).max(1);
    check_length(rule, asked, estimate)?;
    let read = (asked.body_bytes as u64).div_ceil(BYTES_PER_TOKEN);
    Ok(Answer {
        id: asked.digest[..24].to_owned(),
        pieces,
        input_tokens: rule.usage.input.unwrap_or(read),
        output_tokens: rule.usage.output.unwrap_or(estimate),
        stop: match rule.stop {
            Some("max_tokens") => Stop::MaxTokens,
            Some(_) => Stop::Refusal,
            None if n_calls > 0 => Stop::ToolUse,
            None => Stop::EndTurn,
        },
    })
}

/// Refuses an answer above the limit that the request sets.
fn check_length(rule: &Rule, asked: &Asked, tokens: u64) -> Result<(), Refusal> {
    match asked.form.max_tokens {
        Some(max_tokens) if tokens > max_tokens => {
            let rule = rule.name.clone();
            let reason = Reason::AnswerTooLong {
                rule,
                tokens,
                max_tokens,
            };
            Err(reason.into())
        }
        _ => Ok(()),
    }
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

fn phase<'a>(rule: &Rule, asked: &'a Asked) -> Result<&'a str, Refusal> {
    let missing = || {
        Reason::NoPhase {
            rule: rule.name.clone(),
        }
        .into()
    };
    asked.keys.phase.as_deref().ok_or_else(missing)
}

fn check_call(rule: &Rule, asked: &Asked, name: &str, input: &Json) -> Result<(), Refusal> {
    let (rule, tool) = (rule.name.clone(), name.to_owned());
    let Some(offered) = asked.form.tools.iter().find(|offered| offered.name == name) else {
        let names: Vec<_> = asked
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
        return Err(Reason::ToolNotOffered {
            rule,
            tool,
            offered,
        }
        .into());
    };
    schema::check(&offered.schema, input).map_err(|violations| {
        let why = violations
            .iter()
            .map(|found| format!("input{} {}", found.path, found.problem));
        let why = why.collect::<Vec<_>>().join("; ");
        Reason::InputRefused { rule, tool, why }.into()
    })
}

fn check_choice(rule: &Rule, asked: &Asked, n_calls: usize) -> Result<(), Refusal> {
    let calls = |wanted: &str| {
        rule.reply.iter().any(|part| match part {
            Part::Tool { name, .. } => name == wanted,
            Part::Item { .. } => wanted == "submit_item",
            Part::Done => wanted == "submit_done",
            Part::Text(_) | Part::Delay { .. } => false,
        })
    };
    let unmet = match &asked.form.choice {
        Choice::Any if n_calls == 0 => Some("a tool call".to_owned()),
        Choice::None if n_calls > 0 => Some("that no tool is called".to_owned()),
        Choice::Named(name) if !calls(name) => Some(format!("a call of `{name}`")),
        _ => None,
    };
    let rule = rule.name.clone();
    if let Some(demanded) = unmet {
        return Err(Reason::ChoiceUnmet { rule, demanded }.into());
    }
    if n_calls > 1 && !asked.form.parallel {
        return Err(Reason::ParallelForbidden { rule }.into());
    }
    Ok(())
}
