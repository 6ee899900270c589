//! Fuzz target: a line of the program.

use omoi_testkit::fuzz::FuzzTarget;

use super::protocol::{AppServerLine, ProgramLine, ThreadItem, version_of_agent};

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
