//! `edit`: replace text in a file, at one place or several at once.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::edit_text::{TextEdit, apply_edits};
use super::read::read_text_file;
use super::{AgentTools, ToolError, file_change, object_schema, patch};

pub(super) const DESCRIPTION: &str = "Replaces `old` by `new` in a text file of the workspace. `old` has to occur \
    once, unless `replace_all` is set: give enough whole lines around the change. Drifted indentation, line ends and \
    neighbouring lines are bridged where one place alone fits; otherwise nothing is changed and the nearest places are \
    shown. `edits` makes several replacements in the file, in order, all or none. `patch` takes the place of all these: \
    `*** Begin Patch`, then per file `*** Add File: PATH`, `*** Delete File: PATH` or `*** Update File: PATH` with its \
    hunks, then `*** End Patch`.";

/// Input of the tool `edit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditInput {
    path: Option<String>,
    old: Option<String>,
    new: Option<String>,
    #[serde(default)]
    replace_all: bool,
    #[serde(default)]
    edits: Vec<TextEdit>,
    patch: Option<String>,
}

/// The form that an edit was given in.
enum EditForm {
    /// Replacements in one file.
    Replacements { path: String, edits: Vec<TextEdit> },
    /// A patch of any files.
    Patch(String),
}

impl EditInput {
    fn into_form(self) -> Result<EditForm, ToolError> {
        let one = match (self.old, self.new) {
            (Some(old), Some(new)) => vec![TextEdit {
                old,
                new,
                replace_all: self.replace_all,
            }],
            (None, None) if !self.replace_all => Vec::new(),
            _ => return Err(ToolError::EditForm),
        };
        match (self.path, one.is_empty(), self.edits.is_empty(), self.patch) {
            (Some(path), false, true, None) => Ok(EditForm::Replacements { path, edits: one }),
            (Some(path), true, false, None) => Ok(EditForm::Replacements {
                path,
                edits: self.edits,
            }),
            (None, true, true, Some(patch)) => Ok(EditForm::Patch(patch)),
            _ => Err(ToolError::EditForm),
        }
    }
}

pub(super) fn input_schema() -> Value {
    let replacement = json!({
        "old": {"type": "string", "description": "The text to replace."},
        "new": {"type": "string", "description": "What takes its place."},
        "replace_all": {"type": "boolean", "description": "Replace every occurrence."},
    });
    let mut properties = replacement.clone();
    properties["path"] = json!({"type": "string", "description": "Relative to the workspace, or absolute inside it."});
    properties["edits"] = json!({
        "type": "array", "items": object_schema(replacement, &["old", "new"]),
        "description": "Several replacements, in place of `old` and `new`.",
    });
    properties["patch"] = json!({"type": "string", "description": "A whole patch, alone."});
    object_schema(properties, &[])
}

pub(super) async fn run(tools: &AgentTools, input: EditInput) -> Result<String, ToolError> {
    let (path, edits) = match input.into_form()? {
        EditForm::Replacements { path, edits } => (path, edits),
        EditForm::Patch(patch) => return patch::run_patch(tools, &patch).await,
    };
    let target = tools.paths.resolve_writable(&path)?;
    let bytes = read_text_file(&target)?;
    let path = || target.display_path.clone();
    // Bytes that are no text would be lost on the way back.
    let text = std::str::from_utf8(&bytes).map_err(|_| ToolError::Binary {
        path: path(),
        bytes: bytes.len() as u64,
    })?;
    let edited = apply_edits(text, &edits).map_err(|refused| ToolError::Edit {
        which: match edits.len() {
            1 => format!("`{}`", path()),
            count => format!(
                "`{}`, edit {} of {count}, so none was made",
                path(),
                refused.index + 1
            ),
        },
        refusal: refused.refusal,
    })?;
    let lines = file_change::write_change(tools, &target, Some(&bytes), &edited.text).await?;
    let mut says = format!(
        "edited `{}` in {} place{} (+{} −{} lines)",
        target.display_path,
        edited.n_places,
        if edited.n_places == 1 { "" } else { "s" },
        lines.added,
        lines.removed
    );
    if let Some(words) = edited.drift.as_words() {
        let _ = write!(says, "; the file differed from `old` in {words}");
    }
    Ok(says)
}
