//! How a model goes on with a tool round in which another one answered: a pure rule for each dialect.
//!
//! Reasoning belongs to its maker, so whoever enters such a round is sent none of the others'. Vendors differ in
//! what they make of a round without it.

use super::carried_reasoning::ToolRound;

/// What the dialect of a model demands of a tool round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundReader {
    /// Anthropic Messages. Who thinks by a number of tokens refuses a round that does not begin with a signed
    /// thought of its own, unless it is not to think; who decides by itself how long it thinks takes any.
    Messages {
        /// Whether it is told a number of tokens of thought.
        thinks_by_budget: bool,
    },
    /// Chat completions. The vendor never gets reasoning back; compatible servers that showed some refuse an
    /// answer of the round without.
    ChatCompletions {
        /// Whether reasoning that it showed in the round goes back to it.
        wants_reasoning: bool,
    },
    /// Responses. Items of reasoning may be missing.
    Responses,
}

/// How a model may go on with a tool round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundEntry {
    /// As it is asked.
    Unchanged,
    /// When its request says that it is not to think.
    WithoutThinking,
    /// Not before the round is over.
    Barred,
}

/// How `reader` may go on with `round`, whose reasoning of others it is not sent.
pub fn enter_round(round: &ToolRound, reader: RoundReader) -> RoundEntry {
    match reader {
        RoundReader::Messages {
            thinks_by_budget: true,
        } if !round.is_thought_whole() => RoundEntry::WithoutThinking,
        RoundReader::ChatCompletions {
            wants_reasoning: true,
        } => RoundEntry::Barred,
        RoundReader::Messages { .. }
        | RoundReader::ChatCompletions { .. }
        | RoundReader::Responses => RoundEntry::Unchanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::carried_reasoning::AnswerAuthor::{self, Signed, Silent, Unsigned};

    #[test]
    fn each_dialect_says_who_may_enter_a_round() {
        use RoundEntry::{Barred, Unchanged, WithoutThinking};
        let budget = |thinks_by_budget| RoundReader::Messages { thinks_by_budget };
        let chat = |wants_reasoning| RoundReader::ChatCompletions { wants_reasoning };
        let other = || Signed("b".to_owned());
        let rounds: [(&str, Vec<AnswerAuthor>, RoundEntry); 6] = [
            ("its own thoughts", vec![Unsigned], Unchanged),
            ("its own, then none", vec![Unsigned, Silent], Unchanged),
            ("none at all", vec![Silent], WithoutThinking),
            ("those of another", vec![other()], WithoutThinking),
            (
                "its own, then those of another",
                vec![Unsigned, other()],
                WithoutThinking,
            ),
            (
                "none, then its own",
                vec![Silent, Unsigned],
                WithoutThinking,
            ),
        ];
        for (name, authors, by_budget) in rounds {
            let (last, earlier) = authors.split_last().map_or((&Silent, &[][..]), |all| all);
            let round = ToolRound {
                earlier: earlier.to_vec(),
                answered_by: last.clone(),
            };
            for (reader, expected) in [
                (budget(true), by_budget),
                (budget(false), Unchanged),
                (chat(true), Barred),
                (chat(false), Unchanged),
                (RoundReader::Responses, Unchanged),
            ] {
                assert_eq!(enter_round(&round, reader), expected, "{name}: {reader:?}");
            }
        }
    }
}
