//! Criteria of the prd phase.

mod meaning;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::evaluate::common::refuse_repeats;
use crate::evaluate::evaluation::ScoreCriterion;
use crate::evaluate::facts::EvaluationFacts;
use crate::evaluate::read::{list_at, text_at, texts_at, value_at};
use crate::evaluate::sheet::{MarkSheet, share_of};
use crate::ids::{IdKind, PlanId};
use crate::outputs::prd::{QuestionResolution, StoryPriority};
use crate::wording::{char_count, count_distinct, fold_text, is_label, is_phrase, is_prose};

/// What the prd is judged by.
pub(super) const CRITERIA: &[ScoreCriterion] = &[
    ScoreCriterion {
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
    ScoreCriterion {
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
    ScoreCriterion {
        name: "users",
        weight: 0.10,
        paths: &[
            "users.primary",
            "users.primary[].role",
            "users.primary[].description",
        ],
        asks: "primary users with role and description",
    },
    ScoreCriterion {
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
    ScoreCriterion {
        name: "user_stories_id_format",
        weight: 0.05,
        paths: &["user_stories[].id"],
        asks: "story ids of the form US-NNN",
    },
    ScoreCriterion {
        name: "user_stories_acceptance",
        weight: 0.10,
        paths: &["user_stories[].acceptance_criteria"],
        asks: "a testable acceptance criterion for every story",
    },
    ScoreCriterion {
        name: "scope",
        weight: 0.10,
        paths: &["scope.in_scope", "scope.out_of_scope", "scope.dependencies"],
        asks: "what is in scope, what is not, and a list of dependencies",
    },
    ScoreCriterion {
        name: "assumptions",
        weight: 0.03,
        paths: &["assumptions"],
        asks: "at least one assumption",
    },
    ScoreCriterion {
        name: "constraints",
        weight: 0.05,
        paths: &["constraints.technical", "constraints.business"],
        asks: "a technical constraint and a list of business ones",
    },
    ScoreCriterion {
        name: "risks",
        weight: 0.05,
        paths: &["risks", "risks[].description", "risks[].impact"],
        asks: "risks with description and impact",
    },
    ScoreCriterion {
        name: "open_questions",
        weight: 0.02,
        paths: &["open_questions"],
        asks: "a list of questions with their resolution, possibly empty",
    },
];

pub(super) fn judge_prd(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    overview_and_users(output, sheet);
    mark_goals(output, sheet);
    mark_stories(output, sheet);
    mark_frame(output, sheet);
    check_questions(output, facts, sheet);
    meaning::check_prd_meaning(output, facts, sheet);
}

fn overview_and_users(output: &Value, sheet: &mut MarkSheet) {
    let overview = value_at(output, "overview");
    let long = |field: &str| {
        let text = text_at(overview, field);
        is_prose(text) && char_count(text) > 30
    };
    let marks = [
        is_label(text_at(overview, "feature_name")),
        is_phrase(text_at(overview, "one_liner")),
        long("problem_statement"),
        long("solution_summary"),
    ];
    let held = marks.iter().filter(|m| **m).count();
    sheet.set_mark("overview", share_of(held, marks.len()), "");
    let users = list_at(output, "users.primary");
    let described =
        |user: &&Value| is_label(text_at(user, "role")) && is_phrase(text_at(user, "description"));
    let held = users.iter().filter(described).count();
    sheet.set_mark("users", share_of(held, users.len()), "");
}

fn mark_goals(output: &Value, sheet: &mut MarkSheet) {
    let has_figure = |metric: &&Value| {
        let target = text_at(metric, "target");
        is_label(text_at(metric, "metric"))
            && target.chars().any(char::is_numeric)
            && is_label(text_at(metric, "measurement"))
    };
    let measured = list_at(output, "goals.success_metrics")
        .iter()
        .any(|m| has_figure(&m));
    let mut points = 0.0;
    if count_distinct(texts_at(output, "goals.primary"), is_phrase) > 0 {
        points += 1.0;
    }
    if value_at(output, "goals.secondary").is_array() {
        points += 0.5;
    }
    if measured {
        points += 1.0;
    } else {
        let message = "no success metric has a name, a target with a figure and a way of measuring";
        sheet.add_blocker("no_measurable_metric", "goals.success_metrics", message);
    }
    sheet.set_mark("goals", points / 2.5, "");
}

fn mark_stories(output: &Value, sheet: &mut MarkSheet) {
    let stories = list_at(output, "user_stories");
    if stories.is_empty() {
        sheet.add_blocker("no_user_stories", "user_stories", "there is no user story");
    }
    let of = stories.len();
    let whole = |story: &&Value| {
        is_label(text_at(story, "id"))
            && is_label(text_at(story, "role"))
            && is_phrase(text_at(story, "want"))
            && is_phrase(text_at(story, "benefit"))
            && StoryPriority::parse(text_at(story, "priority")).is_some()
    };
    let canonical =
        |story: &&Value| PlanId::parse(IdKind::UserStory, text_at(story, "id")).is_some();
    let testable =
        |story: &&Value| count_distinct(texts_at(story, "acceptance_criteria"), is_prose) > 0;
    let count = |rule: &dyn Fn(&&Value) -> bool| stories.iter().filter(|s| rule(s)).count();
    let (n_whole, n_testable) = (count(&whole), count(&testable));
    sheet.set_mark(
        "user_stories_structure",
        share_of(n_whole, of),
        format!("{n_whole} of {of} have id, role, want, benefit and priority"),
    );
    sheet.set_mark(
        "user_stories_id_format",
        share_of(count(&canonical), of),
        "",
    );
    sheet.set_mark(
        "user_stories_acceptance",
        share_of(n_testable, of),
        format!("{n_testable} of {of} have a testable criterion"),
    );
    let path = |n: usize, field: &str| format!("user_stories[{n}].{field}");
    let ids = stories.iter().enumerate();
    refuse_repeats(
        "duplicate_id",
        ids.map(|(n, s)| (path(n, "id"), text_at(s, "id"))),
        sheet,
    );
    let wants = stories.iter().enumerate();
    let wants = wants.map(|(n, s)| (path(n, "want"), text_at(s, "want")));
    refuse_repeats("duplicate_text", wants, sheet);
    if of > 0 && !(5..=15).contains(&of) {
        let message = format!("{of} stories; 5 to 15 serve best");
        sheet.add_warning("story_count", "user_stories", message);
    }
}

fn mark_frame(output: &Value, sheet: &mut MarkSheet) {
    let one_of = |path: &str| count_distinct(texts_at(output, path), is_label) > 0;
    let is_list = |path: &str| value_at(output, path).is_array();
    let points = |full: &[bool], half: bool| {
        let full = full.iter().filter(|f| **f).count() as f64;
        full + if half { 0.5 } else { 0.0 }
    };
    let scope = points(
        &[one_of("scope.in_scope"), one_of("scope.out_of_scope")],
        is_list("scope.dependencies"),
    );
    sheet.set_mark("scope", scope / 2.5, "");
    let assumed = if one_of("assumptions") { 1.0 } else { 0.5 };
    sheet.set_mark("assumptions", assumed, "");
    let constraints = if value_at(output, "constraints").is_object() {
        points(
            &[one_of("constraints.technical")],
            is_list("constraints.business"),
        ) / 1.5
    } else {
        0.5
    };
    sheet.set_mark("constraints", constraints, "");
    sheet.allow_zero("constraints");
    let risks = list_at(output, "risks");
    let whole =
        |risk: &&Value| is_label(text_at(risk, "description")) && is_label(text_at(risk, "impact"));
    let held = risks.iter().filter(whole).count();
    let value = if risks.is_empty() {
        0.3
    } else {
        share_of(held, risks.len())
    };
    sheet.set_mark("risks", value, "");
}

/// Every question explore asked appears once and is answered, assumed or kept open.
fn check_questions(output: &Value, facts: &EvaluationFacts, sheet: &mut MarkSheet) {
    let questions = list_at(output, "open_questions");
    let is_list = value_at(output, "open_questions").is_array();
    sheet.set_mark("open_questions", if is_list { 1.0 } else { 0.5 }, "");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (n, question) in questions.iter().enumerate() {
        let resolution = QuestionResolution::parse(text_at(question, "resolution"));
        let resolved = matches!(
            resolution,
            Some(QuestionResolution::Answered | QuestionResolution::Assumed)
        );
        if resolved && !is_label(text_at(question, "answer")) {
            let message = "answered or assumed, but the answer is missing; give it or keep it open";
            sheet.add_blocker(
                "answer_missing",
                format!("open_questions[{n}].answer"),
                message,
            );
        }
        let wording = text_at(question, "question");
        if let Some(first) = seen.insert(fold_text(wording), n) {
            let message = format!("asked already at open_questions[{first}]");
            sheet.add_warning("question_repeated", format!("open_questions[{n}]"), message);
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
        if !seen.contains_key(&fold_text(wording)) {
            let message = format!(
                "explore asked `{wording}`; list it word for word as answered, assumed or open"
            );
            sheet.add_blocker("question_dropped", "open_questions", message);
        }
    }
}
