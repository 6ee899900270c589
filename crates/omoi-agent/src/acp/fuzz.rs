//! Fuzz target: what a program tells of its answer.

use agent_client_protocol::v1::schema::{SessionNotification, SessionUpdate};
use omoi_testkit::fuzz::FuzzTarget;

use super::round::AcpRound;
use super::start::AcpManners;

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
