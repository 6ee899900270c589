//! One conversation with a model, whatever dialect says it.
//!
//! Between dialects a request is read into a [`Conversation`] and written in the other dialect, and its
//! answer comes back as [`AnswerEvent`]s. Three readers and three writers make every pair; nothing
//! converts one dialect into another directly.
//!
//! What a dialect cannot say is left out with a line in the log, unless the meaning would be lost: then
//! the request is refused with a [`ConversationError`] that names it. Reasoning that only its maker can
//! read is kept as a [`ReasoningSeal`] and goes back to that maker alone.

mod answer;
mod chat;
mod conversation_error;
mod instructions;
mod messages;
mod offered_tools;
mod quirks;
mod responses;
mod seal;
mod settings;
mod thinking_fields;
mod tool_names;
mod translate;
mod turn_parts;

pub use self::answer::{
    AnswerEvent, AnswerFailure, AnswerStart, AnswerUsage, EndReason, StartedCall, StopReport,
};
pub use self::conversation_error::ConversationError;
pub use self::offered_tools::{CallChoice, ConversationTool, ToolCallInput, ToolInput, ToolName};
pub use self::quirks::{DialectQuirks, InstructionRole, MaxTokensField, ThinkingForm};
pub use self::seal::{ReasoningSeal, SEAL_PREFIX, drop_sealed_reasoning};
pub use self::settings::{AnswerShape, EffortLevel, SamplingSettings, ThinkingSettings};
pub(crate) use self::thinking_fields::thinking_fields;
pub use self::tool_names::{FlatTool, ToolNames};
pub use self::translate::{
    AnswerForm, AnswerParser, AnswerRenderer, MessagesEvents, TargetModel, WholeAnswerError,
    parse_request, read_messages_request, render_request,
};
pub use self::turn_parts::{
    CallPart, DocumentPart, MediaSource, PartKind, ReasoningPart, ResultPart, TurnPart,
};

/// A request to a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// Model name, or at the gateway the name of a route.
    pub model: String,
    /// Instructions ahead of the conversation.
    pub instructions: Vec<InstructionText>,
    /// What was said, oldest first. Neighbours have different roles.
    pub turns: Vec<ConversationTurn>,
    /// Tools the model may call.
    pub tools: Vec<ConversationTool>,
    /// Whether and which tool must be called.
    pub tool_choice: Option<CallChoice>,
    /// Whether one answer may hold several calls.
    pub parallel_calls: Option<bool>,
    /// Most tokens of the answer.
    pub output_tokens_max: Option<u32>,
    /// Randomness of the answer.
    pub sampling: SamplingSettings,
    /// Texts that end the answer.
    pub stop_texts: Vec<String>,
    /// Shape of the answer's text.
    pub answer_shape: Option<AnswerShape>,
    /// How much to think.
    pub thinking: ThinkingSettings,
    /// How many words to make.
    pub verbosity: Option<String>,
    /// Requests with one key share a prompt cache.
    pub cache_key: Option<String>,
    /// An opaque name of the end user.
    pub end_user: Option<String>,
    /// Answer as a stream.
    pub stream: bool,
}

/// A piece of the instructions.
#[derive(Clone, Debug, PartialEq)]
pub struct InstructionText {
    /// Text of the piece.
    pub text: String,
    /// Everything up to here is kept in the prompt cache.
    pub cache: Option<CacheLife>,
}

/// How long a prompt cache keeps what is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheLife {
    /// Five minutes, the default.
    Minutes,
    /// An hour.
    Hour,
}

/// What one side said without a break.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationTurn {
    /// Who said it.
    pub role: TurnRole,
    /// The pieces in order.
    pub parts: Vec<TurnPart>,
}

/// Who says a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnRole {
    /// The person or program that asks; tool results are theirs.
    User,
    /// The model.
    Model,
    /// Instructions in the midst of the conversation.
    Instructions,
}

impl Conversation {
    /// Appends `part`, to the last turn where it is of the same role.
    pub(crate) fn push_part(&mut self, role: TurnRole, part: TurnPart) {
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.parts.push(part),
            _ => self.turns.push(ConversationTurn {
                role,
                parts: vec![part],
            }),
        }
    }

    /// Takes out sealed reasoning of which nobody knows who made it: it is not for whoever is asked now.
    pub(crate) fn drop_unsigned_seals(&mut self) {
        let parts = self.turns.iter_mut().flat_map(|turn| &mut turn.parts);
        for part in parts {
            if let PartKind::Reasoning(reasoning) = &mut part.kind
                && reasoning
                    .seal
                    .as_ref()
                    .is_some_and(|seal| seal.maker.is_none())
            {
                reasoning.seal = None;
            }
        }
    }

    /// Whether anything is marked for the prompt cache.
    pub(crate) fn has_cache_marks(&self) -> bool {
        let in_turns = self.turns.iter().flat_map(|turn| &turn.parts);
        self.instructions.iter().any(|text| text.cache.is_some())
            || self.tools.iter().any(|tool| tool.cache.is_some())
            || in_turns.into_iter().any(|part| part.cache.is_some())
    }
}

/// Says in the log which fields a dialect cannot say.
pub(crate) fn note_left_out<'a>(place: &str, names: impl IntoIterator<Item = &'a str>) {
    let names: Vec<&str> = names.into_iter().collect();
    if !names.is_empty() {
        let names = names.join(", ");
        tracing::debug!(place, names, "Left out what the other API cannot say");
    }
}
