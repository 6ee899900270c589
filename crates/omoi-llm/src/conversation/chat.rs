//! OpenAI chat completions.

mod chunk_writer;
mod parse;
mod reader;
mod render;

pub(crate) use self::chunk_writer::{ChatWriter, unwrapped_input};
pub(crate) use self::parse::conversation_of;
pub(crate) use self::reader::{ChatReader, events_of_response};
pub(crate) use self::render::request_of;
