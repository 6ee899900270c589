//! Reading what a rule answers.

use super::{
    Part,
    check::Checker,
    error::Problem,
    node::{Node, Value},
};

const KINDS: &[&str] = &["text", "tool", "items", "done", "delay_ms"];
const DELAY_MS: (u64, u64) = (0, 600_000);
const TOOL_NAME_CHARS_MAX: usize = 64;

/// Reads the list of parts, in order.
pub(super) fn reply(checker: &mut Checker<'_>, node: Node) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    for entry in checker.list("reply", node)? {
        read_entry(checker, entry, &mut parts);
    }
    Some(parts)
}

/// Reads one entry; `None` has been reported.
fn read_entry(checker: &mut Checker<'_>, entry: Node, parts: &mut Vec<Part>) -> Option<()> {
    let mut fields = checker.fields("an entry of `reply`", entry, KINDS)?;
    if !checker.one_kind(&fields, KINDS) {
        return None;
    }
    if let Some(node) = fields.take("text") {
        parts.push(Part::Text(checker.text_or_file("text", node)?));
    } else if let Some(node) = fields.take("tool") {
        parts.push(tool(checker, node)?);
    } else if let Some(node) = fields.take("items") {
        for item_node in checker.list("items", node)? {
            parts.extend(item(checker, item_node));
        }
    } else if let Some(node) = fields.take("done") {
        match node.value {
            Value::Bool(true) => parts.push(Part::Done),
            _ => checker.wrong_type("done", "`true`", &node),
        }
    } else if let Some(node) = fields.take("delay_ms") {
        parts.push(Part::Delay {
            ms: checker.number("delay_ms", &node, DELAY_MS)?,
        });
    }
    Some(())
}

fn tool(checker: &mut Checker<'_>, node: Node) -> Option<Part> {
    let mut fields = checker.fields("`tool`", node, &["name", "input", "unoffered"])?;
    let name = checker.required(&mut fields, "name").and_then(|node| {
        let at = node.at.clone();
        let name = checker.text("name", node)?;
        let is_valid = name.len() <= TOOL_NAME_CHARS_MAX
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !is_valid {
            checker.report(&at, Problem::BadToolName { name: name.clone() });
        }
        is_valid.then_some(name)
    });
    let input = match fields.take("input") {
        None => serde_json::Map::default(),
        Some(Node {
            value: Value::Map(entries),
            at,
        }) => {
            if entries.iter().any(|(key, _)| key.text == "$file") {
                let found = "`$file`".to_owned();
                checker.report(
                    &at,
                    Problem::WrongType {
                        key: "input",
                        expected: "a mapping of the tool's arguments",
                        found,
                    },
                );
                return None;
            }
            checker.object(entries)
        }
        Some(node) => {
            checker.wrong_type("input", "a mapping of the tool's arguments", &node);
            return None;
        }
    };
    let unoffered = match fields.take("unoffered") {
        None => false,
        Some(node) if matches!(node.value, Value::Bool(true)) => true,
        Some(node) => {
            checker.wrong_type("unoffered", "`true`", &node);
            return None;
        }
    };
    Some(Part::Tool {
        name: name?,
        input,
        unoffered,
    })
}

fn item(checker: &mut Checker<'_>, node: Node) -> Option<Part> {
    let mut fields = checker.fields("an entry of `items`", node, &["section", "key", "value"])?;
    let section = checker
        .required(&mut fields, "section")
        .and_then(|node| checker.text("section", node));
    let key = match fields.take("key") {
        Some(node) => checker.text("key", node),
        None => Some(String::new()),
    };
    let value = checker
        .required(&mut fields, "value")
        .and_then(|node| checker.json(node));
    Some(Part::Item {
        section: section?,
        key: key?,
        value: value?,
    })
}
