//! The items of a conversation.

use serde::{Deserialize, Serialize};

use crate::wire::{Extra, null_as_default};

open_enum! {
    /// One item of a conversation.
    pub enum ResponsesItem {
        /// Text of somebody.
        Message(MessageItem) = "message",
        /// The model calls a function.
        FunctionCall(FunctionCallItem) = "function_call",
        /// What a function gave.
        FunctionCallOutput(CallOutputItem) = "function_call_output",
        /// The model calls a tool with free text.
        CustomToolCall(CustomCallItem) = "custom_tool_call",
        /// What such a tool gave.
        CustomToolCallOutput(CallOutputItem) = "custom_tool_call_output",
        /// The model's reasoning.
        Reasoning(ReasoningItem) = "reasoning",
    }
}

open_words! {
    /// Who says a message.
    pub enum ItemRole {
        /// The person or program that asks.
        User = "user",
        /// The model.
        Assistant = "assistant",
        /// Instructions, under the newer name.
        Developer = "developer",
        /// Instructions, under the older name.
        System = "system",
    }
}

/// Text of somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageItem {
    /// The vendor's name for the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Role of the sender.
    pub role: ItemRole,
    /// How far the item has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Text or parts.
    pub content: ItemContent,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Plain text, or a list of parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of content parts")]
pub enum ItemContent {
    /// Plain text.
    Text(String),
    /// The parts in order.
    Parts(Vec<ItemPart>),
}

open_enum! {
    /// One part of a message or of a tool's output.
    pub enum ItemPart {
        /// Text that goes to the model.
        InputText(ItemText) = "input_text",
        /// Text of the model.
        OutputText(ItemText) = "output_text",
        /// Text by which the model declines.
        Refusal(ItemRefusal) = "refusal",
        /// A picture.
        InputImage(ItemImage) = "input_image",
        /// A file, such as a PDF document.
        InputFile(ItemFile) = "input_file",
    }
}

/// A part that is text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemText {
    /// Text of the part.
    pub text: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A part by which the model declines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemRefusal {
    /// Text of the refusal.
    pub refusal: String,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A part that is a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemImage {
    /// An address, or a `data:` URL with the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// How closely to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A part that is a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ItemFile {
    /// Name of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Its bytes as a `data:` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_url: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The model calls a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionCallItem {
    /// The vendor's name for the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Names the call; the output refers to it.
    pub call_id: String,
    /// Name of the function.
    pub name: String,
    /// Group of the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The arguments as JSON text, as the model wrote it: it may not parse.
    #[serde(default)]
    pub arguments: String,
    /// How far the item has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The model calls a tool with free text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomCallItem {
    /// The vendor's name for the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Names the call; the output refers to it.
    pub call_id: String,
    /// Name of the tool.
    pub name: String,
    /// Group of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The text.
    #[serde(default)]
    pub input: String,
    /// How far the item has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallOutputItem {
    /// The vendor's name for the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The call this answers.
    pub call_id: String,
    /// Text or parts.
    pub output: ItemContent,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The model's reasoning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReasoningItem {
    /// The vendor's name for the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the vendor shows of it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub summary: Vec<ReasoningText>,
    /// The reasoning itself, from vendors that show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Vec<ReasoningText>>,
    /// The reasoning in a form that only its maker reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<String>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A piece of reasoning or of its summary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReasoningText {
    /// Kind of the piece, such as `summary_text`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Text of the piece.
    #[serde(default)]
    pub text: String,
}
