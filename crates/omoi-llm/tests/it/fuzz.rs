//! Fuzz targets: requests and answers of each dialect. Their committed inputs are those of [`crate::conversation`].

use omoi_llm::conversation::{AnswerEvent, AnswerParser, parse_request, render_request};
use omoi_llm::wire::answer_signs::read_whole;
use omoi_llm::wire::dialect::Dialect;
use omoi_llm::wire::sse::{SseDecoder, encode_frame};
use omoi_testkit::fuzz::FuzzTarget;

use crate::conversation::{FOLDERS, vendor_model};

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// What is read as a request can be said in every dialect or is refused, and what was said is a request again.
fn hold_requests(dialect: Dialect, target: &str) {
    FuzzTarget::new(CRATE, target).run(|input| {
        let Ok(conversation) = parse_request(dialect, input) else {
            return;
        };
        for (to, _) in FOLDERS {
            if let Ok(said) = render_request(to, &conversation, &vendor_model(to, "there")) {
                let said = said.to_string();
                let again = parse_request(to, said.as_bytes());
                assert!(again.is_ok(), "{to}: {:?} of {said}", again.err());
            }
        }
    });
}

/// An answer says the same in whatever pieces it arrives, and never too much.
fn hold_answers(dialect: Dialect, target: &str) {
    FuzzTarget::new(CRATE, target).run(|input| {
        let whole = events_of(dialect, &[input]);
        let step = 1 + input.len() % 61;
        let pieces: Vec<&[u8]> = input.chunks(step).collect();
        assert_eq!(events_of(dialect, &pieces), whole, "in pieces of {step}");
    });
}

/// The events up to the first fault; a fault is the last.
fn events_of(dialect: Dialect, pieces: &[&[u8]]) -> Vec<Result<AnswerEvent, String>> {
    let mut decoder = SseDecoder::default();
    let mut frames = Vec::new();
    for piece in pieces {
        match decoder.push(piece) {
            Ok(read) => frames.extend(read),
            // How many frames a fault takes with it depends on the pieces.
            Err(error) => return vec![Err(error.to_string())],
        }
    }
    let mut parser = AnswerParser::new(dialect, "maker");
    let mut events = Vec::new();
    for frame in frames {
        match parser.push_frame(&frame) {
            Ok(read) => events.extend(read.into_iter().map(Ok)),
            Err(error) => {
                events.push(Err(error.to_string()));
                return events;
            }
        }
    }
    events.extend(parser.close_stream().into_iter().map(Ok));
    events
}

#[test]
fn messages_request() {
    hold_requests(Dialect::Messages, "messages_request");
}

#[test]
fn chat_request() {
    hold_requests(Dialect::ChatCompletions, "chat_request");
}

#[test]
fn responses_request() {
    hold_requests(Dialect::Responses, "responses_request");
}

#[test]
fn messages_stream() {
    hold_answers(Dialect::Messages, "messages_stream");
}

#[test]
fn chat_stream() {
    hold_answers(Dialect::ChatCompletions, "chat_stream");
}

#[test]
fn responses_stream() {
    hold_answers(Dialect::Responses, "responses_stream");
}

/// Frames come back from what they are written as.
#[test]
fn sse() {
    FuzzTarget::new(CRATE, "messages_stream").run(|input| {
        let Ok(frames) = SseDecoder::default().push(input) else {
            return;
        };
        for frame in frames {
            let event = frame.event.as_deref();
            let written = encode_frame(event, &frame.data);
            let again = SseDecoder::default().push(written.as_bytes());
            assert_eq!(again.ok(), Some(vec![frame.clone()]), "{written:?}");
        }
    });
}

/// A whole answer or a refusal is the same whatever its kind is called, and says no more than came.
#[test]
fn whole_answer() {
    FuzzTarget::new(CRATE, "whole_answer").run(|input| {
        for (dialect, _) in FOLDERS {
            if let Ok(Ok(signs)) = read_whole(dialect, input) {
                // Numbers and texts are written anew, at most six bytes for one.
                let most = 6 * input.len() as u64 + 64;
                assert!(signs.answered_bytes <= most, "{dialect}: {signs:?}");
            }
        }
    });
}
