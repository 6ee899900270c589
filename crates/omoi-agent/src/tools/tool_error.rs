//! Why a tool did not do what it was asked.

use std::io;

use omoi_llm::wire::answer::BrokenCall;
use serde_json::Value;

use super::allowed_paths::PathError;
use super::edit_text::EditRefusal;
use super::patch_text::PatchFault;
use crate::agent_notes::NoteRefusal;
use crate::platform_client::CallError;
use crate::process::ShellError;

/// Why a tool did not do what it was asked; the model reads this.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolError {
    #[error("`{name}` is not offered: this workspace is read-only for you; the tools are {}", .offered.join(", "))]
    ReadOnly {
        name: String,
        offered: Vec<&'static str>,
    },
    #[error("there is no tool `{name}`; the tools are {}", .offered.join(", "))]
    Unknown {
        name: String,
        offered: Vec<&'static str>,
    },
    #[error("bad input for `{tool}`: {source}; expected {expected}")]
    Input {
        tool: &'static str,
        source: serde_json::Error,
        expected: Value,
    },
    #[error("{0}; call it again with a whole JSON object")]
    Broken(BrokenCall),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("could not {step} `{path}`: {source}")]
    Io {
        step: &'static str,
        path: String,
        source: io::Error,
    },
    #[error("`{path}` is not a regular file")]
    NotAFile { path: String },
    #[error("`{path}` is binary ({bytes} bytes); only text can be read")]
    Binary { path: String, bytes: u64 },
    #[error(
        "`{path}` has {bytes} bytes, more than {max}; look at a part of it with grep or a command"
    )]
    TooLarge { path: String, bytes: u64, max: u64 },
    #[error("`{path}` has {lines} lines; offset {offset} is behind its end")]
    BehindEnd {
        path: String,
        lines: usize,
        offset: usize,
    },
    #[error("give `path` with `old` and `new`, or `path` with `edits`, or `patch` alone")]
    EditForm,
    #[error(transparent)]
    Patch(#[from] PatchFault),
    #[error("the patch names `{path}` twice; nothing was changed")]
    PatchedTwice { path: String },
    #[error("`{path}` exists already; nothing was changed: update it, or delete it first")]
    PathTaken { path: String },
    #[error("{which}: {refusal}")]
    Edit { which: String, refusal: EditRefusal },
    #[error("bad pattern: {0}")]
    Glob(globset::Error),
    #[error("bad pattern: {0}")]
    Regex(grep_regex::Error),
    #[error("`{path}` has {bytes} bytes, more than the {max} that a picture may have")]
    ImageTooLarge { path: String, bytes: u64, max: u64 },
    #[error("`{path}` is no PNG, JPEG, GIF or WebP")]
    NotAnImage { path: String },
    #[error(transparent)]
    Note(#[from] NoteRefusal),
    #[error("{0}")]
    Shell(#[from] ShellError),
    #[error(
        "give `command` alone, or a `session` with `command` to start it, with `wait` to look at it or with \
         `kill` to end it"
    )]
    ShellForm,
    #[error("`{name}` is no name for a session: 1 to 32 letters, digits, `-` or `_`")]
    SessionName { name: String },
    #[error(
        "there is no session `{name}`: it was not started, or it ended with the sandbox it ran in; running are: {}",
        known_names(.known)
    )]
    NoSession { name: String, known: Vec<String> },
    #[error("session `{name}` runs already: look at it with `wait`, or end it with `kill` first")]
    SessionTaken { name: String },
    #[error("{max} sessions run already, the most there may be; end one with `kill`")]
    TooManySessions { max: usize },
    #[error("{0}")]
    Platform(#[from] CallError),
    #[error(
        "ask one question of 1 to {bytes_max} bytes, with at most {choices_max} choices of 1 to {choice_bytes_max} bytes"
    )]
    Question {
        bytes_max: usize,
        choices_max: usize,
        choice_bytes_max: usize,
    },
    #[error("{0}")]
    Item(String),
    #[error("the tool broke down")]
    Panicked(#[from] tokio::task::JoinError),
}

fn known_names(known: &[String]) -> String {
    match known {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}
