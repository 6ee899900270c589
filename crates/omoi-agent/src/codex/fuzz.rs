//! Fuzz targets: a line of the program, and its session file.

use std::collections::BTreeSet;

use omoi_testkit::fuzz::FuzzTarget;

use super::protocol::{AppServerLine, ProgramLine, ThreadItem, version_of_agent};
use super::rollout::RolloutRound;

/// Any bytes are a line or none; what is read of a line never fails.
#[test]
fn codex_line() {
    FuzzTarget::new(env!("CARGO_MANIFEST_DIR"), "codex_line").run(|input| {
        for line in input.split(|byte| *byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<AppServerLine>(line) else {
                continue;
            };
            match line.read() {
                ProgramLine::Item(news) => {
                    if let ThreadItem::FileChange { changes, .. } = news.item {
                        for change in &changes {
                            assert!(change.changed_paths().next().is_some());
                        }
                    }
                }
                ProgramLine::TurnEnded(turn) => {
                    turn.problem_text();
                }
                ProgramLine::Response {
                    result: Ok(result), ..
                } => {
                    version_of_agent(result["userAgent"].as_str().unwrap_or_default());
                }
                _ => {}
            }
        }
    });
}

/// A session file that the program or its agent wrote: each line gives at most one block or one result, and calls keep
/// their order.
#[test]
fn codex_rollout() {
    FuzzTarget::new(env!("CARGO_MANIFEST_DIR"), "codex_rollout").run(|input| {
        let text = String::from_utf8_lossy(input);
        let failed = BTreeSet::from(["b".to_owned()]);
        let round = RolloutRound::read(&text, &failed);
        let calls: Vec<_> = round.answer_calls().cloned().collect();
        let (reply, results) = round.into_parts();
        assert!(reply.0.len() + results.len() <= text.lines().count().max(1));
        let kept: Vec<_> = reply.tool_calls().into_iter().cloned().collect();
        assert_eq!(kept, calls);
    });
}
