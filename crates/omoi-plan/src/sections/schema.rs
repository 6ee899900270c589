//! JSON schemas of outputs and items, from the same types that check them.

use schemars::Schema;
use serde_json::{Map, Value, json};

use omoi_domain::phase::Phase;

use crate::outputs::{design, document, explore, prd, requirements, sync, tasks};
use crate::sections::section::{OutputSection, SectionKind, key_hint, root_schema};
use crate::sections::table::phase_sections;

/// JSON schema of the whole output of `phase`, as the model sees it.
pub fn section_schema(phase: Phase) -> Value {
    match phase {
        Phase::Explore => root_schema::<explore::ExploreOutput>(),
        Phase::Prd => root_schema::<prd::PrdOutput>(),
        Phase::Requirements => root_schema::<requirements::RequirementsOutput>(),
        Phase::Design => root_schema::<design::DesignOutput>(),
        Phase::Tasks => root_schema::<tasks::TasksOutput>(),
        Phase::Sync => root_schema::<sync::SyncOpinion>(),
        Phase::Complete => Schema::from(Map::new()),
        Phase::TicketRequirements | Phase::TicketDesign => {
            root_schema::<document::TicketDocument>()
        }
    }
    .to_value()
}

/// JSON schema of one item of `section`.
pub fn item_schema(section: &OutputSection) -> Value {
    section.schema().to_value()
}

/// JSON schema of the arguments of the `submit_item` tool in `phase`.
pub fn submit_item_schema(phase: Phase) -> Value {
    let names: Vec<&str> = phase_sections(phase).iter().map(|s| s.name).collect();
    let values: Vec<Value> = phase_sections(phase)
        .iter()
        .map(|s| {
            let mut schema = item_schema(s);
            if let Value::Object(fields) = &mut schema {
                fields.insert("title".to_owned(), json!(format!("value for {}", s.name)));
            }
            schema
        })
        .collect();
    let mut values = values;
    values.push(json!({ "type": "null", "title": "withdraws the item of a list under this key" }));
    let keys = phase_sections(phase)
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
                    "Names the item within a list; the same key again replaces it, \
                     and null as the value withdraws it. {keys}. \
                     Leave empty for single values."
                ),
            },
            "value": { "anyOf": values },
        },
        "required": ["phase", "section", "key", "value"],
        "additionalProperties": false,
    })
}
