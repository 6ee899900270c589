//! The conversation so far, from the context and the turns taken since.

mod agent_reply;
mod past_turns;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::mem::take;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use omoi_domain::attempt::TurnKind;
use omoi_llm::token_estimate::{estimate_blocks, estimate_text};
use omoi_llm::wire::anthropic::{
    ContentBlock, ConversationMessage, MessageContent, MessageRole, MessagesRequest,
};
use omoi_protocol::worker::AttemptContext;

pub(crate) use self::agent_reply::AgentReply;
pub(crate) use self::past_turns::{BadTurn, NUDGES_MAX, TurnCount, final_reply, read_turn};
use crate::compaction::{COMPACTION_QUESTION, CompactedTurns};
use crate::context_window::{ContextWindow, cut_results, stub_results, stubs_save};
use crate::token_rate::TokenRate;
use crate::tools;
use crate::work_record::WorkRecord;

/// The last turns, whose results stay whole while older ones are stubs.
const TURNS_WHOLE: usize = 6;
/// Share, in percent, of where stubs begin that one step has to free; less is not worth a cache miss.
const FREED_PERCENT: u64 = 10;
/// The last turns that stay beside a summary, where they have room.
const TURNS_KEPT_MAX: usize = 8;
/// The conversation so far: the brief, a summary of turns that were left out, and the turns since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    brief: Vec<ContentBlock>,
    /// The last summary and the record that answers it.
    summary: Option<CompactedTurns>,
    turns: Vec<PastTurn>,
    /// Estimated tokens of tools, instructions and brief.
    fixed_tokens: u64,
    /// The first of `turns` whose results are not stubs.
    n_stubbed: usize,
    /// Turns taken since the last summary.
    n_since_summary: usize,
    window: ContextWindow,
    rate: TokenRate,
    record: WorkRecord,
}

/// A turn as it is sent.
#[derive(Clone, Debug)]
struct PastTurn {
    reply: Vec<ContentBlock>,
    results: Vec<ContentBlock>,
    /// Estimated tokens of both.
    tokens: u64,
    /// Of these, what stubs in the place of the results would save.
    would_save: u64,
}

impl PastTurn {
    fn new(reply: Vec<ContentBlock>, results: Vec<ContentBlock>) -> Self {
        Self {
            tokens: estimate_blocks(&reply) + estimate_blocks(&results),
            would_save: stubs_save(&results),
            reply,
            results,
        }
    }
}

/// A request with the SHA-256 of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct DigestedRequest {
    pub(crate) request: MessagesRequest,
    pub(crate) digest: String,
}

/// What is to be done before the model answers the next turn.
#[derive(Clone, Debug)]
pub(crate) enum NextStep {
    /// Ask for the turn.
    Ask(DigestedRequest),
    /// Ask for a summary of the turns before the last ones.
    SumUp(DigestedRequest),
    /// Let the record stand for those turns: the question for a summary does not fit.
    SumUpAlone,
    /// Give up: the brief and the last turn alone do not fit.
    OverWindow,
}

impl Transcript {
    /// The first user message and every turn recorded.
    pub(crate) fn new(context: &AttemptContext) -> Result<Self, BadTurn> {
        let tools = serde_json::to_string(&tools::offered_tools(context)).unwrap_or_default();
        let mut transcript = Self {
            brief: vec![ContentBlock::text(&context.prompt)],
            fixed_tokens: [&context.system, &context.prompt, &tools]
                .map(|text| estimate_text(text))
                .iter()
                .sum(),
            window: ContextWindow::of_context(context),
            ..Self::default()
        };
        for turn in &context.resume {
            let (reply, results) = read_turn(turn)?;
            match turn.kind {
                TurnKind::Answer => transcript.push_turn(reply, results, turn.request_tokens),
                TurnKind::Compaction => {
                    if let Some(refused) = turn.refused_tokens() {
                        transcript.learn_refusal(refused);
                    }
                    let (summary, record) = (reply, results);
                    transcript.push_summary(CompactedTurns { summary, record });
                }
            }
        }
        Ok(transcript)
    }

    /// Adds a turn that ended. `request_tokens` is what the model said it read for it.
    pub(crate) fn push_turn(
        &mut self,
        reply: AgentReply,
        results: Vec<ContentBlock>,
        request_tokens: Option<u64>,
    ) {
        self.rate = self
            .rate
            .after_reading(request_tokens, self.estimated_tokens());
        self.record.add_turn(&reply, &results);
        self.turns.push(PastTurn::new(reply.0, results));
        self.n_since_summary += 1;
        self.stub_old_results();
    }

    /// Adds to what answers the last turn.
    pub(crate) fn amend_turn(&mut self, more: Vec<ContentBlock>) {
        if let Some(PastTurn {
            reply, mut results, ..
        }) = self.turns.pop()
        {
            results.extend(more);
            self.turns.push(PastTurn::new(reply, results));
        }
    }

    /// Puts a summary that is committed in the place of all turns but the last ones.
    pub(crate) fn push_summary(&mut self, compacted: CompactedTurns) {
        let n_kept = self.n_kept();
        self.turns.drain(..self.turns.len() - n_kept);
        self.summary = Some(compacted);
        self.n_stubbed = 0;
        self.n_since_summary = 0;
        if let [only] = self.turns.as_mut_slice()
            && self.rate.scale_tokens(only.tokens) > self.window.kept_max()
        {
            let room = self.window.kept_max() * 1_000 / self.rate.scale_tokens(1_000).max(1);
            cut_results(&mut only.results, room);
            *only = PastTurn::new(take(&mut only.reply), take(&mut only.results));
        }
    }

    /// Makes results before the last turns stubs, where that frees enough to be worth a cache miss.
    fn stub_old_results(&mut self) {
        let from = self.window.stubs_from();
        if self.token_count() <= from {
            return;
        }
        let n_old = self.turns.len().saturating_sub(TURNS_WHOLE);
        let would_save = self.turns[..n_old].iter().map(|turn| turn.would_save);
        if self.rate.scale_tokens(would_save.sum()) < from * FREED_PERCENT / 100 {
            return;
        }
        for turn in &mut self.turns[..n_old] {
            turn.tokens -= stub_results(&mut turn.results).min(turn.tokens);
            turn.would_save = 0;
        }
        self.n_stubbed = n_old;
    }

    /// How many of the last turns stay word for word beside a summary; at least one where there is any.
    fn n_kept(&self) -> usize {
        let mut tokens = 0;
        let last = self.turns.iter().rev().take(TURNS_KEPT_MAX);
        let fitting = last.take_while(|turn| {
            tokens += self.rate.scale_tokens(turn.tokens);
            tokens <= self.window.kept_max()
        });
        fitting.count().max(1).min(self.turns.len())
    }

    fn estimated_tokens(&self) -> u64 {
        let summary = self.summary.as_ref();
        let summary = summary.map_or(0, |s| {
            estimate_blocks(&s.summary.0) + estimate_blocks(&s.record)
        });
        let turns: u64 = self.turns.iter().map(|turn| turn.tokens).sum();
        self.fixed_tokens + summary + turns
    }

    /// About how many tokens the next request is to its model.
    pub(crate) fn token_count(&self) -> u64 {
        self.rate.scale_tokens(self.estimated_tokens())
    }

    /// What is to be done before the model answers the next turn.
    pub(crate) fn next_step(
        &self,
        context: &AttemptContext,
    ) -> Result<NextStep, serde_json::Error> {
        if self.is_compaction_due() {
            return Ok(match self.summary_request(context)? {
                Some(question) => NextStep::SumUp(question),
                None => NextStep::SumUpAlone,
            });
        }
        if !self.fits() {
            return Ok(NextStep::OverWindow);
        }
        Ok(NextStep::Ask(self.request_with(
            context,
            self.messages(),
            self.token_count(),
        )?))
    }

    /// Whether turns have to become a summary before the model is asked again.
    fn is_compaction_due(&self) -> bool {
        if self.n_since_summary == 0 || self.turns.is_empty() {
            return false;
        }
        let drops_turns = self.n_kept() < self.turns.len();
        let is_filled = self.token_count() >= self.window.compaction_from();
        (is_filled && drops_turns) || !self.fits()
    }

    /// Whether the next request and an answer fit the window.
    fn fits(&self) -> bool {
        self.token_count() <= self.window.input_max()
    }

    /// Whether anything is left that a summary could stand for.
    pub(crate) const fn can_shrink(&self) -> bool {
        self.n_since_summary > 0
    }

    /// Reckons with a smaller window: the model refused a request of `tokens` as too long for it.
    pub(crate) fn learn_refusal(&mut self, tokens: u64) {
        self.window = self.window.below_refusal(tokens);
    }

    /// The window that is reckoned with.
    pub(crate) const fn window(&self) -> ContextWindow {
        self.window
    }

    /// The bytes that the results of one turn may have, `text` being one of them.
    pub(crate) fn cap_results(&self, blocks: &mut [ContentBlock]) {
        let room = self.window.results_max() * 1_000 / self.rate.scale_tokens(1_000).max(1);
        cut_results(blocks, room);
    }

    /// What a summary of the turns so far would be answered with.
    pub(crate) fn work_record(&self) -> String {
        self.record.render(self.window.record_bytes())
    }

    /// The question for a summary, behind the prefix of every other request; none when it does not fit.
    fn summary_request(
        &self,
        context: &AttemptContext,
    ) -> Result<Option<DigestedRequest>, serde_json::Error> {
        let question = self.rate.scale_tokens(estimate_text(COMPACTION_QUESTION));
        let tokens = self.token_count() + question;
        if tokens > self.window.summary_max() {
            return Ok(None);
        }
        let mut messages = self.messages();
        if let Some(MessageContent::Blocks(blocks)) =
            messages.last_mut().map(|message| &mut message.content)
        {
            blocks.push(ContentBlock::text(COMPACTION_QUESTION));
        }
        self.request_with(context, messages, tokens).map(Some)
    }

    fn request_with(
        &self,
        context: &AttemptContext,
        messages: Vec<ConversationMessage>,
        tokens: u64,
    ) -> Result<DigestedRequest, serde_json::Error> {
        let answer = self.window.answer_max(tokens, context.max_tokens);
        let mut request = MessagesRequest::new(&context.model, answer, messages);
        request.stream = true;
        if !context.system.is_empty() {
            let mut system = vec![ContentBlock::text(&context.system)];
            mark_for_cache(&mut system);
            request.system = Some(MessageContent::Blocks(system));
        }
        request.tools = tools::offered_tools(context);
        let bytes = serde_json::to_vec(&request)?;
        let digest = hex::encode(Sha256::digest(&bytes));
        Ok(DigestedRequest { request, digest })
    }

    /// The messages, with marks where the prompt cache is to keep what comes before: behind the part that
    /// the next step of shortening leaves alone, and behind the last two user messages. With the one on the
    /// instructions these are the four that vendors allow.
    fn messages(&self) -> Vec<ConversationMessage> {
        let mut messages = vec![ConversationMessage::from_user(self.brief.clone())];
        if let Some(compacted) = &self.summary {
            messages.push(ConversationMessage::from_assistant(
                compacted.summary.0.clone(),
            ));
            messages.push(ConversationMessage::from_user(compacted.record.clone()));
        }
        let lasting = messages.len() - 1 + 2 * self.n_stubbed;
        for turn in &self.turns {
            messages.push(ConversationMessage::from_assistant(turn.reply.clone()));
            if !turn.results.is_empty() {
                messages.push(ConversationMessage::from_user(turn.results.clone()));
            }
        }
        let last = messages.len() - 1;
        for index in BTreeSet::from([lasting, last.saturating_sub(2), last]) {
            if let Some(ConversationMessage {
                role: MessageRole::User,
                content: MessageContent::Blocks(blocks),
                ..
            }) = messages.get_mut(index)
            {
                mark_for_cache(blocks);
            }
        }
        messages
    }
}

/// Marks the end of `blocks` as the end of what a prompt cache keeps.
fn mark_for_cache(blocks: &mut [ContentBlock]) {
    let extra = match blocks.last_mut() {
        Some(ContentBlock::Text(block)) => &mut block.extra,
        Some(ContentBlock::ToolResult(block)) => &mut block.extra,
        Some(ContentBlock::Image(block)) => &mut block.extra,
        _ => return,
    };
    extra.insert("cache_control".to_owned(), json!({"type": "ephemeral"}));
}

/// The words of `blocks`, as one message.
pub(crate) fn text_of_blocks(blocks: &[ContentBlock]) -> String {
    let texts: Vec<_> = blocks.iter().filter_map(ContentBlock::as_text).collect();
    texts.join("\n\n")
}
