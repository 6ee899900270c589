//! Items of an answer while they are written.

use serde_json::Value;

use crate::conversation::{FlatTool, ReasoningSeal, StartedCall};
use crate::wire::Extra;
use crate::wire::responses::{
    CustomCallItem, FunctionCallItem, ItemContent, ItemPart, ItemRole, ItemText, MessageItem,
    ReasoningItem, ReasoningText, ResponsesItem,
};

/// A message under way.
#[derive(Debug)]
pub(super) struct OpenMessage {
    pub(super) index: usize,
    pub(super) id: String,
    pub(super) text: String,
}

impl OpenMessage {
    pub(super) fn text_part(&self) -> ItemPart {
        ItemPart::OutputText(ItemText {
            text: self.text.clone(),
            extra: Extra::from_iter([("annotations".to_owned(), Value::Array(Vec::new()))]),
        })
    }

    pub(super) fn written_item(&self, done: bool) -> ResponsesItem {
        let parts = if done {
            vec![self.text_part()]
        } else {
            Vec::new()
        };
        ResponsesItem::Message(MessageItem {
            id: Some(self.id.clone()),
            role: ItemRole::Assistant,
            status: Some(status_word(done)),
            content: ItemContent::Parts(parts),
            extra: Extra::new(),
        })
    }
}

/// Reasoning under way.
#[derive(Debug)]
pub(super) struct OpenReasoning {
    pub(super) index: usize,
    pub(super) id: String,
    pub(super) text: String,
}

impl OpenReasoning {
    pub(super) fn summary_part(&self) -> ReasoningText {
        ReasoningText {
            kind: "summary_text".to_owned(),
            text: self.text.clone(),
        }
    }

    pub(super) fn written_item(&self, seal: Option<&ReasoningSeal>) -> ResponsesItem {
        let shows = !self.text.is_empty();
        ResponsesItem::Reasoning(ReasoningItem {
            id: Some(self.id.clone()),
            summary: shows.then(|| self.summary_part()).into_iter().collect(),
            content: None,
            encrypted_content: seal.map(ReasoningSeal::to_text),
            extra: Extra::new(),
        })
    }
}

/// A call under way.
#[derive(Debug)]
pub(super) struct CallItemState {
    pub(super) index: usize,
    pub(super) id: String,
    pub(super) input: String,
    /// Input of a tool that takes free text, when the model writes it as JSON.
    pub(super) wrapped: Option<String>,
    call_id: String,
    tool: FlatTool,
}

impl CallItemState {
    pub(super) fn new(index: usize, id: String, call: &StartedCall, mut tool: FlatTool) -> Self {
        let wrapped = (tool.freeform && !call.freeform).then(String::new);
        tool.freeform |= call.freeform;
        if call.namespace.is_some() {
            tool.name.namespace.clone_from(&call.namespace);
        }
        Self {
            index,
            id,
            input: String::new(),
            wrapped,
            call_id: call.id.clone(),
            tool,
        }
    }

    pub(super) const fn is_freeform(&self) -> bool {
        self.tool.freeform
    }

    pub(super) fn written_item(&self, done: bool) -> ResponsesItem {
        let (id, call_id) = (Some(self.id.clone()), self.call_id.clone());
        let (name, namespace) = (
            self.tool.name.name.clone(),
            self.tool.name.namespace.clone(),
        );
        let status = Some(status_word(done));
        let (input, extra) = (self.input.clone(), Extra::new());
        match self.tool.freeform {
            true => ResponsesItem::CustomToolCall(CustomCallItem {
                id,
                call_id,
                name,
                namespace,
                input,
                status,
                extra,
            }),
            false => ResponsesItem::FunctionCall(FunctionCallItem {
                id,
                call_id,
                name,
                namespace,
                arguments: input,
                status,
                extra,
            }),
        }
    }
}

fn status_word(done: bool) -> String {
    let word = if done { "completed" } else { "in_progress" };
    word.to_owned()
}
