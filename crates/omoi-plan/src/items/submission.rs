//! Submission of a phase output item by item.
//!
//! Each top-level field of a phase output is a section: either one value or a list of keyed items.
//! Every item is checked against the type of its section at once; [`assemble`] puts the accepted
//! ones together.

mod assembly;
mod schema;
mod table;

use crate::phase::Phase;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::paths::RepoPaths;
use super::sync;
use crate::plan::evaluate::{Warning, empty_texts};
use crate::plan::ids::PlanId;
use crate::plan::normalise::{id_kind, normalise_item};

pub use assembly::{Missing, assemble, latest, split};
pub use schema::{item_schema, section_schema, submit_item_schema};
pub use table::sections;

/// One item as the model submits it.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
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
pub struct Item {
    /// Top-level field.
    pub section: String,
    /// Key within a list; empty for single values.
    pub key: String,
    /// The value, normalised; null for an item of a list that was withdrawn.
    pub value: Value,
}

impl Item {
    /// Whether it takes an earlier item of a list back rather than adding one.
    pub fn withdraws(&self, phase: Phase) -> bool {
        self.value.is_null()
            && section(phase, &self.section)
                .is_some_and(|section| matches!(section.kind, SectionKind::List { .. }))
    }
}

/// An accepted item and what was rewritten on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// What to store; the same section and key again replaces it.
    pub item: Item,
    /// One `normalised` warning per rewrite.
    pub warnings: Vec<Warning>,
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

/// Whether a section is one value or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// One value, submitted whole.
    Single,
    /// A list, submitted item by item.
    List {
        /// The field of the item that is its key; none where any distinct label will do.
        key_field: Option<&'static str>,
        /// Fewest items.
        min: usize,
    },
}

/// A top-level field of a phase output.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Name of the field.
    pub name: &'static str,
    /// One value or a list.
    pub kind: SectionKind,
    /// Whether the phase output must have it.
    pub required: bool,
    check: fn(&Value) -> Result<(), (String, String)>,
    schema: fn() -> Schema,
}

impl Section {
    const fn new<T: DeserializeOwned + JsonSchema>(name: &'static str, kind: SectionKind) -> Self {
        Self {
            name,
            kind,
            required: true,
            check: check::<T>,
            schema: schema::schema::<T>,
        }
    }

    const fn single<T: DeserializeOwned + JsonSchema>(name: &'static str) -> Self {
        Self::new::<T>(name, SectionKind::Single)
    }

    const fn list<T: DeserializeOwned + JsonSchema>(
        name: &'static str,
        key_field: Option<&'static str>,
        min: usize,
    ) -> Self {
        Self::new::<T>(name, SectionKind::List { key_field, min })
    }

    const fn optional(mut self) -> Self {
        self.required = false;
        self
    }
}

/// The section of `phase` called `name`.
pub fn section(phase: Phase, name: &str) -> Option<&'static Section> {
    sections(phase).iter().find(|s| s.name == name)
}

/// Normalises one submitted item and checks it against the type of its section.
pub fn validate_item(item: Submission<'_>, repo: &RepoPaths) -> Result<Accepted, ItemError> {
    let section = section(item.phase, item.section).ok_or_else(|| ItemError::UnknownSection {
        phase: item.phase,
        section: item.section.to_owned(),
        known: names(item.phase),
    })?;
    if item.value.is_null() && matches!(section.kind, SectionKind::List { .. }) {
        return withdrawal(section, item);
    }
    let mut value = item.value.clone();
    let warnings = normalise_item(item.phase, section.name, &mut value, repo);
    let key = effective_key(section, item, &value)?;
    (section.check)(&value).map_err(|(inner, expected)| ItemError::Invalid {
        path: item_path(section, &key, &inner),
        expected,
    })?;
    check_id(item.phase, section, &key)?;
    if let Some(empty) = empty_texts(&value).into_iter().next() {
        return Err(ItemError::Invalid {
            path: item_path(section, &key, &empty.path),
            expected: empty.message,
        });
    }
    Ok(Accepted {
        item: Item {
            section: section.name.to_owned(),
            key,
            value,
        },
        warnings,
    })
}

/// An item of a list is taken back by null under its key.
fn withdrawal(section: &Section, item: Submission<'_>) -> Result<Accepted, ItemError> {
    let key = item.key.trim().to_owned();
    if key.is_empty() {
        return Err(ItemError::MissingKey {
            section: section.name.to_owned(),
            hint: key_hint(section),
        });
    }
    Ok(Accepted {
        item: Item {
            section: section.name.to_owned(),
            key,
            value: Value::Null,
        },
        warnings: Vec::new(),
    })
}

/// Everything in a whole output of `phase` that its type refuses, as path and expectation.
pub(crate) fn misfits(phase: Phase, output: &Value) -> Vec<(String, String)> {
    if phase == Phase::Sync {
        // Judged is what code computed; the sections hold the model's opinion.
        return check::<sync::SyncOutput>(output)
            .err()
            .into_iter()
            .collect();
    }
    let Value::Object(fields) = output else {
        return vec![(String::new(), "expected an object".to_owned())];
    };
    let mut found = Vec::new();
    for section in sections(phase) {
        match (section.kind, fields.get(section.name)) {
            (_, None) if section.required => {
                found.push((section.name.to_owned(), "missing field".to_owned()));
            }
            (_, None) => {}
            (SectionKind::List { .. }, Some(Value::Array(list))) => {
                for (n, item) in list.iter().enumerate() {
                    if let Err((inner, expected)) = (section.check)(item) {
                        found.push((item_path(section, &n.to_string(), &inner), expected));
                    }
                }
            }
            (SectionKind::List { .. }, Some(_)) => {
                found.push((section.name.to_owned(), "expected a list".to_owned()));
            }
            (SectionKind::Single, Some(value)) => {
                if let Err((inner, expected)) = (section.check)(value) {
                    found.push((item_path(section, "", &inner), expected));
                }
            }
        }
    }
    let strangers = fields.keys().filter(|f| section(phase, f).is_none());
    found.extend(strangers.map(|f| (f.clone(), "unknown field".to_owned())));
    found
}

fn check<T: DeserializeOwned>(value: &Value) -> Result<(), (String, String)> {
    match serde_path_to_error::deserialize::<_, T>(value) {
        Ok(_) => Ok(()),
        Err(error) => {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            Err((path, error.inner().to_string()))
        }
    }
}

/// The key to store: the value's own name where the section has one, else the key given.
fn effective_key(
    section: &Section,
    item: Submission<'_>,
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
fn check_id(phase: Phase, section: &Section, key: &str) -> Result<(), ItemError> {
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

fn key_hint(section: &Section) -> String {
    match section.kind {
        SectionKind::List {
            key_field: Some(field),
            ..
        } => format!("its `{field}`"),
        _ => "any short label".to_owned(),
    }
}

fn item_path(section: &Section, key: &str, inner: &str) -> String {
    let mut path = section.name.to_owned();
    if !key.is_empty() {
        path = format!("{path}[{key}]");
    }
    if !inner.is_empty() && !inner.starts_with('[') {
        path.push('.');
    }
    path.push_str(inner);
    path
}

fn names(phase: Phase) -> String {
    let names: Vec<String> = sections(phase)
        .iter()
        .map(|s| format!("`{}`", s.name))
        .collect();
    names.join(", ")
}
