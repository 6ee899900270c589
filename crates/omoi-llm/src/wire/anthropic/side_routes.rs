//! The smaller routes: counting tokens, listing models.

use serde::{Deserialize, Serialize};

use super::{ConversationMessage, MessageContent, MessagesTool};
use crate::wire::Extra;

/// A request to `POST /v1/messages/count_tokens`: a message request that asks for no answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountTokensRequest {
    /// Model name, or at the gateway the name of a route.
    pub model: String,
    /// Instructions ahead of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<MessageContent>,
    /// The conversation, oldest first.
    pub messages: Vec<ConversationMessage>,
    /// Tools the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<MessagesTool>,
    /// Everything else, passed through.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The answer to a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountTokensResponse {
    /// Tokens the request would read.
    pub input_tokens: u64,
}

/// The answer to `GET /v1/models`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelList {
    /// Models of this page.
    pub data: Vec<ModelInfo>,
    /// Whether more pages follow.
    pub has_more: bool,
    /// First id of this page.
    pub first_id: Option<String>,
    /// Last id of this page.
    pub last_id: Option<String>,
}

/// One model of the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Constant tag, always `model`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name to ask for.
    pub id: String,
    /// Name for people to read.
    pub display_name: String,
    /// Date of release, RFC 3339.
    pub created_at: String,
}
