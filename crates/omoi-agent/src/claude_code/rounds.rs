//! Puts the lines of Claude Code together to rounds: one answer of the model with its tool results.
//!
//! A program's turn has many rounds, and each is committed as a turn of the attempt, as those of the
//! native loop are. Tools may begin while their answer still comes, so a round ends when the answer is
//! whole and every call of it has a result.

use std::collections::VecDeque;

use omoi_llm::wire::anthropic::{ContentBlock, StopReason};
use serde_json::Value;

use super::protocol::{MessageLine, OutputLine, StreamPiece};
use super::tools::platform_name;
use crate::transcript::AgentReply;

/// Model name of the program's own words.
const SYNTHETIC: &str = "<synthetic>";

/// A step of a round.
#[derive(Clone, Debug)]
pub(super) enum RoundStep {
    /// The answer is whole.
    Answered {
        /// The answer.
        reply: AgentReply,
        /// Why it ended.
        stop_reason: Option<StopReason>,
    },
    /// The tools of the answer have run.
    Ended {
        /// The answer.
        reply: AgentReply,
        /// Their results.
        results: Vec<ContentBlock>,
        /// Id of the answer.
        message_id: Option<String>,
        /// Whether the program waits for a message now.
        is_waiting: bool,
    },
}

/// The round under way.
#[derive(Debug, Default)]
pub(super) struct RoundAssembler {
    message_id: Option<String>,
    blocks: Vec<ContentBlock>,
    results: Vec<ContentBlock>,
    stop_reason: Option<String>,
    is_answered: bool,
    is_ended: bool,
    steps: VecDeque<RoundStep>,
}

impl RoundAssembler {
    /// Takes the next step that the lines so far make.
    pub(super) fn take_step(&mut self) -> Option<RoundStep> {
        self.steps.pop_front()
    }

    /// Adds a line.
    pub(super) fn add_line(&mut self, line: &OutputLine) {
        match line {
            OutputLine::Assistant(line) if is_of_model(line) => self.add_answer(line),
            OutputLine::User(line) if line.parent_tool_use_id.is_none() => self.add_results(line),
            OutputLine::StreamEvent(line) if line.parent_tool_use_id.is_none() => {
                match &line.event {
                    StreamPiece::MessageDelta { delta } => {
                        self.stop_reason.clone_from(&delta.stop_reason);
                    }
                    StreamPiece::MessageStop => self.end_answer(),
                    StreamPiece::Other => {}
                }
            }
            // A turn that ends while a round is open was interrupted, or says its last words.
            OutputLine::Result(result) if !result.is_error => {
                if self.is_ended || self.blocks.is_empty() {
                    self.clear();
                    self.blocks = AgentReply::new(Vec::new()).0;
                }
                self.end_answer();
                self.end_round(true);
            }
            _ => {}
        }
    }

    /// Whether the answer of the round under way is whole.
    pub(super) fn has_whole_answer(&self) -> bool {
        self.is_answered && !self.is_ended
    }

    /// Whether tools of the round may run or have run, and it has not ended.
    pub(super) fn is_open(&self) -> bool {
        let is_call = |block: &ContentBlock| matches!(block, ContentBlock::ToolUse(_));
        !self.is_ended && self.blocks.iter().any(is_call)
    }

    /// Name and id of the call with that id, as far as the answer is known.
    pub(super) fn name_of(&self, id: &str) -> Option<&str> {
        self.blocks.iter().find_map(|block| match block {
            ContentBlock::ToolUse(call) if call.id == id => Some(call.name.as_str()),
            _ => None,
        })
    }

    fn add_answer(&mut self, line: &MessageLine) {
        if self.is_ended || (self.message_id.is_some() && self.message_id != line.message.id) {
            // An answer that never became whole: its stream was cut and asked for again.
            if !self.is_ended && self.results.is_empty() {
                self.clear();
            }
            self.end_answer();
            self.end_round(false);
            self.clear();
        }
        self.message_id.clone_from(&line.message.id);
        for block in line.message.read_blocks() {
            self.blocks.push(match block {
                ContentBlock::ToolUse(mut call) => {
                    call.name = platform_name(&call.name).to_owned();
                    ContentBlock::ToolUse(call)
                }
                other => other,
            });
        }
    }

    fn add_results(&mut self, line: &MessageLine) {
        let results = line.message.read_blocks().into_iter();
        let results = results.filter(|block| matches!(block, ContentBlock::ToolResult(_)));
        self.results.extend(results);
        self.end_if_whole();
    }

    fn end_answer(&mut self) {
        if self.is_answered || self.is_ended || self.blocks.is_empty() {
            return;
        }
        self.is_answered = true;
        let stop_reason = self.stop_reason.take().map(Value::String);
        self.steps.push_back(RoundStep::Answered {
            reply: AgentReply::new(self.blocks.clone()),
            stop_reason: stop_reason.and_then(|word| serde_json::from_value(word).ok()),
        });
        self.end_if_whole();
    }

    /// Ends the round when tools were called and all have run; without any, the program's turn ends it.
    fn end_if_whole(&mut self) {
        let calls = self.blocks.iter().filter_map(|block| match block {
            ContentBlock::ToolUse(call) => Some(call.id.as_str()),
            _ => None,
        });
        let mut calls = calls.peekable();
        let has_run = |id: &str| self.results.iter().any(|block| answers(block, id));
        if self.is_answered && calls.peek().is_some() && calls.all(has_run) {
            self.end_round(false);
        }
    }

    fn end_round(&mut self, is_waiting: bool) {
        if self.is_ended || !self.is_answered {
            return;
        }
        self.is_ended = true;
        self.steps.push_back(RoundStep::Ended {
            reply: AgentReply::new(self.blocks.clone()),
            results: std::mem::take(&mut self.results),
            message_id: self.message_id.clone(),
            is_waiting,
        });
    }

    fn clear(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        *self = Self {
            steps,
            ..Self::default()
        };
    }
}

fn is_of_model(line: &MessageLine) -> bool {
    line.parent_tool_use_id.is_none() && line.message.model.as_deref() != Some(SYNTHETIC)
}

fn answers(block: &ContentBlock, id: &str) -> bool {
    matches!(block, ContentBlock::ToolResult(result) if result.tool_use_id == id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;

    fn block(id: &str, block: Value) -> Value {
        json!({"type": "assistant", "message": {"id": id, "model": "m", "content": [block]}})
    }

    fn call(id: &str, call: &str) -> Value {
        block(
            id,
            json!({"type": "tool_use", "id": call, "name": "mcp__omoi__submit_item", "input": {}}),
        )
    }

    fn text(id: &str, text: &str) -> Value {
        block(id, json!({"type": "text", "text": text}))
    }

    fn result(call: &str) -> Value {
        let content = json!([{"type": "tool_result", "tool_use_id": call, "content": "ok"}]);
        json!({"type": "user", "message": {"role": "user", "content": content}})
    }

    fn stop(reason: &str) -> [Value; 2] {
        let event = |event: Value| json!({"type": "stream_event", "event": event});
        [
            event(json!({"type": "message_delta", "delta": {"stop_reason": reason}})),
            event(json!({"type": "message_stop"})),
        ]
    }

    fn end(is_error: bool) -> Value {
        json!({"type": "result", "subtype": "success", "is_error": is_error})
    }

    /// The steps that `lines` make, each as one word with its counts.
    fn steps(lines: &[Value]) -> Vec<String> {
        let mut rounds = RoundAssembler::default();
        let mut told = Vec::new();
        for line in lines {
            rounds.add_line(&serde_json::from_value(line.clone()).unwrap());
            while let Some(step) = rounds.take_step() {
                told.push(match step {
                    RoundStep::Answered { reply, stop_reason } => {
                        let reason = serde_json::to_value(stop_reason).unwrap();
                        format!("answered {} {reason}", reply.tool_calls().len())
                    }
                    RoundStep::Ended {
                        reply,
                        results,
                        is_waiting,
                        ..
                    } => {
                        let names: Vec<_> =
                            reply.tool_calls().iter().map(|c| c.name.clone()).collect();
                        format!("ended {names:?} {} {is_waiting}", results.len())
                    }
                });
            }
        }
        told
    }

    #[test]
    fn a_round_ends_when_its_answer_is_whole_and_every_call_has_run() {
        let [delta, whole] = stop("tool_use");
        // The first tool has run before the second is asked for.
        let lines = [
            text("m0", "Now."),
            call("m0", "a"),
            result("a"),
            call("m0", "b"),
            delta,
            whole,
            result("b"),
        ];
        let want = [
            r#"answered 2 "tool_use""#,
            r#"ended ["submit_item", "submit_item"] 2 false"#,
        ];
        assert_eq!(steps(&lines), want);
    }

    #[test]
    fn a_turn_ends_with_the_round_without_a_call() {
        let [delta, whole] = stop("end_turn");
        let first = [call("m0", "a"), stop("tool_use")[1].clone(), result("a")];
        let mut lines = first.to_vec();
        lines.extend([text("m1", "Done."), delta, whole, end(false)]);
        let want = [
            "answered 1 null",
            r#"ended ["submit_item"] 1 false"#,
            r#"answered 0 "end_turn""#,
            "ended [] 0 true",
        ];
        assert_eq!(steps(&lines), want);
        // The next turn begins anew.
        lines.extend([text("m2", "More."), end(false)]);
        assert_eq!(steps(&lines)[4..], ["answered 0 null", "ended [] 0 true"]);
        // A turn that says nothing is an answer as well.
        let silent = [first.to_vec(), vec![end(false)]].concat();
        assert_eq!(steps(&silent)[2..], ["answered 0 null", "ended [] 0 true"]);
    }

    #[test]
    fn what_is_not_the_models_word_makes_no_round() {
        let synthetic = json!({"type": "assistant", "message": {
            "id": "x", "model": SYNTHETIC, "content": [{"type": "text", "text": "API Error"}]}});
        assert!(steps(&[synthetic, end(true)]).is_empty());
        let mut nested = text("m0", "A sub-agent.");
        nested["parent_tool_use_id"] = json!("t");
        assert!(steps(&[nested]).is_empty());
    }

    #[test]
    fn an_answer_that_was_cut_is_forgotten_when_it_is_asked_for_again() {
        let [delta, whole] = stop("end_turn");
        let lines = [
            text("m0", "Half"),
            text("m1", "Whole."),
            delta,
            whole,
            end(false),
        ];
        assert_eq!(
            steps(&lines),
            [r#"answered 0 "end_turn""#, "ended [] 0 true"]
        );
    }
}
