//! `notes`: what the agent writes down to have it later, word for word.

use serde_json::{Value, json};

use super::{AgentTools, ToolError, object_schema};
use crate::agent_notes::{NoteChange, joined_lines};

pub(super) const DESCRIPTION: &str = "Your notes. Long conversations are shortened; notes stay word for word. Write down \
    decisions with their reasons, exact names and figures, what failed. Adds or drops notes, and lists them all.";

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "add": {"type": "string", "description": "A note to add."},
            "drop": {"type": "array", "items": {"type": "integer", "minimum": 1}, "description": "Numbers of notes to drop."},
        }),
        &[],
    )
}

pub(super) fn run(tools: &AgentTools, input: NoteChange) -> Result<String, ToolError> {
    let mut notes = tools.lock_notes();
    notes.change_notes(input)?;
    Ok(joined_lines(&notes.note_lines(), "there are no notes"))
}
