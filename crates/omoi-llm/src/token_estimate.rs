//! About how many tokens a text is, whatever model reads it.
//!
//! Tokenizers differ and are not at hand. What they have in common is used: short words are one token, and
//! digits, punctuation, capitals and letters beyond ASCII are dense. The estimate errs on the side of too many.

use crate::wire::anthropic::{ContentBlock, MessageContent};

/// Letters of one word that are one token.
const WORD_LETTERS: u64 = 5;
/// Capitals in a row that are one token.
const CAPITALS: u64 = 3;
/// Digits, or punctuation marks in a row, that are one token.
const DENSE_CHARS: u64 = 2;
/// Blanks in a row that are one token, as in an indentation.
const BLANKS: u64 = 8;
/// What a picture costs, whatever its bytes: the largest that vendors do not scale down.
pub const IMAGE_TOKENS: u64 = 1_600;
/// What a block costs besides its words.
const FRAME_TOKENS: u64 = 4;

/// What a run of characters consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunKind {
    Letters,
    Capitals,
    Digits,
    Marks,
    Blanks,
    /// A character beyond ASCII, by its first byte; it is a run by itself.
    Beyond,
    /// A further byte of it.
    Continued,
}

const fn kind_of(byte: u8) -> RunKind {
    match byte {
        b'a'..=b'z' => RunKind::Letters,
        b'A'..=b'Z' => RunKind::Capitals,
        b'0'..=b'9' => RunKind::Digits,
        b' ' | b'\t' | b'\n' | b'\r' | 0x0c => RunKind::Blanks,
        0x80..=0xbf => RunKind::Continued,
        0xc0.. => RunKind::Beyond,
        _ => RunKind::Marks,
    }
}

/// About how many tokens `text` is.
pub fn estimate_text(text: &str) -> u64 {
    let (mut tokens, mut run) = (0, 0_u64);
    let mut kind = RunKind::Blanks;
    for byte in text.bytes() {
        let next = kind_of(byte);
        match (kind, next) {
            (_, RunKind::Continued) => {}
            (_, RunKind::Beyond) => {
                // Pictographs have four bytes, and are rare words to every tokenizer.
                tokens += run_tokens(kind, run) + if byte >= 0xf0 { 2 } else { 1 };
                (kind, run) = (RunKind::Blanks, 0);
            }
            // `Word` is one word, `camelCase` and `HTTPServer` are two.
            (RunKind::Capitals, RunKind::Letters) if run == 1 => (kind, run) = (next, 2),
            _ if next == kind => run += 1,
            _ => {
                tokens += run_tokens(kind, run);
                (kind, run) = (next, 1);
            }
        }
    }
    tokens + run_tokens(kind, run)
}

const fn run_tokens(kind: RunKind, run: u64) -> u64 {
    match kind {
        RunKind::Letters => run.div_ceil(WORD_LETTERS),
        RunKind::Capitals => run.div_ceil(CAPITALS),
        RunKind::Digits | RunKind::Marks => run.div_ceil(DENSE_CHARS),
        // A single blank belongs to the word behind it.
        RunKind::Blanks if run < 2 => 0,
        RunKind::Blanks => run.div_ceil(BLANKS),
        // Counted where they stand.
        RunKind::Beyond | RunKind::Continued => 0,
    }
}

/// About how many tokens `blocks` are.
pub fn estimate_blocks(blocks: &[ContentBlock]) -> u64 {
    blocks.iter().map(estimate_block).sum()
}

fn estimate_content(content: &MessageContent) -> u64 {
    match content {
        MessageContent::Text(text) => estimate_text(text),
        MessageContent::Blocks(blocks) => estimate_blocks(blocks),
    }
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
            ("QmFzZTY0IGlzIGRlbnNlIQpYWFhZWVla", 400..=800),
            ("HTTP_STATUS_NOT_FOUND ", 200..=500),
            ("3.14159,2.71828,1.41421\n", 350..=760),
            ("漢字かな交じり文", 300..=400),
            ("😀😀😀", 400..=600),
        ];
        for (text, expected) in cases {
            let found = per_kilobyte(text);
            assert!(expected.contains(&found), "{text}: {found}");
        }
        assert_eq!(estimate_text(""), 0);
        assert_eq!(estimate_text("Word"), 1);
        assert_eq!(estimate_text("camelCase"), 2);
    }
}
