//! The pieces of a turn.

use super::offered_tools::{ToolCallInput, ToolName};
use super::{CacheLife, ReasoningSeal};

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
