//! Answers for scripts without what differs from run to run and from machine to machine.

use std::collections::BTreeMap;

use insta::{Settings, assert_json_snapshot};
use serde_json::Value;

use crate::world::World;

/// Holds `answer` to its snapshot: every field with its value, but for ids, commits, instants and durations.
pub(crate) fn assert_json(world: &World, name: &str, answer: &Value) {
    let repository = world.repo.path().to_str().unwrap().to_owned();
    let home = world.home().parent().unwrap().to_str().unwrap().to_owned();
    let mut steady = SteadyJson {
        folders: [
            (repository, "[repo]"),
            (home, "[home]"),
            (world.repo_name(), "[repo name]"),
            (env!("CARGO_MANIFEST_DIR").to_owned(), "[crate]"),
        ],
        ids: BTreeMap::new(),
    };
    let answer = steady.of_value("", answer);
    let mut settings = Settings::clone_current();
    settings.add_filter(r"\b\d+\.\d{3}s\b", "[took]");
    settings.bind(|| assert_json_snapshot!(name, answer));
}

/// Fields that tell what the sandboxes of this machine hold and read.
const OF_THE_MACHINE: [&str; 6] = [
    "rung",
    "held",
    "mounts",
    "toolbox",
    "workspace",
    "start_steps",
];

struct SteadyJson {
    /// Folders and names with what stands for them; a folder before its own name.
    folders: [(String, &'static str); 4],
    /// Ids and commits met so far, so that two fields with the same one still have the same one.
    ids: BTreeMap<String, String>,
}

impl SteadyJson {
    fn of_value(&mut self, key: &str, value: &Value) -> Value {
        match value {
            _ if OF_THE_MACHINE.contains(&key) => Value::from("[of the machine]"),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| (key.clone(), self.of_value(key, value)))
                .collect(),
            Value::Array(values) => {
                let mut values: Vec<&Value> = values.iter().collect();
                if key == "receipts" {
                    // Checks run at the same time: which ends first differs.
                    values.sort_by_key(|receipt| {
                        ["stage", "kind", "command"].map(|field| receipt[field].to_string())
                    });
                }
                let values = values.into_iter().map(|value| self.of_value(key, value));
                values.collect()
            }
            Value::Number(_) | Value::String(_) if is_instant(key) => Value::from("[instant]"),
            Value::Number(_) if is_duration(key) => Value::from("[duration]"),
            // The lengths of folder names are in it.
            Value::Number(_) if key.starts_with("tokens") || key == "cache_share" => {
                Value::from("[tokens]")
            }
            Value::String(text) => Value::from(self.of_text(text)),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn of_text(&mut self, text: &str) -> String {
        let mut steady = text.to_owned();
        for (folder, name) in &self.folders {
            steady = steady.replace(folder, name);
        }
        let words = steady.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let unsteady = words.filter_map(|word| Some((word.to_owned(), id_kind(word)?)));
        let unsteady: Vec<_> = unsteady.collect();
        for (word, kind) in unsteady {
            let n = self.ids.len() + 1;
            let known = self.ids.entry(word.clone());
            let name = known.or_insert_with(|| format!("[{kind} {n}]"));
            steady = steady.replace(&word, name);
        }
        steady
    }
}

fn is_instant(key: &str) -> bool {
    key == "at" || key.ends_with("_at")
}

fn is_duration(key: &str) -> bool {
    key.ends_with("_ms") || key.ends_with("_s")
}

/// What kind of id `word` is, if it looks like one.
fn id_kind(word: &str) -> Option<&'static str> {
    let hex = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    };
    let groups: Vec<usize> = word.split('-').map(str::len).collect();
    match word.len() {
        36 if groups == [8, 4, 4, 4, 12] => Some("id"),
        40 if hex(word) => Some("commit"),
        // Part of a branch's name.
        8 if hex(word) && word.bytes().any(|b| b.is_ascii_digit()) => Some("short id"),
        _ => None,
    }
}
