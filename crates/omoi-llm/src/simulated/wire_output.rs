//! What goes out on the wire: events and pauses, cutting texts into pieces, and spoiling what should be spoiled.

use std::time::Duration;

use serde_json::Value as Json;

use super::answer::{AnswerPiece, ScriptedAnswer};
use crate::scenario::{BrokenJson, FaultKind};

/// Something to send on the wire, or a pause.
#[derive(Debug, PartialEq)]
pub(super) enum WireOutput {
    Event {
        name: Option<&'static str>,
        data: String,
    },
    /// Bytes of a body that is no stream of events.
    Raw(String),
    Wait(Duration),
}

impl WireOutput {
    pub(super) fn json_event(name: Option<&'static str>, data: &Json) -> Self {
        Self::Event {
            name,
            data: data.to_string(),
        }
    }

    pub(super) fn wait_ms(ms: u64) -> Self {
        Self::Wait(Duration::from_millis(ms))
    }
}

/// Piece lengths in characters, taken in turn: from single characters up, so that a reader that needs
/// words, tags or JSON in one piece fails soon.
const PIECE_CHARS: [usize; 7] = [1, 5, 2, 13, 3, 89, 34];

/// Cuts `text` into pieces whose lengths vary but are the same each time.
pub(super) fn cut_pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    for length in PIECE_CHARS.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let end = rest
            .char_indices()
            .nth(*length)
            .map_or(rest.len(), |(index, _)| index);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Cuts the arguments of the first tool call in the middle.
pub(super) fn break_tool_input(answer: &mut ScriptedAnswer) {
    let calls = answer.pieces.iter_mut().filter_map(|piece| match piece {
        AnswerPiece::Call(call) => Some(call),
        AnswerPiece::Reasoning(_) | AnswerPiece::Text(_) | AnswerPiece::Delay { .. } => None,
    });
    if let Some(call) = calls.into_iter().next() {
        call.input = first_half(&call.input).to_owned();
    }
}

/// Spoils a stream of events as `fault` says; faults of other kinds leave it as it is.
pub(super) fn spoil_events(
    events: &mut Vec<WireOutput>,
    fault: Option<&FaultKind>,
    error: impl Fn(&str) -> WireOutput,
) {
    let Some(middle) = middle_event(events) else {
        return;
    };
    match fault {
        Some(FaultKind::BrokenJson(BrokenJson::Body)) => {
            if let WireOutput::Event { data, .. } = &mut events[middle] {
                *data = first_half(data).to_owned();
            }
        }
        Some(FaultKind::StreamError { error: kind }) => {
            events.truncate(middle);
            events.push(error(kind));
        }
        _ => {}
    }
}

fn middle_event(events: &[WireOutput]) -> Option<usize> {
    let of_events =
        || (0..events.len()).filter(|index| matches!(events[*index], WireOutput::Event { .. }));
    of_events().nth(of_events().count() / 2)
}

/// The first half of a text, at least one character less than all of it.
pub(super) fn first_half(text: &str) -> &str {
    let mut end = text.len() / 2;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
