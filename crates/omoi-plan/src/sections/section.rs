//! One section: how its values are checked and described.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

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
pub struct OutputSection {
    /// Name of the field.
    pub name: &'static str,
    /// One value or a list.
    pub kind: SectionKind,
    /// Whether the phase output must have it.
    pub required: bool,
    pub(crate) check: fn(&Value) -> Result<(), (String, String)>,
    schema: fn() -> Schema,
}

impl OutputSection {
    const fn new<T: DeserializeOwned + JsonSchema>(name: &'static str, kind: SectionKind) -> Self {
        Self {
            name,
            kind,
            required: true,
            check: check_type::<T>,
            schema: root_schema::<T>,
        }
    }

    pub(super) const fn single<T: DeserializeOwned + JsonSchema>(name: &'static str) -> Self {
        Self::new::<T>(name, SectionKind::Single)
    }

    pub(super) const fn list<T: DeserializeOwned + JsonSchema>(
        name: &'static str,
        key_field: Option<&'static str>,
        min: usize,
    ) -> Self {
        Self::new::<T>(name, SectionKind::List { key_field, min })
    }

    pub(super) const fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// JSON schema of one value of the section.
    pub(super) fn schema(&self) -> Schema {
        (self.schema)()
    }
}

/// Whether `value` is a `T`; where it is not, the path of the fault and what was expected there.
pub(super) fn check_type<T: DeserializeOwned>(value: &Value) -> Result<(), (String, String)> {
    match serde_path_to_error::deserialize::<_, T>(value) {
        Ok(_) => Ok(()),
        Err(error) => {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            Err((path, error.inner().to_string()))
        }
    }
}

pub(super) fn root_schema<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.meta_schema = None;
        s.inline_subschemas = true;
    });
    settings.into_generator().into_root_schema_for::<T>()
}

/// What a good key of an item of `section` is.
pub(crate) fn key_hint(section: &OutputSection) -> String {
    match section.kind {
        SectionKind::List {
            key_field: Some(field),
            ..
        } => format!("its `{field}`"),
        _ => "any short label".to_owned(),
    }
}

/// Where in the whole output the field `inner` of an item lies.
pub(crate) fn item_path(section: &OutputSection, key: &str, inner: &str) -> String {
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
