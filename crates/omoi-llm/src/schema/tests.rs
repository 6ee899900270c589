#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]
use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only read by the checker")]
struct Plan {
    #[schemars(length(min = 1, max = 5))]
    title: String,
    #[schemars(range(min = 1))]
    size: u32,
    #[schemars(length(min = 1))]
    steps: Vec<Step>,
    note: Option<String>,
    parent: Option<Box<Plan>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(dead_code, reason = "only read by the checker")]
enum Step {
    Run { command: String },
    Wait { seconds: u8, why: Reason },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    Deploy,
    Rest,
}

fn problems(value: Value) -> String {
    let found = read_typed::<Plan>(&schema_for::<Plan>(), &value)
        .map(|_| ())
        .unwrap_err();
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn a_fitting_value_is_read() {
    let value = json!({"title": "a", "size": 1.0_f32 as u32, "note": null,
        "steps": [{"kind": "run", "command": "x"}, {"kind": "wait", "seconds": 3, "why": "rest"}],
        "parent": {"title": "b", "size": 2, "steps": [{"kind": "run", "command": "y"}]}});
    let plan: Plan = read_typed(&schema_for::<Plan>(), &value).unwrap();
    assert_eq!(plan.steps.len(), 2);
    assert_eq!(plan.parent.unwrap().title, "b");
}

#[test]
fn what_is_wrong_is_said_where_it_is() {
    let base = json!({"title": "a", "size": 1, "steps": [{"kind": "run", "command": "x"}]});
    let with = |patch: &[(&str, Value)]| {
        let mut value = base.clone();
        for (key, new) in patch {
            value[*key] = new.clone();
        }
        value
    };
    for (value, want) in [
        (json!([1]), "the answer: must be of type object; found [1]"),
        (
            json!({"title": "a", "steps": []}),
            "the answer: lacks the field `size`; found {\"title\":\"a\",\"steps\":[]}\n/steps: must have at least 1 items; found []",
        ),
        (
            with(&[("title", json!("toolong"))]),
            "/title: must have at most 5 characters; found \"toolong\"",
        ),
        (
            with(&[("size", json!(0))]),
            "/size: must be at least 1; found 0",
        ),
        (
            with(&[("size", json!(1.5))]),
            "/size: must be of type integer; found 1.5",
        ),
        (
            with(&[("size", json!(5_000_000_000_u64))]),
            "/size: invalid value: integer `5000000000`, expected u32; found 5000000000",
        ),
        (
            with(&[("no/te", json!(1))]),
            "/no~1te: unknown field; found 1",
        ),
        (
            with(&[("note", json!(7))]),
            "/note: must be of type string or null; found 7",
        ),
        (
            with(&[(
                "steps",
                json!([{"kind": "wait", "seconds": 3, "why": "fun"}]),
            )]),
            "/steps/0/why: must be one of [\"deploy\",\"rest\"]; found \"fun\"",
        ),
        (
            with(&[("steps", json!(["run"]))]),
            "/steps/0: fits none of the allowed forms; found \"run\"",
        ),
        (
            with(&[("parent", json!({"title": "b", "size": "2", "steps": [1]}))]),
            "/parent/size: must be of type integer; found \"2\"\n/parent/steps/0: fits none of the allowed forms; found 1",
        ),
    ] {
        assert_eq!(problems(value), want);
    }
}

#[test]
fn schemas_that_go_in_circles_end() {
    let schema = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}});
    assert_eq!(
        check_value(&schema, &json!(1)).unwrap_err()[0].problem,
        "nested too deeply"
    );
    let schema = json!({"type": "object", "patternProperties": {}, "properties": {"a": {"pattern": "^x+$"}}});
    assert!(check_value(&schema, &json!({"a": "xx", "b": 1})).is_ok());
    assert!(check_value(&schema, &json!({"a": "xy"})).is_err());
}

#[test]
fn a_broken_pattern_is_told() {
    let schema = json!({"properties": {"a": {"pattern": "^(x+$"}}});
    let violations = check_value(&schema, &json!({"a": "xx"})).unwrap_err();
    assert_eq!(
        violations[0].to_string(),
        "/a: cannot be checked: `^(x+$` is no regular expression; found \"xx\""
    );
}
