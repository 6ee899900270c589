//! The configuration for people, for scripts and for the reference page.

use std::fmt::Write as _;

use omoi_domain::acp_agent_row::AcpAgentRow;
use omoi_domain::agent_rule::AgentRule;
use omoi_domain::config::{DefaultValue, ListItems, RepositoryRule, ValueKind};
use omoi_domain::copied_file::CopyRow;
use omoi_domain::model_price::PriceRow;
use omoi_domain::model_route::AnswerTimes;
use omoi_domain::provider_row::ProviderRow;
use omoi_domain::role_settings::RoleSettingsRow;

use super::KeyTable;

/// The page about configuration in the documentation.
pub fn config_page(table: &KeyTable) -> String {
    format!("{}\n{}", include_str!("page.md"), key_reference(table))
}

/// The reference of every key of `table`, as Markdown.
pub fn key_reference(table: &KeyTable) -> String {
    let mut page = String::new();
    let mut section = "";
    for spec in table.key_specs() {
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
        ValueKind::List(ListItems::Entries(shape) | ListItems::Registries(shape)) => {
            format!("list of {shape}")
        }
        ValueKind::List(ListItems::AcpAgents) => format!("list of {}", AcpAgentRow::SHAPE),
        ValueKind::List(ListItems::AgentRules) => format!("list of rules: {}", AgentRule::SHAPE),
        ValueKind::List(ListItems::CopyRows) => format!("list of {}", CopyRow::SHAPE),
        ValueKind::List(ListItems::Prices) => format!("list of {}", PriceRow::SHAPE),
        ValueKind::List(ListItems::AnswerTimes) => format!("list of {}", AnswerTimes::SHAPE),
        ValueKind::List(ListItems::RoleSettings) => format!("list of {}", RoleSettingsRow::SHAPE),
        ValueKind::List(ListItems::Models) => {
            "list of models, the first usable one wins".to_owned()
        }
        ValueKind::List(ListItems::Providers) => format!("list of {}", ProviderRow::SHAPE),
        ValueKind::List(ListItems::Paths) => "list of absolute paths".to_owned(),
        ValueKind::Path => "path".to_owned(),
        ValueKind::Url(schemes) => format!("address ({})", schemes.join(", ")),
        ValueKind::Secret => "secret".to_owned(),
    }
}
