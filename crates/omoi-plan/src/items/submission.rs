//! One submitted item: normalised, checked against the type of its section, accepted or refused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use omoi_domain::phase::Phase;

use crate::finding::RuleFinding;
use crate::ids::PlanId;
use crate::normalise::{id_kind, normalise_item};
use crate::repository::RepoPaths;
use crate::sections::{
    OutputSection, SectionKind, find_section, item_path, key_hint, phase_sections,
};
use crate::wording::blank_texts::find_blank_texts;

/// One item as the model submits it.
#[derive(Clone, Copy, Debug)]
pub struct ItemSubmission<'a> {
    /// The phase that runs.
    pub phase: Phase,
    /// Top-level field the item belongs to.
    pub section: &'a str,
    /// Which item of a list; ignored for single values.
    pub key: &'a str,
    /// The item itself.
    pub value: &'a Value,
}

/// One accepted item; the unit of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputItem {
    /// Top-level field.
    pub section: String,
    /// Key within a list; empty for single values.
    pub key: String,
    /// The value, normalised; null for an item of a list that was withdrawn.
    pub value: Value,
}

impl OutputItem {
    /// Whether it takes an earlier item of a list back rather than adding one.
    pub fn withdraws(&self, phase: Phase) -> bool {
        self.value.is_null()
            && find_section(phase, &self.section)
                .is_some_and(|section| matches!(section.kind, SectionKind::List { .. }))
    }
}

/// An accepted item and what was rewritten on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct AcceptedItem {
    /// What to store; the same section and key again replaces it.
    pub item: OutputItem,
    /// One `normalised` warning per rewrite.
    pub warnings: Vec<RuleFinding>,
}

/// Why an item is refused; the text goes back to the model in the same turn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// The phase has no such section.
    #[error("phase `{phase}` has no section `{section}`; its sections are {known}")]
    UnknownSection {
        /// The running phase.
        phase: Phase,
        /// What was asked for.
        section: String,
        /// What exists.
        known: String,
    },
    /// A list item came without a key.
    #[error("section `{section}` is a list: give each item a key of its own ({hint})")]
    MissingKey {
        /// The list.
        section: String,
        /// What a good key is.
        hint: String,
    },
    /// The key contradicts the value.
    #[error("key `{key}` differs from `{path}` = `{found}`; use `{found}` as the key")]
    KeyMismatch {
        /// The key given.
        key: String,
        /// Where the value names itself.
        path: String,
        /// What it says there.
        found: String,
    },
    /// The value does not fit.
    #[error("`{path}`: {expected}")]
    Invalid {
        /// Where in the item.
        path: String,
        /// What was expected and what was found.
        expected: String,
    },
}

/// Normalises one submitted item and checks it against the type of its section.
pub fn validate_item(
    item: ItemSubmission<'_>,
    repo: &RepoPaths,
) -> Result<AcceptedItem, ItemError> {
    let section =
        find_section(item.phase, item.section).ok_or_else(|| ItemError::UnknownSection {
            phase: item.phase,
            section: item.section.to_owned(),
            known: section_names(item.phase),
        })?;
    if item.value.is_null() && matches!(section.kind, SectionKind::List { .. }) {
        return accept_withdrawal(section, item);
    }
    let mut value = item.value.clone();
    let warnings = normalise_item(item.phase, section.name, &mut value, repo);
    let key = effective_key(section, item, &value)?;
    (section.check)(&value).map_err(|(inner, expected)| ItemError::Invalid {
        path: item_path(section, &key, &inner),
        expected,
    })?;
    check_id(item.phase, section, &key)?;
    if let Some(empty) = find_blank_texts(&value).into_iter().next() {
        return Err(ItemError::Invalid {
            path: item_path(section, &key, &empty.path),
            expected: empty.message,
        });
    }
    Ok(AcceptedItem {
        item: OutputItem {
            section: section.name.to_owned(),
            key,
            value,
        },
        warnings,
    })
}

/// An item of a list is taken back by null under its key.
fn accept_withdrawal(
    section: &OutputSection,
    item: ItemSubmission<'_>,
) -> Result<AcceptedItem, ItemError> {
    let key = item.key.trim().to_owned();
    if key.is_empty() {
        return Err(ItemError::MissingKey {
            section: section.name.to_owned(),
            hint: key_hint(section),
        });
    }
    Ok(AcceptedItem {
        item: OutputItem {
            section: section.name.to_owned(),
            key,
            value: Value::Null,
        },
        warnings: Vec::new(),
    })
}

/// The key to store: the value's own name where the section has one, else the key given.
fn effective_key(
    section: &OutputSection,
    item: ItemSubmission<'_>,
    normalised: &Value,
) -> Result<String, ItemError> {
    let SectionKind::List { key_field, .. } = section.kind else {
        return Ok(String::new());
    };
    let key = item.key.trim();
    let name_in = |value: &Value| -> Option<String> {
        let own = value.get(key_field?)?.as_str()?.trim();
        (!own.is_empty()).then(|| own.to_owned())
    };
    match name_in(normalised) {
        Some(own) => {
            let agrees =
                key.is_empty() || key == own || Some(key) == name_in(item.value).as_deref();
            if agrees {
                return Ok(own);
            }
            Err(ItemError::KeyMismatch {
                key: key.to_owned(),
                path: format!("{}.{}", section.name, key_field.unwrap_or_default()),
                found: own,
            })
        }
        None if key.is_empty() => Err(ItemError::MissingKey {
            section: section.name.to_owned(),
            hint: key_hint(section),
        }),
        None => Ok(key.to_owned()),
    }
}

/// Refuses an item whose own id is not canonical; references are left to the evaluators.
fn check_id(phase: Phase, section: &OutputSection, key: &str) -> Result<(), ItemError> {
    let SectionKind::List {
        key_field: Some(field),
        ..
    } = section.kind
    else {
        return Ok(());
    };
    match id_kind(phase, section.name, field) {
        Some(kind) if PlanId::parse(kind, key).is_none() => Err(ItemError::Invalid {
            path: item_path(section, key, field),
            expected: format!(
                "`{key}` is no id of the form {}, from 001 to 999",
                kind.form()
            ),
        }),
        _ => Ok(()),
    }
}

fn section_names(phase: Phase) -> String {
    let names: Vec<String> = phase_sections(phase)
        .iter()
        .map(|s| format!("`{}`", s.name))
        .collect();
    names.join(", ")
}
