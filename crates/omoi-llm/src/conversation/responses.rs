//! OpenAI Responses.

mod event_parts;
mod event_writer;
mod open_items;
mod parse;
mod reader;
mod render;

pub(crate) use self::event_writer::ResponsesWriter;
pub(crate) use self::parse::conversation_of;
pub(crate) use self::reader::{ResponsesReader, events_of_answer};
pub(crate) use self::render::request_of;
