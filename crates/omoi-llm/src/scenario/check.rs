//! Taking a YAML tree apart while collecting every error.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::{
    error::{Place, Problem, ScenarioError},
    files::{Files, SCENARIO_BYTES_MAX},
    node::{self, Key, Node, Value},
};

/// `include` may nest this deep; a circle ends here too.
const INCLUDE_DEPTH_MAX: usize = 4;

/// The files being read and the errors found so far.
///
/// Methods that give an `Option` have reported the reason of a `None`.
pub(super) struct Checker<'a> {
    files: Files<'a>,
    /// Folder of the scenario file being read; empty, or ends with `/`.
    folder: String,
    parsed: Vec<Arc<str>>,
    errors: Vec<ScenarioError>,
}

/// The keys of one mapping, each known and taken at most once.
pub(super) struct Fields {
    pub(super) at: Place,
    object: &'static str,
    entries: Vec<(Key, Node)>,
    has_unknown: bool,
}

impl Fields {
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let index = self
            .entries
            .iter()
            .position(|(found, _)| found.text == key)?;
        Some(self.entries.remove(index).1)
    }
}

impl<'a> Checker<'a> {
    pub(super) fn new(files: Files<'a>) -> Self {
        Self {
            files,
            folder: String::new(),
            parsed: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub(super) fn report(&mut self, place: &Place, problem: Problem) {
        self.errors.push(ScenarioError {
            place: place.clone(),
            problem,
        });
    }

    pub(super) fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// The errors in reading order, the first file first.
    pub(super) fn into_errors(mut self) -> Vec<ScenarioError> {
        let order = |place: &Place| {
            let file = self.parsed.iter().position(|file| *file == place.file);
            (file, place.line, place.column)
        };
        self.errors.sort_by_key(|error| order(&error.place));
        self.errors
    }

    /// Reads and parses a file; `at` is where it is named.
    pub(super) fn yaml(&mut self, path: &str, at: &Place) -> Option<Node> {
        let text = self.file(path, at)?;
        let file: Arc<str> = format!("{}{path}", self.folder).into();
        if !self.parsed.contains(&file) {
            self.parsed.push(Arc::clone(&file));
        }
        match node::parse(&file, &text, SCENARIO_BYTES_MAX) {
            Ok(node) => Some(node),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    /// Lets `read` read with paths relative to `folder`, itself relative to the folder of now.
    pub(super) fn below<T>(&mut self, folder: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.folder.clone();
        self.folder.push_str(folder);
        let done = read(self);
        self.folder = outer;
        done
    }

    fn file(&mut self, path: &str, at: &Place) -> Option<Arc<str>> {
        let text = self.files.text(&self.folder, path);
        text.map_err(|problem| self.report(at, problem)).ok()
    }

    /// Opens a mapping; keys that are not `known` are reported and dropped.
    pub(super) fn fields(
        &mut self,
        object: &'static str,
        node: Node,
        known: &'static [&'static str],
    ) -> Option<Fields> {
        let Value::Map(mut entries) = node.value else {
            let found = node.value.described();
            self.report(&node.at, Problem::NotAMapping { object, found });
            return None;
        };
        let n_entries = entries.len();
        entries.retain(|(key, _)| {
            let is_known = known.contains(&key.text.as_str());
            if !is_known {
                let key_text = key.text.clone();
                self.report(
                    &key.at,
                    Problem::UnknownKey {
                        key: key_text,
                        object,
                        known,
                    },
                );
            }
            is_known
        });
        let has_unknown = entries.len() < n_entries;
        Some(Fields {
            at: node.at,
            object,
            entries,
            has_unknown,
        })
    }

    /// A key that must be there.
    pub(super) fn required(&mut self, fields: &mut Fields, key: &'static str) -> Option<Node> {
        let node = fields.take(key);
        if node.is_none() {
            self.report(
                &fields.at,
                Problem::MissingKey {
                    object: fields.object,
                    key,
                },
            );
        }
        node
    }

    /// Exactly one of `kinds` must be there.
    pub(super) fn one_kind(&mut self, fields: &Fields, kinds: &'static [&'static str]) -> bool {
        let keys = fields.entries.iter().map(|(key, _)| key.text.as_str());
        let found: Vec<_> = keys.filter(|key| kinds.contains(key)).collect();
        let object = fields.object;
        let found = match found.as_slice() {
            [_] => return true,
            // The kind was misspelt, which has been reported.
            [] if fields.has_unknown => return false,
            [] => "none".to_owned(),
            several => format!("`{}`", several.join("` and `")),
        };
        self.report(
            &fields.at,
            Problem::NotExactlyOne {
                object,
                found,
                kinds,
            },
        );
        false
    }

    pub(super) fn wrong_type(&mut self, key: &'static str, expected: &'static str, node: &Node) {
        let found = node.value.described();
        self.report(
            &node.at,
            Problem::WrongType {
                key,
                expected,
                found,
            },
        );
    }

    /// Text with something in it.
    pub(super) fn text(&mut self, key: &'static str, node: Node) -> Option<String> {
        match node.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text),
            Value::Text(_) => {
                self.report(&node.at, Problem::Empty { key });
                None
            }
            _ => {
                self.wrong_type(key, "text", &node);
                None
            }
        }
    }

    /// Text written in place or as `{$file: path}`.
    pub(super) fn text_or_file(&mut self, key: &'static str, node: Node) -> Option<String> {
        if !matches!(node.value, Value::Map(_)) {
            return self.text(key, node);
        }
        let at = node.at.clone();
        match self.json(node)? {
            Json::String(text) => Some(text),
            _ => {
                let found = "a mapping".to_owned();
                let expected = "text or `{$file: path}`";
                self.report(
                    &at,
                    Problem::WrongType {
                        key,
                        expected,
                        found,
                    },
                );
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        node: &Node,
        (min, max): (u64, u64),
    ) -> Option<u64> {
        let Value::Number(number) = &node.value else {
            self.wrong_type(key, "a whole number", node);
            return None;
        };
        let value = number.as_u64().filter(|value| (min..=max).contains(value));
        if value.is_none() {
            let found = number.to_string();
            self.report(
                &node.at,
                Problem::OutOfRange {
                    key,
                    min,
                    max,
                    found,
                },
            );
        }
        value
    }

    /// One word of a closed set.
    pub(super) fn word(
        &mut self,
        key: &'static str,
        node: Node,
        allowed: &'static [&'static str],
    ) -> Option<&'static str> {
        let at = node.at.clone();
        let found = self.text(key, node)?;
        let word = allowed.iter().find(|word| **word == found);
        if word.is_none() {
            self.report(
                &at,
                Problem::NotOneOf {
                    key,
                    found,
                    allowed,
                },
            );
        }
        word.copied()
    }

    /// A list in which an entry `include: path` stands for the entries of that file.
    pub(super) fn list(&mut self, key: &'static str, node: Node) -> Option<Vec<Node>> {
        let mut spliced = Vec::new();
        self.splice(key, node, INCLUDE_DEPTH_MAX, &mut spliced)?;
        Some(spliced)
    }

    fn splice(
        &mut self,
        key: &'static str,
        node: Node,
        depth: usize,
        spliced: &mut Vec<Node>,
    ) -> Option<()> {
        let Value::List(entries) = node.value else {
            self.wrong_type(key, "a list", &node);
            return None;
        };
        for entry in entries {
            let Some(path) = self.sole_path("include", &entry) else {
                spliced.push(entry);
                continue;
            };
            if depth == 0 {
                self.report(
                    &entry.at,
                    Problem::IncludeTooDeep {
                        max: INCLUDE_DEPTH_MAX,
                    },
                );
            } else if let Some(included) = self.yaml(&path, &entry.at) {
                // An error inside is reported there; the rest of the list is still worth checking.
                let _ = self.splice(key, included, depth - 1, spliced);
            }
        }
        Some(())
    }

    /// The text of a mapping that consists of `key` alone.
    fn sole_path(&mut self, key: &'static str, node: &Node) -> Option<String> {
        let Value::Map(entries) = &node.value else {
            return None;
        };
        let (found, value) = entries.iter().find(|(found, _)| found.text == key)?;
        if entries.len() > 1 {
            self.report(&found.at, Problem::NotAlone { key });
            return None;
        }
        let Value::Text(path) = &value.value else {
            self.wrong_type(key, "text", value);
            return None;
        };
        Some(path.clone())
    }

    /// A value for a model's answer, with every `{$file: path}` replaced by the text of that file.
    pub(super) fn json(&mut self, node: Node) -> Option<Json> {
        let has_file = |entries: &[(Key, Node)]| entries.iter().any(|(key, _)| key.text == "$file");
        Some(match node.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(value),
            Value::Number(value) => Json::Number(value),
            Value::Text(value) => Json::String(value),
            Value::List(entries) => {
                let entries = entries.into_iter().filter_map(|entry| self.json(entry));
                Json::Array(entries.collect())
            }
            Value::Map(ref entries) if has_file(entries) => {
                let path = self.sole_path("$file", &node)?;
                Json::String(self.file(&path, &node.at)?.as_ref().to_owned())
            }
            Value::Map(entries) => Json::Object(self.object(entries)),
        })
    }

    /// The entries of a mapping as JSON.
    pub(super) fn object(&mut self, entries: Vec<(Key, Node)>) -> Map<String, Json> {
        let pairs = entries.into_iter();
        pairs
            .filter_map(|(key, value)| Some((key.text, self.json(value)?)))
            .collect()
    }
}
