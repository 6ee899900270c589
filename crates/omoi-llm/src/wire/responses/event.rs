//! The events of a streamed answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ItemPart, ReasoningText, ResponsesAnswer, ResponsesItem};
use crate::wire::Extra;

open_enum! {
    /// One event of a streamed answer.
    pub enum ResponsesEvent {
        /// The answer begins.
        Created(AnswerState) = "response.created",
        /// It is being worked on.
        InProgress(AnswerState) = "response.in_progress",
        /// An item begins.
        ItemAdded(ItemState) = "response.output_item.added",
        /// A part of a message begins.
        PartAdded(PartState) = "response.content_part.added",
        /// Text of a message grows.
        TextDelta(ItemDelta) = "response.output_text.delta",
        /// Text of a message is whole.
        TextDone(ItemTextDone) = "response.output_text.done",
        /// A refusal grows.
        RefusalDelta(ItemDelta) = "response.refusal.delta",
        /// A part of a message is whole.
        PartDone(PartState) = "response.content_part.done",
        /// A part of a reasoning summary begins.
        SummaryPartAdded(SummaryPart) = "response.reasoning_summary_part.added",
        /// A reasoning summary grows.
        SummaryDelta(ItemDelta) = "response.reasoning_summary_text.delta",
        /// A piece of a reasoning summary is whole.
        SummaryDone(ItemTextDone) = "response.reasoning_summary_text.done",
        /// A part of a reasoning summary is whole.
        SummaryPartDone(SummaryPart) = "response.reasoning_summary_part.done",
        /// The reasoning itself grows, from vendors that show it.
        ReasoningDelta(ItemDelta) = "response.reasoning_text.delta",
        /// Arguments of a function call grow.
        ArgumentsDelta(ItemDelta) = "response.function_call_arguments.delta",
        /// Arguments of a function call are whole.
        ArgumentsDone(ArgumentsDone) = "response.function_call_arguments.done",
        /// Text for a custom tool grows.
        CustomInputDelta(ItemDelta) = "response.custom_tool_call_input.delta",
        /// Text for a custom tool is whole.
        CustomInputDone(CustomInputDone) = "response.custom_tool_call_input.done",
        /// An item is whole.
        ItemDone(ItemState) = "response.output_item.done",
        /// The answer is whole.
        Completed(AnswerState) = "response.completed",
        /// The answer ended before it was whole.
        Incomplete(AnswerState) = "response.incomplete",
        /// The answer failed.
        Failed(AnswerState) = "response.failed",
        /// The stream failed.
        Error(StreamFault) = "error",
    }
}

/// The answer as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerState {
    /// Answer so far.
    pub response: ResponsesAnswer,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// An item as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemState {
    /// Position of the item in the answer.
    #[serde(default)]
    pub output_index: usize,
    /// Item so far.
    pub item: ResponsesItem,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A part of a message as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartState {
    /// The vendor's name for the item.
    #[serde(default)]
    pub item_id: String,
    /// Position of the item in the answer.
    #[serde(default)]
    pub output_index: usize,
    /// Position of the part in the item.
    #[serde(default)]
    pub content_index: usize,
    /// Part so far.
    pub part: ItemPart,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// More of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemDelta {
    /// The vendor's name for the item.
    #[serde(default)]
    pub item_id: String,
    /// Position of the item in the answer.
    #[serde(default)]
    pub output_index: usize,
    /// Piece to append.
    #[serde(default)]
    pub delta: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A text is whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemTextDone {
    /// The vendor's name for the item.
    #[serde(default)]
    pub item_id: String,
    /// Position of the item in the answer.
    #[serde(default)]
    pub output_index: usize,
    /// The whole text.
    #[serde(default)]
    pub text: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A part of a reasoning summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryPart {
    /// The vendor's name for the item.
    #[serde(default)]
    pub item_id: String,
    /// Position of the item in the answer.
    #[serde(default)]
    pub output_index: usize,
    /// Position of the part in the summary.
    #[serde(default)]
    pub summary_index: usize,
    /// Part so far.
    pub part: ReasoningText,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Arguments of a call are whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArgumentsDone {
    /// The vendor's name for the item.
    #[serde(default)]
    pub item_id: String,
    /// Position of the item in the answer.
    #[serde(default)]
    pub output_index: usize,
    /// The whole arguments.
    #[serde(default)]
    pub arguments: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Text for a custom tool is whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomInputDone {
    /// The vendor's name for the item.
    #[serde(default)]
    pub item_id: String,
    /// Position of the item in the answer.
    #[serde(default)]
    pub output_index: usize,
    /// The whole text.
    #[serde(default)]
    pub input: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The stream failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamFault {
    /// A stable word such as `rate_limit_exceeded`.
    #[serde(default)]
    pub code: Option<Value>,
    /// Message for people to read.
    #[serde(default)]
    pub message: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}
