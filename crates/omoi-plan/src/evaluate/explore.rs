//! Criteria of the explore phase.

mod verified;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::evaluate::common::inside;
use crate::evaluate::evaluation::Criterion;
use crate::evaluate::facts::Facts;
use crate::evaluate::read::{at, list, text, texts};
use crate::evaluate::sheet::{Sheet, one_if, share};
use crate::outputs::explore::QuestionCategory;
use crate::repository::{Location, RepoPaths, clean};
use crate::wording::{distinct, label, length, prose, words};

/// Fewest key files that must exist, where there are as many.
const KEY_FILES_MIN: usize = 3;
/// From this many files of code on, a repository is no empty ground.
const CODE_FILES_MIN: usize = 3;

/// What explore is judged by.
pub(super) const CRITERIA: &[Criterion] = &[
    Criterion {
        name: "codebase_summary",
        weight: 0.12,
        paths: &["codebase_summary"],
        asks: "2 or 3 sentences on the architecture, more than 50 characters",
    },
    Criterion {
        name: "project_type",
        weight: 0.08,
        paths: &["project_type"],
        asks: "kind of project and frameworks, more than 5 characters",
    },
    Criterion {
        name: "tech_stack",
        weight: 0.10,
        paths: &["tech_stack"],
        asks: "at least 2 languages, frameworks or stores",
    },
    Criterion {
        name: "structure",
        weight: 0.10,
        paths: &["structure"],
        asks: "at least 2 roles with their paths",
    },
    Criterion {
        name: "key_files",
        weight: 0.15,
        paths: &["key_files", "key_files[].path", "key_files[].purpose"],
        asks: "at least 3 existing files, or all where there are fewer, each with its purpose",
    },
    Criterion {
        name: "conventions",
        weight: 0.10,
        paths: &[
            "conventions.naming",
            "conventions.testing",
            "conventions.patterns",
        ],
        asks: "naming, testing and a list of patterns",
    },
    Criterion {
        name: "discovery_questions",
        weight: 0.15,
        paths: &[
            "discovery_questions",
            "discovery_questions[].category",
            "discovery_questions[].questions",
        ],
        asks: "at least one question in each of the 5 categories",
    },
    Criterion {
        name: "feature_summary",
        weight: 0.12,
        paths: &[
            "feature_summary.name",
            "feature_summary.scope_in",
            "feature_summary.scope_out",
            "feature_summary.problem_statement",
        ],
        asks: "name, problem statement, what is in scope and what is not",
    },
    Criterion {
        name: "relevant_patterns",
        weight: 0.04,
        paths: &["relevant_patterns"],
        asks: "a list of patterns, possibly empty",
    },
    Criterion {
        name: "related_to_feature",
        weight: 0.04,
        paths: &["related_to_feature"],
        asks: "a list of related code, possibly empty",
    },
];

pub(super) fn judge(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    let claimed = at(output, "greenfield").as_bool() == Some(true);
    let greenfield = claimed && !has_code(&facts.repo.paths);
    if claimed && !greenfield {
        let message = "the repository holds code; describe it, and cite the files that matter";
        sheet.block("not_greenfield", "greenfield", message);
    }
    summary(output, sheet);
    tech_stack(output, facts, sheet);
    key_files(output, facts, greenfield, sheet);
    questions(output, sheet);
    feature(output, sheet);
    for name in ["relevant_patterns", "related_to_feature"] {
        let is_list = at(output, name).is_array();
        sheet.mark(name, if is_list { 1.0 } else { 0.5 }, "");
    }
    cited_paths(output, facts, greenfield, sheet);
    if !greenfield {
        verified::check(output, facts, sheet);
    }
}

fn summary(output: &Value, sheet: &mut Sheet) {
    let summary = text(output, "codebase_summary");
    let value = match prose(summary) {
        true if length(summary) > 50 => 1.0,
        true => 0.5,
        false => 0.0,
    };
    sheet.mark("codebase_summary", value, "");
    let kind = text(output, "project_type");
    let value = one_if(label(kind) && length(kind) > 5);
    sheet.mark("project_type", value, "");
    let marks = [
        label(text(output, "conventions.naming")),
        label(text(output, "conventions.testing")),
        at(output, "conventions.patterns").is_array(),
    ];
    let held = marks.iter().filter(|m| **m).count();
    sheet.mark("conventions", share(held, marks.len()), "");
}

fn tech_stack(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    let stack = texts(output, "tech_stack");
    let value = match distinct(stack.iter().copied(), label) {
        0 => 0.0,
        1 => 0.5,
        _ => 1.0,
    };
    sheet.mark("tech_stack", value, "");
    let roles = at(output, "structure").as_object();
    let filled = roles.map_or(0, |roles| {
        let has_path = |paths: &Value| match paths {
            Value::String(path) => !path.trim().is_empty(),
            Value::Array(paths) => paths
                .iter()
                .any(|p| p.as_str().is_some_and(|p| !p.trim().is_empty())),
            _ => false,
        };
        roles.values().filter(|paths| has_path(paths)).count()
    });
    let value = match filled {
        0 => 0.0,
        1 => 0.5,
        _ => 1.0,
    };
    sheet.mark("structure", value, "");
    if facts.repo.tech.is_none() {
        return;
    }
    for (n, entry) in stack.iter().enumerate() {
        if !words(entry).iter().any(|w| facts.repo.knows_word(w)) {
            let message = format!("neither the survey nor any file shows `{entry}`");
            sheet.warn("no_evidence", format!("tech_stack[{n}]"), message);
        }
    }
}

fn key_files(output: &Value, facts: &Facts, greenfield: bool, sheet: &mut Sheet) {
    let files = list(output, "key_files");
    let mut counted = BTreeSet::new();
    let mut existing = BTreeSet::new();
    for (n, file) in files.iter().enumerate() {
        let path = text(file, "path");
        let exists = facts.repo.paths.locate(path) == Location::File;
        if exists {
            existing.insert(clean(path).unwrap_or_default());
        } else if !greenfield && !path.is_empty() {
            let message = format!("there is no file `{path}`");
            sheet.warn("path_missing", format!("key_files[{n}].path"), message);
        }
        let named = !path.trim().is_empty() && (exists || greenfield);
        if named && label(text(file, "purpose")) {
            counted.insert(clean(path).unwrap_or_default());
        }
    }
    let needed = if greenfield {
        KEY_FILES_MIN
    } else {
        facts.repo.paths.files().take(KEY_FILES_MIN).count().max(1)
    };
    let value = if files.len() < needed {
        0.0
    } else {
        share(counted.len(), needed).min(1.0)
    };
    let lost = format!("{} different files with path and purpose", counted.len());
    sheet.mark("key_files", value, lost);
    if greenfield {
        sheet.allow_zero("key_files");
    } else if existing.len() < needed {
        let message = format!(
            "{} of the cited files exist, {needed} are needed; cite files you opened",
            existing.len()
        );
        sheet.block("key_files_missing", "key_files", message);
    }
}

fn questions(output: &Value, sheet: &mut Sheet) {
    let groups = list(output, "discovery_questions");
    let mut categories = BTreeSet::new();
    let mut n_groups = 0;
    for group in groups {
        if distinct(texts(group, "questions"), prose) > 0 {
            n_groups += 1;
            categories.extend(QuestionCategory::parse(text(group, "category")));
        }
    }
    let value = match n_groups {
        0 => 0.0,
        1 | 2 => 0.5,
        _ => share(categories.len(), QuestionCategory::ALL.len()),
    };
    let lost = format!("{} of 5 categories have a question", categories.len());
    sheet.mark("discovery_questions", value, lost);
    let n_questions = distinct(groups.iter().flat_map(|g| texts(g, "questions")), prose);
    if !(5..=15).contains(&n_questions) {
        let message = format!("{n_questions} different questions; 5 to 15 serve best");
        sheet.warn("question_count", "discovery_questions", message);
    }
}

fn feature(output: &Value, sheet: &mut Sheet) {
    let summary = at(output, "feature_summary");
    let name = text(summary, "name");
    let marks = [
        label(name),
        distinct(texts(summary, "scope_in"), label) > 0,
        distinct(texts(summary, "scope_out"), label) > 0,
        prose(text(summary, "problem_statement")),
    ];
    let held = marks.iter().filter(|m| **m).count();
    sheet.mark("feature_summary", share(held, marks.len()), "");
    let kebab = |c: char| c.is_lowercase() || c.is_numeric() || c == '-';
    if !name.is_empty() && !name.chars().all(kebab) {
        let message = format!("`{name}` is not in kebab case");
        sheet.warn("not_kebab_case", "feature_summary.name", message);
    }
}

/// Every cited path stays inside the repository; what does not exist there is a warning.
fn cited_paths(output: &Value, facts: &Facts, greenfield: bool, sheet: &mut Sheet) {
    let mut cited: Vec<(String, &str)> = Vec::new();
    for (n, file) in list(output, "key_files").iter().enumerate() {
        inside(
            &facts.repo.paths,
            text(file, "path"),
            &format!("key_files[{n}].path"),
            sheet,
        );
    }
    for (section, field) in [("existing_models", "file"), ("related_to_feature", "file")] {
        for (n, item) in list(output, section).iter().enumerate() {
            cited.push((format!("{section}[{n}].{field}"), text(item, field)));
        }
    }
    for (n, pattern) in list(output, "relevant_patterns").iter().enumerate() {
        for path in texts(pattern, "files") {
            cited.push((format!("relevant_patterns[{n}].files"), path));
        }
    }
    for (role, paths) in at(output, "structure").as_object().into_iter().flatten() {
        let field = format!("structure.{role}");
        match paths {
            Value::String(path) => cited.push((field, path)),
            Value::Array(paths) => {
                let paths = paths.iter().filter_map(Value::as_str);
                cited.extend(paths.map(|p| (field.clone(), p)));
            }
            _ => {}
        }
    }
    for (field, path) in cited {
        let stays = inside(&facts.repo.paths, path, &field, sheet);
        if stays
            && !greenfield
            && !path.trim().is_empty()
            && !facts.repo.paths.locate(path).exists()
        {
            sheet.warn("path_missing", field, format!("`{path}` does not exist"));
        }
    }
}

/// Whether the repository holds more than the papers a new one starts with.
fn has_code(repo: &RepoPaths) -> bool {
    let is_code = |path: &&str| {
        let hidden = path.split('/').any(|part| part.starts_with('.'));
        let paper = [".md", ".txt", ".rst", ".adoc"]
            .iter()
            .any(|e| path.ends_with(e));
        let legal = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];
        !hidden && !paper && !legal.contains(path)
    };
    repo.files().filter(is_code).take(CODE_FILES_MIN).count() >= CODE_FILES_MIN
}
