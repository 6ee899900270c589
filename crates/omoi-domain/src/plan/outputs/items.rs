//! Submission of a phase output item by item.
//!
//! Each top-level field of a phase output is a section: either one value or a list of keyed items.
//! Every item is checked against the type of its section at once; [`assemble`] puts the accepted
//! ones together.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::paths::RepoPaths;
use super::{Phase, design, explore, prd, requirements, sync, tasks};
use crate::plan::evaluate::Warning;
use crate::plan::ids::PlanId;
use crate::plan::normalise::{id_kind, normalise_item};

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
    /// The value, normalised.
    pub value: Value,
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

/// A section that the phase still needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The section.
    pub section: String,
    /// How many items it needs; 1 for a single value.
    pub needed: usize,
    /// How many it has.
    pub present: usize,
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
            schema: schema::<T>,
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

/// The sections of `phase`, in the order of its fields.
pub const fn sections(phase: Phase) -> &'static [Section] {
    match phase {
        Phase::Explore => EXPLORE,
        Phase::Prd => PRD,
        Phase::Requirements => REQUIREMENTS,
        Phase::Design => DESIGN,
        Phase::Tasks => TASKS,
        Phase::Sync => SYNC,
        Phase::Complete => &[],
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
    let mut value = item.value.clone();
    let warnings = normalise_item(item.phase, section.name, &mut value, repo);
    let key = effective_key(section, item, &value)?;
    (section.check)(&value).map_err(|(inner, expected)| ItemError::Invalid {
        path: item_path(section, &key, &inner),
        expected,
    })?;
    check_id(item.phase, section, &key)?;
    Ok(Accepted {
        item: Item {
            section: section.name.to_owned(),
            key,
            value,
        },
        warnings,
    })
}

/// The whole output of `phase` from its accepted `items`, oldest first.
///
/// A later item with the same section and key replaces the earlier one in its place.
///
/// # Errors
/// Every required section that is absent or too short.
pub fn assemble(phase: Phase, items: &[Item]) -> Result<Value, Vec<Missing>> {
    let mut output = Map::new();
    let mut missing = Vec::new();
    for section in sections(phase) {
        let mut mine = items.iter().filter(|i| i.section == section.name);
        match section.kind {
            SectionKind::Single => match mine.next_back() {
                Some(item) => {
                    output.insert(section.name.to_owned(), item.value.clone());
                }
                None if section.required => missing.push(Missing {
                    section: section.name.to_owned(),
                    needed: 1,
                    present: 0,
                }),
                None => {}
            },
            SectionKind::List { min, .. } => {
                let mut list: Vec<(&str, &Value)> = Vec::new();
                for item in mine {
                    match list.iter_mut().find(|(key, _)| *key == item.key) {
                        Some(slot) => slot.1 = &item.value,
                        None => list.push((&item.key, &item.value)),
                    }
                }
                if list.len() < min {
                    missing.push(Missing {
                        section: section.name.to_owned(),
                        needed: min,
                        present: list.len(),
                    });
                }
                if section.required || !list.is_empty() {
                    let values = list.into_iter().map(|(_, v)| v.clone()).collect();
                    output.insert(section.name.to_owned(), Value::Array(values));
                }
            }
        }
    }
    if missing.is_empty() {
        Ok(Value::Object(output))
    } else {
        Err(missing)
    }
}

/// Takes a whole output apart into unchecked items, for answers that came in one piece.
///
/// Fields that are no section become items too, so that [`validate_item`] names them.
pub fn split(phase: Phase, whole: &Value) -> Vec<Item> {
    let Value::Object(fields) = whole else {
        return Vec::new();
    };
    let mut items = Vec::new();
    for (name, value) in fields {
        let kind = section(phase, name).map(|s| s.kind);
        match (kind, value) {
            (Some(SectionKind::List { key_field, .. }), Value::Array(list)) => {
                for (n, element) in list.iter().enumerate() {
                    let own = key_field
                        .and_then(|f| element.get(f))
                        .and_then(Value::as_str);
                    items.push(Item {
                        section: name.clone(),
                        key: own.map_or_else(|| (n + 1).to_string(), str::to_owned),
                        value: element.clone(),
                    });
                }
            }
            _ => items.push(Item {
                section: name.clone(),
                key: String::new(),
                value: value.clone(),
            }),
        }
    }
    items
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

/// JSON schema of the whole output of `phase`, as the model sees it.
pub fn section_schema(phase: Phase) -> Value {
    match phase {
        Phase::Explore => schema::<explore::ExploreOutput>(),
        Phase::Prd => schema::<prd::PrdOutput>(),
        Phase::Requirements => schema::<requirements::RequirementsOutput>(),
        Phase::Design => schema::<design::DesignOutput>(),
        Phase::Tasks => schema::<tasks::TasksOutput>(),
        Phase::Sync => schema::<sync::SyncOpinion>(),
        Phase::Complete => Schema::from(Map::new()),
    }
    .to_value()
}

/// JSON schema of one item of `section`.
pub fn item_schema(section: &Section) -> Value {
    (section.schema)().to_value()
}

/// JSON schema of the arguments of the `submit_item` tool in `phase`.
pub fn submit_item_schema(phase: Phase) -> Value {
    let names: Vec<&str> = sections(phase).iter().map(|s| s.name).collect();
    let values: Vec<Value> = sections(phase)
        .iter()
        .map(|s| {
            let mut schema = item_schema(s);
            if let Value::Object(fields) = &mut schema {
                fields.insert("title".to_owned(), json!(format!("value for {}", s.name)));
            }
            schema
        })
        .collect();
    let keys = sections(phase)
        .iter()
        .filter(|s| s.kind != SectionKind::Single)
        .map(|s| format!("{}: {}", s.name, key_hint(s)))
        .collect::<Vec<_>>()
        .join("; ");
    json!({
        "type": "object",
        "properties": {
            "phase": { "type": "string", "enum": [phase.as_str()] },
            "section": { "type": "string", "enum": names },
            "key": {
                "type": "string",
                "description": format!(
                    "Names the item within a list; the same key again replaces it. {keys}. \
                     Leave empty for single values."
                ),
            },
            "value": { "anyOf": values },
        },
        "required": ["phase", "section", "key", "value"],
        "additionalProperties": false,
    })
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

fn schema<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.meta_schema = None;
        s.inline_subschemas = true;
    });
    settings.into_generator().into_root_schema_for::<T>()
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

type Texts = Vec<String>;
type Object = std::collections::BTreeMap<String, Value>;

const EXPLORE: &[Section] = &[
    Section::single::<String>("codebase_summary"),
    Section::single::<String>("project_type"),
    Section::single::<Texts>("tech_stack"),
    Section::single::<std::collections::BTreeMap<String, explore::Paths>>("structure"),
    Section::list::<explore::KeyFile>("key_files", Some("path"), 0),
    Section::list::<explore::CodePattern>("relevant_patterns", Some("pattern"), 0),
    Section::list::<explore::ExistingModel>("existing_models", None, 0).optional(),
    Section::single::<explore::Conventions>("conventions"),
    Section::single::<Texts>("entry_points").optional(),
    Section::single::<Option<String>>("test_structure").optional(),
    Section::list::<explore::QuestionGroup>("discovery_questions", Some("category"), 1),
    Section::single::<explore::FeatureSummary>("feature_summary"),
    Section::list::<explore::RelatedCode>("related_to_feature", None, 0),
    Section::single::<bool>("greenfield"),
    Section::single::<Option<String>>("notes").optional(),
];

const PRD: &[Section] = &[
    Section::single::<prd::Overview>("overview"),
    Section::single::<prd::Goals>("goals"),
    Section::single::<prd::Users>("users"),
    Section::list::<prd::UserStory>("user_stories", Some("id"), 1),
    Section::single::<prd::Scope>("scope"),
    Section::single::<Texts>("assumptions"),
    Section::single::<prd::Constraints>("constraints"),
    Section::list::<prd::Risk>("risks", None, 0),
    Section::list::<prd::OpenQuestion>("open_questions", None, 0),
    Section::single::<Option<String>>("prd_version").optional(),
    Section::list::<prd::RelatedFeature>("related_features", Some("name"), 0).optional(),
    Section::list::<prd::Revision>("revision_history", Some("version"), 0).optional(),
];

const REQUIREMENTS: &[Section] = &[
    Section::single::<String>("feature_name"),
    Section::list::<requirements::Requirement>("requirements", Some("id"), 1),
    Section::single::<Texts>("assumptions"),
    Section::single::<Texts>("out_of_scope"),
    Section::single::<Texts>("open_questions").optional(),
    Section::single::<requirements::Traceability>("traceability"),
];

const DESIGN: &[Section] = &[
    Section::single::<String>("feature_name"),
    Section::single::<String>("architecture_overview"),
    Section::single::<String>("architecture_diagram"),
    Section::list::<design::Component>("components", Some("name"), 1),
    Section::list::<design::DataModel>("data_models", Some("name"), 0),
    Section::single::<Option<String>>("data_models_not_needed").optional(),
    Section::list::<design::Endpoint>("api_endpoints", None, 0),
    Section::single::<Option<String>>("api_endpoints_not_needed").optional(),
    Section::single::<Vec<Value>>("integration_points"),
    Section::single::<Object>("error_handling"),
    Section::single::<design::TestingStrategy>("testing_strategy"),
    Section::single::<Texts>("security_considerations"),
    Section::single::<Object>("migration_plan").optional(),
];

const TASKS: &[Section] = &[
    Section::single::<String>("feature_name"),
    Section::list::<tasks::Ticket>("tickets", Some("id"), 1),
    Section::list::<tasks::Task>("tasks", Some("id"), 1),
    Section::single::<f64>("total_estimated_hours"),
    Section::single::<Texts>("critical_path"),
];

const SYNC: &[Section] = &[
    Section::list::<sync::CoverageOpinion>("coverage", Some("requirement_id"), 0),
    Section::single::<Texts>("warnings").optional(),
    Section::single::<Texts>("recommendations"),
    Section::single::<Option<String>>("estimated_duration").optional(),
];
