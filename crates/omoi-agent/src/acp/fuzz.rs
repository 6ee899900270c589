//! Fuzz targets: what a program tells of its answer, and the session that is put back from turns.

use std::collections::BTreeSet;
use std::path::Path;

use agent_client_protocol::v1::schema::{SessionNotification, SessionUpdate};
use omoi_domain::attempt::TurnKind;
use omoi_protocol::worker::TurnRecord;
use omoi_testkit::fuzz::FuzzTarget;
use serde_json::Value;

use super::opencode_session::{SessionSource, render_session};
use super::round::AcpRound;
use super::start::AcpManners;
use crate::test_context::task_context;

/// An answer has a result for each of its calls, in whatever order and state they are told.
#[test]
fn acp_update() {
    FuzzTarget::new(env!("CARGO_MANIFEST_DIR"), "acp_update").run(|input| {
        let mut round = AcpRound::default();
        for line in input.split(|byte| *byte == b'\n') {
            let Ok(told) = serde_json::from_slice::<SessionNotification>(line) else {
                continue;
            };
            match told.update {
                SessionUpdate::AgentMessageChunk(chunk) => round.add_words(&chunk.content),
                SessionUpdate::ToolCall(call) => round.add_call(call),
                SessionUpdate::ToolCallUpdate(update) => {
                    if let Some(ended) = round.update_call(update) {
                        assert!(round.find_call(ended.call_id()).is_some());
                        ended.tool_end(AcpManners::default());
                    }
                }
                _ => {}
            }
        }
        let (reply, results) = round.take_answer(true);
        assert_eq!(reply.tool_calls().len(), results.len());
        assert!(round.is_empty());
    });
}

/// Turns that a model and its tools filled, answer and results in turn: each part of the session has an id of its own,
/// and messages stand in the order of their ids.
#[test]
fn opencode_session() {
    FuzzTarget::new(env!("CARGO_MANIFEST_DIR"), "opencode_session").run(|input| {
        let mut context = task_context(None, 1_000);
        let mut values = input
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        while let Some(response) = values.next() {
            context.resume.push(TurnRecord {
                n: context.resume.len() as u32,
                kind: TurnKind::Answer,
                request_digest: String::new(),
                request_tokens: None,
                response,
                tool_results: values.next().unwrap_or_else(|| Value::Array(Vec::new())),
                session: None,
            });
        }
        let source = SessionSource {
            id: "ses_1",
            workspace: Path::new("/work"),
            version: "1",
        };
        let Ok(session) = render_session(&context, &source) else {
            return;
        };
        let messages = session["messages"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        assert!(messages.len() > context.resume.len());
        let ids = messages
            .iter()
            .map(|message| message["info"]["id"].as_str());
        assert!(ids.is_sorted());
        let parts = messages
            .iter()
            .filter_map(|message| message["parts"].as_array());
        let ids: Vec<_> = parts.flatten().map(|part| part["id"].as_str()).collect();
        let different: BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
    });
}
