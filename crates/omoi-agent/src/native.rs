//! The native runtime: asks the model itself and runs its tools in the worker.

use std::sync::Arc;

use omoi_domain::retry::ErrorClass;
use omoi_llm::gateway_client::GatewayClient;
use omoi_llm::wire::answer::{BrokenCall, ModelAnswer};
use omoi_llm::wire::anthropic::{ContentBlock, MessageContent};
use omoi_protocol::worker::{AskPerson, AttemptContext};

use crate::compaction::CompactedTurns;
use crate::model_call::{NoAnswer, WorkerPace, ask_model};
use crate::runtime::{
    AgentRuntime, AgentTurn, RuntimeCapabilities, RuntimeEnding, RuntimeError, RuntimeEvent,
    SummaryTurn,
};
use crate::tools::{AgentTools, may_change_files};
use crate::transcript::{AgentReply, DigestedRequest, NextStep, Transcript};

/// Our own loop over the model gateway.
pub(crate) struct NativeRuntime<'a> {
    context: &'a AttemptContext,
    client: GatewayClient,
    pace: Arc<WorkerPace>,
    tools: &'a AgentTools,
    transcript: Transcript,
    turn: NativeTurn,
    /// Turns before the one in flight, those of a resumed attempt included.
    n_turns: u32,
}

/// How far the turn in flight is.
enum NativeTurn {
    /// The model is to be asked.
    Open,
    /// Its answer is here, and its tools are to run.
    Answered {
        reply: AgentReply,
        broken_calls: Vec<BrokenCall>,
        asked: AskedRequest,
    },
    /// Its tools have run; it waits to be answered. With the tokens that the model read.
    Ended(AgentReply, Option<u64>),
    /// Turns were summed up; the summary waits to be committed.
    Compacted(AgentReply),
}

/// The request behind an answer.
struct AskedRequest {
    digest: String,
    /// Tokens that the model said it read.
    tokens: Option<u64>,
}

impl<'a> NativeRuntime<'a> {
    /// The runtime of `context`, which asks through `client`.
    pub(crate) fn new(
        context: &'a AttemptContext,
        client: GatewayClient,
        pace: Arc<WorkerPace>,
        tools: &'a AgentTools,
    ) -> Self {
        Self {
            context,
            client,
            pace,
            tools,
            transcript: Transcript::default(),
            turn: NativeTurn::Open,
            n_turns: context.resume.len() as u32,
        }
    }

    /// Asks for the next turn, or for a summary where the conversation fills the window.
    async fn ask(&mut self) -> Result<RuntimeEvent, RuntimeError> {
        let asked = match self.transcript.next_step(self.context)? {
            NextStep::Ask(asked) => asked,
            NextStep::SumUp(question) => return self.sum_up(question).await,
            NextStep::SumUpAlone => return Ok(self.sum_up_alone(None)),
            NextStep::OverWindow => return Err(self.over_window()),
        };
        let answer = match self.ask_model(&asked).await {
            // The window was taken for larger than it is.
            Err(NoAnswer::OverWindow { .. }) if self.transcript.can_shrink() => {
                return Ok(self.sum_up_refused());
            }
            answer => answer?,
        };
        let asked = AskedRequest {
            digest: asked.digest,
            tokens: answer.response.usage.read_tokens(),
        };
        let reply = AgentReply::new(answer.response.content);
        self.turn = NativeTurn::Answered {
            reply: reply.clone(),
            broken_calls: answer.broken_calls,
            asked,
        };
        Ok(RuntimeEvent::Answered {
            reply,
            stop_reason: answer.response.stop_reason,
        })
    }

    async fn ask_model(&self, question: &DigestedRequest) -> Result<ModelAnswer, NoAnswer> {
        ask_model(&self.client, &self.pace, &question.request, self.n_turns).await
    }

    /// Lets the model sum up the turns before the last ones.
    async fn sum_up(&mut self, question: DigestedRequest) -> Result<RuntimeEvent, RuntimeError> {
        let answer = match self.ask_model(&question).await {
            Err(NoAnswer::OverWindow { .. }) => return Ok(self.sum_up_refused()),
            answer => answer?,
        };
        let asked = AskedRequest {
            digest: question.digest,
            tokens: answer.response.usage.read_tokens(),
        };
        let record = self.transcript.work_record();
        let compacted = CompactedTurns::new(answer.response.content, &record);
        Ok(self.compacted_event(compacted, asked))
    }

    /// After the model refused to read as much as there is: its window is smaller than it was taken to be.
    fn sum_up_refused(&mut self) -> RuntimeEvent {
        let refused = self.transcript.token_count();
        self.transcript.learn_refusal(refused);
        self.sum_up_alone(Some(refused))
    }

    /// Lets the record of the work stand for the turns: the model cannot be asked for a summary.
    fn sum_up_alone(&mut self, refused: Option<u64>) -> RuntimeEvent {
        let compacted = CompactedTurns::without_summary(&self.transcript.work_record());
        let asked = AskedRequest {
            digest: String::new(),
            tokens: refused,
        };
        self.compacted_event(compacted, asked)
    }

    fn compacted_event(&mut self, compacted: CompactedTurns, asked: AskedRequest) -> RuntimeEvent {
        self.turn = NativeTurn::Compacted(compacted.summary.clone());
        RuntimeEvent::Compacted(SummaryTurn {
            compacted,
            request_digest: asked.digest,
            request_tokens: asked.tokens,
            tokens_before: self.transcript.token_count(),
        })
    }

    /// Why the model is not asked: brief, instructions and the last turn alone are too long for it.
    fn over_window(&self) -> RuntimeError {
        let window = self.transcript.window();
        RuntimeError::Failed {
            class: ErrorClass::UpstreamRefused,
            message: format!(
                "the task's brief and the last turn need about {} tokens, and model `{}` takes {} at most; \
                 choose a model with a larger window for agents, or make the task smaller",
                self.transcript.token_count(),
                self.context.model,
                window.input_max()
            ),
        }
    }

    /// Runs the calls in order.
    async fn run_tools(
        &mut self,
        reply: AgentReply,
        broken: &[BrokenCall],
        asked: AskedRequest,
    ) -> AgentTurn {
        let mut results = Vec::new();
        let mut is_accepted = false;
        let mut gives_up = None;
        let mut asks = None;
        let calls = reply.tool_calls();
        let outcomes = self.tools.run_calls(&calls, broken).await;
        for (call, outcome) in calls.into_iter().zip(outcomes) {
            is_accepted |= outcome.ends_phase;
            gives_up = gives_up.or(outcome.gives_up);
            asks = asks
                .into_iter()
                .chain(outcome.asks)
                .reduce(AskPerson::joined_with);
            let content = match outcome.picture {
                None => MessageContent::Text(outcome.text),
                Some(picture) => {
                    MessageContent::Blocks(vec![ContentBlock::text(outcome.text), picture])
                }
            };
            results.push(ContentBlock::tool_result(
                &call.id,
                content,
                outcome.is_error,
            ));
        }
        self.transcript.cap_results(&mut results);
        let mut calls = reply.tool_calls().into_iter();
        let may_have_changed =
            calls.any(|call| may_change_files(&call.name)) || self.tools.has_sessions().await;
        self.turn = NativeTurn::Ended(reply.clone(), asked.tokens);
        AgentTurn {
            is_waiting: results.is_empty(),
            reply,
            results,
            request_digest: asked.digest,
            request_tokens: asked.tokens,
            is_accepted,
            gives_up,
            asks,
            may_have_changed,
            session: None,
        }
    }
}

impl AgentRuntime for NativeRuntime<'_> {
    fn capabilities(&self) -> RuntimeCapabilities {
        RuntimeCapabilities {
            is_steered_between_calls: true,
            asks_before_tools: true,
        }
    }

    async fn start(&mut self) -> Result<(), RuntimeError> {
        self.transcript = Transcript::new(self.context)?;
        Ok(())
    }

    async fn events(&mut self) -> Result<RuntimeEvent, RuntimeError> {
        match std::mem::replace(&mut self.turn, NativeTurn::Open) {
            NativeTurn::Answered {
                reply,
                broken_calls,
                asked,
            } => {
                let ended = self.run_tools(reply, &broken_calls, asked).await;
                Ok(RuntimeEvent::TurnEnded(ended))
            }
            NativeTurn::Open | NativeTurn::Ended(..) | NativeTurn::Compacted(_) => self.ask().await,
        }
    }

    async fn send(&mut self, answer: Vec<ContentBlock>) -> Result<(), RuntimeError> {
        match std::mem::replace(&mut self.turn, NativeTurn::Open) {
            NativeTurn::Ended(reply, tokens) => self.transcript.push_turn(reply, answer, tokens),
            NativeTurn::Compacted(summary) => self.transcript.push_summary(CompactedTurns {
                summary,
                record: answer,
            }),
            NativeTurn::Open | NativeTurn::Answered { .. } => return Ok(()),
        }
        self.n_turns += 1;
        Ok(())
    }

    fn amend_answer(&mut self, more: Vec<ContentBlock>) {
        self.turn = NativeTurn::Open;
        self.transcript.amend_turn(more);
    }

    /// Dropping the turn in flight has stopped it: the call is abandoned, the command killed.
    async fn interrupt(&mut self) {}

    /// Commands in the background end before the work is packed.
    async fn end(&mut self, _ending: RuntimeEnding) {
        self.tools.end_sessions().await;
    }
}
