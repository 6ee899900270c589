//! Names of tools for dialects without groups of tools.

use std::collections::BTreeMap;

use super::{Conversation, ConversationTool, PartKind, ToolInput, ToolName};

/// Most characters of a name in any dialect.
const NAME_CHARS_MAX: usize = 64;

/// A tool as a dialect without groups names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatTool {
    /// Name with its group.
    pub name: ToolName,
    /// Whether its input is free text.
    pub freeform: bool,
}

/// The flat names of a conversation's tools, both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolNames {
    by_flat: BTreeMap<String, FlatTool>,
    flat_names: BTreeMap<ToolName, String>,
}

impl ToolNames {
    /// Names every tool of `conversation` that is offered or was called. Tools without a group come
    /// first: they keep their names.
    pub fn of_conversation(conversation: &Conversation) -> Self {
        let is_freeform =
            |tool: &ConversationTool| matches!(tool.input, ToolInput::Freeform { .. });
        let offered = conversation
            .tools
            .iter()
            .map(|tool| (&tool.name, is_freeform(tool)));
        let parts = conversation.turns.iter().flat_map(|turn| &turn.parts);
        let called = parts.filter_map(|part| match &part.kind {
            PartKind::Call(call) => Some((&call.tool, false)),
            _ => None,
        });
        let all: Vec<_> = offered.chain(called).collect();
        let mut names = Self::default();
        for grouped in [false, true] {
            for (name, freeform) in &all {
                if name.namespace.is_some() == grouped {
                    names.add_tool(name, *freeform);
                }
            }
        }
        names
    }

    /// The flat name of `name`.
    pub fn flat_name(&self, name: &ToolName) -> String {
        let known = self.flat_names.get(name);
        known.cloned().unwrap_or_else(|| joined_name(name))
    }

    /// The tool that the model means by `flat`; one nobody offered has no group.
    pub fn find_tool(&self, flat: &str) -> FlatTool {
        let known = self.by_flat.get(flat).cloned();
        known.unwrap_or_else(|| FlatTool {
            name: ToolName::without_group(flat),
            freeform: false,
        })
    }

    fn add_tool(&mut self, name: &ToolName, freeform: bool) {
        if self.flat_names.contains_key(name) {
            return;
        }
        let wanted = joined_name(name);
        let mut flat = wanted.clone();
        let mut n_tries = 1;
        while flat.chars().count() > NAME_CHARS_MAX || self.by_flat.contains_key(&flat) {
            n_tries += 1;
            let ending = format!("_{n_tries}");
            let kept = NAME_CHARS_MAX - ending.len();
            flat = wanted.chars().take(kept).chain(ending.chars()).collect();
        }
        self.flat_names.insert(name.clone(), flat.clone());
        let name = name.clone();
        self.by_flat.insert(flat, FlatTool { name, freeform });
    }
}

fn joined_name(name: &ToolName) -> String {
    match &name.namespace {
        Some(namespace) => format!("{namespace}__{}", name.name),
        None => name.name.clone(),
    }
}
