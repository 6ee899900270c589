//! The configuration for people, for scripts and for the reference page.

use std::fmt::{self, Write as _};

use omoi_domain::money::PriceRow;
use serde_json::json;

use super::key::{DefaultValue, ForProject};
use super::value::{Items, Kind};
use super::{Config, Table};

/// Every key with its value and place on one line, secrets masked.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self
            .entries
            .iter()
            .map(|entry| (entry.spec.path(), entry.value.to_string(), &entry.origin))
            .collect();
        let width = |column: fn(&(String, String, &super::Origin)) -> usize| {
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
                "key": entry.spec.path(),
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
pub fn page(table: &Table) -> String {
    format!("{}\n{}", include_str!("page.md"), reference(table))
}

/// The reference of every key of `table`, as Markdown.
pub fn reference(table: &Table) -> String {
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
        let closed = match spec.project {
            ForProject::Open => "",
            ForProject::Lower => " A repository can only lower it.",
            ForProject::OutsideHome => " A repository can name no place of your home folder.",
            ForProject::Closed => " Not in the file of a repository.",
        };
        let takes = takes(&spec.kind);
        let _ = writeln!(
            page,
            "| `{}` | {default} | {takes} | {names} | {}{closed} |",
            spec.name, spec.doc
        );
    }
    page.trim_start().to_owned()
}

fn takes(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Int { min, max } => format!("{min} to {max}"),
        Kind::Float { min, max } => format!("{min} to {max}"),
        Kind::Usd { max } => format!("0 to {max} US dollars"),
        Kind::Seconds { min, max } => format!("{min} s to {max} s"),
        Kind::Bytes { min, max } => format!("{min} to {max} bytes"),
        Kind::Text => "text".to_owned(),
        Kind::Choice(words) => words.join(", "),
        Kind::List(Items::Words(words)) => format!("list of {}", words.join(", ")),
        Kind::List(Items::Prices) => format!("list of {}", PriceRow::SHAPE),
        Kind::List(Items::Paths) => "list of absolute paths".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Url(schemes) => format!("address ({})", schemes.join(", ")),
        Kind::Secret => "secret".to_owned(),
    }
}
