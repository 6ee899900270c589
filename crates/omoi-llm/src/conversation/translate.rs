//! Requests and answers of each dialect, by its name.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::chat::{self, ChatReader, ChatWriter};
use super::messages::{self, MessagesReader, MessagesWriter};
use super::responses::{self, ResponsesReader, ResponsesWriter};
use super::{AnswerEvent, Conversation, ConversationError, DialectQuirks, ToolNames};
use crate::wire::answer::{AnswerAccumulator, AnswerError, BrokenCall};
use crate::wire::anthropic::{MessagesRequest, StreamEvent};
use crate::wire::dialect::Dialect;
use crate::wire::openai::DONE;
use crate::wire::sse::{self, SseFrame};

/// The model that a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct TargetModel<'a> {
    /// Who makes its reasoning: a name of its server.
    pub maker: &'a str,
    /// What its server does differently.
    pub quirks: DialectQuirks,
    /// Most tokens of one answer, where the request names no limit and the dialect wants one.
    pub output_tokens_max: u32,
}

/// Reads a request of `dialect`.
///
/// # Errors
/// Returns [`ConversationError`] when it is not what the dialect says, or for what has no counterpart in
/// another.
pub fn parse_request(dialect: Dialect, body: &[u8]) -> Result<Conversation, ConversationError> {
    match dialect {
        Dialect::Messages => messages::conversation_of(&typed_body(dialect, body)?),
        Dialect::ChatCompletions => chat::conversation_of(&typed_body(dialect, body)?),
        Dialect::Responses => responses::conversation_of(&typed_body(dialect, body)?),
    }
}

/// Reads a request of our own client.
///
/// # Errors
/// Returns [`ConversationError`] for what has no counterpart in another dialect.
pub fn read_messages_request(request: &MessagesRequest) -> Result<Conversation, ConversationError> {
    messages::conversation_of(request)
}

fn typed_body<T: DeserializeOwned>(dialect: Dialect, body: &[u8]) -> Result<T, ConversationError> {
    serde_json::from_slice(body).map_err(|error| ConversationError::Unreadable {
        dialect: dialect.plain_name(),
        problem: error.to_string(),
    })
}

/// Writes `conversation` in `dialect` for `target`.
///
/// # Errors
/// Returns [`ConversationError`] for what the dialect cannot say.
pub fn render_request(
    dialect: Dialect,
    conversation: &Conversation,
    target: &TargetModel<'_>,
) -> Result<Value, ConversationError> {
    let moved =
        (!target.quirks.takes_late_instructions).then(|| conversation.with_early_instructions());
    let conversation = moved.as_ref().unwrap_or(conversation);
    let written = match dialect {
        Dialect::Messages => serde_json::to_value(messages::request_of(conversation, target)?),
        Dialect::ChatCompletions => serde_json::to_value(chat::request_of(conversation, target)?),
        Dialect::Responses => serde_json::to_value(responses::request_of(conversation, target)?),
    };
    // Wire types hold only strings, numbers and maps with string keys: they can always be written.
    Ok(written.unwrap_or_default())
}

/// Reads a streamed answer of one dialect, frame by frame.
#[derive(Debug)]
pub struct AnswerParser(ParserState);

#[derive(Debug)]
enum ParserState {
    Messages(MessagesReader),
    Chat(ChatReader),
    Responses(ResponsesReader),
}

impl AnswerParser {
    /// A reader of what the model at `maker` says in `dialect`.
    pub fn new(dialect: Dialect, maker: &str) -> Self {
        Self(match dialect {
            Dialect::Messages => ParserState::Messages(MessagesReader::new(maker)),
            Dialect::ChatCompletions => ParserState::Chat(ChatReader::new(maker)),
            Dialect::Responses => ParserState::Responses(ResponsesReader::new(maker)),
        })
    }

    /// The events that `frame` stands for.
    ///
    /// # Errors
    /// Returns the reader's error where it is not what the dialect says.
    pub fn push_frame(&mut self, frame: &SseFrame) -> Result<Vec<AnswerEvent>, serde_json::Error> {
        let data = frame.data.as_str();
        Ok(match &mut self.0 {
            ParserState::Messages(reader) => reader.push(&serde_json::from_str(data)?),
            ParserState::Chat(reader) if data.trim() == DONE => reader.finish().unwrap_or_default(),
            ParserState::Chat(reader) => reader.push(&serde_json::from_str(data)?),
            ParserState::Responses(reader) => reader.push(&serde_json::from_str(data)?),
        })
    }

    /// The events that end the answer when its stream closes: some chat servers leave the last line out.
    /// In the other dialects, and where it never said why it ended, the answer was cut.
    pub fn close_stream(&mut self) -> Vec<AnswerEvent> {
        match &mut self.0 {
            ParserState::Chat(reader) => reader.finish().unwrap_or_default(),
            ParserState::Messages(_) | ParserState::Responses(_) => Vec::new(),
        }
    }

    /// The events that a whole answer would have come in, from a server that does not stream; none when
    /// it does not say why it ended.
    ///
    /// # Errors
    /// Returns the reader's error where it is not what the dialect says.
    pub fn read_whole(
        dialect: Dialect,
        maker: &str,
        body: &[u8],
    ) -> Result<Option<Vec<AnswerEvent>>, serde_json::Error> {
        Ok(match dialect {
            Dialect::Messages => {
                let response = serde_json::from_slice(body)?;
                Some(messages::events_of_response(&response, maker))
            }
            Dialect::ChatCompletions => {
                chat::events_of_response(&serde_json::from_slice(body)?, maker)
            }
            Dialect::Responses => {
                responses::events_of_answer(&serde_json::from_slice(body)?, maker)
            }
        })
    }
}

/// Turns the events of an answer into those of Anthropic Messages, for our own client.
#[derive(Debug)]
pub struct MessagesEvents(MessagesWriter);

impl MessagesEvents {
    /// A writer of an answer to a conversation whose tools have `names`.
    pub fn new(names: ToolNames) -> Self {
        Self(MessagesWriter::new(names))
    }

    /// The events that say `event`.
    pub fn push_event(&mut self, event: AnswerEvent) -> Vec<StreamEvent> {
        self.0.push(event)
    }
}

/// How an answer is written for its caller.
#[derive(Clone, Debug)]
pub struct AnswerForm {
    /// The caller's dialect.
    pub dialect: Dialect,
    /// Names of the tools of the conversation.
    pub names: ToolNames,
    /// When the answer begins, in seconds of the epoch.
    pub created_s: i64,
    /// Whether the caller did not ask for the chunk of token counts, in chat completions.
    pub hides_usage: bool,
}

/// Writes an answer in one dialect, piece by piece or as a whole.
#[derive(Debug)]
pub struct AnswerRenderer {
    state: RendererState,
    hides_usage: bool,
}

#[derive(Debug)]
enum RendererState {
    Messages(Box<MessagesState>),
    Chat(Box<ChatWriter>),
    Responses(Box<ResponsesWriter>),
}

#[derive(Debug)]
struct MessagesState {
    writer: MessagesWriter,
    whole: AnswerAccumulator,
}

/// Why an answer cannot be written as a whole.
#[derive(Debug, thiserror::Error)]
pub enum WholeAnswerError {
    /// The answer is not whole.
    #[error(transparent)]
    Answer(AnswerError),
    /// It has no room for input that is not JSON; a stream has.
    #[error(transparent)]
    Call(BrokenCall),
}

impl AnswerRenderer {
    /// A writer of one answer.
    pub fn new(form: AnswerForm) -> Self {
        let AnswerForm {
            dialect,
            names,
            created_s,
            hides_usage,
        } = form;
        let state = match dialect {
            Dialect::Messages => RendererState::Messages(Box::new(MessagesState {
                writer: MessagesWriter::new(names),
                whole: AnswerAccumulator::default(),
            })),
            Dialect::ChatCompletions => {
                RendererState::Chat(Box::new(ChatWriter::new(names, created_s)))
            }
            Dialect::Responses => {
                RendererState::Responses(Box::new(ResponsesWriter::new(names, created_s)))
            }
        };
        Self { state, hides_usage }
    }

    /// The frames that say `event`.
    ///
    /// # Errors
    /// Returns [`AnswerError`] for events in an order that makes no answer.
    pub fn push_event(&mut self, event: AnswerEvent) -> Result<String, AnswerError> {
        let is_end = matches!(event, AnswerEvent::Ended);
        let mut out = String::new();
        match &mut self.state {
            RendererState::Messages(state) => {
                for event in state.writer.push(event) {
                    state.whole.push(&event)?;
                    let data = serde_json::to_string(&event).unwrap_or_default();
                    out.push_str(&sse::encode_frame(Some(event.kind()), &data));
                }
            }
            RendererState::Chat(writer) => {
                for chunk in writer.push(event) {
                    if chunk.usage.is_some() && self.hides_usage {
                        continue;
                    }
                    let data = serde_json::to_string(&chunk).unwrap_or_default();
                    out.push_str(&sse::encode_frame(None, &data));
                }
                if is_end {
                    out.push_str(&sse::encode_frame(None, DONE));
                }
            }
            RendererState::Responses(writer) => {
                for event in writer.push(event) {
                    let data = serde_json::to_string(&event).unwrap_or_default();
                    out.push_str(&sse::encode_frame(Some(event.kind()), &data));
                }
            }
        }
        Ok(out)
    }

    /// The whole answer, once it ended.
    ///
    /// # Errors
    /// Returns [`WholeAnswerError`] before that, and for a call whose input is not JSON.
    pub fn whole_answer(self) -> Result<Vec<u8>, WholeAnswerError> {
        let body = match self.state {
            RendererState::Messages(state) => {
                let answer = state.whole.finish().map_err(WholeAnswerError::Answer)?;
                if let Some(broken) = answer.broken_calls.into_iter().next() {
                    return Err(WholeAnswerError::Call(broken));
                }
                serde_json::to_vec(&answer.response)
            }
            RendererState::Chat(writer) => serde_json::to_vec(&writer.whole_answer()),
            RendererState::Responses(writer) => serde_json::to_vec(&writer.whole_answer()),
        };
        Ok(body.unwrap_or_default())
    }
}
