//! Reads a YAML tree and collects every error in it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::{
    error::{ScenarioError, ScenarioProblem, SourcePlace},
    files::{SCENARIO_BYTES_MAX, ScenarioFiles},
    node::{self, YamlKey, YamlNode, YamlValue},
};

/// `include` may nest this deep; a circle ends here too.
const INCLUDE_DEPTH_MAX: usize = 4;

/// The files being read and the errors found so far.
///
/// Methods that give an `Option` have reported the reason of a `None`.
pub(super) struct ScenarioChecker<'a> {
    files: ScenarioFiles<'a>,
    /// Folder of the scenario file being read; empty, or ends with `/`.
    folder: String,
    parsed: Vec<Arc<str>>,
    errors: Vec<ScenarioError>,
}

/// The keys of one mapping, each known and taken at most once.
pub(super) struct MappingFields {
    pub(super) at: SourcePlace,
    object: &'static str,
    entries: Vec<(YamlKey, YamlNode)>,
    has_unknown: bool,
}

impl MappingFields {
    pub(super) fn take_field(&mut self, key: &str) -> Option<YamlNode> {
        let index = self
            .entries
            .iter()
            .position(|(found, _)| found.text == key)?;
        Some(self.entries.remove(index).1)
    }
}

impl<'a> ScenarioChecker<'a> {
    pub(super) fn new(files: ScenarioFiles<'a>) -> Self {
        Self {
            files,
            folder: String::new(),
            parsed: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub(super) fn report_problem(&mut self, place: &SourcePlace, problem: ScenarioProblem) {
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
        let order = |place: &SourcePlace| {
            let file = self.parsed.iter().position(|file| *file == place.file);
            (file, place.line, place.column)
        };
        self.errors.sort_by_key(|error| order(&error.place));
        self.errors
    }

    /// Reads and parses a file; `at` is where it is named.
    pub(super) fn read_yaml(&mut self, path: &str, at: &SourcePlace) -> Option<YamlNode> {
        let text = self.read_text_file(path, at)?;
        let file: Arc<str> = format!("{}{path}", self.folder).into();
        if !self.parsed.contains(&file) {
            self.parsed.push(Arc::clone(&file));
        }
        match node::parse_yaml(&file, &text, SCENARIO_BYTES_MAX) {
            Ok(node) => Some(node),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    /// Lets `read` read with paths relative to `folder`, itself relative to the folder of now.
    pub(super) fn read_in_folder<T>(
        &mut self,
        folder: &str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let outer = self.folder.clone();
        self.folder.push_str(folder);
        let done = read(self);
        self.folder = outer;
        done
    }

    fn read_text_file(&mut self, path: &str, at: &SourcePlace) -> Option<Arc<str>> {
        let text = self.files.load_text(&self.folder, path);
        text.map_err(|problem| self.report_problem(at, problem))
            .ok()
    }

    /// Opens a mapping; keys that are not `known` are reported and dropped.
    pub(super) fn open_fields(
        &mut self,
        object: &'static str,
        node: YamlNode,
        known: &'static [&'static str],
    ) -> Option<MappingFields> {
        let YamlValue::Map(mut entries) = node.value else {
            let found = node.value.describe_kind();
            self.report_problem(&node.at, ScenarioProblem::NotAMapping { object, found });
            return None;
        };
        let n_entries = entries.len();
        entries.retain(|(key, _)| {
            let is_known = known.contains(&key.text.as_str());
            if !is_known {
                let key_text = key.text.clone();
                self.report_problem(
                    &key.at,
                    ScenarioProblem::UnknownKey {
                        key: key_text,
                        object,
                        known,
                    },
                );
            }
            is_known
        });
        let has_unknown = entries.len() < n_entries;
        Some(MappingFields {
            at: node.at,
            object,
            entries,
            has_unknown,
        })
    }

    /// A key that must be there.
    pub(super) fn required_field(
        &mut self,
        fields: &mut MappingFields,
        key: &'static str,
    ) -> Option<YamlNode> {
        let node = fields.take_field(key);
        if node.is_none() {
            self.report_problem(
                &fields.at,
                ScenarioProblem::MissingKey {
                    object: fields.object,
                    key,
                },
            );
        }
        node
    }

    /// Exactly one of `kinds` must be there.
    pub(super) fn one_kind(
        &mut self,
        fields: &MappingFields,
        kinds: &'static [&'static str],
    ) -> bool {
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
        self.report_problem(
            &fields.at,
            ScenarioProblem::NotExactlyOne {
                object,
                found,
                kinds,
            },
        );
        false
    }

    pub(super) fn wrong_type(
        &mut self,
        key: &'static str,
        expected: &'static str,
        node: &YamlNode,
    ) {
        let found = node.value.describe_kind();
        self.report_problem(
            &node.at,
            ScenarioProblem::WrongType {
                key,
                expected,
                found,
            },
        );
    }

    /// Text with something in it.
    pub(super) fn read_text(&mut self, key: &'static str, node: YamlNode) -> Option<String> {
        match node.value {
            YamlValue::Text(text) if !text.trim().is_empty() => Some(text),
            YamlValue::Text(_) => {
                self.report_problem(&node.at, ScenarioProblem::Empty { key });
                None
            }
            _ => {
                self.wrong_type(key, "text", &node);
                None
            }
        }
    }

    /// Text written in place or as `{$file: path}`.
    pub(super) fn read_text_or_file(
        &mut self,
        key: &'static str,
        node: YamlNode,
    ) -> Option<String> {
        if !matches!(node.value, YamlValue::Map(_)) {
            return self.read_text(key, node);
        }
        let at = node.at.clone();
        match self.read_json(node)? {
            Json::String(text) => Some(text),
            _ => {
                let found = "a mapping".to_owned();
                let expected = "text or `{$file: path}`";
                self.report_problem(
                    &at,
                    ScenarioProblem::WrongType {
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
    pub(super) fn read_number(
        &mut self,
        key: &'static str,
        node: &YamlNode,
        bounds: RangeInclusive<u64>,
    ) -> Option<u64> {
        let YamlValue::Number(number) = &node.value else {
            self.wrong_type(key, "a whole number", node);
            return None;
        };
        let value = number.as_u64().filter(|value| bounds.contains(value));
        if value.is_none() {
            let found = number.to_string();
            self.report_problem(
                &node.at,
                ScenarioProblem::OutOfRange {
                    key,
                    min: *bounds.start(),
                    max: *bounds.end(),
                    found,
                },
            );
        }
        value
    }

    /// One word of a closed set.
    pub(super) fn read_word(
        &mut self,
        key: &'static str,
        node: YamlNode,
        allowed: &'static [&'static str],
    ) -> Option<&'static str> {
        let at = node.at.clone();
        let found = self.read_text(key, node)?;
        let word = allowed.iter().find(|word| **word == found);
        if word.is_none() {
            self.report_problem(
                &at,
                ScenarioProblem::NotOneOf {
                    key,
                    found,
                    allowed,
                },
            );
        }
        word.copied()
    }

    /// A list in which an entry `include: path` stands for the entries of that file.
    pub(super) fn read_list(&mut self, key: &'static str, node: YamlNode) -> Option<Vec<YamlNode>> {
        let mut spliced = Vec::new();
        self.splice_included(key, node, INCLUDE_DEPTH_MAX, &mut spliced)?;
        Some(spliced)
    }

    fn splice_included(
        &mut self,
        key: &'static str,
        node: YamlNode,
        depth: usize,
        spliced: &mut Vec<YamlNode>,
    ) -> Option<()> {
        let YamlValue::List(entries) = node.value else {
            self.wrong_type(key, "a list", &node);
            return None;
        };
        for entry in entries {
            let Some(path) = self.sole_path("include", &entry) else {
                spliced.push(entry);
                continue;
            };
            if depth == 0 {
                self.report_problem(
                    &entry.at,
                    ScenarioProblem::IncludeTooDeep {
                        max: INCLUDE_DEPTH_MAX,
                    },
                );
            } else if let Some(included) = self.read_yaml(&path, &entry.at) {
                // An error inside is reported there; the rest of the list is still worth checking.
                let _ = self.splice_included(key, included, depth - 1, spliced);
            }
        }
        Some(())
    }

    /// The text of a mapping that consists of `key` alone.
    fn sole_path(&mut self, key: &'static str, node: &YamlNode) -> Option<String> {
        let YamlValue::Map(entries) = &node.value else {
            return None;
        };
        let (found, value) = entries.iter().find(|(found, _)| found.text == key)?;
        if entries.len() > 1 {
            self.report_problem(&found.at, ScenarioProblem::NotAlone { key });
            return None;
        }
        let YamlValue::Text(path) = &value.value else {
            self.wrong_type(key, "text", value);
            return None;
        };
        Some(path.clone())
    }

    /// A value for a model's answer, with every `{$file: path}` replaced by the text of that file.
    pub(super) fn read_json(&mut self, node: YamlNode) -> Option<Json> {
        let has_file =
            |entries: &[(YamlKey, YamlNode)]| entries.iter().any(|(key, _)| key.text == "$file");
        Some(match node.value {
            YamlValue::Null => Json::Null,
            YamlValue::Bool(value) => Json::Bool(value),
            YamlValue::Number(value) => Json::Number(value),
            YamlValue::Text(value) => Json::String(value),
            YamlValue::List(entries) => {
                let entries = entries
                    .into_iter()
                    .filter_map(|entry| self.read_json(entry));
                Json::Array(entries.collect())
            }
            YamlValue::Map(ref entries) if has_file(entries) => {
                let path = self.sole_path("$file", &node)?;
                Json::String(self.read_text_file(&path, &node.at)?.as_ref().to_owned())
            }
            YamlValue::Map(entries) => Json::Object(self.read_object(entries)),
        })
    }

    /// The entries of a mapping as JSON.
    pub(super) fn read_object(&mut self, entries: Vec<(YamlKey, YamlNode)>) -> Map<String, Json> {
        let pairs = entries.into_iter();
        pairs
            .filter_map(|(key, value)| Some((key.text, self.read_json(value)?)))
            .collect()
    }
}
