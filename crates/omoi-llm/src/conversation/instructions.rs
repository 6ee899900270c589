//! Instructions in the midst of a conversation.

use super::{Conversation, ConversationTurn, InstructionText, PartKind, TurnRole};

impl Conversation {
    /// The same with all instructions ahead of what was said: not every model takes them in its midst.
    /// Neighbours of one role become one turn, as vendors want roles to alternate.
    pub(crate) fn with_early_instructions(&self) -> Self {
        let mut moved = self.clone();
        for turn in std::mem::take(&mut moved.turns) {
            match turn.role {
                TurnRole::Instructions => moved.instructions.extend(instruction_texts(&turn)),
                role => {
                    for part in turn.parts {
                        moved.push_part(role, part);
                    }
                }
            }
        }
        moved
    }
}

fn instruction_texts(turn: &ConversationTurn) -> impl Iterator<Item = InstructionText> {
    turn.parts.iter().filter_map(|part| match &part.kind {
        PartKind::Text(text) => Some(InstructionText {
            text: text.clone(),
            cache: part.cache,
        }),
        _ => None,
    })
}
