//! What a request tells of the reasoning in its conversation: who made it, and whether the tool round
//! under way still has all of its own.

use serde_json::Value;

use super::dialect::Dialect;

/// Begins reasoning that was written here for another dialect or another maker, see
/// [`crate::conversation::ReasoningSeal`].
pub const SEAL_PREFIX: &str = "omoi-sealed:";

/// Fields of a piece of reasoning that only its maker reads.
const SEALED_FIELDS: [&str; 3] = ["signature", "data", "encrypted_content"];

/// The reasoning in the conversation of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CarriedReasoning {
    /// Some of it stands there as its maker wrote it, and nothing says who that was.
    pub is_unsigned: bool,
    /// The tool round that the request goes on with; none between rounds.
    pub round: Option<ToolRound>,
    /// How often somebody said something: a tool round has one number from its beginning to its end.
    pub n_said: usize,
}

/// Answers of models that called tools, with their results, since a person last said something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRound {
    /// Who gave the answers before the last one, oldest first.
    pub earlier: Vec<AnswerAuthor>,
    /// Who gave the last answer.
    pub answered_by: AnswerAuthor,
}

impl ToolRound {
    /// The round of answers that `authors` gave, oldest first; none without an answer.
    fn of_authors(mut authors: Vec<AnswerAuthor>) -> Option<Self> {
        let answered_by = authors.pop()?;
        Some(Self {
            earlier: authors,
            answered_by,
        })
    }

    /// Who gave its answers, oldest first.
    pub fn round_authors(&self) -> impl Iterator<Item = &AnswerAuthor> {
        self.earlier.iter().chain([&self.answered_by])
    }

    /// Whether it begins with reasoning of whoever reads it as it stands, and holds nobody else's.
    pub fn is_thought_whole(&self) -> bool {
        self.round_authors().next() == Some(&AnswerAuthor::Unsigned)
            && !self
                .round_authors()
                .any(|one| matches!(one, AnswerAuthor::Signed(_)))
    }

    /// Whether reasoning of `maker` stands in it; `is_home` says whether that of nobody's name is its own.
    pub fn holds_reasoning_of(&self, maker: &str, is_home: bool) -> bool {
        self.round_authors().any(|author| match author {
            AnswerAuthor::Silent => false,
            AnswerAuthor::Unsigned => is_home,
            AnswerAuthor::Signed(own) => own == maker,
        })
    }
}

/// Who gave an answer, as far as its reasoning tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AnswerAuthor {
    /// It holds no reasoning.
    #[default]
    Silent,
    /// It holds reasoning as its maker wrote it.
    Unsigned,
    /// It holds reasoning of the maker with this name.
    Signed(String),
}

/// What an entry of a conversation is.
enum Entry {
    /// Someone says something: a round is over.
    Said,
    /// The result of a tool.
    Result,
    /// The whole answer of a model, or a part of it.
    Answer(AnswerAuthor),
    /// Nothing that matters.
    Other,
}

impl CarriedReasoning {
    /// Reads the conversation in `body`, a request of `dialect`.
    pub fn of_body(dialect: Dialect, body: &Value) -> Self {
        let list = match dialect {
            Dialect::Messages | Dialect::ChatCompletions => &body["messages"],
            Dialect::Responses => &body["input"],
        };
        let mut carried = Self::default();
        let mut answers: Vec<AnswerAuthor> = Vec::new();
        let mut is_open = false;
        for entry in list.as_array().into_iter().flatten() {
            let read = match dialect {
                Dialect::Messages => read_message(entry),
                Dialect::ChatCompletions => read_chat_message(entry),
                Dialect::Responses => read_item(entry),
            };
            match read {
                Entry::Other => {}
                Entry::Said => {
                    carried.n_said += 1;
                    answers.clear();
                    is_open = false;
                }
                Entry::Result => is_open = !answers.is_empty(),
                Entry::Answer(author) => {
                    carried.is_unsigned |= author == AnswerAuthor::Unsigned;
                    match answers.last_mut() {
                        // One answer may have several entries: its reasoning comes first.
                        Some(last) if !is_open => last.take_first(author),
                        _ => answers.push(author),
                    }
                    is_open = false;
                }
            }
        }
        if is_open {
            carried.round = ToolRound::of_authors(answers);
        }
        carried
    }
}

impl AnswerAuthor {
    /// Takes over what the next entry of the same answer tells, where nothing is known yet.
    fn take_first(&mut self, next: Self) {
        if *self == Self::Silent {
            *self = next;
        }
    }

    /// What a piece of reasoning tells; `Unsigned` where none of its fields is sealed here.
    fn of_piece(piece: &Value) -> Self {
        let texts = SEALED_FIELDS
            .iter()
            .filter_map(|field| piece[*field].as_str());
        let mut seals = texts.filter_map(|text| text.strip_prefix(SEAL_PREFIX));
        let Some(seal) = seals.next() else {
            return Self::Unsigned;
        };
        let seal: Value = serde_json::from_str(seal).unwrap_or_default();
        Self::Signed(seal["maker"].as_str().unwrap_or_default().to_owned())
    }
}

fn read_message(message: &Value) -> Entry {
    let blocks = message["content"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let kind = |block: &Value| block["type"].as_str().unwrap_or_default().to_owned();
    match message["role"].as_str() {
        // Texts beside a result do not end the round.
        Some("user") if blocks.iter().any(|block| kind(block) == "tool_result") => Entry::Result,
        Some("user") => Entry::Said,
        Some("assistant") => {
            let mut thoughts = blocks
                .iter()
                .filter(|block| matches!(kind(block).as_str(), "thinking" | "redacted_thinking"));
            let author = thoughts.next().map(AnswerAuthor::of_piece);
            Entry::Answer(author.unwrap_or_default())
        }
        _ => Entry::Other,
    }
}

fn read_chat_message(message: &Value) -> Entry {
    match message["role"].as_str() {
        Some("user") => Entry::Said,
        Some("tool" | "function") => Entry::Result,
        Some("assistant") => {
            let mut details = message["reasoning_details"]
                .as_array()
                .into_iter()
                .flatten();
            let shown = ["reasoning_content", "reasoning"];
            let has_text = shown
                .iter()
                .any(|name| message[*name].as_str().is_some_and(|text| !text.is_empty()));
            let author = details.next_back().map(AnswerAuthor::of_piece);
            Entry::Answer(author.unwrap_or(match has_text {
                true => AnswerAuthor::Unsigned,
                false => AnswerAuthor::Silent,
            }))
        }
        _ => Entry::Other,
    }
}

fn read_item(item: &Value) -> Entry {
    let kind = item["type"].as_str().unwrap_or("message");
    match (kind, item["role"].as_str()) {
        ("message", Some("user")) => Entry::Said,
        ("message", Some("assistant")) => Entry::Answer(AnswerAuthor::Silent),
        ("reasoning", _) => Entry::Answer(AnswerAuthor::of_piece(item)),
        (kind, _) if kind.ends_with("_output") => Entry::Result,
        (kind, _) if kind.ends_with("_call") => Entry::Answer(AnswerAuthor::Silent),
        _ => Entry::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SEALED: &str = r#"omoi-sealed:{"maker":"b","dialect":"messages","payload":{}}"#;

    fn round(dialect: Dialect, list: Value) -> Option<ToolRound> {
        let name = match dialect {
            Dialect::Responses => "input",
            Dialect::Messages | Dialect::ChatCompletions => "messages",
        };
        CarriedReasoning::of_body(dialect, &json!({ name: list })).round
    }

    fn found(dialect: Dialect, list: Value) -> Option<(AnswerAuthor, bool)> {
        round(dialect, list).map(|round| {
            let is_whole = round.is_thought_whole();
            (round.answered_by, is_whole)
        })
    }

    #[test]
    fn a_round_of_messages_says_who_answered_last() {
        use AnswerAuthor::{Signed, Silent, Unsigned};
        let user = json!({"role": "user", "content": "a"});
        let call = json!({"type": "tool_use", "id": "t", "name": "n", "input": {}});
        let answer = |thought: Value| json!({"role": "assistant", "content": [thought, call]});
        let own = answer(json!({"type": "thinking", "thinking": "", "signature": "s"}));
        let hidden = answer(json!({"type": "redacted_thinking", "data": SEALED}));
        let plain = json!({"role": "assistant", "content": [call]});
        let result = json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t"}, {"type": "text", "text": "a reminder"}]});
        let signed = || Signed("b".to_owned());
        for (list, expected) in [
            (json!([user]), None),
            (json!([user, own]), None),
            (json!([user, own, result, user]), None),
            (json!([user, own, result]), Some((Unsigned, true))),
            (json!([user, hidden, result]), Some((signed(), false))),
            (json!([user, plain, result]), Some((Silent, false))),
            // Without interleaved thoughts only the first answer of a round has any.
            (
                json!([user, own, result, plain, result]),
                Some((Silent, true)),
            ),
            (
                json!([user, own, result, hidden, result]),
                Some((signed(), false)),
            ),
            // An earlier round counts for nothing.
            (
                json!([user, hidden, result, user, own, result]),
                Some((Unsigned, true)),
            ),
            // The newest models are reminded in the midst of it.
            (
                json!([user, own, result, {"role": "system", "content": "x"}]),
                Some((Unsigned, true)),
            ),
        ] {
            assert_eq!(found(Dialect::Messages, list.clone()), expected, "{list}");
        }
    }

    #[test]
    fn a_round_of_the_other_dialects_says_the_same() {
        use AnswerAuthor::{Signed, Silent, Unsigned};
        let signed = || Signed("b".to_owned());
        let user = json!({"role": "user", "content": "a"});
        let call = json!([{"id": "t", "type": "function"}]);
        let tool = json!({"role": "tool", "tool_call_id": "t", "content": "x"});
        let sealed = json!({"role": "assistant", "reasoning_content": "hm", "tool_calls": call,
            "reasoning_details": [{"type": "reasoning.encrypted", "data": SEALED}]});
        let own = json!({"role": "assistant", "reasoning_content": "hm", "tool_calls": call});
        let plain = json!({"role": "assistant", "tool_calls": call});
        for (answer, author) in [(sealed, signed()), (own, Unsigned), (plain, Silent)] {
            let found = round(Dialect::ChatCompletions, json!([user, answer, tool]));
            assert_eq!(found.map(|round| round.answered_by), Some(author));
        }
        let output = json!({"type": "function_call_output", "call_id": "t", "output": ""});
        let call = json!({"type": "function_call", "call_id": "t", "name": "n", "arguments": ""});
        let thought = |text: &str| json!({"type": "reasoning", "encrypted_content": text});
        for (list, author) in [
            (json!([user, thought(SEALED), call, output]), signed()),
            (json!([user, thought("x"), call, call, output]), Unsigned),
            (
                json!([user, thought("x"), call, output, call, output]),
                Silent,
            ),
        ] {
            let found = round(Dialect::Responses, list);
            assert_eq!(found.map(|round| round.answered_by), Some(author));
        }
    }
}
