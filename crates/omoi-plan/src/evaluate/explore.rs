//! Criteria of the explore phase.

mod verified;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::evaluate::common::check_inside;
use crate::evaluate::evaluation::ScoreCriterion;
use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::read::{list_at, text_at, texts_at, value_at};
use crate::evaluate::sheet::{MarkSheet, one_if, share_of};
use crate::outputs::explore::QuestionCategory;
use crate::repository::{PathLocation, RepoPaths, clean_path};
use crate::wording::{char_count, count_distinct, is_label, is_prose, split_words};

/// Fewest key files that must exist, where there are as many.
const KEY_FILES_MIN: usize = 3;
/// From this many files of code on, a repository is no empty ground.
const CODE_FILES_MIN: usize = 3;

/// What explore is judged by.
pub(super) const CRITERIA: &[ScoreCriterion] = &[
    ScoreCriterion {
        name: "codebase_summary",
        weight: 0.12,
        paths: &["codebase_summary"],
        asks: "2 or 3 sentences on the architecture, more than 50 characters",
    },
    ScoreCriterion {
        name: "project_type",
        weight: 0.08,
        paths: &["project_type"],
        asks: "kind of project and frameworks, more than 5 characters",
    },
    ScoreCriterion {
        name: "tech_stack",
        weight: 0.10,
        paths: &["tech_stack"],
        asks: "at least 2 languages, frameworks or stores",
    },
    ScoreCriterion {
        name: "structure",
        weight: 0.10,
        paths: &["structure"],
        asks: "at least 2 roles with their paths",
    },
    ScoreCriterion {
        name: "key_files",
        weight: 0.15,
        paths: &["key_files", "key_files[].path", "key_files[].purpose"],
        asks: "at least 3 existing files, or all where there are fewer, each with its purpose",
    },
    ScoreCriterion {
        name: "conventions",
        weight: 0.10,
        paths: &[
            "conventions.naming",
            "conventions.testing",
            "conventions.patterns",
        ],
        asks: "naming, testing and a list of patterns",
    },
    ScoreCriterion {
        name: "discovery_questions",
        weight: 0.15,
        paths: &[
            "discovery_questions",
            "discovery_questions[].category",
            "discovery_questions[].questions",
        ],
        asks: "at least one question in each of the 5 categories",
    },
    ScoreCriterion {
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
    ScoreCriterion {
        name: "relevant_patterns",
        weight: 0.04,
        paths: &["relevant_patterns"],
        asks: "a list of patterns, possibly empty",
    },
    ScoreCriterion {
        name: "related_to_feature",
        weight: 0.04,
        paths: &["related_to_feature"],
        asks: "a list of related code, possibly empty",
    },
];

pub(super) fn judge_explore(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let claimed = value_at(output, "greenfield").as_bool() == Some(true);
    let greenfield = claimed && !has_code(&facts.repo.paths);
    if claimed && !greenfield {
        let message = "the repository holds code; describe it, and cite the files that matter";
        sheet.add_blocker("not_greenfield", "greenfield", message);
    }
    mark_summary(output, sheet);
    tech_stack(output, facts, sheet);
    key_files(output, facts, greenfield, sheet);
    mark_questions(output, sheet);
    mark_feature(output, sheet);
    for name in ["relevant_patterns", "related_to_feature"] {
        let is_list = value_at(output, name).is_array();
        sheet.set_mark(name, if is_list { 1.0 } else { 0.5 }, "");
    }
    cited_paths(output, facts, greenfield, sheet);
    if !greenfield {
        verified::check_claims_of_code(output, facts, sheet);
    }
}

fn mark_summary(output: &Value, sheet: &mut MarkSheet) {
    let summary = text_at(output, "codebase_summary");
    let value = match is_prose(summary) {
        true if char_count(summary) > 50 => 1.0,
        true => 0.5,
        false => 0.0,
    };
    sheet.set_mark("codebase_summary", value, "");
    let kind = text_at(output, "project_type");
    let value = one_if(is_label(kind) && char_count(kind) > 5);
    sheet.set_mark("project_type", value, "");
    let marks = [
        is_label(text_at(output, "conventions.naming")),
        is_label(text_at(output, "conventions.testing")),
        value_at(output, "conventions.patterns").is_array(),
    ];
    let held = marks.iter().filter(|m| **m).count();
    sheet.set_mark("conventions", share_of(held, marks.len()), "");
}

fn tech_stack(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let stack = texts_at(output, "tech_stack");
    let value = match count_distinct(stack.iter().copied(), is_label) {
        0 => 0.0,
        1 => 0.5,
        _ => 1.0,
    };
    sheet.set_mark("tech_stack", value, "");
    let roles = value_at(output, "structure").as_object();
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
    sheet.set_mark("structure", value, "");
    if facts.repo.tech.is_none() {
        return;
    }
    for (n, entry) in stack.iter().enumerate() {
        if !split_words(entry).iter().any(|w| facts.repo.knows_word(w)) {
            let message = format!("neither the survey nor any file shows `{entry}`");
            sheet.add_warning("no_evidence", format!("tech_stack[{n}]"), message);
        }
    }
}

fn key_files(output: &Value, facts: &EvaluationFacts, greenfield: bool, sheet: &mut MarkSheet) {
    let files = list_at(output, "key_files");
    let mut counted = BTreeSet::new();
    let mut existing = BTreeSet::new();
    for (n, file) in files.iter().enumerate() {
        let path = text_at(file, "path");
        let exists = facts.repo.paths.locate(path) == PathLocation::File;
        if exists {
            existing.insert(clean_path(path).unwrap_or_default());
        } else if !greenfield && !path.is_empty() {
            let message = format!("there is no file `{path}`");
            sheet.add_warning("path_missing", format!("key_files[{n}].path"), message);
        }
        let named = !path.trim().is_empty() && (exists || greenfield);
        if named && is_label(text_at(file, "purpose")) {
            counted.insert(clean_path(path).unwrap_or_default());
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
        share_of(counted.len(), needed).min(1.0)
    };
    let lost = format!("{} different files with path and purpose", counted.len());
    sheet.set_mark("key_files", value, lost);
    if greenfield {
        sheet.allow_zero("key_files");
    } else if existing.len() < needed {
        let message = format!(
            "{} of the cited files exist, {needed} are needed; cite files you opened",
            existing.len()
        );
        sheet.add_blocker("key_files_missing", "key_files", message);
    }
}

fn mark_questions(output: &Value, sheet: &mut MarkSheet) {
    let groups = list_at(output, "discovery_questions");
    let mut categories = BTreeSet::new();
    let mut n_groups = 0;
    for group in groups {
        if count_distinct(texts_at(group, "questions"), is_prose) > 0 {
            n_groups += 1;
            categories.extend(QuestionCategory::parse(text_at(group, "category")));
        }
    }
    let value = match n_groups {
        0 => 0.0,
        1 | 2 => 0.5,
        _ => share_of(categories.len(), QuestionCategory::ALL.len()),
    };
    let lost = format!("{} of 5 categories have a question", categories.len());
    sheet.set_mark("discovery_questions", value, lost);
    let n_questions = count_distinct(
        groups.iter().flat_map(|g| texts_at(g, "questions")),
        is_prose,
    );
    if !(5..=15).contains(&n_questions) {
        let message = format!("{n_questions} different questions; 5 to 15 serve best");
        sheet.add_warning("question_count", "discovery_questions", message);
    }
}

fn mark_feature(output: &Value, sheet: &mut MarkSheet) {
    let summary = value_at(output, "feature_summary");
    let name = text_at(summary, "name");
    let marks = [
        is_label(name),
        count_distinct(texts_at(summary, "scope_in"), is_label) > 0,
        count_distinct(texts_at(summary, "scope_out"), is_label) > 0,
        is_prose(text_at(summary, "problem_statement")),
    ];
    let held = marks.iter().filter(|m| **m).count();
    sheet.set_mark("feature_summary", share_of(held, marks.len()), "");
    let kebab = |c: char| c.is_lowercase() || c.is_numeric() || c == '-';
    if !name.is_empty() && !name.chars().all(kebab) {
        let message = format!("`{name}` is not in kebab case");
        sheet.add_warning("not_kebab_case", "feature_summary.name", message);
    }
}

/// Every cited path stays inside the repository; what does not exist there is a warning.
fn cited_paths(output: &Value, facts: &EvaluationFacts, greenfield: bool, sheet: &mut MarkSheet) {
    let mut cited: Vec<(String, &str)> = Vec::new();
    for (n, file) in list_at(output, "key_files").iter().enumerate() {
        check_inside(
            &facts.repo.paths,
            text_at(file, "path"),
            &format!("key_files[{n}].path"),
            sheet,
        );
    }
    for (section, field) in [("existing_models", "file"), ("related_to_feature", "file")] {
        for (n, item) in list_at(output, section).iter().enumerate() {
            cited.push((format!("{section}[{n}].{field}"), text_at(item, field)));
        }
    }
    for (n, pattern) in list_at(output, "relevant_patterns").iter().enumerate() {
        for path in texts_at(pattern, "files") {
            cited.push((format!("relevant_patterns[{n}].files"), path));
        }
    }
    for (role, paths) in value_at(output, "structure")
        .as_object()
        .into_iter()
        .flatten()
    {
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
        let stays = check_inside(&facts.repo.paths, path, &field, sheet);
        if stays
            && !greenfield
            && !path.trim().is_empty()
            && !facts.repo.paths.locate(path).exists()
        {
            sheet.add_warning("path_missing", field, format!("`{path}` does not exist"));
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
