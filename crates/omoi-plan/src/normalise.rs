//! Rewrites older and looser spellings of phase outputs into the one form the types accept.
//!
//! Every rewrite is reported as a `normalised` warning; nothing is dropped unless its content is
//! kept elsewhere. A field is renamed only when its new name is free.

mod rewrite_log;
mod rules;

use serde_json::Value;

use omoi_domain::phase::Phase;

use crate::finding::RuleFinding;
use crate::ids::{CriterionId, IdKind, PlanId};
use crate::normalise::rewrite_log::RewriteLog;
use crate::repository::RepoPaths;
use crate::sections::{SectionKind, find_section};

/// Rewrites a whole phase output in place.
pub fn normalise_output(phase: Phase, output: &mut Value, repo: &RepoPaths) -> Vec<RuleFinding> {
    let mut log = RewriteLog::new(repo);
    rules::rewrite_output(phase, output, &mut log);
    let Value::Object(fields) = output else {
        return log.warnings;
    };
    for (name, value) in fields.iter_mut() {
        let kind = find_section(phase, name).map(|s| s.kind);
        match (kind, value) {
            (Some(SectionKind::List { .. }), Value::Array(items)) => {
                for (n, item) in items.iter_mut().enumerate() {
                    log.base = format!("{name}[{n}]");
                    in_section(phase, name, item, &mut log);
                }
            }
            (_, value) => {
                log.base.clone_from(name);
                in_section(phase, name, value, &mut log);
            }
        }
    }
    log.warnings
}

/// Rewrites one item of `section` in place.
pub fn normalise_item(
    phase: Phase,
    section: &str,
    item: &mut Value,
    repo: &RepoPaths,
) -> Vec<RuleFinding> {
    let mut log = RewriteLog::new(repo);
    section.clone_into(&mut log.base);
    in_section(phase, section, item, &mut log);
    log.warnings
}

/// The kind of id that `field` of an item of `section` must hold, if it holds one.
pub fn id_kind(phase: Phase, section: &str, field: &str) -> Option<IdKind> {
    let at = id_fields(phase, section).iter().find(|f| f.path == field)?;
    match at.target {
        IdTarget::Plan(kind) => Some(kind),
        IdTarget::Criterion => None,
    }
}

/// A place in an item that holds ids. Lists on the way are walked; an empty path is the item.
#[derive(Clone, Copy, Debug)]
struct IdField {
    path: &'static str,
    target: IdTarget,
}

#[derive(Clone, Copy, Debug)]
enum IdTarget {
    Plan(IdKind),
    Criterion,
}

impl IdTarget {
    fn import(self, text: &str) -> Option<String> {
        match self {
            Self::Plan(kind) => PlanId::import(kind, text).map(|id| id.to_string()),
            Self::Criterion => CriterionId::import(text).map(|id| id.to_string()),
        }
    }
}

const fn id_field(path: &'static str, kind: IdKind) -> IdField {
    IdField {
        path,
        target: IdTarget::Plan(kind),
    }
}

const STORY_IDS: &[IdField] = &[id_field("id", IdKind::UserStory)];
const REQUIREMENT_IDS: &[IdField] = &[
    id_field("id", IdKind::Requirement),
    id_field("dependencies", IdKind::Requirement),
    id_field("user_stories", IdKind::UserStory),
];
const COMPONENT_IDS: &[IdField] = &[id_field("requirements", IdKind::Requirement)];
const TICKET_IDS: &[IdField] = &[
    id_field("id", IdKind::Ticket),
    id_field("requirements", IdKind::Requirement),
    id_field("tasks", IdKind::Task),
    id_field("dependencies.blocked_by", IdKind::Ticket),
    id_field("dependencies.blocks", IdKind::Ticket),
    id_field("dependencies.related", IdKind::Ticket),
];
const TASK_IDS: &[IdField] = &[
    id_field("id", IdKind::Task),
    id_field("parent_ticket", IdKind::Ticket),
    id_field("requirements_addressed", IdKind::Requirement),
    id_field("dependencies.depends_on", IdKind::Task),
    id_field("dependencies.blocks", IdKind::Task),
    IdField {
        path: "checks.criteria",
        target: IdTarget::Criterion,
    },
];
const PATH_IDS: &[IdField] = &[id_field("", IdKind::Task)];
const COVERAGE_IDS: &[IdField] = &[id_field("requirement_id", IdKind::Requirement)];

fn id_fields(phase: Phase, section: &str) -> &'static [IdField] {
    match (phase, section) {
        (Phase::Prd, "user_stories") => STORY_IDS,
        (Phase::Requirements, "requirements") => REQUIREMENT_IDS,
        (Phase::Design, "components") => COMPONENT_IDS,
        (Phase::Tasks, "tickets") => TICKET_IDS,
        (Phase::Tasks, "tasks") => TASK_IDS,
        (Phase::Tasks, "critical_path") => PATH_IDS,
        (Phase::Sync, "coverage") => COVERAGE_IDS,
        _ => &[],
    }
}

fn in_section(phase: Phase, section: &str, item: &mut Value, log: &mut RewriteLog<'_>) {
    rules::rewrite_item(phase, section, item, log);
    for field in id_fields(phase, section) {
        canonicalise_ids(item, field.path, *field, log);
    }
}

/// Rewrites every id under `rest` of `value`.
fn canonicalise_ids(value: &mut Value, rest: &str, field: IdField, log: &mut RewriteLog<'_>) {
    match value {
        Value::Array(items) => {
            for item in items {
                canonicalise_ids(item, rest, field, log);
            }
        }
        Value::Object(fields) if !rest.is_empty() => {
            let (head, rest) = rest.split_once('.').unwrap_or((rest, ""));
            if let Some(inner) = fields.get_mut(head) {
                canonicalise_ids(inner, rest, field, log);
            }
        }
        Value::String(text) if rest.is_empty() => {
            if let Some(id) = field.target.import(text).filter(|id| id != text) {
                log.note(field.path, format!("id `{text}` became `{id}`"));
                *text = id;
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]
    use super::*;
    use serde_json::json;

    fn repo() -> RepoPaths {
        RepoPaths::new(["todo/model.py"])
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table of cases")]
    fn rewrites_every_row_of_the_table() {
        use Phase::{Design, Explore, Prd, Requirements, Tasks};
        // phase, before, after, warnings
        let rows = [
            (
                Prd,
                json!({"feature_name": "tags", "overview": {"one_liner": "x"}}),
                json!({"overview": {"one_liner": "x", "feature_name": "tags"}}),
                1,
            ),
            (
                Prd,
                json!({"feature_name": "tags"}),
                json!({"overview": {"feature_name": "tags"}}),
                1,
            ),
            (
                Prd,
                json!({"goals": {"primary": "a goal"}, "users": {"primary": {"role": "r"}}}),
                json!({"goals": {"primary": ["a goal"]}, "users": {"primary": [{"role": "r"}]}}),
                2,
            ),
            (
                Prd,
                json!({"risks": [{"risk": "a", "probability": "b"}], "open_questions": ["why?"]}),
                json!({"risks": [{"description": "a", "likelihood": "b"}],
                       "open_questions": [{"question": "why?", "resolution": "open"}]}),
                3,
            ),
            (
                Prd,
                json!({"user_stories": [{"id": "us-001"}], "_execution": {"cost_usd": 1}}),
                json!({"user_stories": [{"id": "US-001"}]}),
                1,
            ),
            (
                Explore,
                json!({"discovery_questions": {"Problem & Value": ["why?"]}}),
                json!({"discovery_questions":
                       [{"category": "Problem & Value", "questions": ["why?"]}]}),
                1,
            ),
            (
                Requirements,
                json!({"requirements": [{"id": "req-tags-func-001", "condition": "a tag is set",
                       "action": "store it", "dependencies": ["REQ-TAGS-FUNC-002"]}]}),
                json!({"requirements": [{"id": "REQ-TAGS-FUNC-001",
                       "dependencies": ["REQ-TAGS-FUNC-002"],
                       "text": "WHEN a tag is set, THE SYSTEM SHALL store it."}]}),
                2,
            ),
            (
                Requirements,
                json!({"requirements": [{"text": "When t, the system shall a",
                       "condition": "t", "action": "a"}]}),
                json!({"requirements": [{"text": "When t, the system shall a"}]}),
                1,
            ),
            (
                Design,
                json!({"data_models": [{"fields": {"id": "int", "at": {"type": "date", "nullable": true}}}],
                       "error_handling": "retry twice", "testing_strategy": "unit tests"}),
                json!({"data_models": [{"fields": [{"name": "id", "type": "int"},
                                                   {"name": "at", "type": "date", "nullable": true}]}],
                       "error_handling": {"strategy": "retry twice"},
                       "testing_strategy": {"strategy": "unit tests"}}),
                3,
            ),
            (
                Design,
                json!({"api_endpoints": [{"purpose": "p", "endpoint": "/x", "request_body": 1, "response": 2}]}),
                json!({"api_endpoints": [{"description": "p", "path": "/x",
                       "request_schema": 1, "response_schema": 2}]}),
                4,
            ),
            (
                Tasks,
                json!({"tickets": [{"id": "TKT-TAGS-001", "dependencies": ["tkt-002"], "tasks": ["TASK-001"]}]}),
                json!({"tickets": [{"id": "TKT-001", "dependencies": {"blocked_by": ["TKT-002"]},
                       "tasks": ["TSK-001"]}]}),
                4,
            ),
            (
                Tasks,
                json!({"tasks": [{"id": "task-001", "dependencies": ["TASK-002"],
                       "deliverables": ["todo/model.py", "todo/tags.py"],
                       "checks": [{"criteria": ["req-tags-func-001#1"]}]}],
                       "critical_path": ["TASK-001"]}),
                json!({"tasks": [{"id": "TSK-001", "dependencies": {"depends_on": ["TSK-002"]},
                       "checks": [{"criteria": ["REQ-TAGS-FUNC-001#1"]}],
                       "files_to_create": ["todo/tags.py"], "files_to_modify": ["todo/model.py"]}],
                       "critical_path": ["TSK-001"]}),
                6,
            ),
        ];
        for (phase, before, after, warnings) in rows {
            let mut value = before.clone();
            let notes = normalise_output(phase, &mut value, &repo());
            assert_eq!(value, after, "{phase}: {before}");
            assert_eq!(notes.len(), warnings, "{phase}: {notes:#?}");
            assert!(notes.iter().all(|n| n.code == "normalised"));
            // What is in form already stays untouched.
            assert_eq!(normalise_output(phase, &mut value, &repo()), []);
            assert_eq!(value, after);
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        for (phase, value) in [
            (
                Phase::Prd,
                json!({"risks": [{"risk": "a", "description": "b"}]}),
            ),
            (
                Phase::Prd,
                json!({"feature_name": "a", "overview": {"feature_name": "b"}}),
            ),
            (
                Phase::Requirements,
                json!({"requirements": [{"text": "WHEN a, THE SYSTEM SHALL b.",
                       "condition": "c", "action": "d"}]}),
            ),
            (
                Phase::Tasks,
                json!({"tasks": [{"deliverables": [{"path": "x"}]}]}),
            ),
            (Phase::Tasks, json!([1, "x", null])),
        ] {
            let mut after = value.clone();
            assert_eq!(normalise_output(phase, &mut after, &repo()), []);
            assert_eq!(after, value);
        }
    }
}
