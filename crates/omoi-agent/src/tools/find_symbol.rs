//! `find_symbol`: where a name is defined and used, by the syntax of the files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use omoi_repository_map::language::SourceLanguage;
use omoi_repository_map::source_tags::{SOURCE_BYTES_MAX, SymbolPlace, TagReader};
use serde::Deserialize;
use serde_json::{Value, json};

use super::allowed_paths::AllowedPaths;
use super::glob::walk_files;
use super::{AgentTools, ToolError, object_schema, shorten_text};

pub(super) const DESCRIPTION: &str = "Finds where a function, type, constant or module of the workspace is defined and where \
    its name is used, by the syntax of Rust, Python, JavaScript, TypeScript, Go, Java, C and C++: words in comments and \
    texts are left out. Definitions come first.";

const LINE_CHARS_MAX: usize = 200;
/// Uses shown; a name with more is better looked for in a folder.
const USES_MAX: usize = 200;

/// Input of the tool `find_symbol`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SymbolInput {
    name: String,
    path: Option<String>,
}

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "name": {"type": "string", "description": "The name alone, such as `parse_header`; of `Type::method` the last part counts."},
            "path": {"type": "string", "description": "File or folder to look in; the workspace when absent."},
        }),
        &["name"],
    )
}

pub(super) async fn run(tools: &AgentTools, input: SymbolInput) -> Result<String, ToolError> {
    let root = tools
        .paths
        .resolve_readable(input.path.as_deref().unwrap_or("."))?;
    fs::metadata(&root.real_path).map_err(|source| ToolError::Io {
        step: "search",
        path: root.display_path.clone(),
        source,
    })?;
    let name = last_part(&input.name);
    if name.is_empty() {
        return Ok("the name is empty".to_owned());
    }
    let mut search = SymbolSearch {
        name: name.to_owned(),
        places: tools.paths.clone(),
        reader: TagReader::default(),
        definitions: String::new(),
        uses: String::new(),
        n_uses: 0,
    };
    let room = tools.limits.result_bytes.saturating_sub(200);
    let found = tokio::task::spawn_blocking(move || {
        let cut_note = search.search_files(&root.real_path);
        search.into_text(room) + cut_note
    });
    Ok(found.await?)
}

/// The name behind the last `::`, `.`, `->` or `#`.
fn last_part(name: &str) -> &str {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let name = name.trim().trim_end_matches(|c| !is_name(c));
    name.rsplit(|c| !is_name(c)).next().unwrap_or_default()
}

struct SymbolSearch {
    name: String,
    places: AllowedPaths,
    reader: TagReader,
    definitions: String,
    uses: String,
    n_uses: usize,
}

impl SymbolSearch {
    /// Searches the files below `root`; says what the agent is told where it did not see all.
    fn search_files(&mut self, root: &Path) -> &'static str {
        let mut walk = walk_files(root);
        for entry in walk.by_ref() {
            let path = entry.path();
            let Some(language) = path.to_str().and_then(SourceLanguage::of_path) else {
                continue;
            };
            if entry
                .metadata()
                .is_ok_and(|m| m.len() > SOURCE_BYTES_MAX as u64)
            {
                continue;
            }
            // Files that cannot be read have no names, and most files do not have this one.
            let Ok(text) = fs::read_to_string(path) else {
                continue;
            };
            if !text.contains(&self.name) {
                continue;
            }
            let found = self
                .reader
                .find_symbol(language, text.as_bytes(), &self.name);
            let shown_path = self.places.display_path(path);
            self.show_places(&shown_path, &text, &found);
        }
        walk.cut_note()
    }

    fn show_places(&mut self, path: &str, text: &str, found: &[SymbolPlace]) {
        let lines: Vec<&str> = text.split('\n').collect();
        for place in found {
            let line = lines.get(place.line as usize - 1).unwrap_or(&"");
            let line = shorten_text(line.trim(), LINE_CHARS_MAX);
            match place.defines {
                Some(kind) => {
                    let kind = kind.as_str();
                    let _ = writeln!(self.definitions, "{path}:{}: [{kind}] {line}", place.line);
                }
                None => {
                    self.n_uses += 1;
                    if self.n_uses <= USES_MAX {
                        let _ = writeln!(self.uses, "{path}:{}: {line}", place.line);
                    }
                }
            }
        }
    }

    fn into_text(self, room: usize) -> String {
        if self.definitions.is_empty() && self.n_uses == 0 {
            return format!("no source file has a name `{}`\n", self.name);
        }
        let mut text = match self.definitions.is_empty() {
            true => format!("`{}` is defined nowhere here\n", self.name),
            false => format!("defined:\n{}", self.definitions),
        };
        if self.n_uses > 0 {
            let _ = write!(text, "used:\n{}", self.uses);
        }
        let more = self.n_uses.saturating_sub(USES_MAX);
        let is_cut = text.len() > room;
        if is_cut {
            let end = text.floor_char_boundary(room);
            text.truncate(end);
            text.push('\n');
        }
        if more > 0 || is_cut {
            text.push_str("[there is more; look in a narrower path]\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_a_name_counts() {
        for (name, want) in [
            ("parse", "parse"),
            ("a::B::parse", "parse"),
            ("self.parse()", "parse"),
            ("p->next", "next"),
            (" $scope ", "$scope"),
            ("::", ""),
        ] {
            assert_eq!(last_part(name), want, "{name}");
        }
    }
}
