//! Names: how many words they have, and which are given twice.

use std::collections::{BTreeMap, BTreeSet};

use super::{Place, Source};

/// A definition that is found by its name.
pub(in crate::tidy) struct Definition {
    pub(in crate::tidy) name: String,
    pub(in crate::tidy) place: Place,
}

/// Every type, function and tuple parameter of the counted files.
pub(in crate::tidy) struct Names {
    pub(in crate::tidy) types: Vec<Definition>,
    functions: Vec<Definition>,
    tuple_parameters: Vec<Place>,
}

impl Names {
    pub(in crate::tidy) fn read(sources: &[Source<'_>]) -> Self {
        let mut names = Self {
            types: Vec::new(),
            functions: Vec::new(),
            tuple_parameters: Vec::new(),
        };
        for source in sources {
            let definition = |(at, name): (usize, &str)| Definition {
                name: name.to_owned(),
                place: Place::new(source, line_at(source.text, at), name),
            };
            names
                .types
                .extend(type_names(source.text).into_iter().map(definition));
            names
                .functions
                .extend(function_names(source.text).into_iter().map(definition));
            let tuples = tuple_parameters(source.text).into_iter();
            names.tuple_parameters.extend(tuples.map(|(at, end)| {
                let says = source.text[at + 1..end].trim();
                Place::new(source, line_at(source.text, at), format!("{says}…"))
            }));
        }
        names
    }

    pub(super) fn one_word_types(&self) -> f64 {
        share(self.list_one_word_types().len(), self.types.len())
    }

    pub(super) fn list_one_word_types(&self) -> Vec<Place> {
        listed(&self.types, |name| type_words(name) <= 1)
    }

    pub(super) fn one_word_functions(&self) -> f64 {
        share(self.list_one_word_functions().len(), self.functions.len())
    }

    pub(super) fn list_one_word_functions(&self) -> Vec<Place> {
        listed(&self.functions, |name| function_words(name) == 1)
    }

    pub(super) fn duplicate_types(&self) -> f64 {
        let files = self.files_of_types();
        let twice = files.values().filter(|files| files.len() > 1).count();
        share(twice, files.len())
    }

    pub(super) fn list_duplicate_types(&self) -> Vec<Place> {
        let files = self.files_of_types();
        let mut places = listed(&self.types, |name| files[name].len() > 1);
        places.sort_by(|a, b| (&a.text, &a.file, a.line).cmp(&(&b.text, &b.file, b.line)));
        places
    }

    pub(super) fn tuple_parameters_per_1000(&self) -> f64 {
        1000.0 * share(self.tuple_parameters.len(), self.functions.len())
    }

    pub(super) fn list_tuple_parameters(self) -> Vec<Place> {
        self.tuple_parameters
    }

    /// Every type name with the files that define it.
    pub(in crate::tidy) fn files_of_types(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut files: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for of_type in &self.types {
            let known = files.entry(&of_type.name).or_default();
            known.insert(&of_type.place.file);
        }
        files
    }
}

fn listed(definitions: &[Definition], is_offender: impl Fn(&str) -> bool) -> Vec<Place> {
    let offenders = definitions.iter().filter(|found| is_offender(&found.name));
    offenders
        .map(|found| Place {
            file: found.place.file.clone(),
            line: found.place.line,
            text: found.name.clone(),
        })
        .collect()
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Capital letters begin words, so `HTTPKind` has five.
fn type_words(name: &str) -> usize {
    name.chars().filter(char::is_ascii_uppercase).count()
}

pub(in crate::tidy) fn function_words(name: &str) -> usize {
    name.split('_').filter(|word| !word.is_empty()).count()
}

/// Structs, enums and traits at the beginning of a line, with where their line begins.
fn type_names(text: &str) -> Vec<(usize, &str)> {
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    starts
        .filter_map(|start| {
            let line = &text[start..];
            let line = after_visibility(line).unwrap_or(line);
            let mut keywords = ["struct", "enum", "trait"].into_iter();
            let name = keywords.find_map(|keyword| {
                let rest = line.strip_prefix(keyword)?;
                let name = word(after_space(rest)?);
                (!name.is_empty()).then_some(name)
            })?;
            Some((start, name))
        })
        .collect()
}

fn after_visibility(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub")?;
    let narrowed = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    after_space(narrowed.map_or(rest, |(_, rest)| rest))
}

/// Every name after the word `fn`, with where it begins.
fn function_names(text: &str) -> Vec<(usize, &str)> {
    let mut names = Vec::new();
    let mut seen = 0;
    for (at, keyword) in text.match_indices("fn") {
        let is_inside = text[..at].chars().next_back().is_some_and(is_word);
        if at < seen || is_inside {
            continue;
        }
        let rest = &text[at + keyword.len()..];
        let Some(rest) = after_space(rest) else {
            continue;
        };
        let name = word(rest);
        if !name.is_empty() {
            let start = text.len() - rest.len();
            seen = start + name.len();
            names.push((start, name));
        }
    }
    names
}

/// Parameters such as `(a, b): (A, B)`: from the sign before each to the bracket of its type.
fn tuple_parameters(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut seen = 0;
    for (at, sign) in text.match_indices(['(', ',']) {
        if at < seen {
            continue;
        }
        if let Some(rest) = after_tuple_parameter(&text[at + sign.len()..]) {
            seen = text.len() - rest.len();
            found.push((at, seen));
        }
    }
    found
}

fn after_tuple_parameter(text: &str) -> Option<&str> {
    let mut rest = after_name(text.trim_start().strip_prefix('(')?)?;
    let mut n_names = 1;
    while let Some(next) = rest.strip_prefix(',') {
        rest = after_name(next.trim_start())?;
        n_names += 1;
    }
    let rest = rest.strip_prefix("):").filter(|_| n_names > 1)?;
    rest.trim_start().strip_prefix('(')
}

fn after_name(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '_');
    (rest.len() < text.len()).then_some(rest)
}

fn after_space(text: &str) -> Option<&str> {
    let rest = text.trim_start();
    (rest.len() < text.len()).then_some(rest)
}

/// The word at the start of `text`.
fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_only(found: Vec<(usize, &str)>) -> Vec<&str> {
        found.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn types_stand_at_the_beginning_of_a_line() {
        let text = "pub struct One;\npub(in crate::a) enum Two {}\ntrait Three {}\n    struct Four;\n\
                    structure();\npublic struct Five;\nunsafe trait Six {}\n";
        assert_eq!(names_only(type_names(text)), ["One", "Two", "Three"]);
    }

    #[test]
    fn functions_are_names_after_a_word() {
        let text =
            "fn one() {}\n    pub async fn two_three(f: fn(u8)) {}\n// some_fn four\n// fn  five\n";
        assert_eq!(
            names_only(function_names(text)),
            ["one", "two_three", "five"]
        );
        for (name, words) in [("one", 1), ("_one", 1), ("one_two", 2), ("_", 0)] {
            assert_eq!(function_words(name), words, "{name}");
        }
    }

    #[test]
    fn tuples_are_found_as_parameters_only() {
        for (text, found) in [
            ("fn f((a, b): (A, B))", 1),
            ("fn f(x: u8, (a, b, c_d): (A, B, C))", 1),
            ("fn f(\n    (a,\n b): (A, B),\n)", 1),
            ("fn f((a, b): (A, B), (c, d): (C, D))", 2),
            ("let (a, b): (A, B) = x;", 0),
            ("fn f(a: (A, B))", 0),
            ("fn f((a): (A))", 0),
            ("fn f((a, _1): (A, B))", 0),
        ] {
            assert_eq!(tuple_parameters(text).len(), found, "{text}");
        }
    }
}
