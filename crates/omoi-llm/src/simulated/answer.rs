//! From a rule to an answer: the blocks, their ids, the token counts, and whether the request allows them.

use serde_json::{Map, Value as Json, json};

use super::{
    Dialect, absolute_path,
    cache_figures::BYTES_PER_TOKEN,
    checked_request::{CheckedRequest, ReasoningForm, RequestedChoice, ToolForm},
    refusal::{RefusalReason, RequestRefusal},
    side_answer,
    tool_table::{self, NoWording, WordedCall, WordedInput},
    wire_output::WireOutput,
};
use crate::scenario::{CallManner, ReplyPart, RuleUsage, ScenarioRule};

/// An answer, not yet in any wire format.
#[derive(Debug)]
pub(super) struct ScriptedAnswer {
    pub(super) id: String,
    /// Which answer of the conversation it is.
    pub(super) turn: u32,
    pub(super) pieces: Vec<AnswerPiece>,
    /// None where the rule wants the model to keep its figures to itself.
    pub(super) usage: Option<ScriptedUsage>,
    pub(super) stop: AnswerStop,
    pub(super) reasoning: ReasoningForm,
}

/// Token counts of an answer and its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ScriptedUsage {
    /// Tokens of the request that are neither read from the cache nor written to it.
    pub(super) fresh: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
    pub(super) is_long_lived: bool,
    /// Tokens of the answer, those of its reasoning included.
    pub(super) output: u64,
    pub(super) reasoning: u64,
}

impl ScriptedUsage {
    pub(super) fn input_total(self) -> u64 {
        self.fresh + self.cache_read + self.cache_write
    }
}

/// A block of the answer, or a pause.
#[derive(Debug)]
pub(super) enum AnswerPiece {
    Delay { ms: u64 },
    Reasoning(String),
    Text(String),
    Call(ScriptedCall),
}

impl AnswerPiece {
    /// The pause, if it is one.
    pub(super) fn as_wait(&self) -> Option<WireOutput> {
        match self {
            Self::Delay { ms } => Some(WireOutput::wait_ms(*ms)),
            Self::Reasoning(_) | Self::Text(_) | Self::Call(_) => None,
        }
    }
}

/// A tool call of the answer.
#[derive(Debug)]
pub(super) struct ScriptedCall {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) group: Option<String>,
    pub(super) form: ToolForm,
    /// The arguments as JSON text, which a fault may have cut, or text without a form.
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

/// Builds the reply of `rule` and checks that the request allows it.
pub(super) fn script_answer(
    rule: &ScenarioRule,
    request: &CheckedRequest,
) -> Result<ScriptedAnswer, RequestRefusal> {
    let mut script = AnswerScript::new(request);
    if let Some(text) = &rule.reasoning {
        script.add_reasoning(text);
    }
    for part in &rule.reply {
        match part {
            ReplyPart::Delay { ms } => script.pieces.push(AnswerPiece::Delay { ms: *ms }),
            ReplyPart::Reasoning(text) => script.add_reasoning(text),
            ReplyPart::Text(text) => script.add_text(text.clone()),
            ReplyPart::Tool {
                name,
                input,
                manner: CallManner::InWords,
            } => script.add_text(call_in_words(name, input)),
            ReplyPart::Tool {
                name,
                input,
                manner: CallManner::Unoffered,
            } => script.add_call(WordedCall {
                tool: name.clone(),
                group: None,
                input: WordedInput::Arguments(Json::Object(input.clone())),
            }),
            ReplyPart::Tool {
                name,
                input,
                manner: CallManner::Offered,
            } => script.add_call(word_call(rule, request, name, input)?),
            ReplyPart::Item {
                section,
                key,
                value,
            } => {
                let phase = request_phase(rule, request)?;
                let input = json!({"phase": phase, "section": section, "key": key, "value": value});
                script.add_call(word_call(
                    rule,
                    request,
                    "submit_item",
                    &json_object(input),
                )?);
            }
            ReplyPart::Done => {
                let input = json_object(json!({"phase": request_phase(rule, request)?}));
                script.add_call(word_call(rule, request, "submit_done", &input)?);
            }
        }
    }
    script.check_choice(rule)?;
    script.check_length(rule)?;
    Ok(script.finish(rule.usage, rule.stop))
}

/// The answer to a question beside the work, which no rule answers.
pub(super) fn script_side_answer(request: &CheckedRequest) -> ScriptedAnswer {
    let mut script = AnswerScript::new(request);
    match side_answer::forced_call(&request.form) {
        Some(call) => script.add_call(call),
        None => script.add_text(side_answer::answer_text(&request.form)),
    }
    script.finish(RuleUsage::default(), None)
}

/// The pieces of an answer as they come together.
struct AnswerScript<'a> {
    request: &'a CheckedRequest,
    pieces: Vec<AnswerPiece>,
    bytes: u64,
    reasoning_bytes: u64,
}

impl<'a> AnswerScript<'a> {
    fn new(request: &'a CheckedRequest) -> Self {
        Self {
            request,
            pieces: Vec::new(),
            bytes: 0,
            reasoning_bytes: 0,
        }
    }

    fn add_text(&mut self, text: String) {
        self.bytes += text.len() as u64;
        self.pieces.push(AnswerPiece::Text(text));
    }

    /// In one format a model reasons only when it is told to; in the others it does and is paid for it.
    fn add_reasoning(&mut self, text: &str) {
        if self.request.wire == Dialect::Messages && !self.request.form.reasoning.shown {
            return;
        }
        self.reasoning_bytes += text.len() as u64;
        self.pieces.push(AnswerPiece::Reasoning(text.to_owned()));
    }

    fn add_call(&mut self, call: WordedCall) {
        let form = match call.input {
            WordedInput::Arguments(_) => ToolForm::Arguments,
            WordedInput::Text(_) => ToolForm::Freeform,
        };
        if self.join_command(&call) {
            return;
        }
        let input = call.input.into_text();
        self.bytes += (call.tool.len() + input.len()) as u64;
        let prefix = match self.request.wire {
            Dialect::Messages => "toolu",
            Dialect::ChatCompletions | Dialect::Responses => "call",
        };
        let number = self.calls().count() + 1;
        self.pieces.push(AnswerPiece::Call(ScriptedCall {
            id: format!("{prefix}_{}_{number}", &self.request.digest[..16]),
            name: call.tool,
            group: call.group,
            form,
            input,
        }));
    }

    /// Some programs run the calls of one answer side by side, whatever dialect they are heard in: commands
    /// of theirs that follow each other become one; false where `call` is no such command.
    fn join_command(&mut self, call: &WordedCall) -> bool {
        let WordedInput::Arguments(second) = &call.input else {
            return false;
        };
        if self.request.own {
            return false;
        }
        let before = self.pieces.iter_mut().rev().find_map(|piece| match piece {
            AnswerPiece::Call(before) => Some(before),
            _ => None,
        });
        let Some(before) = before.filter(|before| before.name == call.tool) else {
            return false;
        };
        let first: Json = serde_json::from_str(&before.input).unwrap_or_default();
        let Some(joined) = tool_table::joined_command(&call.tool, &first, second) else {
            return false;
        };
        let joined = joined.to_string();
        self.bytes += (joined.len() - before.input.len()) as u64;
        before.input = joined;
        true
    }

    fn calls(&self) -> impl Iterator<Item = &ScriptedCall> {
        self.pieces.iter().filter_map(|piece| match piece {
            AnswerPiece::Call(call) => Some(call),
            _ => None,
        })
    }

    fn output_tokens(&self) -> u64 {
        let bytes = self.bytes + self.reasoning_bytes;
        bytes.div_ceil(BYTES_PER_TOKEN).max(1)
    }

    /// Refuses an answer above the limit that the request sets.
    fn check_length(&self, rule: &ScenarioRule) -> Result<(), RequestRefusal> {
        let tokens = self.output_tokens();
        match self.request.form.max_tokens {
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

    fn check_choice(&self, rule: &ScenarioRule) -> Result<(), RequestRefusal> {
        let n_calls = self.calls().count();
        let unmet = match &self.request.form.choice {
            RequestedChoice::Any if n_calls == 0 => Some("a tool call".to_owned()),
            RequestedChoice::None if n_calls > 0 => Some("that no tool is called".to_owned()),
            RequestedChoice::Named(name) if !self.calls().any(|call| call.name == *name) => {
                Some(format!("a call of `{name}`"))
            }
            _ => None,
        };
        let rule = rule.name.clone();
        if let Some(demanded) = unmet {
            return Err(RefusalReason::ChoiceUnmet { rule, demanded }.into());
        }
        if n_calls > 1 && !self.request.form.parallel {
            return Err(RefusalReason::ParallelForbidden { rule }.into());
        }
        Ok(())
    }

    fn finish(self, said: RuleUsage, stop: Option<&'static str>) -> ScriptedAnswer {
        let n_calls = self.calls().count();
        ScriptedAnswer {
            id: self.request.digest[..24].to_owned(),
            turn: self.request.keys.turn,
            usage: (!said.is_missing).then(|| self.told_usage(said)),
            stop: match stop {
                Some("max_tokens") => AnswerStop::MaxTokens,
                Some(_) => AnswerStop::Refusal,
                None if n_calls > 0 => AnswerStop::ToolUse,
                None => AnswerStop::EndTurn,
            },
            reasoning: self.request.form.reasoning,
            pieces: self.pieces,
        }
    }

    /// The figures of the rule, and the estimate where it has none.
    fn told_usage(&self, said: RuleUsage) -> ScriptedUsage {
        let prompt = self.request.prompt;
        // Who tells the sum tells what of it is cached, too.
        let estimated = |tokens: u64| match said.input {
            Some(_) => 0,
            None => tokens,
        };
        let cache_read = said.cache_read.unwrap_or(estimated(prompt.cache_read));
        let cache_write = said.cache_write.unwrap_or(estimated(prompt.cache_write));
        let input = said.input.unwrap_or(prompt.token_total());
        let reasoning = self.reasoning_bytes.div_ceil(BYTES_PER_TOKEN);
        ScriptedUsage {
            fresh: input.saturating_sub(cache_read + cache_write),
            cache_read,
            cache_write,
            is_long_lived: prompt.is_long_lived,
            output: said.output.unwrap_or(self.output_tokens()),
            reasoning: said.reasoning.unwrap_or(reasoning),
        }
    }
}

/// The call that a scenario wants, for a client of ours by its name, for others in their words.
fn word_call(
    rule: &ScenarioRule,
    request: &CheckedRequest,
    tool: &str,
    input: &Map<String, Json>,
) -> Result<WordedCall, RequestRefusal> {
    let offered = &request.form.tools;
    let worded = match request.own {
        true => tool_table::word_to_the_letter(tool, input, offered),
        false => tool_table::word_action(tool, input, offered),
    };
    let folder = request.folder.as_deref();
    let worded = worded.map(|call| absolute_path::with_whole_paths(call, offered, folder));
    worded.map_err(|why| {
        let (rule, tool) = (rule.name.clone(), tool.to_owned());
        match why {
            NoWording::NotOffered => {
                let offered = offered_names(request);
                RefusalReason::ToolNotOffered {
                    rule,
                    tool,
                    offered,
                }
            }
            NoWording::Refused(violations) => {
                let why = violations
                    .iter()
                    .map(|found| format!("input{} {}", found.path, found.problem));
                let why = why.collect::<Vec<_>>().join("; ");
                RefusalReason::InputRefused { rule, tool, why }
            }
        }
        .into()
    })
}

fn offered_names(request: &CheckedRequest) -> String {
    let tools = request.form.tools.iter();
    let names: Vec<_> = tools
        .map(|tool| match &tool.group {
            Some(group) => format!("`{}` of `{group}`", tool.name),
            None => format!("`{}`", tool.name),
        })
        .collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

/// A call as models write it that were trained on another form of calling.
fn call_in_words(name: &str, input: &Map<String, Json>) -> String {
    let call = json!({"name": name, "arguments": input});
    format!("<tool_call>\n{call}\n</tool_call>")
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
