//! The commit of a turn: saved, taken by the platform, and what the agent is told where its files could not be.

use omoi_domain::agent_event::AgentEventKind;
use omoi_llm::wire::anthropic::ContentBlock;
use omoi_protocol::worker::{CommitTurn, InboxMessage, TurnRecord};
use omoi_runtime::telemetry::error_chain;
use serde_json::{Value, json};

use super::{AgentLoop, TEXT_CHARS_MAX, TurnError};
use crate::platform_client::CallError;
use crate::runtime::{AgentRuntime, RuntimeEvent};
use crate::tools::shorten_text;

/// A turn that is not committed yet.
pub(super) struct OpenTurn {
    /// What is committed, but for the snapshot.
    pub(super) body: CommitTurn,
    /// Whether anything answers it: to a last turn nothing can be told.
    pub(super) has_results: bool,
    /// Whether files of the workspace may have changed.
    pub(super) may_have_changed: bool,
    /// Messages that it passes to the model.
    pub(super) injected: Vec<InboxMessage>,
}

impl AgentLoop<'_> {
    /// Commits a turn that is answered already, while the runtime asks for the next answer. No tool runs
    /// before both are there, so the files are those of the turn until it is saved.
    pub(super) async fn commit_and_ask(
        &mut self,
        runtime: &mut impl AgentRuntime,
        open: OpenTurn,
    ) -> Result<RuntimeEvent, TurnError> {
        let told = {
            let commit = self.commit_turn(open);
            let asking = runtime.events();
            tokio::pin!(commit, asking);
            // Neither is dropped half done, unless the turn was not taken as it is.
            let (told, event) = tokio::select! {
                biased;
                told = &mut commit => (told?, None),
                event = &mut asking => (commit.await?, Some(event)),
            };
            if told.is_empty() {
                return Ok(match event {
                    Some(event) => event?,
                    None => asking.await?,
                });
            }
            told
        };
        runtime.amend_answer(told);
        Ok(runtime.events().await?)
    }

    /// Commits the turn and reports the messages in it; gives what its tool results were amended by: why the files
    /// could not be saved.
    pub(super) async fn commit_turn(
        &mut self,
        open: OpenTurn,
    ) -> Result<Vec<ContentBlock>, TurnError> {
        let OpenTurn {
            mut body, injected, ..
        } = open;
        let mut told = Vec::new();
        body.snapshot = match &mut self.work {
            Some(work) if open.may_have_changed => match work.take_snapshot().await {
                Err(error) if error.is_mendable() => {
                    work.forget_saved();
                    told.push(unsaved_text(&shorten_text(
                        &error_chain(&error),
                        TEXT_CHARS_MAX,
                    )));
                    None
                }
                snapshot => snapshot?,
            },
            _ => None,
        };
        if body.snapshot.is_some() {
            match self.platform.post_only("/turns", &body).await {
                Ok(_) => {
                    self.keep_turn(body.turn);
                    self.show_messages(injected).await;
                    return Ok(told);
                }
                Err(CallError::Refused { message, .. }) => {
                    if let Some(work) = &mut self.work {
                        work.forget_saved();
                    }
                    // The agent can mend it: a file too large, a name that is not allowed.
                    told.push(unsaved_text(&message));
                }
                Err(other) => return Err(other.into()),
            }
            body.snapshot = None;
        }
        if !open.has_results {
            told.clear();
        }
        amend_results(&mut body.turn, &told)?;
        self.platform.post_only("/turns", &body).await?;
        self.keep_turn(body.turn);
        self.show_messages(injected).await;
        Ok(told)
    }

    /// Counts a turn that is committed, and keeps it where it may be needed again.
    fn keep_turn(&mut self, turn: TurnRecord) {
        *self.turns = turn.n + 1;
        if let Some(committed) = &mut self.committed {
            committed.push(turn);
        }
    }

    /// Reports the messages that a turn passed to the model.
    async fn show_messages(&self, messages: Vec<InboxMessage>) {
        for message in messages {
            let data = json!({
                "message_id": message.id, "message_type": message.message_type,
                "sender": message.sender, "content": shorten_text(&message.content, TEXT_CHARS_MAX),
            });
            let summary = format!("message from {}: {}", message.sender, message.content);
            self.reporter
                .show_event(AgentEventKind::MessageInjected, data, &summary)
                .await;
        }
    }
}

/// What the agent is told where the state of its workspace could not be saved.
fn unsaved_text(why: &str) -> ContentBlock {
    ContentBlock::text(format!(
        "The state of the workspace could not be saved: {why}\nMend it, or the work cannot be \
         taken over."
    ))
}

/// Appends `told` to the tool results of `turn`.
fn amend_results(turn: &mut TurnRecord, told: &[ContentBlock]) -> Result<(), serde_json::Error> {
    if let Value::Array(results) = &mut turn.tool_results {
        for block in told {
            results.push(serde_json::to_value(block)?);
        }
    }
    Ok(())
}
