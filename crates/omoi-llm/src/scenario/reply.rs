//! Reading what a rule answers.

use std::ops::RangeInclusive;

use super::{
    CallManner, ReplyPart,
    checker::{MappingFields, ScenarioChecker},
    error::ScenarioProblem,
    node::{YamlNode, YamlValue},
};

const KINDS: &[&str] = &["text", "reasoning", "tool", "items", "done", "delay_ms"];
const DELAY_MS: RangeInclusive<u64> = 0..=3_600_000;
const TOOL_NAME_CHARS_MAX: usize = 64;

/// Reads the list of parts, in order.
pub(super) fn read_reply(
    checker: &mut ScenarioChecker<'_>,
    node: YamlNode,
) -> Option<Vec<ReplyPart>> {
    let mut parts = Vec::new();
    for entry in checker.read_list("reply", node)? {
        read_entry(checker, entry, &mut parts);
    }
    Some(parts)
}

/// Reads one entry; `None` has been reported.
fn read_entry(
    checker: &mut ScenarioChecker<'_>,
    entry: YamlNode,
    parts: &mut Vec<ReplyPart>,
) -> Option<()> {
    let mut fields = checker.open_fields("an entry of `reply`", entry, KINDS)?;
    if !checker.one_kind(&fields, KINDS) {
        return None;
    }
    if let Some(node) = fields.take_field("text") {
        parts.push(ReplyPart::Text(checker.read_text_or_file("text", node)?));
    } else if let Some(node) = fields.take_field("reasoning") {
        let text = checker.read_text_or_file("reasoning", node)?;
        parts.push(ReplyPart::Reasoning(text));
    } else if let Some(node) = fields.take_field("tool") {
        parts.push(read_tool(checker, node)?);
    } else if let Some(node) = fields.take_field("items") {
        for item_node in checker.read_list("items", node)? {
            parts.extend(read_item(checker, item_node));
        }
    } else if let Some(node) = fields.take_field("done") {
        match node.value {
            YamlValue::Bool(true) => parts.push(ReplyPart::Done),
            _ => checker.wrong_type("done", "`true`", &node),
        }
    } else if let Some(node) = fields.take_field("delay_ms") {
        parts.push(ReplyPart::Delay {
            ms: checker.read_number("delay_ms", &node, DELAY_MS)?,
        });
    }
    Some(())
}

fn read_tool(checker: &mut ScenarioChecker<'_>, node: YamlNode) -> Option<ReplyPart> {
    let known = &["name", "input", "unoffered", "in_words"];
    let mut fields = checker.open_fields("`tool`", node, known)?;
    let name = checker
        .required_field(&mut fields, "name")
        .and_then(|node| {
            let at = node.at.clone();
            let name = checker.read_text("name", node)?;
            let is_valid = name.len() <= TOOL_NAME_CHARS_MAX
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            if !is_valid {
                checker.report_problem(&at, ScenarioProblem::BadToolName { name: name.clone() });
            }
            is_valid.then_some(name)
        });
    let input = match fields.take_field("input") {
        None => serde_json::Map::default(),
        Some(YamlNode {
            value: YamlValue::Map(entries),
            at,
        }) => {
            if entries.iter().any(|(key, _)| key.text == "$file") {
                let found = "`$file`".to_owned();
                checker.report_problem(
                    &at,
                    ScenarioProblem::WrongType {
                        key: "input",
                        expected: "a mapping of the tool's arguments",
                        found,
                    },
                );
                return None;
            }
            checker.read_object(entries)
        }
        Some(node) => {
            checker.wrong_type("input", "a mapping of the tool's arguments", &node);
            return None;
        }
    };
    let manner = read_manner(checker, &mut fields)?;
    Some(ReplyPart::Tool {
        name: name?,
        input,
        manner,
    })
}

/// As the request offers it unless said otherwise, and then in one other way.
fn read_manner(
    checker: &mut ScenarioChecker<'_>,
    fields: &mut MappingFields,
) -> Option<CallManner> {
    let manners = [
        ("unoffered", CallManner::Unoffered),
        ("in_words", CallManner::InWords),
    ];
    let mut chosen = CallManner::Offered;
    for (key, manner) in manners {
        let Some(node) = fields.take_field(key) else {
            continue;
        };
        if !matches!(node.value, YamlValue::Bool(true)) {
            checker.wrong_type(key, "`true`", &node);
            return None;
        }
        if chosen != CallManner::Offered {
            checker.report_problem(&node.at, ScenarioProblem::TwoManners);
            return None;
        }
        chosen = manner;
    }
    Some(chosen)
}

fn read_item(checker: &mut ScenarioChecker<'_>, node: YamlNode) -> Option<ReplyPart> {
    let mut fields =
        checker.open_fields("an entry of `items`", node, &["section", "key", "value"])?;
    let section = checker
        .required_field(&mut fields, "section")
        .and_then(|node| checker.read_text("section", node));
    let key = match fields.take_field("key") {
        Some(node) => checker.read_text("key", node),
        None => Some(String::new()),
    };
    let value = checker
        .required_field(&mut fields, "value")
        .and_then(|node| checker.read_json(node));
    Some(ReplyPart::Item {
        section: section?,
        key: key?,
        value: value?,
    })
}
