//! The loop: ask, run the tools, save, commit the turn.

use std::sync::Arc;

use serde_json::{Value, json};

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptStopReason, SubjectKind};
use omoi_domain::retry::ErrorClass;
use omoi_llm::client::Client;
use omoi_llm::wire::answer::BrokenCall;
use omoi_llm::wire::anthropic::{ContentBlock, StopReason};
use omoi_protocol::worker::{
    AttemptContext, COMPLETION_SIGNAL, CommitTurn, InboxMessage, TurnRecord,
};
use omoi_runtime::telemetry::error_chain;

use crate::beside::Inbox;
use crate::model::{NoAnswer, WorkerPace, ask};
use crate::platform::{CallError, Platform};
use crate::reporter::Reporter;
use crate::tools::{Toolbox, may_change_files, shortened};
use crate::transcript::{BadTurn, NUDGES_MAX, Said, Transcript, ended};
use crate::work::{SaveError, Work};

/// Characters of a message that an event or a report carries.
pub(crate) const TEXT_CHARS_MAX: usize = 5_000;

/// How a pass came to its end by itself.
#[derive(Debug)]
pub(crate) enum End {
    /// The agent says that its goal is reached.
    Done {
        /// How it said so.
        stop_reason: AttemptStopReason,
        /// What it says it did.
        summary: Option<String>,
    },
    /// A limit was reached.
    Limit(AttemptStopReason),
    /// An error.
    Failed {
        /// Its class.
        class: ErrorClass,
        /// For people.
        message: String,
    },
    /// Another attempt took over.
    Superseded,
}

/// Why a turn did not come to its end.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error("the platform did not take the turn")]
    Call(#[from] CallError),
    #[error("the turn could not be saved")]
    Save(#[from] SaveError),
    #[error("the request or the turn cannot be written")]
    Json(#[from] serde_json::Error),
    #[error("the transcript is broken")]
    Transcript(#[from] BadTurn),
    #[error("the model gave no answer")]
    NoAnswer { class: ErrorClass, message: String },
    #[error("the attempt was superseded")]
    Superseded,
}

/// What the tool calls of one turn gave.
struct ToolsRun {
    /// One per call.
    results: Vec<ContentBlock>,
    /// Whether the phase's output was accepted as complete.
    accepted: bool,
    /// Why no further turn is of use.
    gives_up: Option<String>,
}

/// What a pass works with.
pub(crate) struct Pass<'a> {
    pub(crate) context: &'a AttemptContext,
    pub(crate) client: Client,
    pub(crate) pace: Arc<WorkerPace>,
    pub(crate) platform: Platform,
    pub(crate) reporter: Reporter,
    pub(crate) inbox: Inbox,
    pub(crate) toolbox: &'a Toolbox,
    pub(crate) work: Option<&'a mut Work>,
    /// Turns committed, those of a resumed attempt included.
    pub(crate) turns: &'a mut u32,
}

impl Pass<'_> {
    /// Takes turns until one of them is the last.
    ///
    /// May be dropped at any await: a turn that is not committed yet did not happen.
    pub(crate) async fn run(&mut self) -> End {
        let end = match self.turns().await {
            Ok(end) => end,
            Err(TurnError::Superseded | TurnError::Call(CallError::Superseded)) => End::Superseded,
            // A task may go on when it is sent back; a phase has no more rounds than its attempts.
            Err(TurnError::NoAnswer {
                class: ErrorClass::QuotaExceeded,
                message,
            }) if self.context.subject.kind() == SubjectKind::Task => {
                self.over_budget(&message).await;
                End::Limit(AttemptStopReason::MaxCostReached)
            }
            Err(TurnError::NoAnswer { class, message }) => End::Failed { class, message },
            Err(error @ TurnError::Call(CallError::Unreachable(_))) => End::Failed {
                class: ErrorClass::Network,
                message: error_chain(&error),
            },
            Err(error) => End::Failed {
                class: ErrorClass::AgentError,
                message: error_chain(&error),
            },
        };
        if let End::Failed { class, message } = &end {
            let data = json!({ "error_class": class, "error_message": shortened(message, TEXT_CHARS_MAX) });
            self.reporter
                .show(AgentEventKind::AgentFailed, data, message)
                .await;
        }
        end
    }

    async fn over_budget(&self, message: &str) {
        let data = json!({ "message": shortened(message, TEXT_CHARS_MAX) });
        self.reporter
            .show(AgentEventKind::BudgetSpent, data, message)
            .await;
    }

    async fn turns(&mut self) -> Result<End, TurnError> {
        let mut transcript = Transcript::new(self.context)?;
        *self.turns = transcript.n;
        if let Some(said) = ended(self.context)? {
            return Ok(self.done(&said));
        }
        while transcript.n < self.context.limits.turns_max {
            if transcript.nudges > NUDGES_MAX {
                return Ok(End::Limit(AttemptStopReason::NoCompletionSignal));
            }
            if let Some(end) = self.turn(&mut transcript).await? {
                return Ok(end);
            }
        }
        Ok(End::Limit(AttemptStopReason::MaxTurnsReached))
    }

    async fn turn(&mut self, transcript: &mut Transcript) -> Result<Option<End>, TurnError> {
        let (request, digest) = transcript.request(self.context)?;
        let answer = ask(&self.client, &self.pace, &request).await;
        let answer = answer.map_err(|no| match no {
            NoAnswer::Superseded => TurnError::Superseded,
            NoAnswer::Final { class, message } => TurnError::NoAnswer { class, message },
        })?;
        let said = Said::new(answer.response.content);
        self.report(transcript.n, &said, answer.response.stop_reason.as_ref())
            .await;
        let ToolsRun {
            mut results,
            accepted,
            gives_up,
        } = self.run_tools(&said, &answer.broken_calls).await;
        let is_last = accepted || (self.is_finished(&said) && self.inbox.is_empty());
        if results.is_empty() && !is_last {
            results.push(ContentBlock::text(self.expected(&said)));
        }
        let injected = if is_last {
            Vec::new()
        } else {
            self.inject(&mut results)
        };
        let touched = said.calls().iter().any(|call| may_change_files(&call.name));
        let turn = TurnRecord {
            n: transcript.n,
            request_digest: digest,
            response: serde_json::to_value(&said.0)?,
            tool_results: serde_json::to_value(&results)?,
        };
        let messages = injected.iter().map(|message| message.id).collect();
        let body = CommitTurn {
            turn,
            snapshot: None,
            messages,
        };
        let results = self.commit(body, results, touched).await?;
        self.tell(injected).await;
        let end = match gives_up {
            Some(message) if !is_last => Some(End::Failed {
                class: ErrorClass::AgentError,
                message,
            }),
            _ => is_last.then(|| self.done(&said)),
        };
        transcript.push(said, results);
        *self.turns = transcript.n;
        Ok(end)
    }

    /// A task ends by its signal, and only when nothing is left to run; a phase ends by its tool.
    fn is_finished(&self, said: &Said) -> bool {
        self.context.subject.kind() != SubjectKind::SpecPhase
            && said.calls().is_empty()
            && said.is_signal()
    }

    fn done(&self, said: &Said) -> End {
        End::Done {
            stop_reason: match self.context.subject.kind() {
                SubjectKind::SpecPhase => AttemptStopReason::SubmitDone,
                _ => AttemptStopReason::CompletionSignal,
            },
            summary: said.summary(),
        }
    }

    /// What an answer without a tool call is answered.
    fn expected(&self, said: &Said) -> String {
        match self.context.subject.kind() {
            SubjectKind::SpecPhase => {
                "No tool was called. Hand in what is missing with `submit_item`, then call \
                 `submit_done`; only that ends the phase."
                    .to_owned()
            }
            _ if self.is_finished(said) => {
                "Before you finish, consider the message below. Then answer again, with the \
                 completion signal when the task is done."
                    .to_owned()
            }
            _ => format!(
                "No tool was called and the task was not declared done. Go on with the task; when it is \
                 done, answer with a short summary whose last line is exactly {COMPLETION_SIGNAL}."
            ),
        }
    }

    /// Runs the calls in order.
    async fn run_tools(&self, said: &Said, broken: &[BrokenCall]) -> ToolsRun {
        let mut results = Vec::new();
        let mut accepted = false;
        let mut gives_up = None;
        for call in said.calls() {
            let broken = broken.iter().find(|b| b.id == call.id);
            let outcome = self.toolbox.call(call, broken).await;
            accepted |= outcome.ends_phase;
            gives_up = gives_up.or(outcome.gives_up);
            results.push(ContentBlock::tool_result(
                &call.id,
                outcome.text,
                outcome.is_error,
            ));
        }
        ToolsRun {
            results,
            accepted,
            gives_up,
        }
    }

    /// Puts the messages that came into the next user message.
    fn inject(&self, results: &mut Vec<ContentBlock>) -> Vec<InboxMessage> {
        let messages = self.inbox.take();
        for message in &messages {
            let InboxMessage {
                sender, content, ..
            } = message;
            results.push(ContentBlock::text(format!(
                "Message from {sender} ({}):\n{content}",
                message.message_type
            )));
        }
        messages
    }

    /// Shows people the messages that a turn took in.
    async fn tell(&self, messages: Vec<InboxMessage>) {
        for message in messages {
            let data = json!({
                "message_id": message.id, "message_type": message.message_type,
                "sender": message.sender, "content": shortened(&message.content, TEXT_CHARS_MAX),
            });
            let summary = format!("message from {}: {}", message.sender, message.content);
            self.reporter
                .show(AgentEventKind::MessageInjected, data, &summary)
                .await;
        }
    }

    /// Hands the turn in; returns the results as they were committed.
    async fn commit(
        &mut self,
        mut body: CommitTurn,
        mut results: Vec<ContentBlock>,
        touched: bool,
    ) -> Result<Vec<ContentBlock>, TurnError> {
        body.snapshot = match &mut self.work {
            Some(work) if touched => match work.snapshot().await {
                Err(error) if error.is_mendable() => {
                    work.not_taken();
                    let why = shortened(&error_chain(&error), TEXT_CHARS_MAX);
                    body.turn.tool_results = tell_unsaved(&mut results, &why)?;
                    None
                }
                snapshot => snapshot?,
            },
            _ => None,
        };
        let has_snapshot = body.snapshot.is_some();
        match self.platform.tell("/turns", &body).await {
            Ok(_) => return Ok(results),
            Err(CallError::Refused { message, .. }) if has_snapshot => {
                if let Some(work) = &mut self.work {
                    work.not_taken();
                }
                // The agent can mend it: a file too large, a name that is not allowed.
                body.turn.tool_results = tell_unsaved(&mut results, &message)?;
            }
            Err(other) => return Err(other.into()),
        }
        body.snapshot = None;
        self.platform.tell("/turns", &body).await?;
        Ok(results)
    }

    async fn report(&self, turn: u32, said: &Said, stop_reason: Option<&StopReason>) {
        let text = said.summary().unwrap_or_default();
        let stop_reason = serde_json::to_value(stop_reason).unwrap_or(Value::Null);
        let data = json!({
            "turn": turn, "stop_reason": stop_reason, "tool_calls": said.calls().len(),
            "text": shortened(&text, TEXT_CHARS_MAX),
        });
        self.reporter
            .event(AgentEventKind::AssistantMessage, data)
            .await;
    }
}

/// Tells the model with the results of its calls why the workspace could not be saved; gives the
/// results as they are stored.
fn tell_unsaved(results: &mut Vec<ContentBlock>, why: &str) -> Result<Value, serde_json::Error> {
    if !results.is_empty() {
        results.push(ContentBlock::text(format!(
            "The state of the workspace could not be saved: {why}\nMend it, or the work cannot be \
             taken over."
        )));
    }
    serde_json::to_value(results)
}
