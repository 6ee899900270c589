//! Whole outputs held against the types of their sections.

use serde_json::Value;

use omoi_domain::phase::Phase;

use super::section::{SectionKind, check_type, item_path};
use super::table::{find_section, phase_sections};
use crate::outputs::SyncOutput;

/// Everything in a whole output of `phase` that its type refuses, as path and expectation.
pub(crate) fn type_misfits(phase: Phase, output: &Value) -> Vec<(String, String)> {
    if phase == Phase::Sync {
        // Judged is what code computed; the sections hold the model's opinion.
        return check_type::<SyncOutput>(output).err().into_iter().collect();
    }
    let Value::Object(fields) = output else {
        return vec![(String::new(), "expected an object".to_owned())];
    };
    let mut found = Vec::new();
    for section in phase_sections(phase) {
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
    let strangers = fields.keys().filter(|f| find_section(phase, f).is_none());
    found.extend(strangers.map(|f| (f.clone(), "unknown field".to_owned())));
    found
}
