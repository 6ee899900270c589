//! Criteria of the requirements phase.

mod meaning;

use std::collections::BTreeSet;

use serde_json::Value;

use omoi_domain::graph::{Edge, Graph};
use omoi_domain::requirement::RequirementType;
use omoi_domain::task::Priority;

use crate::ears::{self, EarsKind};
use crate::evaluate::common::refuse_repeats;
use crate::evaluate::evaluation::ScoreCriterion;
use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::read::{list_at, text_at, texts_at};
use crate::evaluate::sheet::{MarkSheet, share_of};
use crate::ids::{IdKind, IdSeries, PlanId};
use crate::outputs::prd::StoryPriority;
use crate::wording::{count_distinct, is_label, is_prose, split_words};

/// What the requirements are judged by.
pub(super) const CRITERIA: &[ScoreCriterion] = &[
    ScoreCriterion {
        name: "feature_name",
        weight: 0.05,
        paths: &["feature_name"],
        asks: "the name of the feature",
    },
    ScoreCriterion {
        name: "structure",
        weight: 0.20,
        paths: &[
            "requirements",
            "requirements[].id",
            "requirements[].type",
            "requirements[].text",
            "requirements[].priority",
        ],
        asks: "requirements with id, type, text and priority",
    },
    ScoreCriterion {
        name: "normative_language",
        weight: 0.20,
        paths: &["requirements[].text"],
        asks: "a normative word (SHALL, MUST, SHOULD, MAY) in every text",
    },
    ScoreCriterion {
        name: "ears_format",
        weight: 0.15,
        paths: &["requirements[].text"],
        asks: "EARS sentences: WHEN …, THE SYSTEM SHALL …; functional ones with a trigger",
    },
    ScoreCriterion {
        name: "acceptance_criteria",
        weight: 0.20,
        paths: &["requirements[].acceptance_criteria"],
        asks: "at least 2 different testable criteria for every requirement",
    },
    ScoreCriterion {
        name: "id_format",
        weight: 0.05,
        paths: &["requirements[].id"],
        asks: "ids of the form REQ-<FEATURE>-<FUNC|PERF|SEC|USE|REL|CON>-NNN",
    },
    ScoreCriterion {
        name: "assumptions",
        weight: 0.05,
        paths: &["assumptions"],
        asks: "at least one assumption",
    },
    ScoreCriterion {
        name: "out_of_scope",
        weight: 0.05,
        paths: &["out_of_scope"],
        asks: "at least one thing that is out of scope",
    },
    ScoreCriterion {
        name: "traceability",
        weight: 0.05,
        paths: &["traceability.prd_sections"],
        asks: "the sections of the product requirements that were used",
    },
];

/// Titles that name a category instead of a capability, without blanks and signs.
const BARE_TITLES: &[&str] = &[
    "api",
    "apis",
    "backend",
    "businesslogic",
    "data",
    "database",
    "datamodel",
    "datamodels",
    "errorhandling",
    "frontend",
    "functional",
    "general",
    "integration",
    "logic",
    "miscellaneous",
    "model",
    "models",
    "nonfunctional",
    "other",
    "performance",
    "reliability",
    "requirement",
    "requirements",
    "security",
    "storage",
    "testing",
    "tests",
    "ui",
    "usability",
    "userinterface",
    "validation",
];

pub(super) fn judge_requirements(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let requirements = list_at(output, "requirements");
    if requirements.is_empty() {
        // Without requirements nothing here is worth a point.
        sheet.add_blocker("no_requirements", "requirements", "there is no requirement");
        return;
    }
    let named = is_label(text_at(output, "feature_name"));
    sheet.set_mark("feature_name", if named { 1.0 } else { 0.5 }, "");
    for (name, path) in [
        ("assumptions", "assumptions"),
        ("out_of_scope", "out_of_scope"),
        ("traceability", "traceability.prd_sections"),
    ] {
        let given = count_distinct(texts_at(output, path), is_label) > 0;
        sheet.set_mark(name, if given { 1.0 } else { 0.5 }, "");
    }
    mark_shares(requirements, sheet);
    for (n, requirement) in requirements.iter().enumerate() {
        check_wording(n, requirement, sheet);
    }
    check_repeats(requirements, sheet);
    check_dependencies(requirements, sheet);
    served_stories(requirements, facts, sheet);
    check_balance(requirements, sheet);
    meaning::check_requirements_meaning(output, facts, sheet);
}

fn mark_shares(requirements: &[Value], sheet: &mut MarkSheet) {
    let of = requirements.len();
    let mut counts = [0_usize; 4];
    let mut ears_sum = 0.0;
    for requirement in requirements {
        let sentence = text_at(requirement, "text");
        let kind = RequirementType::parse(text_at(requirement, "type"));
        let id = text_at(requirement, "id");
        let whole = is_label(id)
            && kind.is_some()
            && is_prose(sentence)
            && Priority::parse(text_at(requirement, "priority")).is_some();
        let marks = [
            whole,
            ears::count_normative(sentence) > 0,
            count_distinct(texts_at(requirement, "acceptance_criteria"), is_prose) >= 2,
            PlanId::parse(IdKind::Requirement, id).is_some(),
        ];
        for (count, held) in counts.iter_mut().zip(marks) {
            *count += usize::from(held);
        }
        ears_sum += ears_mark(sentence, kind);
    }
    let names = [
        "structure",
        "normative_language",
        "acceptance_criteria",
        "id_format",
    ];
    for (name, count) in names.into_iter().zip(counts) {
        sheet.set_mark(name, share_of(count, of), format!("{count} of {of}"));
    }
    sheet.set_mark("ears_format", ears_sum / of as f64, "");
}

fn ears_mark(sentence: &str, kind: Option<RequirementType>) -> f64 {
    match ears::parse_sentence(sentence) {
        Ok(parsed) if parsed.kind != EarsKind::Ubiquitous => 1.0,
        Ok(_) if kind.is_some_and(|k| k != RequirementType::Functional) => 1.0,
        Ok(_) => 0.5,
        Err(_) => 0.0,
    }
}

/// Blockers and warnings of one requirement.
fn check_wording(n: usize, requirement: &Value, sheet: &mut MarkSheet) {
    let path = |field: &str| format!("requirements[{n}].{field}");
    let sentence = text_at(requirement, "text");
    let priority = Priority::parse(text_at(requirement, "priority"));
    if let Err(error) = ears::parse_sentence(sentence) {
        if priority.is_some_and(Priority::is_urgent) {
            sheet.add_blocker("unparsable_ears", path("text"), error.to_string());
        } else {
            sheet.add_warning("unparsable_ears", path("text"), error.to_string());
        }
    }
    if count_distinct(texts_at(requirement, "acceptance_criteria"), is_prose) == 0 {
        let message = "there is no testable acceptance criterion";
        sheet.add_blocker("no_criterion", path("acceptance_criteria"), message);
    }
    if ears::count_normative(sentence) > 1 {
        let message = "more than one normative word; one demand per requirement";
        sheet.add_warning("several_normative_words", path("text"), message);
    }
    for flaw in ears::flagged_wordings(sentence) {
        let message = format!(
            "`{}` is {:?}; name a figure or a fact",
            flaw.phrase, flaw.flaw
        );
        sheet.add_warning("flagged_language", path("text"), message.to_lowercase());
    }
    check_title(text_at(requirement, "title"), &path("title"), sheet);
    let kind = RequirementType::parse(text_at(requirement, "type"));
    let id = PlanId::parse(IdKind::Requirement, text_at(requirement, "id"));
    if let (Some(kind), Some(IdSeries::Requirement { category, .. })) =
        (kind, id.as_ref().map(PlanId::series))
        && kind != *category
    {
        let message = format!("type `{kind}` has the code {}", kind.category_code());
        sheet.add_warning("category_mismatch", path("id"), message);
    }
}

fn check_title(title: &str, path: &str, sheet: &mut MarkSheet) {
    let words = split_words(title);
    let is_id = IdKind::ALL
        .iter()
        .any(|k| PlanId::import(*k, title).is_some());
    let is_bare = BARE_TITLES.contains(&words.concat().as_str());
    if is_id || is_bare || !is_label(title) {
        let message =
            format!("`{title}` names no capability; say in 3 to 6 words what is possible");
        sheet.add_blocker("bare_title", path, message);
    } else if !(3..=6).contains(&words.len()) {
        let message = format!("{} words; 3 to 6 serve best", words.len());
        sheet.add_warning("title_length", path, message);
    }
}

fn check_repeats(requirements: &[Value], sheet: &mut MarkSheet) {
    for (code, field) in [("duplicate_id", "id"), ("duplicate_text", "text")] {
        let texts = requirements.iter().enumerate();
        let texts = texts.map(|(n, r)| (format!("requirements[{n}].{field}"), text_at(r, field)));
        refuse_repeats(code, texts, sheet);
    }
}

fn check_dependencies(requirements: &[Value], sheet: &mut MarkSheet) {
    let ids: BTreeSet<&str> = requirements.iter().map(|r| text_at(r, "id")).collect();
    let mut edges = Vec::new();
    for (n, requirement) in requirements.iter().enumerate() {
        for needed in texts_at(requirement, "dependencies") {
            if ids.contains(needed) {
                edges.push(Edge::new(
                    needed.to_owned(),
                    text_at(requirement, "id").to_owned(),
                ));
            } else {
                let path = format!("requirements[{n}].dependencies");
                sheet.add_blocker(
                    "unknown_dependency",
                    path,
                    format!("there is no `{needed}`"),
                );
            }
        }
    }
    let (graph, _) = Graph::build(ids.iter().map(|id| (*id).to_owned()), edges);
    for cycle in graph.cycles() {
        let message = format!("these need each other: {}", cycle.path.join(" → "));
        sheet.add_blocker("dependency_cycle", "requirements", message);
    }
}

/// Every `must` story has a requirement, and no requirement names a story that is not there.
fn served_stories(requirements: &[Value], facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let Some(prd) = &facts.prd else {
        return;
    };
    let mut served = BTreeSet::new();
    for (n, requirement) in requirements.iter().enumerate() {
        for story in texts_at(requirement, "user_stories") {
            served.insert(story);
            if !prd.user_stories.iter().any(|s| s.id == story) {
                let path = format!("requirements[{n}].user_stories");
                sheet.add_warning(
                    "unknown_story",
                    path,
                    format!("there is no story `{story}`"),
                );
            }
        }
    }
    let musts = prd
        .user_stories
        .iter()
        .filter(|s| s.priority == StoryPriority::Must);
    for story in musts.filter(|s| !served.contains(s.id.as_str())) {
        let message = format!("no requirement serves the story `{}`", story.id);
        sheet.add_blocker("story_without_requirement", "requirements", message);
    }
}

fn check_balance(requirements: &[Value], sheet: &mut MarkSheet) {
    let of = requirements.len();
    if !(5..=50).contains(&of) {
        let message = format!("{of} requirements; 5 to 50 serve best");
        sheet.add_warning("requirement_count", "requirements", message);
    }
    let is_high =
        |r: &Value| Priority::parse(text_at(r, "priority")).is_some_and(Priority::is_urgent);
    if of > 1 && requirements.iter().all(is_high) {
        let message = "all are CRITICAL or HIGH, so the priorities say nothing";
        sheet.add_warning("flat_priorities", "requirements", message);
    }
}
