//! Anthropic Messages.

mod event_writer;
mod open_calls;
mod parse;
mod reader;
mod render;

pub(crate) use self::event_writer::MessagesWriter;
pub(crate) use self::parse::conversation_of;
pub(crate) use self::reader::{MessagesReader, events_of_response};
pub(crate) use self::render::request_of;
