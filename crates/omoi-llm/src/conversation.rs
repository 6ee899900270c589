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
mod instructions;
mod messages;
mod quirks;
mod responses;
mod seal;
mod settings;
mod thinking_fields;
mod tool_names;
mod translate;

use serde_json::Value;
use thiserror::Error;

pub use self::answer::{
    AnswerEvent, AnswerFailure, AnswerStart, AnswerUsage, EndReason, StartedCall, StopReport,
};
pub use self::quirks::{DialectQuirks, InstructionRole, MaxTokensField, ThinkingForm};
pub use self::seal::{ReasoningSeal, SEAL_PREFIX, drop_sealed_reasoning};
pub use self::settings::{AnswerShape, EffortLevel, SamplingSettings, ThinkingSettings};
pub(crate) use self::thinking_fields::thinking_fields;
pub use self::tool_names::{FlatTool, ToolNames};
pub use self::translate::{
    AnswerForm, AnswerParser, AnswerRenderer, MessagesEvents, TargetModel, WholeAnswerError,
    parse_request, read_messages_request, render_request,
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

/// A piece of a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnPart {
    /// What it is.
    pub kind: PartKind,
    /// Everything up to here is kept in the prompt cache.
    pub cache: Option<CacheLife>,
}

/// What a piece of a turn is.
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    /// Words.
    Text(String),
    /// A picture.
    Image(MediaSource),
    /// A document, such as a PDF.
    Document(DocumentPart),
    /// The model asks for a tool to be run.
    Call(CallPart),
    /// What a tool gave.
    Result(ResultPart),
    /// The model's reasoning.
    Reasoning(ReasoningPart),
}

/// Where the bytes of a picture or document are.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaSource {
    /// In the request itself.
    Inline {
        /// Media type, for example `image/png`.
        media_type: String,
        /// The bytes in base64.
        base64: String,
    },
    /// Behind an address.
    Address(String),
}

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentPart {
    /// Its name or title.
    pub name: Option<String>,
    /// Where its bytes are.
    pub source: MediaSource,
}

/// The model asks for a tool to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct CallPart {
    /// Names the call; the result refers to it.
    pub id: String,
    /// Tool that is called.
    pub tool: ToolName,
    /// What the tool is given.
    pub input: ToolCallInput,
}

/// Name of a tool, with the group it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToolName {
    /// Group of the tool, in the dialect that has groups.
    pub namespace: Option<String>,
    /// Name within the group.
    pub name: String,
}

impl ToolName {
    /// A tool that belongs to no group.
    pub fn without_group(name: impl Into<String>) -> Self {
        Self {
            namespace: None,
            name: name.into(),
        }
    }
}

/// What a tool is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolCallInput {
    /// JSON text, as the model wrote it: it may not parse.
    Json(String),
    /// Free text.
    Freeform(String),
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultPart {
    /// The call this answers.
    pub call_id: String,
    /// Words, pictures and documents.
    pub parts: Vec<PartKind>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// Whether the tool takes free text.
    pub freeform: bool,
}

/// The model's reasoning.
#[derive(Clone, Debug, PartialEq)]
pub struct ReasoningPart {
    /// What is shown of it.
    pub text: String,
    /// What only its maker reads.
    pub seal: Option<ReasoningSeal>,
}

/// A tool the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationTool {
    /// The name the model calls it by.
    pub name: ToolName,
    /// What it does and when to use it.
    pub description: Option<String>,
    /// What it is given.
    pub input: ToolInput,
    /// Everything up to here is kept in the prompt cache.
    pub cache: Option<CacheLife>,
}

/// What a tool is given.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolInput {
    /// An object that fits a JSON schema.
    Object {
        /// JSON schema of the arguments.
        schema: Option<Value>,
        /// The vendor enforces it.
        strict: Option<bool>,
    },
    /// Free text.
    Freeform {
        /// The grammar that the text must fit.
        format: Option<Value>,
    },
}

/// Whether and which tool must be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallChoice {
    /// The model decides.
    Free,
    /// Some tool must be called.
    Required,
    /// No tool may be called.
    Forbidden,
    /// This tool must be called.
    Tool(ToolName),
}

/// Why a request cannot be put into another dialect.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConversationError {
    /// The request is not what its dialect says.
    #[error("the request is not in the format of {dialect}: {problem}")]
    Unreadable {
        /// The dialect for people to read.
        dialect: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A piece of the conversation has no counterpart.
    #[error("`{kind}` at `{at}` cannot be sent to a model that speaks another API")]
    Part {
        /// Kind of the piece, such as `input_audio`.
        kind: String,
        /// Where it stands.
        at: String,
    },
    /// This model takes no documents.
    #[error("`{at}` holds a document of type `{media_type}`, which this model does not take")]
    Document {
        /// Media type of the document.
        media_type: String,
        /// Where it stands.
        at: String,
    },
    /// The tool that must be called is run by the vendor and exists only there.
    #[error("tool `{name}`, which the request demands, is run by the vendor of another API")]
    VendorTool {
        /// Name of the tool.
        name: String,
    },
    /// The conversation continues one that another vendor keeps.
    #[error("`{field}` names what another vendor keeps; send the whole conversation")]
    KeptElsewhere {
        /// Field of the request.
        field: &'static str,
    },
    /// The request asks for something that the model's API has no word for, and counts on it.
    #[error("`{field}` cannot be asked of a model that speaks another API; leave it out")]
    Unsayable {
        /// Field of the request, as its dialect or the model's names it.
        field: &'static str,
    },
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

impl ConversationTool {
    /// The schema by which a dialect without free text offers this tool.
    pub(crate) fn freeform_schema(&self) -> Value {
        serde_json::json!({
            "type": "object",
            "properties": {"input": {"type": "string", "description": "The tool's whole input."}},
            "required": ["input"],
            "additionalProperties": false,
        })
    }

    /// The description there: it tells the grammar that the vendor would have enforced.
    pub(crate) fn freeform_description(&self) -> String {
        let mut text = self.description.clone().unwrap_or_default();
        text.push_str("\n\nGive the whole input as the string `input`.");
        if let ToolInput::Freeform { format } = &self.input
            && let Some(grammar) = format.as_ref().and_then(|f| f.get("definition")?.as_str())
        {
            text.push_str(&format!(" It must fit this grammar:\n\n{grammar}"));
        }
        text
    }
}

impl TurnPart {
    /// A piece without a cache mark.
    pub(crate) const fn without_mark(kind: PartKind) -> Self {
        Self { kind, cache: None }
    }
}

impl MediaSource {
    /// Reads an address, which may hold the bytes itself.
    pub(crate) fn from_url(url: &str) -> Self {
        let inline = url.strip_prefix("data:").and_then(|rest| {
            let (media_type, base64) = rest.split_once(";base64,")?;
            Some(Self::Inline {
                media_type: media_type.to_owned(),
                base64: base64.to_owned(),
            })
        });
        inline.unwrap_or_else(|| Self::Address(url.to_owned()))
    }

    /// The address, which holds the bytes where there is none.
    pub(crate) fn to_url(&self) -> String {
        match self {
            Self::Inline { media_type, base64 } => format!("data:{media_type};base64,{base64}"),
            Self::Address(url) => url.clone(),
        }
    }

    /// The media type, where it is known.
    pub(crate) fn media_type(&self) -> &str {
        match self {
            Self::Inline { media_type, .. } => media_type,
            Self::Address(_) => "unknown",
        }
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
