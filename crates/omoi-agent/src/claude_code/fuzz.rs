//! Fuzz target: a line of the program.

use omoi_testkit::fuzz::FuzzTarget;

use super::protocol::{OutputLine, unread_request};

/// Any bytes are a line or none; what is read of a line never fails.
#[test]
fn claude_code_line() {
    FuzzTarget::new(env!("CARGO_MANIFEST_DIR"), "claude_code_line").run(|input| {
        for line in input.split(|byte| *byte == b'\n') {
            match serde_json::from_slice::<OutputLine>(line) {
                Ok(OutputLine::Assistant(message) | OutputLine::User(message)) => {
                    message.message.read_blocks();
                }
                Ok(OutputLine::Result(result)) => {
                    result.problem_text();
                }
                Ok(_) => {}
                Err(_) => {
                    unread_request(line);
                }
            }
        }
    });
}
