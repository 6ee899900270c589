//! The YAML block at the head of every file: a deterministic writer and a strict reader.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::artifacts::parse_error::{FileProblem, ParseError};

const DELIMITER: &str = "---";

/// Words that YAML readers, old ones too, take for something other than text.
const RESERVED: [&str; 12] = [
    "null",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "nan",
    "inf",
    "undefined",
];

/// What heads one kind of file.
pub trait FrontMatter: serde::Serialize + DeserializeOwned {
    /// Fields that must be there; the others have defaults.
    const REQUIRED: &'static [&'static str];

    /// What the file is about; checkboxes without a nearer owner belong to it.
    fn id(&self) -> &str;
}

/// A file: frontmatter, an empty line, then `body` as it is.
pub(super) fn write_file<F: FrontMatter>(front: &F, body: &str) -> String {
    let fields = match serde_json::to_value(front) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        // Frontmatter is a struct of plain values.
        _ => Value::Object(Map::new()),
    };
    let yaml = yaml_block(&fields).join("\n");
    format!("{DELIMITER}\n{yaml}\n{DELIMITER}\n\n{body}")
}

/// The frontmatter and the body of `text`. Delimiters count only as whole lines, and only the
/// first two, so a body may hold `---` lines.
pub(super) fn read_file<F: FrontMatter>(file: &str, text: &str) -> Result<(F, String), ParseError> {
    let (yaml, body) = split_file(file, text)?;
    let error = |field: &str, problem| ParseError {
        file: file.to_owned(),
        line: line_of(yaml, field),
        field: (!field.is_empty()).then(|| field.to_owned()),
        problem,
    };
    let options = serde_saphyr::options! { with_snippet: false };
    let value: Value = serde_saphyr::from_str_with_options(yaml, options).map_err(|source| {
        let line = source.location().map_or(1, |at| at.line() as usize + 1);
        let source = Box::new(source);
        ParseError {
            line,
            ..error("", FileProblem::NotYaml { source })
        }
    })?;
    let Value::Object(fields) = value else {
        return Err(error("", FileProblem::NotAMapping));
    };
    if let Some(missing) = F::REQUIRED.iter().find(|f| !fields.contains_key(**f)) {
        return Err(error(missing, FileProblem::Missing));
    }
    let front = serde_path_to_error::deserialize(Value::Object(fields)).map_err(|source| {
        let path = source.path().to_string();
        let field = path.split(['.', '[']).next().unwrap_or_default();
        let source = source.into_inner();
        error(field, FileProblem::Wrong { source })
    })?;
    Ok((front, body.to_owned()))
}

fn split_file<'a>(file: &str, text: &'a str) -> Result<(&'a str, &'a str), ParseError> {
    let error = |line, problem| ParseError {
        file: file.to_owned(),
        line,
        field: None,
        problem,
    };
    let is_delimiter = |line: &str| line.trim_end_matches(['\n', '\r']) == DELIMITER;
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    if !is_delimiter(first) {
        return Err(error(1, FileProblem::NoFrontmatter));
    }
    let mut end = first.len();
    for line in lines {
        if is_delimiter(line) {
            let body = &text[end + line.len()..];
            let body = body
                .strip_prefix("\r\n")
                .or(body.strip_prefix('\n'))
                .unwrap_or(body);
            return Ok((&text[first.len()..end], body));
        }
        end += line.len();
    }
    Err(error(text.lines().count(), FileProblem::Unclosed))
}

/// The line of the file on which the top-level `field` stands; the opening line if it does not.
fn line_of(yaml: &str, field: &str) -> usize {
    let is_field = |line: &str| {
        let key = line
            .split_once(':')
            .map(|(key, _)| key.trim().trim_matches(['"', '\'']));
        !line.starts_with([' ', '-']) && key == Some(field)
    };
    yaml.lines().position(is_field).map_or(1, |n| n + 2)
}

/// A non-empty list or map in block style, line by line.
fn yaml_block(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = yaml_scalar(&Value::String(key.clone()));
                if is_block(value) {
                    lines.push(format!("{key}:"));
                    lines.extend(
                        yaml_block(value)
                            .into_iter()
                            .map(|line| format!("  {line}")),
                    );
                } else {
                    lines.push(format!("{key}: {}", yaml_scalar(value)));
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                if is_block(item) {
                    let marks = std::iter::once("- ").chain(std::iter::repeat("  "));
                    let inner = marks
                        .zip(yaml_block(item))
                        .map(|(mark, line)| format!("{mark}{line}"));
                    lines.extend(inner);
                } else {
                    lines.push(format!("- {}", yaml_scalar(item)));
                }
            }
        }
        _ => lines.push(yaml_scalar(value)),
    }
    lines
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

/// A value on one line; lists and maps only when empty.
fn yaml_scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(text) => yaml_quoted(text),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

/// Whether `text` means itself without quotes in every YAML: words of safe characters that start
/// with a letter, or a date.
fn is_plain(text: &str) -> bool {
    let is_date = text.len() == 10
        && text.char_indices().all(|(i, c)| {
            if i == 4 || i == 7 {
                c == '-'
            } else {
                c.is_ascii_digit()
            }
        });
    let is_word = |word: &str| {
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
        !word.is_empty() && word.chars().all(is_safe)
    };
    let is_reserved = RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word));
    let is_text =
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.split(' ').all(is_word);
    is_date || (is_text && !is_reserved)
}

/// `text` in double quotes, everything escaped that YAML would not take as it is.
fn yaml_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f'
            | '\x7f'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => out.extend(format!("\\u{:04x}", c as u32).chars()),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_in_block_style_with_the_quotes_they_need() {
        let value = json!({
            "id": "TKT-001", "title": "Add: tags", "created": "2025-01-31", "plain": "two words",
            "none": null, "flag": "Yes", "number": "12", "n": 1.5, "empty": [], "nothing": {},
            "list": ["a b", "- c", "# d", ""], "nested": [{"k": 1, "of": ["x", ["y"]]}],
            "odd key: ": "line\n---\nline\t\"quoted\" \\ \u{7f}\u{2028}ü",
        });
        let expected = [
            "id: TKT-001",
            "title: \"Add: tags\"",
            "created: 2025-01-31",
            "plain: two words",
            "none: null",
            "flag: \"Yes\"",
            "number: \"12\"",
            "\"n\": 1.5",
            "empty: []",
            "nothing: {}",
            "list:",
            "  - a b",
            "  - \"- c\"",
            "  - \"# d\"",
            "  - \"\"",
            "nested:",
            "  - k: 1",
            "    of:",
            "      - x",
            "      - - \"y\"",
            "\"odd key: \": \"line\\n---\\nline\\t\\\"quoted\\\" \\\\ \\u007f\\u2028ü\"",
        ];
        assert_eq!(yaml_block(&value), expected);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9f64).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "(|[a-z]{1,4}|[-?:,#&*!|>'\"%@`{}\\[\\]~. 0-9eEx_+]{1,6}|null|True|NO|---|1e3|0x1f|1_0|12:30)"
                .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_json()) {
            let yaml = yaml_block(&json!({ "value": value })).join("\n");
            let back: Value = serde_saphyr::from_str(&yaml).map_err(|e| {
                TestCaseError::fail(format!("{e}\n{yaml}"))
            })?;
            prop_assert_eq!(&back["value"], &value, "{}", yaml);
        }
    }
}
