//! Fuzz targets: edits and patches, as a model writes them, and calls of our tools, as a program passes them on.

use omoi_protocol::worker::{AgentTool, ReportDiscovery};
use omoi_testkit::fuzz::FuzzTarget;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage};
use serde_json::Value;

use super::edit_text::{TextEdit, apply_edits};
use super::patch_text::{FilePatch, apply_hunks, parse_patch};
use super::submit_done::SubmitDoneInput;
use super::submit_item::SubmitItemInput;
use super::{ToolError, parse_input};

const CRATE: &str = env!("CARGO_MANIFEST_DIR");
/// Stands between the parts of an input.
const PART: &str = "\n----\n";

/// A text, and pairs of old and new: made or refused, and never made to nothing.
#[test]
fn edit_text() {
    FuzzTarget::new(CRATE, "edit_text").run(|input| {
        let input = String::from_utf8_lossy(input);
        let parts: Vec<&str> = input.split(PART).collect();
        let Some((text, pairs)) = parts.split_first() else {
            return;
        };
        let pairs = pairs.chunks_exact(2);
        let edits: Vec<TextEdit> = pairs
            .map(|pair| TextEdit {
                old: pair[0].to_owned(),
                new: pair[1].to_owned(),
                replace_all: pair[0].len() % 2 == 1,
            })
            .collect();
        match apply_edits(text, &edits) {
            Ok(edited) => {
                assert!(edited.n_places >= edits.len(), "{edited:?}");
                assert_eq!(
                    edited.text.starts_with('\u{feff}'),
                    text.starts_with('\u{feff}')
                );
            }
            Err(refused) => assert!(refused.index < edits.len()),
        }
    });
}

/// A text and a patch: read and made, or refused.
#[test]
fn patch_text() {
    FuzzTarget::new(CRATE, "patch_text").run(|input| {
        let input = String::from_utf8_lossy(input);
        let (text, patch) = input.split_once(PART).unwrap_or(("", &input));
        let Ok(files) = parse_patch(patch) else {
            return;
        };
        assert!(!files.is_empty());
        for file in &files {
            assert!(!file.patched_paths().is_empty());
            if let FilePatch::Update { hunks, .. } = file
                && let Err(refused) = apply_hunks(text, hunks)
            {
                assert!(refused.index < hunks.len());
            }
        }
    });
}

/// Lines of the Model Context Protocol: a call of one of our tools has an input, or is told what was expected.
#[test]
fn mcp_line() {
    FuzzTarget::new(CRATE, "mcp_line").run(|input| {
        for line in input.split(|byte| *byte == b'\n') {
            let Ok(JsonRpcMessage::Request(request)) =
                serde_json::from_slice::<ClientJsonRpcMessage>(line)
            else {
                continue;
            };
            let ClientRequest::CallToolRequest(call) = request.request else {
                continue;
            };
            let told = Value::Object(call.params.arguments.unwrap_or_default());
            let read = match call.params.name.as_ref() {
                "submit_item" => {
                    parse_input::<SubmitItemInput>(AgentTool::SubmitItem, &told).map(drop)
                }
                "submit_done" => {
                    parse_input::<SubmitDoneInput>(AgentTool::SubmitDone, &told).map(drop)
                }
                "report_discovery" => {
                    parse_input::<ReportDiscovery>(AgentTool::ReportDiscovery, &told).map(drop)
                }
                _ => Ok(()),
            };
            if let Err(error) = read {
                assert!(matches!(error, ToolError::Input { .. }));
                assert!(error.to_string().contains("expected {"), "{error}");
            }
        }
    });
}
