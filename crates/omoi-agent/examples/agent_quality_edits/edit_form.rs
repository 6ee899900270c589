//! The two forms in which a model asks for an edit, applied by what the tools apply it by.

use omoi_agent::edit_text::{TextEdit, apply_edits};
use omoi_agent::patch_text::{FilePatch, apply_hunks, parse_patch};

use crate::edit_case::EditCase;
use crate::spoiler::{SpoiledEdit, Spoiling};

/// How an edit is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskedForm {
    /// The old text and the new one.
    Replacement,
    /// A patch from `*** Begin Patch` to `*** End Patch`.
    Patch,
}

impl AskedForm {
    pub(crate) const ALL: [Self; 2] = [Self::Replacement, Self::Patch];

    /// What its measures are called.
    pub(crate) fn measure_name(self) -> &'static str {
        match self {
            Self::Replacement => "edits",
            Self::Patch => "patches",
        }
    }

    /// Whether a spoiling, and what `case` wants, is seen in it: the lines of a patch have no ends of their own.
    pub(crate) fn can_show(self, case: &EditCase, spoiling: Spoiling) -> bool {
        let [is_ended, is_wanted_ended] = [&case.old, &case.new]
            .map(|lines| lines.last().is_some_and(|line| line.ends_with('\n')));
        self == Self::Replacement
            || is_ended == is_wanted_ended
                && !matches!(spoiling, Spoiling::LineEnds | Spoiling::NoLastLineEnd)
    }

    /// The file of `case` after the spoiled edit, or why it is refused.
    pub(crate) fn apply(self, case: &EditCase, spoiled: &SpoiledEdit) -> Result<String, String> {
        let edited = match self {
            Self::Replacement => {
                let edit = TextEdit {
                    old: spoiled.old.clone(),
                    new: spoiled.new.clone(),
                    replace_all: false,
                };
                apply_edits(&case.text, &[edit])
            }
            Self::Patch => {
                let patch = patch_text(case, spoiled);
                let files = parse_patch(&patch).map_err(|fault| fault.to_string())?;
                let [FilePatch::Update { hunks, .. }] = files.as_slice() else {
                    return Err("the patch is not of one file".to_owned());
                };
                apply_hunks(&case.text, hunks)
            }
        };
        edited
            .map(|edited| edited.text)
            .map_err(|refused| refused.refusal.to_string())
    }
}

/// The spoiled edit as a patch: lines that are kept, removed, added and kept.
fn patch_text(case: &EditCase, spoiled: &SpoiledEdit) -> String {
    let old: Vec<&str> = spoiled.old.lines().collect();
    let new: Vec<&str> = spoiled.new.lines().collect();
    let [above, below] = case.kept;
    let (old_end, new_end) = (old.len() - below, new.len() - below);
    let marked = [
        (" ", &old[..above]),
        ("-", &old[above..old_end]),
        ("+", &new[above..new_end]),
        (" ", &old[old_end..]),
    ];
    let mut patch = format!("*** Begin Patch\n*** Update File: {}\n@@\n", case.path);
    for (mark, lines) in marked {
        for line in lines {
            patch.push_str(&format!("{mark}{line}\n"));
        }
    }
    patch.push_str("*** End Patch\n");
    patch
}
