//! Text of others adds nothing to what a planner or a judge is told: each row of the corpus in each place.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use minijinja::{Value, context};
use omoi_testkit::injections::{count_added_lines, injection_rows, prompt_shape};
use serde_json::json;

use super::{PHASE, strict};

const QUESTION: &str = include_str!("../../prompts/judge_question.md");

/// Puts a text into one place of a template.
type PlantedPlace = (&'static str, &'static str, fn(&str) -> Value);

fn phase(more: Value) -> Value {
    context! {
        phase => "explore", title => "Farewells", request => "Say goodbye.", guidance => "Map the layout.",
        criteria => Vec::<Value>::new(), survey => None::<String>, habits => "", inputs => Vec::<Value>::new(),
        answers => None::<String>, computed => None::<String>, present => None::<String>, attempt => 1, feedback => None::<String>,
        version => 1, schema => "{}", ..more
    }
}

fn as_json(text: &str) -> String {
    serde_json::to_string_pretty(&json!({ "text": text, text: [text] })).unwrap()
}

fn question(request: &str, said: &str, file: &str) -> Value {
    let file = context! { path => said, text => file };
    let check = context! {
        id => "TSK-001/1", title => said, criteria => said, command => said, files => [file],
    };
    context! { request, criteria => [context! { id => "REQ-1#1", text => said }], checks => [check] }
}

const PLACES: &[PlantedPlace] = &[
    ("title", PHASE, |text| phase(context! { title => text })),
    ("request", PHASE, |text| phase(context! { request => text })),
    ("survey", PHASE, |text| {
        phase(context! { survey => as_json(text) })
    }),
    ("items", PHASE, |text| {
        phase(context! { present => as_json(text) })
    }),
    ("computed", PHASE, |text| {
        phase(context! { computed => as_json(text) })
    }),
    ("outputs", PHASE, |text| {
        phase(context! { inputs => [context! { phase => "prd", json => as_json(text) }] })
    }),
    ("answers", PHASE, |text| phase(context! { answers => text })),
    ("feedback", PHASE, |text| {
        phase(context! { feedback => text })
    }),
    ("request to a judge", QUESTION, |text| {
        question(text, "x", "y")
    }),
    ("plan to a judge", QUESTION, |text| question("x", text, "y")),
    ("file to a judge", QUESTION, |text| question("x", "y", text)),
];

/// Lines of JSON hold one text each, however it is escaped.
fn without_json(shape: Vec<String>) -> Vec<String> {
    let lines = shape.into_iter();
    lines
        .map(|line| match line.starts_with("  ") {
            true => "  json".to_owned(),
            false => line,
        })
        .collect()
}

#[test]
fn no_injection_adds_a_line_to_what_a_planner_is_told() {
    let rows = injection_rows();
    let mut n_added = 0;
    for (place, template, plant) in PLACES {
        let shape = |text: &str| {
            let prompt = strict().render_str(template, plant(text)).unwrap();
            without_json(prompt_shape(&prompt, text))
        };
        n_added += count_added_lines(&rows, place, shape);
    }
    println!(
        "injections: {}, places: {}, lines added to prompts: {n_added}",
        rows.len(),
        PLACES.len()
    );
    assert_eq!(n_added, 0);
}
