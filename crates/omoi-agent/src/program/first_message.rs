//! What begins the work of an agent program.

use omoi_domain::attempt::TurnKind;
use omoi_llm::wire::anthropic::ContentBlock;
use omoi_protocol::worker::{AttemptContext, MESSAGE_MARK};

use crate::runtime::RuntimeError;
use crate::tools::{LastQuestion, last_question};
use crate::transcript::{read_turn, text_of_blocks};

/// What begins the program's work.
#[derive(Debug)]
pub(crate) enum FirstMessage {
    /// A message of ours.
    Text(String),
    /// Its session ends within a turn, which it goes on with; these words wait for the end of it.
    GoesOn(Vec<ContentBlock>),
}

/// What it is told first: the task, what was to be said when it was lost, or nothing within a turn.
pub(crate) fn first_message(
    context: &AttemptContext,
    has_session: bool,
) -> Result<FirstMessage, RuntimeError> {
    let Some(last) = context.resume.last() else {
        return Ok(FirstMessage::Text(context.prompt.clone()));
    };
    if !has_session {
        let mut text = format!(
            "{}\n\nAn earlier agent worked on this and its conversation is lost. The workspace stands as \
             it left it: look at what is done before you go on.",
            context.prompt
        );
        for message in told_messages(context)? {
            text.push_str("\n\n");
            text.push_str(&message);
        }
        return Ok(FirstMessage::Text(text));
    }
    if let Some(LastQuestion {
        asked,
        answer: Some(answer),
    }) = last_question(context)?
    {
        // Its session may end before the call that asked.
        let question = asked.question;
        let text = format!("You asked a person: {question}\n\n{answer}\n\nGo on with your task.");
        return Ok(FirstMessage::Text(text));
    }
    let (reply, results) = read_turn(last)?;
    let words = results
        .into_iter()
        .filter(|block| block.as_text().is_some());
    let words: Vec<_> = words.collect();
    Ok(match reply.tool_calls().is_empty() {
        true => FirstMessage::Text(text_of_blocks(&words)),
        false => FirstMessage::GoesOn(words),
    })
}

/// The messages that people and others sent while the turns so far were taken.
fn told_messages(context: &AttemptContext) -> Result<Vec<String>, RuntimeError> {
    let mut messages = Vec::new();
    let turns = context.resume.iter();
    for turn in turns.filter(|turn| turn.kind == TurnKind::Answer) {
        let (_, results) = read_turn(turn)?;
        let texts = results.iter().filter_map(ContentBlock::as_text);
        let told = texts.filter(|text| text.starts_with(MESSAGE_MARK));
        messages.extend(told.map(str::to_owned));
    }
    Ok(messages)
}
