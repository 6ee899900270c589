//! What of a model's window a conversation may fill, and from where on it is shortened.
//!
//! At 60 % old tool results become stubs ([`stub_results`]); at 80 % the turns before the last ones become a
//! summary ([`crate::compaction`]). Both follow from the turns alone, so a resumed attempt sends the same
//! bytes again. Both happen in large steps: every step changes what is read from cache otherwise.

use omoi_llm::token_estimate::{estimate_blocks, estimate_text};
use omoi_llm::wire::anthropic::{ContentBlock, MessageContent, ToolResultBlock};
use omoi_protocol::worker::AttemptContext;

use crate::tools::cap_text;

/// The window of a model of which it is not known.
const WINDOW_TOKENS_DEFAULT: u64 = 128_000;
/// The least window that is reckoned with: a model that reads less cannot work on a repository.
const WINDOW_TOKENS_MIN: u64 = 4_000;
/// Share of the window, in percent, that a request may fill before old results become stubs.
const STUB_PERCENT: u64 = 60;
/// Share of the window, in percent, that a request may fill before turns become a summary.
const COMPACTION_PERCENT: u64 = 80;
/// Results that stay, being hardly longer than a stub.
const RESULT_TOKENS_MIN: u64 = 200;
/// Bytes of a result that its stub shows.
const SHOWN_BYTES: usize = 160;
/// The least answer that is asked for.
const ANSWER_TOKENS_MIN: u64 = 256;
/// What a request may hold beyond the estimate before it is over the window.
const SLACK_TOKENS: u64 = 128;

/// The window of an attempt's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContextWindow {
    window: u64,
    answer: u64,
}

impl Default for ContextWindow {
    fn default() -> Self {
        Self::new(WINDOW_TOKENS_DEFAULT, 0)
    }
}

impl ContextWindow {
    /// The window that `context` names, or the usual one.
    pub(crate) fn of_context(context: &AttemptContext) -> Self {
        let window = context.limits.window_tokens;
        Self::new(
            window.unwrap_or(WINDOW_TOKENS_DEFAULT),
            u64::from(context.max_tokens),
        )
    }

    fn new(window: u64, answer: u64) -> Self {
        let window = window.max(WINDOW_TOKENS_MIN);
        let answer = answer.min(window / 4);
        Self { window, answer }
    }

    /// After the model refused a request of `tokens` as too long for it.
    pub(crate) fn below_refusal(self, tokens: u64) -> Self {
        Self::new(self.window.min(tokens * 9 / 10), self.answer)
    }

    /// The most tokens of a request, with room for an answer.
    pub(crate) const fn input_max(self) -> u64 {
        self.window - self.answer - SLACK_TOKENS
    }

    /// The most tokens of the question for a summary: its answer is short.
    pub(crate) fn summary_max(self) -> u64 {
        self.window - (self.window / 16).min(4_000) - SLACK_TOKENS
    }

    /// From where on old results become stubs.
    pub(crate) fn stubs_from(self) -> u64 {
        (self.window * STUB_PERCENT / 100).min(self.input_max() * 3 / 4)
    }

    /// From where on turns become a summary.
    pub(crate) fn compaction_from(self) -> u64 {
        (self.window * COMPACTION_PERCENT / 100).min(self.input_max() * 19 / 20)
    }

    /// Tokens of the last turns that stay word for word beside a summary.
    pub(crate) const fn kept_max(self) -> u64 {
        self.input_max() / 4
    }

    /// Tokens of all results of one turn.
    pub(crate) const fn results_max(self) -> u64 {
        self.input_max() / 4
    }

    /// Bytes of what is kept of the turns before a summary, beside the model's own words.
    pub(crate) fn record_bytes(self) -> usize {
        usize::try_from(self.window / 4)
            .unwrap_or(usize::MAX)
            .clamp(2_000, 24_000)
    }

    /// The most tokens of the answer to a request of `tokens`, where `asked` are wanted.
    pub(crate) fn answer_max(self, tokens: u64, asked: u32) -> u32 {
        let room = self.window.saturating_sub(tokens + SLACK_TOKENS);
        let room = room.max(ANSWER_TOKENS_MIN).min(u64::from(asked));
        u32::try_from(room).unwrap_or(asked)
    }
}

/// Makes the results in `blocks` stubs; returns how many estimated tokens that saves.
pub(crate) fn stub_results(blocks: &mut [ContentBlock]) -> u64 {
    let mut saved = 0;
    for block in blocks {
        let ContentBlock::ToolResult(result) = block else {
            continue;
        };
        if let Some((text, saves)) = result_stub(result) {
            result.content = Some(text.into());
            saved += saves;
        }
    }
    saved
}

/// How many estimated tokens [`stub_results`] would save.
pub(crate) fn stubs_save(blocks: &[ContentBlock]) -> u64 {
    let results = blocks.iter().filter_map(|block| match block {
        ContentBlock::ToolResult(result) => result_stub(result),
        _ => None,
    });
    results.map(|(_, saves)| saves).sum()
}

/// What takes the place of `result`, and the tokens that saves; none when it stays.
fn result_stub(result: &ToolResultBlock) -> Option<(String, u64)> {
    let content = result.content.as_ref()?;
    let tokens = match content {
        MessageContent::Text(text) => estimate_text(text),
        MessageContent::Blocks(blocks) => estimate_blocks(blocks),
    };
    if tokens < RESULT_TOKENS_MIN {
        return None;
    }
    let whole = content.joined_text();
    let bytes = whole.len();
    let shown = &whole[..whole.floor_char_boundary(SHOWN_BYTES)];
    let text = format!(
        "[an earlier result of {bytes} bytes is left out here to save room; call the tool again if you need \
         it. It began: {shown}]"
    );
    let saves = tokens.saturating_sub(estimate_text(&text));
    Some((text, saves))
}

/// Shortens the results in `blocks` to about `tokens_max` tokens together, each to its head and tail.
pub(crate) fn cut_results(blocks: &mut [ContentBlock], tokens_max: u64) {
    let total = estimate_blocks(blocks);
    if total <= tokens_max {
        return;
    }
    for block in blocks {
        if let ContentBlock::ToolResult(result) = block
            && let Some(content) = &result.content
        {
            let text = content.joined_text();
            let share = text.len() as u64 * tokens_max / total.max(1);
            let bytes = usize::try_from(share)
                .unwrap_or(usize::MAX)
                .max(SHOWN_BYTES * 2);
            result.content = Some(cap_text(&text, bytes).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_filled_follows_from_window_and_answer() {
        let large = ContextWindow::new(200_000, 32_000);
        assert_eq!(large.stubs_from(), 120_000, "60 %");
        assert_eq!(
            large.compaction_from(),
            159_478,
            "80 %, and room for an answer"
        );
        assert_eq!(
            ContextWindow::new(1_000_000, 32_000).compaction_from(),
            800_000
        );
        for (window, answer) in [
            (1_000, 1_000),
            (8_192, 8_192),
            (32_000, 64_000),
            (128_000, 32_000),
        ] {
            let window = ContextWindow::new(window, answer);
            assert!(window.stubs_from() < window.compaction_from(), "{window:?}");
            assert!(window.compaction_from() < window.input_max(), "{window:?}");
            let most = window.answer_max(window.input_max(), u32::MAX);
            assert!(
                window.input_max() + u64::from(most) <= window.window,
                "{window:?}"
            );
        }
        assert_eq!(large.answer_max(1_000, 32_000), 32_000);
        assert_eq!(large.answer_max(190_000, 32_000), 9_872);
        assert_eq!(large.below_refusal(50_000).window, 45_000);
        assert_eq!(large.below_refusal(500_000), large);
    }

    #[test]
    fn long_results_become_stubs_once_and_short_ones_stay() {
        let long = ContentBlock::tool_result("a", "word ".repeat(1_000), false);
        let mut blocks = vec![
            long,
            ContentBlock::tool_result("b", "short", false),
            ContentBlock::text("said ".repeat(500)),
        ];
        let before = blocks.clone();
        let would = stubs_save(&blocks);
        assert_eq!(stub_results(&mut blocks), would);
        assert_eq!(estimate_blocks(&before), estimate_blocks(&blocks) + would);
        assert_eq!(blocks[1..], before[1..]);
        assert_eq!(stub_results(&mut blocks), 0, "a stub stays as it is");
    }

    #[test]
    fn results_are_cut_to_head_and_tail() {
        let text = format!("BEGIN {} END", "word ".repeat(4_000));
        let mut blocks = vec![ContentBlock::tool_result("a", text, false)];
        cut_results(&mut blocks, 1_000);
        let tokens = estimate_blocks(&blocks);
        assert!((700..=1_050).contains(&tokens), "{tokens}");
        let ContentBlock::ToolResult(result) = &blocks[0] else {
            panic!("{blocks:?}");
        };
        let text = result
            .content
            .as_ref()
            .map(MessageContent::joined_text)
            .unwrap_or_default();
        assert!(text.starts_with("BEGIN") && text.ends_with("END"), "{text}");
    }
}
