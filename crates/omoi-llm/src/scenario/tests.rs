#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the files of a test need no care"
)]

use std::{collections::HashMap, io};

use super::*;

/// Reads `scenario.yaml` from files in memory.
fn read(files: &[(&str, &str)]) -> Result<Scenario, ScenarioErrors> {
    read_from("scenario.yaml", files)
}

fn read_from(entry: &str, files: &[(&str, &str)]) -> Result<Scenario, ScenarioErrors> {
    let files: HashMap<_, _> = files.iter().copied().collect();
    Scenario::read_from(entry, &|path| match files.get(path) {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => Err(io::ErrorKind::NotFound.into()),
    })
}

fn with_rules(rules: &str) -> String {
    format!("version: 1\nname: t\nrules:\n{rules}")
}

fn keys(text: &str) -> RequestKeys {
    let mut keys = RequestKeys::default();
    for pair in text.split_whitespace() {
        let (key, value) = pair.split_once('=').unwrap();
        let owned = Some(value.to_owned());
        match key {
            "role" => keys.role = owned,
            "phase" => keys.phase = owned,
            "task" => keys.task = owned,
            "title" => keys.title = Some(value.replace('_', " ")),
            "round" => keys.round = value.parse().ok(),
            "turn" => keys.turn = value.parse().unwrap(),
            _ => panic!("{key}"),
        }
    }
    keys
}

#[test]
fn the_first_rule_whose_conditions_all_hold_answers() {
    let rules = "
  - {name: a, when: {role: planner, phase: explore, turn: 0}, reply: []}
  - {name: b, when: {phase: explore, round: 2.., turn: 1..=3}, reply: []}
  - {name: c, when: {phase: explore}, reply: []}
  - {name: d, when: {task: TSK-001, turn: [0, 2, '5..']}, reply: []}
  - {name: e, when: {title: 'Add * {page,form}'}, reply: []}
  - {name: f, when: {role: coder, turn: ..=1}, reply: []}
";
    let scenario = read(&[("scenario.yaml", &with_rules(rules))]).unwrap();
    for (request, want) in [
        ("role=planner phase=explore turn=0", Some("a")),
        ("role=planner phase=explore turn=1", Some("c")),
        ("role=planner phase=explore round=2 turn=1", Some("b")),
        ("phase=explore round=7 turn=3", Some("b")),
        ("phase=explore round=7 turn=4", Some("c")),
        ("phase=explore round=1 turn=3", Some("c")),
        ("phase=Explore", None),
        ("task=TSK-001 turn=0", Some("d")),
        ("task=TSK-001 turn=1", None),
        ("task=TSK-001 turn=2", Some("d")),
        ("task=TSK-001 turn=900", Some("d")),
        ("task=TSK-0011 turn=0", None),
        ("title=Add_a/b_form", Some("e")),
        ("title=Add_a_form_", None),
        ("role=coder turn=1", Some("f")),
        ("role=coder turn=2", None),
        ("", None),
    ] {
        let found = scenario.find_rule(&keys(request)).ok();
        assert_eq!(found.map(|(_, rule)| rule.name.as_str()), want, "{request}");
    }
}

#[test]
fn no_match_names_the_keys_and_the_nearest_rules() {
    let rules = "
  - {when: {role: planner, phase: prd, task: x, turn: 9}, reply: []}
  - {name: near, when: {role: coder, turn: 0..}, fault: {status: 500, times: always}}
  - {name: nearer, when: {task: TSK-002, round: [1, 3], title: 'A*'}, reply: []}
";
    let scenario = read(&[("scenario.yaml", &with_rules(rules))]).unwrap();
    let no_match = scenario
        .find_rule(&keys("task=TSK-002 title=B round=2 turn=4"))
        .unwrap_err();
    insta::assert_snapshot!(no_match, @"no rule of the scenario answers this request: no role, no phase, task `TSK-002`, title `B`, round 2, turn 4; the nearest rules are `near` at scenario.yaml:6:5 (role is missing, the rule wants `coder`); `nearer` at scenario.yaml:7:5 (title is `B`, the rule wants `A*`, round is 2, the rule wants 1 or 3); `rule 1` at scenario.yaml:5:5 (role is missing, the rule wants `planner`, phase is missing, the rule wants `prd`, task is `TSK-002`, the rule wants `x`, turn is 4, the rule wants 9)");
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn replies_keep_order_and_files_come_in_whole() {
    let scenario = "
version: 1
name: t
rules:
  - include: rules.yaml
  - when: {turn: 1}
    stop: max_tokens
    usage: {output: 7}
    fault: [{status: 429, retry_after_s: 2, times: 2}, {hang_s: 1}]
    reply:
      - include: more.yaml
      - delay_ms: 5
      - done: true
";
    let rules = "
- when: {turn: 0}
  reply:
    - text: {$file: a/text.txt}
    - tool: {name: look}
    - tool:
        name: write
        input: {path: x, list: [{$file: a/text.txt}, 1, yes, null, 0x10], '$ref': '#/a'}
";
    let more =
        "- items: [{section: s, key: k, value: {a: [true]}}, {section: s, key: l, value: 2.5}]";
    let text = "  é\n\ttail without end";
    let scenario = read(&[
        ("scenario.yaml", scenario),
        ("rules.yaml", rules),
        ("more.yaml", more),
        ("a/text.txt", text),
    ])
    .unwrap();
    let call = |name: &str, input: Json| ReplyPart::Tool {
        name: name.to_owned(),
        input: input.as_object().unwrap().clone(),
        manner: CallManner::Offered,
    };
    let item = |key: &str, value: Json| ReplyPart::Item {
        section: "s".to_owned(),
        key: key.to_owned(),
        value,
    };
    use serde_json::json;
    assert_eq!(
        scenario.rules[0].reply,
        [
            ReplyPart::Text(text.to_owned()),
            call("look", json!({})),
            call(
                "write",
                json!({"path": "x", "list": [text, 1, "yes", null, 16], "$ref": "#/a"})
            ),
        ]
    );
    let second = &scenario.rules[1];
    assert_eq!(
        second.reply,
        [
            item("k", json!({"a": [true]})),
            item("l", json!(2.5)),
            ReplyPart::Delay { ms: 5 },
            ReplyPart::Done,
        ]
    );
    assert_eq!(
        (second.stop, second.usage.output),
        (Some("max_tokens"), Some(7))
    );
    assert_eq!(second.faults[0].times, FaultTimes::Count(2));
    assert_eq!(second.faults[1].kind, FaultKind::Hang { s: 1 });
    assert_eq!(second.at.to_string(), "scenario.yaml:6:5");
    assert_eq!(scenario.rules[0].at.to_string(), "rules.yaml:2:3");
}

/// One file with as many errors as fit; the snapshot is what a person sees.
#[test]
fn all_errors_are_told_at_once_with_place_and_remedy() {
    let scenario = "version: 2
nmae: typo
description: 12
defaults: {chunk_bytes: 0, delay: 3}
rules:
  - name: twice
    when: {rond: 1, turn: 1..3, title: '[a', role: 7}
    reply:
      - text: ''
      - say: hello
      - {text: a, done: true}
      - done: false
      - tool: {input: {}}
      - tool: {name: 'no spaces', input: [1]}
      - tool: {name: w, input: {content: {$file: missing.py}, other: {$file: a, b: c}}}
      - tool: {name: w, input: {a: {$file: ../secret}, b: {$file: /etc/passwd}}}
      - items: [{section: s, key: k}, {section: s, keys: k, value: 1}]
      - include: gone.yaml
      - include: bad.yaml
      - include: loop.yaml
  - when: {turn: [], round: -1}
    fault: {status: 418, times: sometimes}
    reply: []
  - name: twice
    when: {task: a}
    fault: {cut_after_bytes: 9, retry_after_s: 1}
  - when: {task: b}
    fault: [{status: 500, times: always}, {status: 429}]
    reply: []
  - when: {task: c}
    fault: [{broken_json: tool_input}, {broken_json: json}, {}]
    reply: [{text: no tool}]
    repyl: []
  - reply: []
  - just text
";
    let bad = "- text: [unclosed\n- {";
    let errors = read(&[
        ("scenario.yaml", scenario),
        ("bad.yaml", bad),
        ("loop.yaml", "- include: loop.yaml"),
        ("a", "a"),
    ])
    .unwrap_err();
    insta::assert_snapshot!(errors);
}

/// What a model may tell of itself and its provider.
#[test]
fn errors_of_figures_limits_and_manners_name_their_place() {
    let rules = "  - when: {task: d}
    usage: [1]
    limits: {request: {}, requests: {limit: 5, remaining: -1}, five_hours: {used_percent: 101, reset_s: 700000}}
    fault: [{retired_model: yes}, {hang_s: 1, limits: {}}]
    reasoning: ''
    reply: [{tool: {name: a, unoffered: true, in_words: true}}, {reasoning: 7}]
  - when: {task: e}
    fault: {broken_json: tool_input}
    reply: [{tool: {name: a, in_words: true}}]
";
    let errors = read(&[("scenario.yaml", &with_rules(rules))]).unwrap_err();
    insta::assert_snapshot!(errors);
}

#[test]
fn a_rule_that_an_earlier_one_hides_is_an_error() {
    let hidden = |earlier: &str, later: &str| {
        let rules = format!(
            "  - {{name: first, when: {earlier}, reply: []}}\n  - {{name: second, when: {later}, reply: []}}\n"
        );
        match read(&[("scenario.yaml", &with_rules(&rules))]) {
            Ok(_) => false,
            Err(errors) => {
                let text = errors.to_string();
                let want = "scenario.yaml:5:5: rule `second` is never reached: `first` at scenario.yaml:4:5 matches everything it matches";
                assert!(text.starts_with(want), "{text}");
                true
            }
        }
    };
    for (earlier, later) in [
        ("{}", "{}"),
        ("{}", "{role: a, turn: 3}"),
        ("{role: a}", "{role: a, phase: b}"),
        ("{turn: 1..}", "{turn: [2, '5..']}"),
        ("{turn: [1, 2, 3]}", "{turn: 1..=3}"),
        ("{turn: 0..}", "{role: a}"),
        ("{round: ..=4}", "{round: 4, turn: 1}"),
        ("{title: 'Add *'}", "{title: Add a page}"),
        ("{title: '*'}", "{title: 'a*'}"),
        ("{title: 'a?'}", "{title: 'a?', task: x}"),
    ] {
        assert!(hidden(earlier, later), "{earlier} hides {later}");
    }
    for (earlier, later) in [
        ("{role: a, phase: b}", "{role: a}"),
        ("{role: a}", "{role: b}"),
        ("{turn: 2..}", "{turn: 1..}"),
        ("{turn: [1, 3]}", "{turn: 1..=3}"),
        ("{round: 0..}", "{role: a}"),
        ("{title: '*'}", "{role: a}"),
        ("{title: 'Add *'}", "{title: 'Add [ab]*'}"),
        ("{title: Add a page}", "{title: 'Add *'}"),
    ] {
        assert!(!hidden(earlier, later), "{earlier} does not hide {later}");
    }
}

#[test]
fn a_scenario_that_extends_another_answers_first() {
    let base = "
version: 1
name: base
description: the base
defaults: {chunk_bytes: 7}
rules:
  - {name: a, when: {task: A, turn: 0}, reply: [{text: {$file: a.txt}}]}
  - {name: b, when: {task: B}, reply: []}
  - include: rules/c.yaml
";
    let own = "
version: 1
name: own
extends: ../base/scenario.yaml
rules:
  - {name: b, when: {task: B}, reply: [{text: {$file: b.txt}}]}
  - {name: b again, when: {task: B, turn: 0..}, reply: []}
  - {when: {task: A, turn: 1}, reply: []}
";
    let c = "- {name: c, when: {}, reply: []}";
    let mut files = vec![
        ("../base/scenario.yaml", base),
        ("../base/rules/c.yaml", c),
        ("../base/a.txt", "from the base"),
        ("b.txt", "from beside"),
    ];
    let with = |files: &[(&'static str, &'static str)], own: &str| {
        let mut files = files.to_vec();
        files.push(("scenario.yaml", own));
        read(&files)
    };
    // A hidden rule is an error within one file only.
    let errors = with(&files, own).unwrap_err().to_string();
    assert!(errors.starts_with("scenario.yaml:7:5: rule `b again` is never reached"));
    let own = own.replace(
        "  - {name: b again, when: {task: B, turn: 0..}, reply: []}\n",
        "",
    );
    let scenario = with(&files, &own).unwrap();
    let names: Vec<_> = scenario.rules.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["b", "rule 2", "a", "c"]);
    let told = |n: usize| scenario.rules[n].reply.clone();
    assert_eq!(told(0), [ReplyPart::Text("from beside".to_owned())]);
    assert_eq!(told(2), [ReplyPart::Text("from the base".to_owned())]);
    assert_eq!(scenario.name, "own");
    assert_eq!(scenario.description, "the base");
    assert_eq!(scenario.defaults.chunk_bytes, 7);
    let c_at = scenario.rules[3].at.to_string();
    assert_eq!(c_at, "../base/rules/c.yaml:1:3");

    // Only `extends` may climb, and only at its beginning.
    for path in ["/base.yaml", "a/../b.yaml", "../", "..", "a\\\\b.yaml"] {
        let own = own.replace("../base/scenario.yaml", path);
        let errors = with(&files, &own).unwrap_err().to_string();
        assert!(
            errors.starts_with("scenario.yaml:4:10: "),
            "{path}: {errors}"
        );
        assert!(errors.contains("is not a path inside"), "{path}: {errors}");
    }
    let circle = own.replace("../base/", "");
    let errors = with(&files, &circle).unwrap_err().to_string();
    assert!(
        errors.contains("`extends` goes deeper than 4 scenarios"),
        "{errors}"
    );
    files.retain(|(path, _)| *path != "../base/a.txt");
    let errors = with(&files, &own).unwrap_err().to_string();
    assert!(errors.starts_with("../base/scenario.yaml:7:"), "{errors}");
}

#[test]
fn files_have_limits() {
    let long = "x".repeat(FILE_BYTES_MAX + 1);
    let fits = "x".repeat(FILE_BYTES_MAX - 100);
    let part = |name: &str| format!("    - text: {{$file: {name}}}\n");
    let load = |names: &[&str], text: &str| {
        let parts: String = names.iter().map(|name| part(name)).collect();
        let top = with_rules(&format!("- when: {{}}\n  reply:\n{parts}"));
        let mut files = vec![("scenario.yaml", top.as_str())];
        files.extend(names.iter().map(|name| (*name, text)));
        read(&files)
    };
    load(&["a", "b", "c"], &fits).unwrap();
    // A file named twice counts once.
    load(&["a", "a", "a", "a", "a"], &fits).unwrap();
    let errors = load(&["a", "b", "c", "d", "e"], &fits).unwrap_err();
    assert!(matches!(
        errors.0[..],
        [ScenarioError {
            problem: ScenarioProblem::ScenarioTooLarge { .. },
            ..
        }]
    ));
    let errors = load(&["a"], &long).unwrap_err();
    assert!(matches!(
        errors.0[..],
        [ScenarioError {
            problem: ScenarioProblem::FileTooLarge { .. },
            ..
        }]
    ));
    // Aliases cannot make a small file a large one.
    let mut bomb = format!(
        "- when: {{}}\n  reply: [{{text: &a0 {}}}]\n",
        "x".repeat(100_000)
    );
    bomb.push_str("- when: {}\n  reply:\n");
    bomb.push_str(&"    - text: *a0\n".repeat(60));
    let errors = read(&[("scenario.yaml", &with_rules(&bomb))]).unwrap_err();
    assert!(matches!(
        errors.0[..],
        [ScenarioError {
            problem: ScenarioProblem::Syntax { .. },
            ..
        }]
    ));
}

#[test]
fn disk_and_memory_give_the_same_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_rules("- {when: {}, reply: [{text: {$file: sub/a.txt}}]}\n");
    let path = folder.path().join("my.yaml");
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(&path, &text).unwrap();
    let errors = Scenario::load_file(&path).unwrap_err().to_string();
    assert!(
        errors.starts_with("my.yaml:4:29: could not read `sub/a.txt`: No such file"),
        "{errors}"
    );
    std::fs::write(folder.path().join("sub/a.txt"), "hello").unwrap();
    let disk = Scenario::load_file(&path).unwrap();
    let memory = read(&[("scenario.yaml", &text), ("sub/a.txt", "hello")]).unwrap();
    assert_eq!(disk.rules[0].reply, memory.rules[0].reply);
    std::fs::write(folder.path().join("sub/a.txt"), b"\xff").unwrap();
    let errors = Scenario::load_file(&path).unwrap_err().to_string();
    assert!(errors.contains("`sub/a.txt` is not UTF-8 text"), "{errors}");
    let errors = Scenario::load_file(folder.path()).unwrap_err().to_string();
    assert!(errors.contains("not a regular file"), "{errors}");
}

/// Every example of the page is a scenario that loads.
#[test]
fn the_page_shows_what_is_true() {
    let page = include_str!("../../../../docs/scenario-format.md");
    let mut files = HashMap::new();
    let mut n_rule_examples = 0;
    for block in page.split("\n```").skip(1).step_by(2) {
        let (info, text) = block.split_once('\n').unwrap();
        match info.split_once(' ') {
            Some(("yaml", "rule")) => {
                n_rule_examples += 1;
                let result = read(&[("scenario.yaml", &with_rules(text))]);
                assert!(result.is_ok(), "{text}\n{}", result.unwrap_err());
            }
            Some((_, path)) => {
                files.insert(path, text);
            }
            None => assert_eq!(info, "text"),
        }
    }
    assert_eq!(n_rule_examples, 5);
    let scenario = read(&Vec::from_iter(files.clone())).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(scenario.rules.len(), 4);
    let request = keys("role=implementer task=TSK-001 turn=0");
    let (_, rule) = scenario.find_rule(&request).unwrap();
    assert_eq!(rule.name, "write the code");
    let varied = read_from("gives-up.yaml", &Vec::from_iter(files.clone())).unwrap();
    assert_eq!(varied.find_rule(&request).unwrap().1.name, "rule 1");
    assert_eq!(varied.rules.len(), 3);
    let ReplyPart::Tool { input, .. } = &rule.reply[1] else {
        panic!()
    };
    assert_eq!(input["content"].as_str().unwrap().lines().count(), 2);

    // So are the messages.
    let page_lines = |text: &str| {
        let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&text), "the page lacks: {text}");
    };
    let no_match = scenario
        .find_rule(&keys("role=implementer task=TSK-002 round=1 turn=3"))
        .unwrap_err();
    page_lines(no_match.to_string().rsplit_once("; `").unwrap().0);
    let broken =
        files["scenario.yaml"].replace("phase: explore, turn: 0", "phase: explore, trun: 0");
    files.insert("scenario.yaml", &broken);
    files.remove("assets/discount.py");
    let errors = read(&Vec::from_iter(files)).unwrap_err().to_string();
    page_lines(&errors.replace("entity not found", "No such file or directory (os error 2)"));
}
