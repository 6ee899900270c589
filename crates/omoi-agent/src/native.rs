//! The native runtime: asks the model itself and runs its tools in the worker.

use std::sync::Arc;

use omoi_llm::gateway_client::GatewayClient;
use omoi_llm::wire::answer::BrokenCall;
use omoi_llm::wire::anthropic::ContentBlock;
use omoi_protocol::worker::AttemptContext;

use crate::model_call::{WorkerPace, ask_model};
use crate::runtime::{
    AgentRuntime, AgentTurn, RuntimeCapabilities, RuntimeEnding, RuntimeError, RuntimeEvent,
};
use crate::tools::{AgentTools, may_change_files};
use crate::transcript::{AgentReply, Transcript};

/// Our own loop over the model gateway.
pub(crate) struct NativeRuntime<'a> {
    context: &'a AttemptContext,
    client: GatewayClient,
    pace: Arc<WorkerPace>,
    tools: &'a AgentTools,
    transcript: Transcript,
    turn: NativeTurn,
}

/// How far the turn in flight is.
enum NativeTurn {
    /// The model is to be asked.
    Open,
    /// Its answer is here, and its tools are to run.
    Answered {
        reply: AgentReply,
        broken_calls: Vec<BrokenCall>,
        request_digest: String,
    },
    /// Its tools have run; it waits to be answered.
    Ended(AgentReply),
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
        }
    }

    async fn ask(&mut self) -> Result<RuntimeEvent, RuntimeError> {
        let (request, request_digest) = self.transcript.next_request(self.context)?;
        let answer = ask_model(&self.client, &self.pace, &request).await?;
        let reply = AgentReply::new(answer.response.content);
        self.turn = NativeTurn::Answered {
            reply: reply.clone(),
            broken_calls: answer.broken_calls,
            request_digest,
        };
        Ok(RuntimeEvent::Answered {
            reply,
            stop_reason: answer.response.stop_reason,
        })
    }

    /// Runs the calls in order.
    async fn run_tools(
        &mut self,
        reply: AgentReply,
        broken: &[BrokenCall],
        request_digest: String,
    ) -> AgentTurn {
        let mut results = Vec::new();
        let mut is_accepted = false;
        let mut gives_up = None;
        for call in reply.tool_calls() {
            let broken = broken.iter().find(|b| b.id == call.id);
            let outcome = self.tools.run_call(call, broken).await;
            is_accepted |= outcome.ends_phase;
            gives_up = gives_up.or(outcome.gives_up);
            results.push(ContentBlock::tool_result(
                &call.id,
                outcome.text,
                outcome.is_error,
            ));
        }
        let mut calls = reply.tool_calls().into_iter();
        let may_have_changed = calls.any(|call| may_change_files(&call.name));
        self.turn = NativeTurn::Ended(reply.clone());
        AgentTurn {
            is_waiting: results.is_empty(),
            reply,
            results,
            request_digest,
            is_accepted,
            gives_up,
            may_have_changed,
            session: None,
        }
    }
}

impl AgentRuntime for NativeRuntime<'_> {
    fn capabilities(&self) -> RuntimeCapabilities {
        RuntimeCapabilities {
            is_steered_between_calls: true,
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
                request_digest,
            } => {
                let ended = self.run_tools(reply, &broken_calls, request_digest).await;
                Ok(RuntimeEvent::TurnEnded(ended))
            }
            NativeTurn::Open | NativeTurn::Ended(_) => self.ask().await,
        }
    }

    async fn send(&mut self, answer: Vec<ContentBlock>) -> Result<(), RuntimeError> {
        if let NativeTurn::Ended(reply) = std::mem::replace(&mut self.turn, NativeTurn::Open) {
            self.transcript.push_turn(reply, answer);
        }
        Ok(())
    }

    /// Dropping the turn in flight has stopped it: the call is abandoned, the command killed.
    async fn interrupt(&mut self) {}

    async fn end(&mut self, _ending: RuntimeEnding) {}
}
