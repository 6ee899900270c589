//! Conversations between dialects. The inputs below `tests/inputs` are requests that agent programs sent,
//! shortened, and answers as the vendors write them.

mod answers;
mod reasoning;
mod requests;

use std::path::PathBuf;

use omoi_llm::conversation::{AnswerEvent, AnswerParser, DialectQuirks, TargetModel};
use omoi_llm::wire::dialect::Dialect;
use omoi_llm::wire::sse::SseDecoder;

/// The folder name of each dialect's inputs.
pub(crate) const FOLDERS: [(Dialect, &str); 3] = [
    (Dialect::Messages, "messages"),
    (Dialect::ChatCompletions, "chat"),
    (Dialect::Responses, "responses"),
];

/// The model at `maker`, with the ways of the vendor's own server.
pub(crate) fn vendor_model(dialect: Dialect, maker: &str) -> TargetModel<'_> {
    TargetModel {
        maker,
        quirks: DialectQuirks {
            takes_reasoning_back: true,
            ..DialectQuirks::of_dialect(dialect, true)
        },
        output_tokens_max: 1_000,
    }
}

/// The inputs of one parser, by name.
pub(crate) fn inputs(folder: &str) -> Vec<(String, Vec<u8>)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/inputs");
    let entries = std::fs::read_dir(root.join(folder)).unwrap();
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{folder} is empty");
    inputs
}

pub(crate) fn input(folder: &str, name: &str) -> Vec<u8> {
    let found = inputs(folder).into_iter().find(|(known, _)| known == name);
    found.unwrap().1
}

/// What the model at `maker` says in `stream`, whose bytes come in `pieces`.
pub(crate) fn events_of<'a>(
    dialect: Dialect,
    maker: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<AnswerEvent> {
    let mut decoder = SseDecoder::default();
    let mut parser = AnswerParser::new(dialect, maker);
    let mut events = Vec::new();
    for piece in pieces {
        for frame in decoder.push(piece).unwrap() {
            events.extend(parser.push_frame(&frame).unwrap());
        }
    }
    events.extend(parser.close_stream());
    events
}
