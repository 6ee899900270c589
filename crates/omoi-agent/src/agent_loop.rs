//! The agent loop: take a turn of the runtime, snapshot, commit, answer; until it is done.
//!
//! A runtime that asks the model before it runs tools is answered first: it asks while the turn is saved and
//! committed, and goes on once both are done.

mod turn_commit;

use serde_json::{Value, json};

use omoi_domain::agent_event::AgentEventKind;
use omoi_domain::attempt::{AttemptStopReason, SubjectKind, TurnKind};
use omoi_domain::retry::ErrorClass;
use omoi_llm::wire::anthropic::{ContentBlock, StopReason};
use omoi_protocol::worker::{
    AskPerson, AttemptContext, COMPLETION_SIGNAL, CommitTurn, InboxMessage, TurnRecord,
    told_message,
};
use omoi_runtime::telemetry::error_chain;

use self::turn_commit::OpenTurn;
use crate::attempt_work::{AttemptWork, SaveError};
use crate::compaction::CompactedTurns;
use crate::event_reporter::EventReporter;
use crate::inbox::MessageInbox;
use crate::platform_client::{CallError, PlatformClient};
use crate::runtime::{AgentRuntime, AgentTurn, RuntimeError, RuntimeEvent, SummaryTurn};
use crate::tools::{last_question, shorten_text};
use crate::transcript::{AgentReply, BadTurn, NUDGES_MAX, TurnCount, final_reply};

/// Characters of a message that an event or a report carries.
pub(crate) const TEXT_CHARS_MAX: usize = 5_000;

/// How the loop ended by itself, without a stop from outside.
#[derive(Debug)]
pub(crate) enum LoopEnd {
    /// The agent reported that its goal is reached.
    Done {
        /// How it reply so.
        stop_reason: AttemptStopReason,
        /// The agent's summary of its work.
        summary: Option<String>,
    },
    /// A limit was reached.
    Limit(AttemptStopReason),
    /// An error that ends the attempt.
    Failed {
        /// Error class that decides about a retry.
        class: ErrorClass,
        /// Reason for people to read.
        message: String,
    },
    /// The process of the agent program is gone.
    ProgramEnded {
        /// How it ended, for people to read.
        message: String,
        /// Whether calls of the turn in flight may have done something.
        has_acted: bool,
    },
    /// A person is asked, and the work rests until somebody answers.
    Asked(AskPerson),
    /// Another attempt took over.
    Superseded,
}

/// Why a turn could not be completed.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error("the platform did not take the turn")]
    Call(#[from] CallError),
    #[error("the turn could not be saved")]
    Save(#[from] SaveError),
    #[error("the turn cannot be written")]
    Json(#[from] serde_json::Error),
    #[error("the transcript is broken")]
    Transcript(#[from] BadTurn),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// What follows a turn.
enum TurnFollowUp {
    /// It was the last.
    Last(LoopEnd),
    /// The next turn, with its first event where the runtime asked while the turn was committed.
    Next(Option<Box<RuntimeEvent>>),
}

/// The agent loop of one attempt, with everything that it uses.
pub(crate) struct AgentLoop<'a> {
    pub(crate) context: &'a AttemptContext,
    pub(crate) platform: PlatformClient,
    pub(crate) reporter: EventReporter,
    pub(crate) inbox: MessageInbox,
    pub(crate) work: Option<&'a mut AttemptWork>,
    /// Turns committed, those of a resumed attempt included.
    pub(crate) turns: &'a mut u32,
    /// Turns that this pass committed, where a program may have to go on from them.
    pub(crate) committed: Option<&'a mut Vec<TurnRecord>>,
}

impl AgentLoop<'_> {
    /// Takes turns until the agent is done, a limit is reached or an error ends the attempt.
    ///
    /// May be dropped at any await: a turn that is not committed yet did not happen.
    pub(crate) async fn run_turns(&mut self, runtime: &mut impl AgentRuntime) -> LoopEnd {
        let end = match self.take_turns(runtime).await {
            Ok(end) => end,
            Err(
                TurnError::Runtime(RuntimeError::Superseded)
                | TurnError::Call(CallError::Superseded),
            ) => LoopEnd::Superseded,
            Err(TurnError::Runtime(RuntimeError::Failed { class, message })) => {
                LoopEnd::Failed { class, message }
            }
            Err(TurnError::Runtime(RuntimeError::ProgramEnded { message, has_acted })) => {
                return LoopEnd::ProgramEnded { message, has_acted };
            }
            Err(error @ TurnError::Call(CallError::Unreachable(_))) => LoopEnd::Failed {
                class: ErrorClass::Network,
                message: error_chain(&error),
            },
            Err(error) => LoopEnd::Failed {
                class: ErrorClass::AgentError,
                message: error_chain(&error),
            },
        };
        match &end {
            LoopEnd::Failed {
                class: ErrorClass::QuotaExceeded,
                message,
            } => self.report_over_budget(message).await,
            LoopEnd::Failed { class, message } => {
                report_failure(&self.reporter, *class, message).await;
            }
            _ => {}
        }
        end
    }

    async fn report_over_budget(&self, message: &str) {
        let data = json!({ "message": shorten_text(message, TEXT_CHARS_MAX) });
        self.reporter
            .show_event(AgentEventKind::BudgetSpent, data, message)
            .await;
    }

    async fn take_turns(&mut self, runtime: &mut impl AgentRuntime) -> Result<LoopEnd, TurnError> {
        let mut count = TurnCount::of_context(self.context)?;
        *self.turns = count.next_turn;
        if let Some(reply) = final_reply(self.context)? {
            return Ok(self.done_end(&reply));
        }
        if let Some(question) = last_question(self.context)?
            && question.answer.is_none()
        {
            // Its worker was lost before the platform heard of it.
            return Ok(LoopEnd::Asked(question.asked));
        }
        runtime.start().await?;
        let mut next: Option<Box<RuntimeEvent>> = None;
        loop {
            if let Some(end) = limit_reached(self.context, &count) {
                return Ok(end);
            }
            let event = match next.take() {
                Some(event) => *event,
                None => runtime.events().await?,
            };
            match event {
                RuntimeEvent::Answered { reply, stop_reason } => {
                    self.report_reply(count.next_turn, &reply, stop_reason.as_ref())
                        .await;
                }
                RuntimeEvent::TurnEnded(turn) => {
                    match self.end_turn(runtime, turn, &mut count).await? {
                        TurnFollowUp::Last(end) => return Ok(end),
                        TurnFollowUp::Next(event) => next = event,
                    }
                }
                RuntimeEvent::Compacted(turn) => {
                    self.end_summary(runtime, turn, &mut count).await?;
                }
            }
        }
    }

    /// Commits a turn; answers it unless it was the last.
    async fn end_turn(
        &mut self,
        runtime: &mut impl AgentRuntime,
        turn: AgentTurn,
        count: &mut TurnCount,
    ) -> Result<TurnFollowUp, TurnError> {
        let AgentTurn {
            reply, mut results, ..
        } = turn;
        let is_signal = turn.is_waiting && self.is_finished(&reply);
        let is_last = turn.is_accepted || (is_signal && self.inbox.is_empty());
        if turn.is_waiting && !is_last {
            results.push(ContentBlock::text(self.nudge_text(&reply)));
        }
        let is_told = turn.is_waiting || runtime.capabilities().is_steered_between_calls;
        let rests = turn.gives_up.is_some() || turn.asks.is_some();
        let injected = if is_told && !is_last && !rests {
            self.inject_messages(&mut results)
        } else {
            Vec::new()
        };
        let record = TurnRecord {
            n: count.next_turn,
            kind: TurnKind::Answer,
            request_digest: turn.request_digest,
            request_tokens: turn.request_tokens,
            response: serde_json::to_value(&reply.0)?,
            tool_results: serde_json::to_value(&results)?,
            session: turn.session,
        };
        let body = CommitTurn {
            turn: record,
            snapshot: None,
            messages: injected.iter().map(|message| message.id).collect(),
        };
        count.add_turn(&reply);
        let goes_on = !is_last && !rests;
        let asks_ahead = goes_on
            && runtime.capabilities().asks_before_tools
            && limit_reached(self.context, count).is_none();
        let open = OpenTurn {
            body,
            has_results: !results.is_empty(),
            may_have_changed: turn.may_have_changed,
            injected,
        };
        let next = if asks_ahead {
            runtime.send(results).await?;
            Some(Box::new(self.commit_and_ask(runtime, open).await?))
        } else {
            results.extend(self.commit_turn(open).await?);
            if goes_on {
                runtime.send(results).await?;
            }
            None
        };
        if is_last {
            return Ok(TurnFollowUp::Last(self.done_end(&reply)));
        }
        if let Some(message) = turn.gives_up {
            let class = ErrorClass::AgentError;
            return Ok(TurnFollowUp::Last(LoopEnd::Failed { class, message }));
        }
        if let Some(asked) = turn.asks {
            return Ok(TurnFollowUp::Last(LoopEnd::Asked(asked)));
        }
        Ok(TurnFollowUp::Next(next))
    }

    /// Commits a summary and lets the runtime go on from it. Messages wait for the answer behind it.
    async fn end_summary(
        &mut self,
        runtime: &mut impl AgentRuntime,
        turn: SummaryTurn,
        count: &mut TurnCount,
    ) -> Result<(), TurnError> {
        let CompactedTurns { summary, record } = turn.compacted;
        let body = CommitTurn {
            turn: TurnRecord {
                n: count.next_turn,
                kind: TurnKind::Compaction,
                request_digest: turn.request_digest,
                request_tokens: turn.request_tokens,
                response: serde_json::to_value(&summary.0)?,
                tool_results: serde_json::to_value(&record)?,
                session: None,
            },
            snapshot: None,
            messages: Vec::new(),
        };
        self.platform.post_only("/turns", &body).await?;
        count.next_turn += 1;
        *self.turns = count.next_turn;
        let text = summary.summary_text().unwrap_or_default();
        let data = json!({
            "turn": body.turn.n, "tokens_before": turn.tokens_before,
            "summary": shorten_text(&text, TEXT_CHARS_MAX),
        });
        let line = format!(
            "summed up its conversation of about {} tokens",
            turn.tokens_before
        );
        self.reporter
            .show_event(AgentEventKind::ContextCompacted, data, &line)
            .await;
        Ok(runtime.send(record).await?)
    }

    /// A task ends by its signal, and only when nothing is left to run; a phase ends by its tool.
    fn is_finished(&self, reply: &AgentReply) -> bool {
        self.context.subject.kind() != SubjectKind::SpecPhase
            && reply.tool_calls().is_empty()
            && reply.is_signal()
    }

    fn done_end(&self, reply: &AgentReply) -> LoopEnd {
        LoopEnd::Done {
            stop_reason: match self.context.subject.kind() {
                SubjectKind::SpecPhase => AttemptStopReason::SubmitDone,
                _ => AttemptStopReason::CompletionSignal,
            },
            summary: reply.summary_text(),
        }
    }

    /// The user message that follows an answer without a tool call.
    fn nudge_text(&self, reply: &AgentReply) -> String {
        if let Some(tool) = reply.worded_call()
            && !self.is_finished(reply)
        {
            return format!(
                "The call of `{tool}` stands in the words of the answer, so it was not run. Call the tool itself, \
                 by the tool calls of this API."
            );
        }
        match self.context.subject.kind() {
            SubjectKind::SpecPhase => {
                "No tool was called. Hand in what is missing with `submit_item`, then call \
                 `submit_done`; only that ends the phase."
                    .to_owned()
            }
            _ if self.is_finished(reply) => {
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

    /// Appends received messages to the next user message.
    fn inject_messages(&self, results: &mut Vec<ContentBlock>) -> Vec<InboxMessage> {
        let messages = self.inbox.take_messages();
        for message in &messages {
            let told = told_message(message.sender, message.message_type, &message.content);
            results.push(ContentBlock::text(told));
        }
        messages
    }

    async fn report_reply(&self, turn: u32, reply: &AgentReply, stop_reason: Option<&StopReason>) {
        let text = reply.summary_text().unwrap_or_default();
        let stop_reason = serde_json::to_value(stop_reason).unwrap_or(Value::Null);
        let data = json!({
            "turn": turn, "stop_reason": stop_reason, "tool_calls": reply.tool_calls().len(),
            "text": shorten_text(&text, TEXT_CHARS_MAX),
        });
        self.reporter
            .report_event(AgentEventKind::AssistantMessage, data)
            .await;
    }
}

/// Reports that the attempt cannot go on.
pub(crate) async fn report_failure(reporter: &EventReporter, class: ErrorClass, message: &str) {
    let data =
        json!({ "error_class": class, "error_message": shorten_text(message, TEXT_CHARS_MAX) });
    reporter
        .show_event(AgentEventKind::AgentFailed, data, message)
        .await;
}

/// The end of an attempt whose agent went on without calling tools or declaring its work done.
fn unsignalled_end(count: &TurnCount) -> LoopEnd {
    match count.worded {
        0 => LoopEnd::Limit(AttemptStopReason::NoCompletionSignal),
        n => LoopEnd::Failed {
            class: ErrorClass::ToolsInWords,
            message: format!(
                "the model wrote calls of tools into the words of its last {n} answers, where nobody runs them; \
                 `omoi models try NAME` says whether a model calls tools, `omoi models set agent NAME` names \
                 another"
            ),
        },
    }
}

/// The end of an attempt that may take no other turn, if it may not.
fn limit_reached(context: &AttemptContext, count: &TurnCount) -> Option<LoopEnd> {
    if count.next_turn >= context.limits.turns_max {
        Some(LoopEnd::Limit(AttemptStopReason::MaxTurnsReached))
    } else if count.nudges > NUDGES_MAX {
        Some(unsignalled_end(count))
    } else {
        None
    }
}
