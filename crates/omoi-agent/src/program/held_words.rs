//! Words for the model that wait for the end of its turn: a program takes messages only then.

use omoi_llm::wire::anthropic::ContentBlock;

use crate::transcript::text_of_blocks;

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct HeldWords(Vec<ContentBlock>);

impl HeldWords {
    /// Adds the words of an answer; its tool results the program has by itself.
    pub(crate) fn add_words(&mut self, answer: Vec<ContentBlock>) {
        let words = answer.into_iter().filter(|block| block.as_text().is_some());
        self.0.extend(words);
    }

    /// All of them as one message; none while the turn runs, or where nothing waits.
    pub(crate) fn take_message(&mut self, is_turn_running: bool) -> Option<String> {
        if is_turn_running || self.0.is_empty() {
            return None;
        }
        Some(text_of_blocks(&std::mem::take(&mut self.0)))
    }
}
