//! Replays the recorded turns of an attempt without a model: what the native agent would send, how much of it
//! a prompt cache holds, and whether it fits the window.

mod prompt_cache;
mod scripted_summary;

use omoi_domain::attempt::TurnKind;
use omoi_llm::wire::anthropic::{ContentBlock, MessagesRequest};
use omoi_protocol::worker::{AttemptContext, TurnRecord};
use serde_json::Value;
use thiserror::Error;

use self::prompt_cache::PromptCache;
use self::scripted_summary::write_summary;
use crate::compaction::CompactedTurns;
use crate::transcript::{AgentReply, BadTurn, DigestedRequest, NextStep, Transcript, read_turn};

/// Why turns cannot be replayed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// A recorded turn cannot be read.
    #[error("a recorded turn cannot be read")]
    Turn(#[from] BadTurn),
    /// A request cannot be written.
    #[error("a request cannot be written")]
    Json(#[from] serde_json::Error),
    /// The brief and the last turn alone are longer than the window.
    #[error("the brief and the last turn do not fit the window")]
    OverWindow,
}

/// Figures of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayFigures {
    /// Requests sent, questions for summaries included.
    pub n_requests: u64,
    /// Summaries made.
    pub n_summaries: u64,
    /// Requests that were, with the answer they ask for, longer than the window.
    pub n_over_window: u64,
    /// Tokens read by the model.
    pub read_tokens: u64,
    /// Of these, what a cache by marks held.
    pub marked_tokens: u64,
    /// Of these, what a cache that keeps every beginning held.
    pub prefix_tokens: u64,
}

/// An attempt whose turns are replayed, with a model that counts tokens in its own way.
#[derive(Debug)]
pub struct ContextReplay {
    context: AttemptContext,
    transcript: Transcript,
    records: Vec<TurnRecord>,
    cache: PromptCache,
    figures: ReplayFigures,
    tokens_per_kilobyte: u64,
    last_messages: Value,
}

impl ContextReplay {
    /// The attempt of `context`, whose model makes `tokens_per_kilobyte` of a thousand bytes of JSON.
    ///
    /// # Errors
    /// When a turn of the context cannot be read.
    pub fn new(context: AttemptContext, tokens_per_kilobyte: u64) -> Result<Self, ReplayError> {
        Ok(Self {
            transcript: Transcript::new(&context)?,
            records: context.resume.clone(),
            context,
            cache: PromptCache::default(),
            figures: ReplayFigures::default(),
            tokens_per_kilobyte,
            last_messages: Value::Null,
        })
    }

    /// Sends the next request and takes `turn` as what came of it. Summaries that fall due before it are made by
    /// a model that writes down the lines of the conversation which are marked for what it is asked, `Decision: ` and
    /// `Constraint: `, and remembers nothing else.
    ///
    /// # Errors
    /// When `turn` cannot be read, or nothing fits the window.
    pub fn take_turn(&mut self, turn: &TurnRecord) -> Result<(), ReplayError> {
        let asked = loop {
            match self.transcript.next_step(&self.context)? {
                NextStep::Ask(asked) => break asked,
                NextStep::SumUp(question) => {
                    let tokens = self.send_request(&question.request)?;
                    let words = vec![ContentBlock::text(write_summary(&self.last_messages))];
                    self.sum_up(question.digest, Some(tokens), words)?;
                }
                NextStep::SumUpAlone => self.sum_up(String::new(), None, Vec::new())?,
                NextStep::OverWindow => return Err(ReplayError::OverWindow),
            }
        };
        let tokens = self.send_request(&asked.request)?;
        let (reply, mut results) = read_turn(turn)?;
        self.transcript.cap_results(&mut results);
        let DigestedRequest { digest, .. } = asked;
        self.keep_record(TurnKind::Answer, digest, Some(tokens), (&reply, &results))?;
        self.transcript.push_turn(reply, results, Some(tokens));
        Ok(())
    }

    /// Figures of the requests so far.
    pub const fn replay_figures(&self) -> ReplayFigures {
        self.figures
    }

    /// The turns as they would be stored, summaries included.
    pub fn stored_turns(&self) -> &[TurnRecord] {
        &self.records
    }

    /// Every text of the last request.
    pub fn last_request_text(&self) -> String {
        texts_of(&self.last_messages)
    }

    /// The digest of the next request; of a worker that resumes here, the same.
    ///
    /// # Errors
    /// When the request cannot be written.
    pub fn next_digest(&self) -> Result<String, ReplayError> {
        Ok(match self.transcript.next_step(&self.context)? {
            NextStep::Ask(asked) | NextStep::SumUp(asked) => asked.digest,
            NextStep::SumUpAlone | NextStep::OverWindow => String::new(),
        })
    }

    fn sum_up(
        &mut self,
        digest: String,
        tokens: Option<u64>,
        words: Vec<ContentBlock>,
    ) -> Result<(), ReplayError> {
        let compacted = CompactedTurns::new(words, &self.transcript.work_record());
        let said = (&compacted.summary, compacted.record.as_slice());
        self.keep_record(TurnKind::Compaction, digest, tokens, said)?;
        self.transcript.push_summary(compacted);
        self.figures.n_summaries += 1;
        Ok(())
    }

    fn keep_record(
        &mut self,
        kind: TurnKind,
        request_digest: String,
        request_tokens: Option<u64>,
        (reply, results): (&AgentReply, &[ContentBlock]),
    ) -> Result<(), ReplayError> {
        self.records.push(TurnRecord {
            n: u32::try_from(self.records.len()).unwrap_or(u32::MAX),
            kind,
            request_digest,
            request_tokens,
            response: serde_json::to_value(&reply.0)?,
            tool_results: serde_json::to_value(results)?,
            session: None,
        });
        Ok(())
    }

    /// Counts a request as its model would; gives the tokens that it reads.
    fn send_request(&mut self, request: &MessagesRequest) -> Result<u64, ReplayError> {
        let read = self.cache.read_request(request)?;
        let tokens = |bytes: usize| bytes as u64 * self.tokens_per_kilobyte / 1_000;
        let total = tokens(read.bytes);
        let figures = &mut self.figures;
        figures.n_requests += 1;
        figures.read_tokens += total;
        figures.marked_tokens += tokens(read.marked_bytes);
        figures.prefix_tokens += tokens(read.prefix_bytes);
        let window = self.context.limits.window_tokens.unwrap_or(u64::MAX);
        if total + u64::from(request.max_tokens) > window {
            figures.n_over_window += 1;
        }
        self.last_messages = serde_json::to_value(&request.messages)?;
        Ok(total)
    }
}

/// All strings of `value`, one a line.
fn texts_of(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(items) => items.iter().map(texts_of).collect(),
        Value::Object(map) => map.values().map(texts_of).collect(),
        _ => String::new(),
    }
}
