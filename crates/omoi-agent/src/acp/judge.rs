//! What the program asks before a call runs. Calls of ours run one after another, in the order of the
//! answer.

use agent_client_protocol::v1::schema::{
    PermissionOption, PermissionOptionKind, RequestPermissionOutcome, RequestPermissionRequest,
    RequestPermissionResponse, SelectedPermissionOutcome, ToolCall,
};

use super::connection::PermissionQuestion;
use super::effect::effects_of;
use super::round::{RoundCall, has_arguments};
use super::{AcpAgent, WaitingQuestion};
use crate::program::tool_rules::ToolEffect;

impl AcpAgent<'_> {
    /// Takes a question, and answers what can be answered.
    pub(super) async fn add_question(&mut self, question: PermissionQuestion) {
        if self.is_stopping {
            answer(question, None);
            return;
        }
        self.round.complete_call(&question.request.tool_call);
        let since = self.host.clock.now();
        self.questions
            .push_back(WaitingQuestion { question, since });
        self.answer_questions(false).await;
    }

    /// Answers the questions in their order, up to one that has to wait; with `is_late`, the first one
    /// waits for its arguments no more.
    pub(super) async fn answer_questions(&mut self, is_late: bool) {
        let mut is_late = is_late;
        while let Some(waiting) = self.questions.pop_front() {
            let call = self.call_of(&waiting.question.request);
            let is_held = call.is_own() && self.own_call.is_some();
            let is_told = call.is_own() || is_late || has_arguments(&call.told);
            if is_held || !is_told {
                self.questions.push_front(waiting);
                return;
            }
            is_late = false;
            let verdict = self.judge(&call).await;
            if call.is_own() && verdict.is_ok() {
                self.own_call = Some(call.call_id().to_owned());
            }
            answer(waiting.question, Some(verdict.is_ok()));
        }
    }

    /// The turn is stopped: nothing runs any more.
    pub(super) fn cancel_questions(&mut self) {
        for waiting in self.questions.drain(..) {
            answer(waiting.question, None);
        }
    }

    /// Reports what a call did that has ended; of one that was refused, with the reason.
    pub(super) async fn report_end(&mut self, call: &RoundCall) {
        if call.is_own() {
            if self.own_call.as_deref() == Some(call.call_id()) {
                self.own_call = None;
            }
            return;
        }
        if self.manners.acts_unasked && !self.verdicts.contains_key(call.call_id()) {
            // It has run. What it must not have done is told, and put back at the end.
            let verdict = self.judge(call).await;
            self.verdicts.insert(call.call_id().to_owned(), Ok(()));
            if let Err(refusal) = verdict {
                tracing::info!("A call that nobody was asked about: {refusal}");
            }
        }
        let mut end = call.tool_end(self.manners);
        let effects = effects_of(&call.name, &call.told);
        let names_files =
            |effect: &ToolEffect| matches!(effect, ToolEffect::Read(_) | ToolEffect::Write(_));
        if end.is_error && effects.iter().all(names_files) {
            // Rules of ours in the program's settings may have forbidden it, without a question.
            let _ = self.judge(call).await;
        }
        if let Some(Err(refusal)) = self.verdicts.get(call.call_id()) {
            end.text.clone_from(refusal);
        }
        for n in 0..effects.len().max(1) {
            let id = part_id(call.call_id(), n);
            self.host.observer.end_call(&id, &call.name, &end).await;
        }
    }

    /// The call that a question is about, with what the question adds to it.
    fn call_of(&self, request: &RequestPermissionRequest) -> RoundCall {
        let asked = &request.tool_call;
        let known = self.round.find_call(&asked.tool_call_id.0).cloned();
        let Some(mut call) = known else {
            let told = ToolCall::new(asked.tool_call_id.clone(), "");
            return RoundCall {
                name: String::new(),
                told,
            };
        };
        let places = asked.fields.locations.iter().flatten();
        call.told.locations.extend(places.cloned());
        let contents = asked.fields.content.iter().flatten();
        call.told.content.extend(contents.cloned());
        call
    }

    /// Whether a call may run, or why not. A call is judged once, however often it is asked for.
    async fn judge(&mut self, call: &RoundCall) -> Result<(), String> {
        if let Some(verdict) = self.verdicts.get(call.call_id()) {
            return verdict.clone();
        }
        let mut verdict = Ok(());
        for (n, effect) in effects_of(&call.name, &call.told).iter().enumerate() {
            let mut block = call.to_block();
            block.id = part_id(call.call_id(), n);
            if let ToolEffect::Write(path) = effect {
                block.input = serde_json::json!({ "file_path": path });
            }
            let found = self.host.observer.begin_call(&block, effect).await;
            verdict = verdict.and(found);
        }
        self.verdicts
            .insert(call.call_id().to_owned(), verdict.clone());
        verdict
    }
}

/// A call that touches several files is one of the observer for each of them.
fn part_id(id: &str, n: usize) -> String {
    match n {
        0 => id.to_owned(),
        n => format!("{id}/{n}"),
    }
}

/// Answers a question: allowed once, refused once, or given up.
fn answer(question: PermissionQuestion, is_allowed: Option<bool>) {
    let outcome = is_allowed
        .and_then(|is_allowed| choose_option(&question.request.options, is_allowed))
        .map_or(RequestPermissionOutcome::Cancelled, |option| {
            let chosen = SelectedPermissionOutcome::new(option.option_id.clone());
            RequestPermissionOutcome::Selected(chosen)
        });
    // A connection that has ended says so elsewhere.
    let _ = question
        .responder
        .respond(RequestPermissionResponse::new(outcome));
}

/// The option for this once; their ids differ from program to program.
fn choose_option(options: &[PermissionOption], is_allowed: bool) -> Option<&PermissionOption> {
    use PermissionOptionKind::{AllowAlways, AllowOnce, RejectAlways, RejectOnce};
    let kinds = match is_allowed {
        true => [AllowOnce, AllowAlways],
        false => [RejectOnce, RejectAlways],
    };
    let mut found = kinds
        .iter()
        .filter_map(|kind| options.iter().find(|o| o.kind == *kind));
    found.next()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_is_for_this_once_whatever_it_is_called() {
        let options: Vec<PermissionOption> = serde_json::from_value(json!([
            {"optionId": "forever", "name": "a", "kind": "allow_always"},
            {"optionId": "now", "name": "b", "kind": "allow_once"},
            {"optionId": "never", "name": "c", "kind": "reject_always"},
        ]))
        .unwrap();
        let chosen = |is_allowed| {
            choose_option(&options, is_allowed).map(|option| option.option_id.0.to_string())
        };
        assert_eq!(chosen(true).as_deref(), Some("now"));
        assert_eq!(chosen(false).as_deref(), Some("never"));
        assert!(choose_option(&options[..2], false).is_none());
    }
}
