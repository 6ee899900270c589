//! One answer of the model as the program tells it: words and calls, and how the calls ended.

use agent_client_protocol::v1::schema::{
    ContentBlock as AcpContent, ToolCall, ToolCallContent, ToolCallStatus, ToolCallUpdate, ToolKind,
};
use omoi_llm::wire::anthropic::{ContentBlock, ToolUseBlock};
use serde_json::{Value, json};

use super::effect::{is_own, platform_name, tool_name};
use super::start::AcpManners;
use crate::claude_code::tools::exit_code;
use crate::program::tool_observer::ToolEnd;
use crate::transcript::AgentReply;

/// The answer under way.
#[derive(Debug, Default)]
pub(super) struct AcpRound {
    parts: Vec<RoundPart>,
}

#[derive(Debug)]
enum RoundPart {
    Words(String),
    Call(Box<RoundCall>),
}

/// A call of the answer.
#[derive(Clone, Debug)]
pub(super) struct RoundCall {
    /// What the model called.
    pub(super) name: String,
    /// What the program has told of it.
    pub(super) told: ToolCall,
}

impl RoundCall {
    /// The program's id of it.
    pub(super) fn call_id(&self) -> &str {
        &self.told.tool_call_id.0
    }

    /// Whether it is one of ours.
    pub(super) fn is_own(&self) -> bool {
        is_own(&self.name)
    }

    fn has_ended(&self) -> bool {
        matches!(
            self.told.status,
            ToolCallStatus::Completed | ToolCallStatus::Failed
        )
    }

    /// How it ended.
    pub(super) fn tool_end(&self, manners: AcpManners) -> ToolEnd {
        let text = output_text(&self.told, manners.tells_contents);
        let has_failed = self.told.status != ToolCallStatus::Completed;
        let told = told_exit_code(self.told.raw_output.as_ref());
        let exit_code = told.or_else(|| match self.told.kind {
            ToolKind::Execute if manners.reads_exit_from_text => exit_code(has_failed, &text),
            _ => None,
        });
        ToolEnd {
            is_error: has_failed || exit_code.is_some_and(|code| code != 0),
            text,
            exit_code,
        }
    }

    /// It as the model called it.
    pub(super) fn to_block(&self) -> ToolUseBlock {
        ToolUseBlock {
            id: self.call_id().to_owned(),
            name: platform_name(&self.name).to_owned(),
            input: self.told.raw_input.clone().unwrap_or_else(|| json!({})),
            extra: Default::default(),
        }
    }

    fn to_result(&self, tells_contents: bool) -> ContentBlock {
        let (words, is_error) = match self.has_ended() {
            true => (
                output_text(&self.told, tells_contents),
                self.told.status == ToolCallStatus::Failed,
            ),
            false => ("The call was not run.".to_owned(), true),
        };
        ContentBlock::tool_result(self.call_id().to_owned(), words, is_error)
    }
}

impl AcpRound {
    /// The model said more.
    pub(super) fn add_words(&mut self, content: &AcpContent) {
        let AcpContent::Text(more) = content else {
            return;
        };
        // Some tell their usage so, also behind the end of an answer.
        if more.text.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(RoundPart::Words(words)) => words.push_str(&more.text),
            _ => self.parts.push(RoundPart::Words(more.text.clone())),
        }
    }

    /// The model calls a tool; one that is known already goes on.
    pub(super) fn add_call(&mut self, call: ToolCall) {
        if let Some(known) = self.find_mut(&call.tool_call_id.0) {
            known.told = call;
            return;
        }
        let call = RoundCall {
            name: tool_name(&call),
            told: call,
        };
        self.parts.push(RoundPart::Call(Box::new(call)));
    }

    /// A call goes on; gives it when it has just ended.
    pub(super) fn update_call(&mut self, update: ToolCallUpdate) -> Option<RoundCall> {
        let call = self.find_mut(&update.tool_call_id.0)?;
        let had_ended = call.has_ended();
        call.told.update(update.fields);
        (!had_ended && call.has_ended()).then(|| call.clone())
    }

    /// A question tells of a call what was not told before; some tell of it by their question alone.
    pub(super) fn complete_call(&mut self, asked: &ToolCallUpdate) {
        let Some(known) = self.find_mut(&asked.tool_call_id.0) else {
            let title = asked.fields.title.clone().unwrap_or_default();
            let mut call = ToolCall::new(asked.tool_call_id.clone(), title);
            call.update(asked.fields.clone());
            call.meta.clone_from(&asked.meta);
            self.add_call(call);
            return;
        };
        if !has_arguments(&known.told) {
            let input = asked.fields.raw_input.clone();
            known.told.raw_input = input.or(known.told.raw_input.take());
        }
    }

    /// The call `id`.
    pub(super) fn find_call(&self, id: &str) -> Option<&RoundCall> {
        self.all_calls().find(|call| call.call_id() == id)
    }

    /// Whether there is nothing of it yet.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether a call has not ended.
    pub(super) fn has_open_calls(&self) -> bool {
        self.all_calls().any(|call| !call.has_ended())
    }

    /// The answer with its results; what comes next is of another.
    pub(super) fn take_answer(&mut self, tells_contents: bool) -> (AgentReply, Vec<ContentBlock>) {
        let parts = std::mem::take(&mut self.parts);
        let results = parts.iter().filter_map(|part| match part {
            RoundPart::Call(call) => Some(call.to_result(tells_contents)),
            RoundPart::Words(_) => None,
        });
        let results = results.collect();
        let blocks = parts.into_iter().map(|part| match part {
            RoundPart::Words(words) => ContentBlock::text(words),
            RoundPart::Call(call) => ContentBlock::ToolUse(call.to_block()),
        });
        (AgentReply::new(blocks.collect()), results)
    }

    /// The calls, in the order of the answer.
    pub(super) fn all_calls(&self) -> impl Iterator<Item = &RoundCall> {
        self.parts.iter().filter_map(|part| match part {
            RoundPart::Call(call) => Some(call.as_ref()),
            RoundPart::Words(_) => None,
        })
    }

    fn find_mut(&mut self, id: &str) -> Option<&mut RoundCall> {
        let mut calls = self.parts.iter_mut().filter_map(|part| match part {
            RoundPart::Call(call) => Some(call.as_mut()),
            RoundPart::Words(_) => None,
        });
        calls.find(|call| call.call_id() == id)
    }
}

/// Arguments that say nothing of what a call does.
const PLAIN_ARGUMENTS: [&str; 2] = ["cwd", "description"];

/// Whether the program has told what the call is made with: it may ask a little earlier.
pub(super) fn has_arguments(call: &ToolCall) -> bool {
    let input = call.raw_input.as_ref().and_then(Value::as_object);
    let mut keys = input.into_iter().flat_map(serde_json::Map::keys);
    call.status != ToolCallStatus::Pending
        || keys.any(|key| !PLAIN_ARGUMENTS.contains(&key.as_str()))
}

/// What the model was told of a call; with `tells_contents` its output is for people.
fn output_text(call: &ToolCall, tells_contents: bool) -> String {
    let texts = call.content.iter().filter_map(|content| match content {
        ToolCallContent::Content(content) => match &content.content {
            AcpContent::Text(text) => Some(text.text.as_str()),
            _ => None,
        },
        _ => None,
    });
    let contents = texts.collect::<Vec<_>>().join("\n");
    if tells_contents && !contents.is_empty() {
        return contents;
    }
    let output = call.raw_output.as_ref();
    let told = output.and_then(|output| {
        let field = |name| output.get(name).and_then(Value::as_str);
        output
            .as_str()
            .or_else(|| field("output"))
            .or_else(|| field("error"))
    });
    told.map_or(contents, str::to_owned)
}

fn told_exit_code(output: Option<&Value>) -> Option<i32> {
    let output = output?;
    let code = [
        &output["metadata"]["exit"],
        &output["exit_code"],
        &output["exitCode"],
    ];
    let code = code.into_iter().find_map(Value::as_i64)?;
    i32::try_from(code).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use agent_client_protocol::v1::schema::SessionUpdate;

    use super::*;

    fn add(round: &mut AcpRound, update: Value) -> Option<String> {
        match serde_json::from_value(update).unwrap() {
            SessionUpdate::AgentMessageChunk(chunk) => round.add_words(&chunk.content),
            SessionUpdate::ToolCall(call) => round.add_call(call),
            SessionUpdate::ToolCallUpdate(update) => {
                return round.update_call(update).map(|call| call.name);
            }
            other => unreachable!("{other:?}"),
        }
        None
    }

    fn words(text: &str) -> Value {
        json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})
    }

    fn call(id: &str, title: &str) -> Value {
        json!({"sessionUpdate": "tool_call", "toolCallId": id, "title": title, "kind": "execute",
               "status": "pending", "rawInput": {}})
    }

    fn update(id: &str, status: &str, more: Value) -> Value {
        let mut update =
            json!({"sessionUpdate": "tool_call_update", "toolCallId": id, "status": status});
        update
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        update
    }

    #[test]
    fn an_answer_is_its_words_and_calls_with_what_came_of_them() {
        let mut round = AcpRound::default();
        assert!(round.is_empty() && !round.has_open_calls());
        add(&mut round, words("I "));
        add(&mut round, words("look."));
        add(&mut round, call("a", "bash"));
        add(&mut round, call("b", "omoi_submit_item"));
        add(&mut round, call("c", "bash"));
        let input = json!({"title": "ls", "rawInput": {"command": "ls"}});
        assert_eq!(add(&mut round, update("a", "in_progress", input)), None);
        let output = json!({"rawOutput": {"output": "x\n", "metadata": {"exit": 3}}});
        let ended = add(&mut round, update("a", "completed", output.clone()));
        assert_eq!(ended.as_deref(), Some("bash"));
        assert_eq!(add(&mut round, update("a", "completed", output)), None);
        let refusal =
            json!({"content": [{"type": "content", "content": {"type": "text", "text": "no"}}]});
        add(&mut round, update("b", "failed", refusal));
        assert_eq!(add(&mut round, update("z", "completed", json!({}))), None);
        assert!(round.has_open_calls());
        let end = round
            .find_call("a")
            .unwrap()
            .tool_end(AcpManners::default());
        assert_eq!((end.is_error, end.exit_code), (true, Some(3)));

        let (reply, results) = round.take_answer(false);
        assert!(round.is_empty());
        assert_eq!(reply.0[0].as_text(), Some("I look."));
        let calls: Vec<_> = reply
            .tool_calls()
            .iter()
            .map(|c| (c.name.clone(), c.input.clone()))
            .collect();
        assert_eq!(calls[0], ("bash".to_owned(), json!({"command": "ls"})));
        assert_eq!(calls[1].0, "submit_item");
        let results = serde_json::to_value(results).unwrap();
        assert_eq!(results[0]["content"], "x\n");
        assert_eq!(results[1]["content"], "no");
        assert_eq!(results[1]["is_error"], true);
        assert_eq!(results[2]["content"], "The call was not run.");
    }

    #[test]
    fn a_question_tells_what_was_not_told_before() {
        let mut round = AcpRound::default();
        add(&mut round, call("a", "Shell"));
        add(&mut round, words(""));
        let asked = |id: &str, input: Value| -> ToolCallUpdate {
            serde_json::from_value(json!({
                "toolCallId": id, "title": "ls", "kind": "execute", "status": "pending",
                "rawInput": input, "_meta": {"toolName": "run_shell_command"},
            }))
            .unwrap()
        };
        round.complete_call(&asked("a", json!({"command": "ls"})));
        round.complete_call(&asked("a", json!({"command": "other"})));
        round.complete_call(&asked("b", json!({"command": "id"})));
        let (reply, _) = round.take_answer(true);
        let calls: Vec<_> = reply
            .tool_calls()
            .iter()
            .map(|c| (c.name.clone(), c.input["command"].clone()))
            .collect();
        let want = [("Shell", "ls"), ("run_shell_command", "id")];
        let want = want.map(|(name, command)| (name.to_owned(), json!(command)));
        assert_eq!(calls, want);
    }

    #[test]
    fn a_question_waits_for_the_arguments_of_its_call() {
        for (status, input, want) in [
            ("pending", json!({}), false),
            ("pending", json!({"cwd": "/w"}), false),
            ("pending", json!({"command": "ls"}), true),
            ("in_progress", json!({}), true),
        ] {
            let call =
                json!({"toolCallId": "a", "title": "t", "status": status, "rawInput": input});
            let call: ToolCall = serde_json::from_value(call).unwrap();
            assert_eq!(has_arguments(&call), want, "{call:?}");
        }
    }

    #[test]
    fn a_call_ends_as_its_program_tells_it() {
        let fenced = json!([{"type": "content", "content": {"type": "text", "text": "words"}}]);
        let told = AcpManners::default();
        let bridge = AcpManners {
            reads_exit_from_text: true,
            ..told
        };
        let shown = AcpManners {
            tells_contents: true,
            ..told
        };
        let says = "Exit code 3\nx";
        let failed = json!(says);
        // One that ran out of time completes without a code.
        let stopped = json!({"output": "x", "metadata": {"exit": null}});
        let code = |exit: i32| json!({"output": "x", "metadata": {"exit": exit}});
        let own = |exit: i32| json!({"output": "x", "exitCode": exit});
        for (status, output, manners, want) in [
            ("failed", failed.clone(), bridge, (says, true, Some(3))),
            ("failed", failed, told, (says, true, None)),
            ("completed", json!("x"), bridge, ("x", false, Some(0))),
            ("completed", json!("x"), told, ("x", false, None)),
            ("completed", stopped, told, ("x", false, None)),
            ("completed", own(0), shown, ("words", false, Some(0))),
            ("failed", own(7), shown, ("words", true, Some(7))),
            ("completed", code(1), told, ("x", true, Some(1))),
        ] {
            let mut round = AcpRound::default();
            add(&mut round, call("a", "bash"));
            let more = json!({"rawOutput": output, "content": fenced});
            add(&mut round, update("a", status, more));
            let end = round.find_call("a").unwrap().tool_end(manners);
            let found = (end.text.as_str(), end.is_error, end.exit_code);
            assert_eq!(found, want, "{output}");
        }
    }
}
