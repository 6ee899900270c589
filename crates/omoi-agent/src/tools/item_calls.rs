//! Calls of one answer in their order, items of a phase's output together.

use std::collections::VecDeque;

use omoi_llm::wire::answer::BrokenCall;
use omoi_llm::wire::anthropic::ToolUseBlock;
use omoi_protocol::worker::AgentTool;
use serde_json::Value;

use super::submit_item;
use super::{AgentTools, ToolError, ToolOutcome, ToolOutput};

impl AgentTools {
    /// Runs calls in their order. Items that are called for side by side are handed in together: each report of its
    /// own would wait for the platform and its database.
    pub(crate) async fn run_calls(
        &self,
        calls: &[&ToolUseBlock],
        broken: &[BrokenCall],
    ) -> Vec<ToolOutcome> {
        let mut outcomes = Vec::new();
        let mut known = VecDeque::new();
        for (at, call) in calls.iter().enumerate() {
            if known.is_empty() {
                known = self.hand_in_items(&calls[at..], broken).await;
            }
            let broken = broken.iter().find(|broken| broken.id == call.id);
            outcomes.push(self.conclude_call(call, broken, known.pop_front()).await);
        }
        outcomes
    }

    /// Hands in the items that `calls` begin with; gives what became of each.
    async fn hand_in_items(
        &self,
        calls: &[&ToolUseBlock],
        broken: &[BrokenCall],
    ) -> VecDeque<Result<String, ToolError>> {
        let name = AgentTool::SubmitItem.as_str();
        if self.find_tool(name).is_none() {
            return VecDeque::new();
        }
        let is_item = |call: &&&ToolUseBlock| {
            call.name == name && broken.iter().all(|broken| broken.id != call.id)
        };
        let items = calls.iter().take_while(is_item);
        let inputs: Vec<&Value> = items.map(|call| &call.input).collect();
        submit_item::run_all(self, &inputs).await
    }

    /// Hands in one item.
    pub(super) async fn hand_in_item(&self, input: &Value) -> Result<ToolOutput, ToolError> {
        let mut told = submit_item::run_all(self, &[input]).await;
        let told = told.pop_front().unwrap_or_else(|| Ok(String::new()));
        told.map(ToolOutput::from)
    }
}
