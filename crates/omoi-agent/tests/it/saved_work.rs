//! What a turn left behind: saved while the model is asked on, put back, or said to be lost.

use omoi_domain::attempt::AttemptOutcome;

use crate::bench::{Bench, git};

/// The model is asked while the turn before is committed; its tools wait for that.
#[tokio::test]
async fn the_next_question_does_not_wait_for_the_commit_and_its_tools_do() {
    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: write, input: {path: one, content: "1"}}}]
  - when: {turn: 1}
    reply: [{tool: {name: write, input: {path: two, content: "2"}}}]
  - when: {turn: 2}
    reply: [{text: TASK_COMPLETE}]
"#;
    let bench = Bench::new(rules).await;
    bench.set(|seen| seen.first_turn_waits = Some(bench.work().join("two")));
    assert!(bench.run().await);
    let seen = bench.seen();
    assert_eq!(seen.is_made_early, Some(false));
    assert_eq!(seen.asked, 3, "no question is asked twice");
    let turns: Vec<_> = seen.turns.iter().map(|t| t.turn.n).collect();
    assert_eq!(turns, [0, 1, 2]);
    let saved = seen.turns[0].snapshot.as_ref();
    let saved = bench.take_in(saved.unwrap());
    let changed = ["diff", "--name-only", bench.base(), &saved];
    assert_eq!(git(&bench.mirror(), &changed), "one");
}

#[tokio::test]
async fn work_that_cannot_be_saved_is_told_to_the_model_and_reported() {
    // A command, and what the model and the platform are told.
    let cases = [
        (
            "head -c 3000000 /dev/urandom > data/big.bin; echo x > kept",
            "data/big.bin (3000000 bytes)",
        ),
        ("echo broken > .git/HEAD", "not a git repository"),
        ("rm -rf .git", "not a git repository"),
    ];
    for (command, told) in cases {
        let command = serde_json::to_string(&format!("mkdir -p data; {command}")).unwrap();
        let rules = format!(
            "\n  - when: {{turn: 0}}\n    reply: [{{tool: {{name: shell, input: {{command: {command}}}}}}}]\n  \
             - when: {{turn: 1}}\n    reply: [{{text: TASK_COMPLETE}}]\n"
        );
        let bench = Bench::new(&rules).await;
        assert!(bench.run().await, "{command}");
        let results = bench.seen().turns[0].turn.tool_results.to_string();
        assert!(
            results.contains("could not be saved"),
            "{command}: {results}"
        );
        assert!(results.contains(told), "{command}: {results}");
        let complete = bench.complete();
        assert_eq!(complete.outcome, AttemptOutcome::Succeeded, "{complete:?}");
        let unsaved = complete.unsaved.unwrap_or_default();
        assert!(unsaved.contains(told), "{command}: {unsaved}");
        assert!(complete.bundle.is_none());
    }
}

#[tokio::test]
async fn files_that_git_ignores_are_named_when_nothing_else_changed() {
    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: shell, input: {command: "echo out >> .git/info/exclude; mkdir out; echo x > out/a.txt"}}}]
  - when: {turn: 1}
    reply: [{text: TASK_COMPLETE}]
"#;
    let bench = Bench::new(rules).await;
    assert!(bench.run().await);
    let complete = bench.complete();
    assert!(complete.bundle.is_none());
    assert_eq!(complete.ignored_paths, ["out/"]);
}

#[tokio::test]
async fn protected_paths_are_put_back_and_undone_work_is_known() {
    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: shell, input: {command: "echo bad > .omoi_os/plan.md; echo new > .omoi_os/new.md; echo x > kept"}}}]
  - when: {turn: 1}
    reply: [{tool: {name: write, input: {path: ../../escape.txt, content: x}}}]
  - when: {turn: 2}
    reply: [{text: TASK_COMPLETE}]
"#;
    let bench = Bench::new(rules).await;
    assert!(bench.run().await);
    let complete = bench.complete();
    assert_eq!(
        complete.refused_paths,
        ["../../escape.txt", ".omoi_os/new.md", ".omoi_os/plan.md"]
    );
    let head = bench.take_in(complete.bundle.as_ref().unwrap());
    let changed = git(
        &bench.mirror(),
        &["diff", "--name-only", bench.base(), &head],
    );
    assert_eq!(changed, "kept");
    assert!(!bench.work().join(".omoi_os/new.md").exists());

    let rules = r#"
  - when: {turn: 0}
    reply: [{tool: {name: shell, input: {command: "echo x > a"}}}]
  - when: {turn: 1}
    reply: [{tool: {name: shell, input: {command: "rm a"}}}]
  - when: {turn: 2}
    reply: [{text: TASK_COMPLETE}]
"#;
    let bench = Bench::new(rules).await;
    assert!(bench.run().await);
    let snapshots: Vec<String> = bench
        .seen()
        .turns
        .iter()
        .filter_map(|t| t.snapshot.as_ref().map(|b| bench.take_in(b)))
        .map(|sha| {
            git(
                &bench.mirror(),
                &["diff", "--name-only", bench.base(), &sha],
            )
        })
        .collect();
    assert_eq!(snapshots, ["a", ""]);
    assert!(bench.complete().bundle.is_none());
}

#[tokio::test]
async fn a_begun_merge_gets_both_parents() {
    let rules = "\n  - when: {turn: 0}\n    reply: [{tool: {name: write, input: {path: readme, content: \"both\\n\"}}}]\n  - when: {turn: 1}\n    reply: [{text: TASK_COMPLETE}]\n";
    let bench = Bench::new(rules).await;
    let theirs = bench.begin_merge();
    assert!(bench.run().await);
    let head = bench.take_in(bench.complete().bundle.as_ref().unwrap());
    let parents = git(&bench.mirror(), &["show", "-s", "--format=%P", &head]);
    assert_eq!(parents, format!("{} {theirs}", bench.base()));
}
