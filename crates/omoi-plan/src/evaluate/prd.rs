//! Criteria of the prd phase.

mod meaning;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::evaluate::common::refuse_repeats;
use crate::evaluate::evaluation::Criterion;
use crate::evaluate::facts::Facts;
use crate::evaluate::read::{at, list, text, texts};
use crate::evaluate::sheet::{Sheet, share};
use crate::ids::{IdKind, PlanId};
use crate::outputs::prd::{Resolution, StoryPriority};
use crate::wording::{distinct, fold, label, length, phrase, prose};

/// What the prd is judged by.
pub(super) const CRITERIA: &[Criterion] = &[
    Criterion {
        name: "overview",
        weight: 0.15,
        paths: &[
            "overview.feature_name",
            "overview.one_liner",
            "overview.problem_statement",
            "overview.solution_summary",
        ],
        asks: "feature name, one line, problem and solution of more than 30 characters each",
    },
    Criterion {
        name: "goals",
        weight: 0.15,
        paths: &[
            "goals.primary",
            "goals.secondary",
            "goals.success_metrics",
            "goals.success_metrics[].metric",
            "goals.success_metrics[].target",
            "goals.success_metrics[].measurement",
        ],
        asks: "a primary goal, a list of secondary ones, a success metric with a figure",
    },
    Criterion {
        name: "users",
        weight: 0.10,
        paths: &[
            "users.primary",
            "users.primary[].role",
            "users.primary[].description",
        ],
        asks: "primary users with role and description",
    },
    Criterion {
        name: "user_stories_structure",
        weight: 0.20,
        paths: &[
            "user_stories",
            "user_stories[].id",
            "user_stories[].role",
            "user_stories[].want",
            "user_stories[].benefit",
            "user_stories[].priority",
        ],
        asks: "stories with id, role, want, benefit and priority",
    },
    Criterion {
        name: "user_stories_id_format",
        weight: 0.05,
        paths: &["user_stories[].id"],
        asks: "story ids of the form US-NNN",
    },
    Criterion {
        name: "user_stories_acceptance",
        weight: 0.10,
        paths: &["user_stories[].acceptance_criteria"],
        asks: "a testable acceptance criterion for every story",
    },
    Criterion {
        name: "scope",
        weight: 0.10,
        paths: &["scope.in_scope", "scope.out_of_scope", "scope.dependencies"],
        asks: "what is in scope, what is not, and a list of dependencies",
    },
    Criterion {
        name: "assumptions",
        weight: 0.03,
        paths: &["assumptions"],
        asks: "at least one assumption",
    },
    Criterion {
        name: "constraints",
        weight: 0.05,
        paths: &["constraints.technical", "constraints.business"],
        asks: "a technical constraint and a list of business ones",
    },
    Criterion {
        name: "risks",
        weight: 0.05,
        paths: &["risks", "risks[].description", "risks[].impact"],
        asks: "risks with description and impact",
    },
    Criterion {
        name: "open_questions",
        weight: 0.02,
        paths: &["open_questions"],
        asks: "a list of questions with their resolution, possibly empty",
    },
];

pub(super) fn judge(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    overview_and_users(output, sheet);
    goals(output, sheet);
    stories(output, sheet);
    frame(output, sheet);
    questions(output, facts, sheet);
    meaning::check(output, facts, sheet);
}

fn overview_and_users(output: &Value, sheet: &mut Sheet) {
    let overview = at(output, "overview");
    let long = |field: &str| {
        let text = text(overview, field);
        prose(text) && length(text) > 30
    };
    let marks = [
        label(text(overview, "feature_name")),
        phrase(text(overview, "one_liner")),
        long("problem_statement"),
        long("solution_summary"),
    ];
    let held = marks.iter().filter(|m| **m).count();
    sheet.mark("overview", share(held, marks.len()), "");
    let users = list(output, "users.primary");
    let described = |user: &&Value| label(text(user, "role")) && phrase(text(user, "description"));
    let held = users.iter().filter(described).count();
    sheet.mark("users", share(held, users.len()), "");
}

fn goals(output: &Value, sheet: &mut Sheet) {
    let has_figure = |metric: &&Value| {
        let target = text(metric, "target");
        label(text(metric, "metric"))
            && target.chars().any(char::is_numeric)
            && label(text(metric, "measurement"))
    };
    let measured = list(output, "goals.success_metrics")
        .iter()
        .any(|m| has_figure(&m));
    let mut points = 0.0;
    if distinct(texts(output, "goals.primary"), phrase) > 0 {
        points += 1.0;
    }
    if at(output, "goals.secondary").is_array() {
        points += 0.5;
    }
    if measured {
        points += 1.0;
    } else {
        let message = "no success metric has a name, a target with a figure and a way of measuring";
        sheet.block("no_measurable_metric", "goals.success_metrics", message);
    }
    sheet.mark("goals", points / 2.5, "");
}

fn stories(output: &Value, sheet: &mut Sheet) {
    let stories = list(output, "user_stories");
    if stories.is_empty() {
        sheet.block("no_user_stories", "user_stories", "there is no user story");
    }
    let of = stories.len();
    let whole = |story: &&Value| {
        label(text(story, "id"))
            && label(text(story, "role"))
            && phrase(text(story, "want"))
            && phrase(text(story, "benefit"))
            && StoryPriority::parse(text(story, "priority")).is_some()
    };
    let canonical = |story: &&Value| PlanId::parse(IdKind::UserStory, text(story, "id")).is_some();
    let testable = |story: &&Value| distinct(texts(story, "acceptance_criteria"), prose) > 0;
    let count = |rule: &dyn Fn(&&Value) -> bool| stories.iter().filter(|s| rule(s)).count();
    let (n_whole, n_testable) = (count(&whole), count(&testable));
    sheet.mark(
        "user_stories_structure",
        share(n_whole, of),
        format!("{n_whole} of {of} have id, role, want, benefit and priority"),
    );
    sheet.mark("user_stories_id_format", share(count(&canonical), of), "");
    sheet.mark(
        "user_stories_acceptance",
        share(n_testable, of),
        format!("{n_testable} of {of} have a testable criterion"),
    );
    let path = |n: usize, field: &str| format!("user_stories[{n}].{field}");
    let ids = stories.iter().enumerate();
    refuse_repeats(
        "duplicate_id",
        ids.map(|(n, s)| (path(n, "id"), text(s, "id"))),
        sheet,
    );
    let wants = stories.iter().enumerate();
    let wants = wants.map(|(n, s)| (path(n, "want"), text(s, "want")));
    refuse_repeats("duplicate_text", wants, sheet);
    if of > 0 && !(5..=15).contains(&of) {
        let message = format!("{of} stories; 5 to 15 serve best");
        sheet.warn("story_count", "user_stories", message);
    }
}

fn frame(output: &Value, sheet: &mut Sheet) {
    let one_of = |path: &str| distinct(texts(output, path), label) > 0;
    let is_list = |path: &str| at(output, path).is_array();
    let points = |full: &[bool], half: bool| {
        let full = full.iter().filter(|f| **f).count() as f64;
        full + if half { 0.5 } else { 0.0 }
    };
    let scope = points(
        &[one_of("scope.in_scope"), one_of("scope.out_of_scope")],
        is_list("scope.dependencies"),
    );
    sheet.mark("scope", scope / 2.5, "");
    let assumed = if one_of("assumptions") { 1.0 } else { 0.5 };
    sheet.mark("assumptions", assumed, "");
    let constraints = if at(output, "constraints").is_object() {
        points(
            &[one_of("constraints.technical")],
            is_list("constraints.business"),
        ) / 1.5
    } else {
        0.5
    };
    sheet.mark("constraints", constraints, "");
    sheet.allow_zero("constraints");
    let risks = list(output, "risks");
    let whole = |risk: &&Value| label(text(risk, "description")) && label(text(risk, "impact"));
    let held = risks.iter().filter(whole).count();
    let value = if risks.is_empty() {
        0.3
    } else {
        share(held, risks.len())
    };
    sheet.mark("risks", value, "");
}

/// Every question explore asked appears once and is answered, assumed or kept open.
fn questions(output: &Value, facts: &Facts, sheet: &mut Sheet) {
    let questions = list(output, "open_questions");
    let is_list = at(output, "open_questions").is_array();
    sheet.mark("open_questions", if is_list { 1.0 } else { 0.5 }, "");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (n, question) in questions.iter().enumerate() {
        let resolution = Resolution::parse(text(question, "resolution"));
        let resolved = matches!(resolution, Some(Resolution::Answered | Resolution::Assumed));
        if resolved && !label(text(question, "answer")) {
            let message = "answered or assumed, but the answer is missing; give it or keep it open";
            sheet.block(
                "answer_missing",
                format!("open_questions[{n}].answer"),
                message,
            );
        }
        let wording = text(question, "question");
        if let Some(first) = seen.insert(fold(wording), n) {
            let message = format!("asked already at open_questions[{first}]");
            sheet.warn("question_repeated", format!("open_questions[{n}]"), message);
        }
    }
    let Some(explore) = &facts.explore else {
        return;
    };
    for wording in explore
        .discovery_questions
        .iter()
        .flat_map(|g| &g.questions)
    {
        if !seen.contains_key(&fold(wording)) {
            let message = format!(
                "explore asked `{wording}`; list it word for word as answered, assumed or open"
            );
            sheet.block("question_dropped", "open_questions", message);
        }
    }
}
