//! What proves what, as a tree.

use insta::assert_snapshot;
use serde_json::json;

use omoi_protocol::api::SpecTrace;

use super::shown;
use crate::view::text_layout::{OutputPage, display_width};
use crate::view::trace_tree;

#[test]
fn a_trace_names_what_proves_what() {
    let receipt = json!({
        "command": "python3 -m unittest tests.test_dates", "kind": "proof", "stage": "head",
        "commit": "9a9a9a9bbbb", "tree": "7b7b7b7cccc", "passed": true, "exit_code": 0, "rung": "bubblewrap",
        "self_tested": true, "exercised": null, "output": "....\nOK\u{7}\n", "took_ms": 312,
        "task_ref": null,
    });
    let counted = json!({ "ran": 7, "failed": 0, "skipped": 0 });
    let suites = [("unittest", counted), ("meson", json!(null))].map(|(runner, counts)| {
        let mut receipt = receipt.clone();
        receipt["tests"] = json!({ "runners": [runner], "counts": counts, "failures": [] });
        receipt
    });
    let trace: SpecTrace = serde_json::from_value(json!({
        "spec_ref": "SPEC-1", "title": "Tags", "head": "9a9a9a9bbbb", "model": "simulated", "model_kind": "simulated",
        "outside_plan": ["docs/notes.md", "tests/conftest.py"],
        "dependencies_changed": ["TSK-2: added npm:left-pad@1.3.0; removed npm:left-pad@1.2.0"],
        "opinion": { "model": "reader", "is_same_model": false, "skipped": null,
            "was_sent_back": true, "doubts": [
                { "check": "TSK-001/1", "criterion": "REQ-TAGS-001#1", "blocking": true,
                  "how": "A function that returns the tags of the test passes, whatever it is given." },
                { "check": "TSK-002/1", "criterion": "REQ-TAGS-001#2", "blocking": false,
                  "how": "One tag has any order.\u{7}" } ] },
        "requirements": [{
            "id": "REQ-TAGS-001", "title": "Tags",
            "text": "WHEN a person adds a todo with tags, THE SYSTEM SHALL keep every tag in the order given.",
            "criteria": [
                { "id": "REQ-TAGS-001#1", "text": "tags are kept", "proven": true, "stale_since": null,
                  "tasks": [["TSK-001", "5e5e5e5aaaa"]], "receipts": [receipt] },
                { "id": "REQ-TAGS-001#2", "text": "order is kept", "proven": false,
                  "stale_since": "abcdef0123", "tasks": [["TSK-002", null]], "receipts": [] },
                { "id": "REQ-TAGS-001#3", "text": "no tag is an empty list", "proven": true,
                  "stale_since": null, "tasks": [["TSK-001", "5e5e5e5aaaa"]], "receipts": [],
                  "ablation": { "verdict": "weak", "head": "9a9a9a9bbbb", "without": ["TSK-001"],
                    "reason": "without TSK-001, `sh check.sh` still passes", "is_accepted": true } },
                { "id": "REQ-TAGS-001#4", "text": "tags are sorted", "proven": true,
                  "stale_since": null, "tasks": [], "receipts": suites,
                  "ablation": { "verdict": "unknown", "head": "9a9a9a9bbbb", "without": ["TSK-001"],
                    "reason": "taking back TSK-001 conflicts in todo/model.py", "is_accepted": false } },
            ],
        }],
    }))
    .unwrap();
    let page = OutputPage::new(100, false);
    let without = shown(&trace_tree::render_trace(&trace, false, page));
    let with = shown(&trace_tree::render_trace(&trace, true, page));
    assert_snapshot!(format!("{without}\n----\n{with}"));
    let narrow = OutputPage::new(80, false);
    for line in trace_tree::render_trace(&trace, false, narrow) {
        assert!(display_width(&line) <= narrow.width, "{line}");
    }
}
