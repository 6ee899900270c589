//! About how many tokens a text is, whatever model reads it.
//!
//! Tokenizers differ and are not at hand. What they have in common is used: short words are one token, and
//! digits, punctuation and letters beyond ASCII are dense. The estimate errs on the side of too many; what
//! the model says it read corrects it ([`TokenRate`]).

use omoi_llm::wire::anthropic::{ContentBlock, MessageContent};

/// Letters of one word that are one token.
const WORD_LETTERS: u64 = 5;
/// Digits, or punctuation marks in a row, that are one token.
const DENSE_CHARS: u64 = 2;
/// Blanks in a row that are one token, as in an indentation.
const BLANKS: u64 = 8;
/// What a picture costs, whatever its bytes.
const IMAGE_TOKENS: u64 = 1_600;
/// What a block costs besides its words.
const FRAME_TOKENS: u64 = 4;
/// Estimates below this say nothing about a model's tokenizer: a provider's own preamble outweighs them.
const MEASURED_TOKENS_MIN: u64 = 2_000;

/// What a run of characters consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunKind {
    Letters,
    Digits,
    Marks,
    Blanks,
}

/// About how many tokens `text` is.
pub(crate) fn estimate_text(text: &str) -> u64 {
    let (mut tokens, mut run) = (0, 0_u64);
    let mut kind = RunKind::Blanks;
    let mut was_lower = false;
    for c in text.chars() {
        if !c.is_ascii() {
            tokens += run_tokens(kind, run) + if c.len_utf8() > 3 { 2 } else { 1 };
            (kind, run) = (RunKind::Blanks, 0);
            continue;
        }
        let next = match c {
            'a'..='z' | 'A'..='Z' => RunKind::Letters,
            '0'..='9' => RunKind::Digits,
            c if c.is_ascii_whitespace() => RunKind::Blanks,
            _ => RunKind::Marks,
        };
        // `camelCase` is two words.
        let is_hump = next == RunKind::Letters && was_lower && c.is_ascii_uppercase();
        was_lower = c.is_ascii_lowercase();
        if next == kind && !is_hump {
            run += 1;
        } else {
            tokens += run_tokens(kind, run);
            (kind, run) = (next, 1);
        }
    }
    tokens + run_tokens(kind, run)
}

fn run_tokens(kind: RunKind, run: u64) -> u64 {
    match kind {
        RunKind::Letters => run.div_ceil(WORD_LETTERS),
        RunKind::Digits | RunKind::Marks => run.div_ceil(DENSE_CHARS),
        // A single blank belongs to the word behind it.
        RunKind::Blanks if run < 2 => 0,
        RunKind::Blanks => run.div_ceil(BLANKS),
    }
}

fn estimate_content(content: &MessageContent) -> u64 {
    match content {
        MessageContent::Text(text) => estimate_text(text),
        MessageContent::Blocks(blocks) => estimate_blocks(blocks),
    }
}

/// About how many tokens `blocks` are.
pub(crate) fn estimate_blocks(blocks: &[ContentBlock]) -> u64 {
    blocks.iter().map(estimate_block).sum()
}

fn estimate_block(block: &ContentBlock) -> u64 {
    FRAME_TOKENS
        + match block {
            ContentBlock::Text(block) => estimate_text(&block.text),
            ContentBlock::ToolUse(call) => {
                estimate_text(&call.name) + estimate_text(&call.input.to_string())
            }
            ContentBlock::ToolResult(result) => result.content.as_ref().map_or(0, estimate_content),
            ContentBlock::Thinking(block) => {
                estimate_text(&block.thinking) + estimate_text(&block.signature)
            }
            ContentBlock::RedactedThinking(block) => estimate_text(&block.data),
            ContentBlock::Image(_) => IMAGE_TOKENS,
            ContentBlock::Other(map) => {
                estimate_text(&serde_json::to_string(map).unwrap_or_default())
            }
        }
}

/// How many tokens a model counts where a thousand are estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenRate(u64);

impl Default for TokenRate {
    /// Before the model has said anything: a fifth more than estimated.
    fn default() -> Self {
        Self(1_200)
    }
}

impl TokenRate {
    /// The rate of a model that read `reported` tokens where `estimated` were expected. Neither a provider
    /// that counts nonsense nor a short request makes it absurd.
    pub(crate) fn after_reading(self, reported: Option<u64>, estimated: u64) -> Self {
        match reported {
            Some(reported) if estimated >= MEASURED_TOKENS_MIN && reported > 0 => {
                Self((reported.saturating_mul(1_000) / estimated).clamp(400, 2_500))
            }
            _ => self,
        }
    }

    /// The model's own count for `estimated`.
    pub(crate) const fn scale_tokens(self, estimated: u64) -> u64 {
        estimated.saturating_mul(self.0).div_ceil(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_texts_are_many_tokens_and_words_are_few() {
        let per_kilobyte = |text: &str| {
            let text = text.repeat(1 + 10_000 / text.len());
            estimate_text(&text) * 1_000 / text.len() as u64
        };
        // Tokens per 1,000 bytes that current tokenizers make of such texts, with the spread among them.
        let cases = [
            ("The quick brown fox jumps over the lazy dog. ", 210..=330),
            (
                "    fn estimate_text(text: &str) -> u64 {\n        run + 1\n    }\n",
                250..=430,
            ),
            ("a1f9e0c4b7d2835566f0aa91c3e7d4b2", 450..=900),
            ("QmFzZTY0IGlzIGRlbnNlIQpYWFhZWVla", 300..=800),
            ("3.14159,2.71828,1.41421\n", 350..=760),
            ("漢字かな交じり文", 300..=400),
            ("😀😀😀", 400..=600),
        ];
        for (text, expected) in cases {
            let found = per_kilobyte(text);
            assert!(expected.contains(&found), "{text}: {found}");
        }
        assert_eq!(estimate_text(""), 0);
    }

    #[test]
    fn the_rate_follows_what_the_model_said() {
        let rate = TokenRate::default();
        assert_eq!(rate.scale_tokens(1_000), 1_200);
        assert_eq!(
            rate.after_reading(Some(8_000), 10_000).scale_tokens(1_000),
            800
        );
        assert_eq!(rate.after_reading(None, 10_000), rate);
        assert_eq!(
            rate.after_reading(Some(8_000), 100),
            rate,
            "too short to tell"
        );
        assert_eq!(rate.after_reading(Some(1), 10_000).scale_tokens(1_000), 400);
        assert_eq!(
            rate.after_reading(Some(u64::MAX), 10_000)
                .scale_tokens(1_000),
            2_500
        );
    }
}
