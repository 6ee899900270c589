//! The lines of a session file of Codex: what the model answered and what it was told, in the order of
//! the answer. The program's news name neither.

use std::collections::BTreeSet;

use omoi_llm::wire::anthropic::{ContentBlock, ToolUseBlock};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::program::tool_server::SERVER_NAME;
use crate::transcript::AgentReply;

/// What the program puts before the name of a server.
const PREFIX: &str = "mcp__";
/// Ends the lines of a round.
pub(super) const ROUND_MARK: &str = r#""type":"token_count""#;
/// Ends the lines of a turn.
pub(super) const TURN_MARK: &str = r#""type":"task_complete""#;

/// What the lines of one round hold.
#[derive(Clone, Debug, Default)]
pub(super) struct RolloutRound {
    /// Words and calls of the model.
    blocks: Vec<ContentBlock>,
    /// What it was told of the calls.
    results: Vec<ContentBlock>,
}

#[derive(Deserialize)]
struct RolloutLine {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    payload: Value,
}

impl RolloutRound {
    /// Reads whole lines; `failed` are the calls that failed, which the file does not say.
    pub(super) fn read(lines: &str, failed: &BTreeSet<String>) -> Self {
        let mut round = Self::default();
        for line in lines.lines() {
            match serde_json::from_str::<RolloutLine>(line) {
                Ok(line) if line.kind == "response_item" => round.add_item(&line.payload, failed),
                _ => {}
            }
        }
        round
    }

    /// The calls, in the order of the answer.
    pub(super) fn answer_calls(&self) -> impl Iterator<Item = &ToolUseBlock> {
        self.blocks.iter().filter_map(|block| match block {
            ContentBlock::ToolUse(call) => Some(call),
            _ => None,
        })
    }

    /// The answer and what it was told.
    pub(super) fn into_parts(self) -> (AgentReply, Vec<ContentBlock>) {
        (AgentReply::new(self.blocks), self.results)
    }

    fn add_item(&mut self, item: &Value, failed: &BTreeSet<String>) {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        match item["type"].as_str().unwrap_or_default() {
            "message" if item["role"] == "assistant" => {
                self.blocks
                    .push(ContentBlock::text(words_of(&item["content"])));
            }
            "function_call" => {
                let input = serde_json::from_str(&text("arguments"));
                self.add_call(item, input.unwrap_or_else(|_| json!(text("arguments"))));
            }
            "custom_tool_call" => self.add_call(item, json!({ "input": text("input") })),
            "function_call_output" | "custom_tool_call_output" => {
                let id = text("call_id");
                let is_error = failed.contains(&id);
                let words = words_of(&item["output"]);
                self.results
                    .push(ContentBlock::tool_result(id, words, is_error));
            }
            _ => {}
        }
    }

    fn add_call(&mut self, item: &Value, input: Value) {
        let text = |key: &str| item[key].as_str().unwrap_or_default();
        let name = match item["namespace"].as_str() {
            Some(space) if space.strip_prefix(PREFIX) != Some(SERVER_NAME) => {
                format!("{space}/{}", text("name"))
            }
            _ => text("name").to_owned(),
        };
        self.blocks.push(ContentBlock::ToolUse(ToolUseBlock {
            id: text("call_id").to_owned(),
            name,
            input,
            extra: Default::default(),
        }));
    }
}

/// A text, or the words of a list of parts.
fn words_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let words = parts.iter().filter_map(|part| part["text"].as_str());
            words.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, payload: &Value) -> String {
        format!(
            "{}\n",
            json!({"timestamp": "t", "type": kind, "payload": payload})
        )
    }

    #[test]
    fn a_round_is_read_in_the_order_of_its_answer() {
        let item = |payload: Value| line("response_item", &payload);
        let text = [
            item(
                json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]}),
            ),
            line(
                "event_msg",
                &json!({"type": "agent_message", "message": "I look."}),
            ),
            item(json!({"type": "reasoning", "encrypted_content": "x"})),
            item(
                json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]}),
            ),
            item(
                json!({"type": "function_call", "name": "exec_command", "arguments": "{\"cmd\":\"ls\"}", "call_id": "a"}),
            ),
            item(
                json!({"type": "function_call", "name": "submit_item", "namespace": "mcp__omoi", "arguments": "{}", "call_id": "b"}),
            ),
            item(
                json!({"type": "function_call", "name": "spawn", "namespace": "agents", "arguments": "broken", "call_id": "c"}),
            ),
            item(
                json!({"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin", "call_id": "d"}),
            ),
            item(json!({"type": "function_call_output", "call_id": "a", "output": "x"})),
            item(
                json!({"type": "function_call_output", "call_id": "b", "output": [
                {"type": "input_text", "text": "Output:"}, {"type": "input_text", "text": "no"}]}),
            ),
            "half a li".to_owned(),
        ];
        let failed = BTreeSet::from(["b".to_owned()]);
        let round = RolloutRound::read(&text.concat(), &failed);
        let calls: Vec<_> = round.answer_calls().map(|call| call.name.clone()).collect();
        assert_eq!(
            calls,
            ["exec_command", "submit_item", "agents/spawn", "apply_patch"]
        );
        let (reply, results) = round.into_parts();
        assert_eq!(reply.0[0].as_text(), Some("I look."));
        assert_eq!(reply.tool_calls()[0].input["cmd"], "ls");
        assert_eq!(reply.tool_calls()[2].input, "broken");
        let told = serde_json::to_value(&results).unwrap_or_default();
        assert_eq!(told[0]["content"], "x");
        assert_eq!(told[1]["content"], "Output:\nno");
        assert_eq!(told[1]["is_error"], true);
        assert_eq!(RolloutRound::read("", &failed).answer_calls().count(), 0);
    }
}
