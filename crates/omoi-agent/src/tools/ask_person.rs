//! `ask_person`: what only a person knows.

use omoi_llm::wire::anthropic::ContentBlock;
use omoi_protocol::worker::{
    AgentTool, AskPerson, AttemptContext, CHOICE_BYTES_MAX, CHOICES_MAX, MESSAGE_MARK,
    QUESTION_BYTES_MAX,
};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{ToolError, object_schema, refusal_of};
use crate::transcript::{BadTurn, read_turn};

pub(super) const DESCRIPTION: &str = "Asks a person what neither the task nor the repository tells, and without which you \
    cannot go on. Your work is saved and rests until somebody answers, which may take days: look around first, and ask one \
    whole question. The answer is your next message.";

/// What the model is told; the answer follows.
const ASKED: &str = "asked. Your work is saved; the answer of a person follows.";

pub(super) fn input_schema() -> Value {
    object_schema(
        json!({
            "question": {"type": "string", "description": "One question, with what a person has to know to answer it."},
            "choices": {"type": "array", "items": {"type": "string"}, "description": "Answers to choose from, when there are few."},
        }),
        &["question"],
    )
}

pub(super) fn run(input: &AskPerson) -> Result<String, ToolError> {
    match input.is_sound() {
        true => Ok(ASKED.to_owned()),
        false => Err(ToolError::Question {
            bytes_max: QUESTION_BYTES_MAX,
            choices_max: CHOICES_MAX,
            choice_bytes_max: CHOICE_BYTES_MAX,
        }),
    }
}

/// What the last turn of a resumed transcript asks a person, and what has come of it.
pub(crate) struct LastQuestion {
    /// The question.
    pub(crate) asked: AskPerson,
    /// The answer as it was added to the turn; none while nobody has answered.
    pub(crate) answer: Option<String>,
}

/// The question that the last turn of `context` ended with, where it did.
pub(crate) fn last_question(context: &AttemptContext) -> Result<Option<LastQuestion>, BadTurn> {
    let Some(last) = context.resume.last() else {
        return Ok(None);
    };
    let (reply, results) = read_turn(last)?;
    let calls = reply.tool_calls().into_iter();
    // A program is stopped before it knows the result.
    let asking = calls.filter(|call| {
        call.name == AgentTool::AskPerson.as_str() && refusal_of(&call.id, &results).is_none()
    });
    let asked = asking.filter_map(|call| AskPerson::deserialize(&call.input).ok());
    let sound = asked.filter(AskPerson::is_sound);
    let Some(asked) = sound.reduce(AskPerson::joined_with) else {
        return Ok(None);
    };
    let mut texts = results.iter().filter_map(ContentBlock::as_text);
    let answer = texts.find(|text| text.starts_with(MESSAGE_MARK));
    Ok(Some(LastQuestion {
        asked,
        answer: answer.map(str::to_owned),
    }))
}
