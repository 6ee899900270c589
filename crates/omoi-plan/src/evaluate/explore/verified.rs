//! What explore says of the repository, held against it: enough that is true, and nothing made up.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::evaluate::claims::{
    CodeMentions, KnownNames, check_claims, has_file, has_name, is_file,
};
use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::prose::{prose_passages, specific_stems};
use crate::evaluate::read::{list_at, text_at, texts_at};
use crate::evaluate::sheet::MarkSheet;
use crate::repository::{PathLocation, clean_path, names_in};
use crate::wording::split_words;

/// Fewest true names and files beside the key files, where the repository has them.
const TRUE_CLAIMS_MIN: usize = 2;
/// Words told of a file and found in it that weigh as much as one name.
const WORDS_PER_NAME: usize = 2;
/// Made-up names from which an account is false, where they are this share of all.
const MADE_UP_MIN: usize = 2;
const MADE_UP_SHARE_MIN: f64 = 0.15;
/// False places that are too many, as a number or as a share of all.
const FALSE_PLACES_MIN: usize = 2;
const FALSE_PLACES_SHARE_MIN: f64 = 0.2;
/// Entries of the stack without evidence, where they are this share of it.
const FALSE_STACK_MIN: usize = 2;
const FALSE_STACK_SHARE_MIN: f64 = 0.6;

/// The parts that speak of what is there and not of what is wanted.
const ACCOUNTS: &[&str] = &[
    "codebase_summary",
    "project_type",
    "key_files",
    "relevant_patterns",
    "conventions",
    "test_structure",
    "related_to_feature",
];

/// Holds `output` against a repository that has code.
pub(super) fn check_claims_of_code(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    check_places(output, facts, sheet);
    check_stack(output, facts, sheet);
    if !facts.repo.names.is_complete() {
        return;
    }
    check_purposes(output, facts, sheet);
    check_models(output, facts, sheet);
    check_related(output, facts, sheet);
    check_account(output, facts, sheet);
}

/// Names and files in the account of the code.
fn check_account(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let of_account = prose_passages(output)
        .into_iter()
        .filter(|p| ACCOUNTS.iter().any(|part| p.path.starts_with(part)));
    let mut told: Vec<&str> = of_account.map(|p| p.text).collect();
    for (section, field) in [("related_to_feature", "name"), ("existing_models", "name")] {
        told.extend(
            list_at(output, section)
                .iter()
                .map(|item| text_at(item, field)),
        );
    }
    let mentions = CodeMentions::in_texts(told.iter().copied());
    let mut known = KnownNames::default();
    known.add_text(&facts.request);
    let found = check_claims(&mentions, &known, facts);
    let of = found.n_true + found.made_up.len();
    let share = found.made_up.len() as f64 / of.max(1) as f64;
    if found.made_up.len() >= MADE_UP_MIN && share >= MADE_UP_SHARE_MIN {
        let shown: Vec<String> = found
            .made_up
            .iter()
            .take(5)
            .map(|n| format!("`{n}`"))
            .collect();
        let message = format!(
            "{} of {of} names are nowhere in the repository: {}; describe what you read, and leave \
             what is to be built to the feature's summary",
            found.made_up.len(),
            shown.join(", ")
        );
        sheet.add_blocker("made_up_names", "codebase_summary", message);
    }
    let whole_words: BTreeSet<&str> = told.iter().flat_map(|t| names_in(t)).collect();
    let n_true = found.n_true
        + plain_names(&whole_words, &mentions, facts)
        + told_words(output, &mentions, facts) / WORDS_PER_NAME
        + named_parts(output, &mentions, facts);
    let needed = TRUE_CLAIMS_MIN.min(code_names(facts));
    if n_true < needed {
        let message = format!(
            "{n_true} names of the code or its files are spoken of and found there, {needed} are \
             needed; name the functions, types and files that matter, as they are written"
        );
        sheet.add_blocker("nothing_to_verify", "codebase_summary", message);
    }
}

/// Names that look like words, but are written in `told` as they are in the code: with a capital
/// inside a sentence, or as what a related part is called.
fn plain_names(told: &BTreeSet<&str>, mentions: &CodeMentions, facts: &EvaluationFacts) -> usize {
    let is_plain_name = |name: &&&str| {
        let mut letters = name.chars();
        let capital = letters.next().is_some_and(char::is_uppercase);
        let mixed = letters.any(char::is_lowercase);
        let also_lower = facts.repo.names.contains(&name.to_lowercase());
        capital && mixed && name.len() > 3 && !also_lower && facts.repo.names.contains(name)
    };
    let counted = told.iter().filter(is_plain_name);
    counted
        .filter(|name| !mentions.names.contains(**name))
        .count()
}

/// Words that are names in the very file they are told of, and neither general nor from the request:
/// who writes tersely names `redirect` without saying that it is code.
fn told_words(output: &Value, mentions: &CodeMentions, facts: &EvaluationFacts) -> usize {
    let requested = specific_stems(&facts.request);
    let mut found = BTreeSet::new();
    let summary = text_at(output, "codebase_summary");
    for file in list_at(output, "key_files") {
        let Some(path) = clean_path(text_at(file, "path")).filter(|path| is_code(path)) else {
            continue;
        };
        for word in names_in(summary).chain(names_in(text_at(file, "purpose"))) {
            let own = specific_stems(word);
            let is_new = !own.is_empty() && own.is_disjoint(&requested);
            let is_told = word.len() > 3 && is_new && !mentions.names.contains(word);
            if is_told && facts.repo.names.is_in(&path, word) {
                found.insert(word);
            }
        }
    }
    found.len()
}

/// Parts and models whose names look like words and are in the file they are said to be in.
fn named_parts(output: &Value, mentions: &CodeMentions, facts: &EvaluationFacts) -> usize {
    let sections = ["related_to_feature", "existing_models"].into_iter();
    let items = sections.flat_map(|section| list_at(output, section));
    let is_found = |item: &&Value| {
        let name = text_at(item, "name").trim();
        !mentions.names.contains(name) && facts.repo.names.is_in(text_at(item, "file"), name)
    };
    items.filter(is_found).count()
}

/// How many names the repository has, as far as it matters.
fn code_names(facts: &EvaluationFacts) -> usize {
    let n_files = facts.repo.paths.files().take(TRUE_CLAIMS_MIN).count();
    n_files.max(usize::from(!facts.repo.names.is_empty()))
}

/// Cited places that are not there.
fn check_places(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let mut cited: Vec<(String, &str)> = Vec::new();
    for (section, field) in [("existing_models", "file"), ("related_to_feature", "file")] {
        for (n, item) in list_at(output, section).iter().enumerate() {
            cited.push((format!("{section}[{n}].{field}"), text_at(item, field)));
        }
    }
    for (n, pattern) in list_at(output, "relevant_patterns").iter().enumerate() {
        let files = texts_at(pattern, "files").into_iter();
        cited.extend(files.map(|path| (format!("relevant_patterns[{n}].files"), path)));
    }
    let entries = texts_at(output, "entry_points").into_iter();
    cited.extend(
        entries
            .enumerate()
            .map(|(n, path)| (format!("entry_points[{n}]"), path)),
    );
    let roles = output.get("structure").and_then(Value::as_object);
    for (role, paths) in roles.into_iter().flatten() {
        let paths = match paths {
            Value::String(path) => vec![path.as_str()],
            Value::Array(paths) => paths.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        cited.extend(
            paths
                .into_iter()
                .map(|path| (format!("structure.{role}"), path)),
        );
    }
    let cited: Vec<(String, &str)> = cited
        .into_iter()
        .filter_map(|(field, cited)| Some((field, cited_path(cited)?)))
        .collect();
    let missing: Vec<&(String, &str)> = cited
        .iter()
        .filter(|(_, path)| facts.repo.paths.locate(path) == PathLocation::Missing)
        .collect();
    let is_much = missing.len() >= FALSE_PLACES_MIN
        || missing.len() as f64 >= FALSE_PLACES_SHARE_MIN * cited.len() as f64;
    if let [(field, path), ..] = missing.as_slice()
        && is_much
    {
        let message = format!(
            "{} of {} cited places are not there, `{path}` for one; cite what you opened",
            missing.len(),
            cited.len()
        );
        sheet.add_blocker("places_made_up", field.clone(), message);
    }
}

/// What a key file is said to hold is in that file and not in another.
fn check_purposes(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let (mut n_there, mut elsewhere) = (0_usize, Vec::new());
    for (n, file) in list_at(output, "key_files").iter().enumerate() {
        let Some(path) = clean_path(text_at(file, "path")).filter(|path| is_in_reach(facts, path))
        else {
            continue;
        };
        for name in CodeMentions::in_texts([text_at(file, "purpose")]).names {
            if facts.repo.names.is_in(&path, &name) {
                n_there += 1;
            } else if facts.repo.names.contains(&name) {
                elsewhere.push((n, path.clone(), name));
            }
        }
    }
    if let [(n, path, name), ..] = elsewhere.as_slice()
        && elsewhere.len() >= MADE_UP_MIN
        && elsewhere.len() * 3 >= n_there
    {
        let message = format!(
            "{} names are not in the file they are told of: `{name}` is not in `{path}`; say of \
             each file what it holds",
            elsewhere.len()
        );
        sheet.add_blocker(
            "purpose_of_another_file",
            format!("key_files[{n}].purpose"),
            message,
        );
    }
}

/// The path in a citation such as `bin/tool.js (the executable)`; none where it is no path.
fn cited_path(cited: &str) -> Option<&str> {
    let path = cited
        .split([' ', ':', '#'])
        .next()?
        .trim_end_matches(['/', '*']);
    let is_path = path.contains('/') || is_file(path) || cited == path && !path.contains('.');
    (!path.is_empty() && is_path && !path.contains(['*', '<', '{'])).then_some(path)
}

/// The stack is what the survey or the files show.
fn check_stack(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    if facts.repo.tech.is_none() || !facts.repo.names.is_complete() {
        return;
    }
    let stack = texts_at(output, "tech_stack");
    let shown = |entry: &&&str| {
        split_words(entry)
            .iter()
            .any(|w| facts.repo.knows_word(w) || known_ending(facts, w))
    };
    // What a shell script is made of are the commands of the system.
    let is_shell = facts.repo.knows_word("sh");
    let is_command = |entry: &str| is_shell && entry.chars().all(|c| c.is_ascii_lowercase());
    let unknown: Vec<&&str> = stack
        .iter()
        .filter(|entry| !shown(entry) && !is_command(entry))
        .collect();
    let is_much = unknown.len() >= FALSE_STACK_MIN
        && unknown.len() as f64 >= FALSE_STACK_SHARE_MIN * stack.len() as f64;
    if let [first, ..] = unknown.as_slice()
        && is_much
    {
        let message = format!(
            "neither the survey nor any file shows {} of the {} entries, `{first}` for one; list \
             what the project is made of",
            unknown.len(),
            stack.len()
        );
        sheet.add_blocker("stack_made_up", "tech_stack", message);
    }
}

/// Whether files with that ending are there: `CSS`, `JSON`, `HTML`.
fn known_ending(facts: &EvaluationFacts, word: &str) -> bool {
    let ending = format!(".{}", word.to_lowercase());
    facts.repo.paths.files().any(|path| path.ends_with(&ending))
}

/// An existing model is in the file that is said to define it, with most of its fields.
fn check_models(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    for (n, model) in list_at(output, "existing_models").iter().enumerate() {
        let file = text_at(model, "file");
        let name = text_at(model, "name");
        let Some(name) = names_in(name).next().filter(|_| is_in_reach(facts, file)) else {
            continue;
        };
        let is_there = |name: &str| facts.repo.names.is_in(file, name) || has_file_name(file, name);
        let fields = texts_at(model, "fields");
        let fields: Vec<&str> = fields.iter().filter_map(|f| names_in(f).next()).collect();
        let n_fields = fields.iter().filter(|field| is_there(field)).count();
        // A shape may have a name of the author's own, as the records of a data file have, where its
        // fields are there and nothing else has the name.
        let is_described = n_fields >= 2 && !facts.repo.names.contains(name) || is_data(file);
        if !is_there(name) && !is_described {
            let message = format!("`{file}` does not hold `{name}`; name the file that defines it");
            sheet.add_blocker(
                "model_made_up",
                format!("existing_models[{n}].name"),
                message,
            );
        } else if n_fields * 2 < fields.len() {
            let message = format!("{n_fields} of {} fields occur in `{file}`", fields.len());
            sheet.add_blocker(
                "model_made_up",
                format!("existing_models[{n}].fields"),
                message,
            );
        }
    }
}

/// Related code is in the file it is said to live in.
fn check_related(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    for (n, item) in list_at(output, "related_to_feature").iter().enumerate() {
        let (name, file) = (text_at(item, "name").trim(), text_at(item, "file"));
        let is_name = !name.contains(' ') && name.chars().any(char::is_alphabetic);
        let last = names_in(name.split('(').next().unwrap_or_default()).last();
        let Some(last) = last.filter(|_| is_name && is_in_reach(facts, file)) else {
            continue;
        };
        let is_there = facts.repo.names.is_in(file, last)
            || has_file_name(file, last)
            || names_in(name).all(|part| has_name(&facts.repo, part))
            || has_file(&facts.repo, name);
        if !is_there {
            let message = format!("`{file}` does not hold `{name}`; name what is there");
            sheet.add_blocker(
                "related_made_up",
                format!("related_to_feature[{n}].name"),
                message,
            );
        }
    }
}

fn is_in_reach(facts: &EvaluationFacts, file: &str) -> bool {
    facts.repo.names.has_read(file)
}

fn has_file_name(file: &str, name: &str) -> bool {
    names_in(file).any(|part| part == name)
}

fn is_code(file: &str) -> bool {
    const TEXTS: &[&str] = &["adoc", "md", "rst", "txt"];
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
    !is_data(file) && !TEXTS.contains(&ending)
}

fn is_data(file: &str) -> bool {
    const ENDINGS: &[&str] = &["csv", "json", "sql", "toml", "tsv", "xml", "yaml", "yml"];
    file.rsplit_once('.')
        .is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}
