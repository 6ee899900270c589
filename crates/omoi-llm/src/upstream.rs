//! One call to a model over the network: in the caller's own words, or put into the model's.
//!
//! Answers are always asked for as streams: only so can silence be told from thinking, and a cut answer
//! from a whole one. Trying again is [`crate::llm_client`]'s business, not this module's.

mod answer_limits;
mod body_watch;
mod exchange;
mod http;
mod own_request;
mod passed_call;
mod passed_reader;
mod plain_words;
mod reader;
mod translated_call;
mod translated_reader;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use thiserror::Error;

use omoi_domain::secret_mask::SecretMask;

pub use self::answer_limits::AnswerLimits;
pub use self::http::{ModelConnections, UpstreamCall};
pub(crate) use self::passed_call::PassedCall;
pub(crate) use self::passed_reader::PassedPiece;
pub(crate) use self::translated_call::TranslatedCall;
pub(crate) use self::translated_reader::CallerSink;
use crate::conversation::ConversationError;
use crate::error_chain::ErrorChain;
use crate::retry::{self, RetryClass};
use crate::wire::answer::{AnswerAccumulator, AnswerError, BrokenCall, ModelAnswer};
use crate::wire::answer_signs::{AnswerSigns, ReportedFailure};
use crate::wire::anthropic::StreamEvent;
use crate::wire::sse::SseError;

/// Longest time to make a connection.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How often a question is asked again that was answered with success, and not by a model: a page at an
/// outage passes soon, and what does not may be billed each time.
const WRONG_TYPE_RETRIES_MAX: u32 = 2;

/// Why a call gave no whole answer.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// The model answered with an error status, or with an error event inside the stream.
    #[error("the model answered with status {status} ({kind}): {message}")]
    Status {
        /// The status, or the one that stands for the error kind reported inside a stream.
        status: u16,
        /// The error's stable word.
        kind: String,
        /// The provider's message, without secrets.
        message: String,
        /// When it may be tried again.
        retry_after: Option<Duration>,
        /// Whether it says that asking again helps, as the gateway does of what passes by itself.
        should_retry: bool,
    },
    /// No connection could be made.
    #[error("could not connect to the model")]
    Connect(#[source] reqwest::Error),
    /// The connection broke during the call.
    #[error("the connection to the model broke")]
    Broken(#[source] reqwest::Error),
    /// The stream ended before the answer did.
    #[error("the model's stream was cut before the answer was whole")]
    Cut,
    /// Nothing came for too long.
    #[error("the model sent nothing for {limit_s} s")]
    Silent {
        /// The limit in seconds.
        limit_s: u64,
    },
    /// No content came for too long, though openings and pings may have.
    #[error(
        "the model showed no content for {limit_s} s, the most that its route allows; `llm.answer_times` sets more"
    )]
    NoContent {
        /// The limit in seconds.
        limit_s: u64,
    },
    /// The answer took too long as a whole.
    #[error("the answer took longer than {limit_s} s")]
    TooLong {
        /// The limit in seconds.
        limit_s: u64,
    },
    /// The answer is too large.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The answer has another type than was asked for: what answered is not a model.
    #[error("the answer is `{content_type}`, not {expected}: {words}")]
    WrongType {
        /// What was asked for.
        expected: &'static str,
        /// The answer's `content-type`.
        content_type: String,
        /// Its text in short, without secrets.
        words: String,
    },
    /// The answer is not in the format of its provider.
    #[error("the model's answer cannot be read")]
    Malformed(#[source] MalformedAnswer),
    /// The model declines what it is asked to do, before it shows anything else.
    #[error("the model declined to answer{}", said_words(.words))]
    Declined {
        /// What it says of it, without secrets; empty where it says nothing.
        words: String,
    },
    /// The request has no form in the model's dialect.
    #[error("the request does not fit this model")]
    Convert(#[source] ConversationError),
    /// The key holds characters that a header cannot carry.
    #[error("the provider's key holds characters that cannot be sent")]
    BadKey,
    /// The request cannot be sent at all: a broken address, no root certificates.
    #[error("the request cannot be sent")]
    Unsendable(#[source] reqwest::Error),
}

/// Which part of an answer cannot be read.
#[derive(Debug, Error)]
pub enum MalformedAnswer {
    /// The framing of server-sent events.
    #[error(transparent)]
    Sse(SseError),
    /// The JSON of one event.
    #[error("an event is not what the format says")]
    Event(#[source] serde_json::Error),
    /// The order of events.
    #[error(transparent)]
    Answer(AnswerError),
    /// The input of a tool call, for which a whole answer has no room as it is.
    #[error(transparent)]
    Call(BrokenCall),
}

/// `words` behind a colon, where there are any.
pub(crate) fn said_words(words: &str) -> String {
    match words.trim() {
        "" => String::new(),
        words => format!(": {words}"),
    }
}

impl UpstreamError {
    /// Whether the provider may have read the request despite the failure, and so may bill it.
    pub(crate) const fn may_be_billed(&self) -> bool {
        match self {
            Self::Broken(_)
            | Self::Cut
            | Self::Silent { .. }
            | Self::NoContent { .. }
            | Self::TooLong { .. }
            | Self::TooLarge { .. }
            // Its status says that the request was answered.
            | Self::WrongType { .. }
            | Self::Declined { .. }
            | Self::Malformed(_) => true,
            Self::Status { .. }
            | Self::Connect(_)
            | Self::Convert(_)
            | Self::BadKey
            | Self::Unsendable(_) => false,
        }
    }

    /// Whether trying again can help, after `n_before` failures of the same question.
    pub(crate) fn retry_class_after(&self, n_before: u32) -> RetryClass {
        match self {
            Self::WrongType { .. } if n_before >= WRONG_TYPE_RETRIES_MAX => RetryClass::Final,
            _ => self.retry_class(),
        }
    }

    /// Whether trying again can help.
    pub fn retry_class(&self) -> RetryClass {
        match self {
            Self::Status {
                status,
                retry_after,
                ..
            } => retry::class_of_status(*status, *retry_after),
            Self::Connect(_)
            | Self::Broken(_)
            | Self::Cut
            | Self::Silent { .. }
            | Self::NoContent { .. }
            // A page of whatever stands in front of the model, as at an outage.
            | Self::WrongType { .. }
            | Self::Malformed(MalformedAnswer::Sse(_) | MalformedAnswer::Event(_) | MalformedAnswer::Answer(_)) => {
                RetryClass::Retry { after: None }
            }
            // Its answer is whole, and paid.
            Self::Malformed(MalformedAnswer::Call(_))
            | Self::TooLong { .. }
            | Self::TooLarge { .. }
            | Self::Declined { .. }
            | Self::Convert(_)
            | Self::BadKey
            | Self::Unsendable(_) => RetryClass::Final,
        }
    }
}

impl UpstreamError {
    /// Whether the provider turns the question away for now, or cannot be reached: that passes by
    /// waiting, and says nothing about the question.
    pub(crate) const fn is_turned_away(&self) -> bool {
        matches!(
            self,
            Self::Connect(_)
                | Self::Status {
                    status: 429 | 503 | 529,
                    ..
                }
        )
    }

    /// The status that was answered, where one was.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The provider's error message, or why there is none.
    pub fn provider_words(&self) -> String {
        match self {
            Self::Status { message, kind, .. } if message.is_empty() => kind.clone(),
            Self::Status { message, .. } => message.clone(),
            other => plain_words::plain_words(&ErrorChain(other).to_string()),
        }
    }
}

impl UpstreamError {
    /// A failure that the provider reports inside an answer, its words without the secrets of `mask`.
    pub(crate) fn from_reported(failure: &ReportedFailure, mask: &SecretMask) -> Self {
        Self::Status {
            status: failure.status,
            kind: exchange::masked_line(&failure.kind, mask),
            message: exchange::masked_line(&failure.message, mask),
            retry_after: None,
            should_retry: failure.should_retry,
        }
    }
}

impl From<SseError> for UpstreamError {
    fn from(error: SseError) -> Self {
        match error {
            SseError::FrameTooLarge { limit } | SseError::StreamTooLarge { limit } => {
                Self::TooLarge { limit }
            }
            SseError::NotUtf8 => Self::Malformed(MalformedAnswer::Sse(error)),
        }
    }
}

/// A piece of an answer that says how far the answer is.
pub trait AnswerItem: Send + 'static {
    /// What the piece says.
    fn read_signs(&self) -> AnswerSigns;
}

impl AnswerItem for StreamEvent {
    fn read_signs(&self) -> AnswerSigns {
        AnswerSigns::of_event(self)
    }
}

/// The pieces of one answer, up to and including the one that makes it whole, or up to the first error.
pub struct AnswerStream<T>(BoxStream<'static, Result<T, UpstreamError>>);

/// The events of one answer, up to and including `message_stop`, or up to the first error.
pub type EventStream = AnswerStream<StreamEvent>;

impl<T> AnswerStream<T> {
    pub(crate) fn new(
        pieces: impl Stream<Item = Result<T, UpstreamError>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(pieces))
    }
}

impl<T> Stream for AnswerStream<T> {
    type Item = Result<T, UpstreamError>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// Reads a stream to its end, showing every event to `seen`.
///
/// # Errors
/// Returns [`UpstreamError`] when it was cut or makes no answer. Broken calls are not an error here.
pub async fn collect_answer(
    mut events: EventStream,
    mut seen: impl FnMut(&StreamEvent),
) -> Result<ModelAnswer, UpstreamError> {
    let malformed = |error| UpstreamError::Malformed(MalformedAnswer::Answer(error));
    let mut answer = AnswerAccumulator::default();
    while let Some(event) = events.next().await {
        let event = event?;
        seen(&event);
        answer.push(&event).map_err(malformed)?;
    }
    answer.finish().map_err(malformed)
}

impl<T> std::fmt::Debug for AnswerStream<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerStream")
    }
}
