//! The configuration for people, for scripts and for the reference page.

use std::fmt::{self, Write as _};

use serde_json::json;

use omoi_domain::money::PriceRow;

use super::key::{DefaultValue, RepositoryRule};
use super::value::{ListItems, ValueKind};
use super::{Config, KeyTable};

/// Every key with its value and place on one line, secrets masked.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self
            .entries
            .iter()
            .map(|entry| {
                (
                    entry.spec.dotted_path(),
                    entry.value.to_string(),
                    &entry.origin,
                )
            })
            .collect();
        let width = |column: fn(&(String, String, &super::ValueOrigin)) -> usize| {
            rows.iter().map(column).max().unwrap_or(0)
        };
        let key_width = width(|row| row.0.chars().count());
        let value_width = width(|row| row.1.chars().count()).min(40);
        writeln!(f, "environment: {}", self.environment.as_str())?;
        for (key, value, origin) in &rows {
            writeln!(f, "{key:key_width$}  {value:value_width$}  {origin}")?;
        }
        Ok(())
    }
}

/// Masked, like everything that shows a configuration.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Config {
    /// Every key with its value, layer and place, secrets masked.
    pub fn to_json(&self) -> serde_json::Value {
        let keys = self.entries.iter().map(|entry| {
            json!({
                "key": entry.spec.dotted_path(),
                "value": entry.value.to_json(),
                "layer": entry.origin.layer.as_str(),
                "origin": entry.origin.to_string(),
            })
        });
        json!({
            "environment": self.environment.as_str(),
            "keys": keys.collect::<Vec<_>>(),
        })
    }
}

/// The page about configuration in the documentation.
pub fn config_page(table: &KeyTable) -> String {
    format!("{}\n{}", include_str!("page.md"), key_reference(table))
}

/// The reference of every key of `table`, as Markdown.
pub fn key_reference(table: &KeyTable) -> String {
    let mut page = String::new();
    let mut section = "";
    for spec in table.keys {
        if spec.section.name != section {
            section = spec.section.name;
            // Writing to a string cannot fail.
            let _ = write!(
                page,
                "\n## {section}\n\n| Key | Default | Takes | Environment | |\n|---|---|---|---|---|\n"
            );
        }
        let default = match spec.default {
            DefaultValue::Text("") => "–".to_owned(),
            DefaultValue::Text(text) => format!("`{text}`"),
            DefaultValue::Derived { says, .. } => says.to_owned(),
        };
        let [usual, alias] = spec.env_names();
        let names = if usual == alias {
            format!("`{usual}`")
        } else {
            format!("`{usual}`, `{alias}`")
        };
        let closed = match spec.repository {
            RepositoryRule::Open => "",
            RepositoryRule::Lower => " A repository can only lower it.",
            RepositoryRule::OutsideHome => " A repository can name no place of your home folder.",
            RepositoryRule::Closed => " Not in the file of a repository.",
        };
        let takes = kind_text(&spec.kind);
        let _ = writeln!(
            page,
            "| `{}` | {default} | {takes} | {names} | {}{closed} |",
            spec.name, spec.doc
        );
    }
    page.trim_start().to_owned()
}

fn kind_text(kind: &ValueKind) -> String {
    match kind {
        ValueKind::Bool => "true or false".to_owned(),
        ValueKind::Int { min, max } => format!("{min} to {max}"),
        ValueKind::Float { min, max } => format!("{min} to {max}"),
        ValueKind::Usd { max } => format!("0 to {max} US dollars"),
        ValueKind::Seconds { min, max } => format!("{min} s to {max} s"),
        ValueKind::Bytes { min, max } => format!("{min} to {max} bytes"),
        ValueKind::Text => "text".to_owned(),
        ValueKind::Choice(words) => words.join(", "),
        ValueKind::List(ListItems::Words(words)) => format!("list of {}", words.join(", ")),
        ValueKind::List(ListItems::Prices) => format!("list of {}", PriceRow::SHAPE),
        ValueKind::List(ListItems::Paths) => "list of absolute paths".to_owned(),
        ValueKind::Path => "path".to_owned(),
        ValueKind::Url(schemes) => format!("address ({})", schemes.join(", ")),
        ValueKind::Secret => "secret".to_owned(),
    }
}
