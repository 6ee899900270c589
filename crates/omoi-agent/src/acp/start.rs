//! What programs of the protocol differ in: how they are started, where their sessions lie, their manners.

use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use agent_client_protocol::v1::schema::Meta;
use omoi_protocol::worker::AttemptContext;

use super::claude_bridge::plan_bridge;
use super::declared::plan_declared;
use super::opencode::plan_opencode;
use super::qwen::plan_qwen;
use crate::process::ProgramCommand;
use crate::program::ProgramHost;
use crate::program::first_message::{FirstMessage, first_message};
use crate::program::session_file::{KeptSession, SessionFile, SessionPosition, session_of_turns};
use crate::runtime::RuntimeError;

/// The programs of the protocol that are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcpProgram {
    /// opencode.
    OpenCode,
    /// The bridge to Claude Code.
    ClaudeBridge,
    /// Qwen Code.
    Qwen,
    /// One that a person has declared.
    Declared,
}

/// Everything that a start needs.
#[derive(Debug)]
pub(super) struct AcpStart {
    pub(super) preparing: Option<PreparingCommand>,
    pub(super) command: ProgramCommand,
    pub(super) session: SessionStart,
    pub(super) first: FirstMessage,
    pub(super) files: Vec<(PathBuf, String)>,
    /// Links to what is installed: where, and to what.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    pub(super) manners: AcpManners,
}

/// A command that has to succeed before the program starts.
#[derive(Debug)]
pub(super) struct PreparingCommand {
    pub(super) command: ProgramCommand,
    /// What it says then.
    pub(super) success: &'static str,
}

/// How a session is opened.
#[derive(Debug, Default)]
pub(super) struct SessionStart {
    /// The one that it goes on with.
    pub(super) resumed: Option<String>,
    /// What the program alone understands.
    pub(super) meta: Option<Meta>,
    /// The mode to work in, where the program would choose another.
    pub(super) mode: Option<&'static str>,
    /// Where the program keeps a file per session, which our turns then hold; none where the
    /// conversation is put back from the turns themselves.
    pub(super) folder: Option<PathBuf>,
    /// How much of that file the platform has.
    pub(super) kept: SessionPosition,
}

/// What a program does in a way of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AcpManners {
    /// A refused call ends its turn, and the model does not hear of it.
    pub(super) stops_at_refusal: bool,
    /// What the model was told of a call stands in its contents; its output is for people.
    pub(super) tells_contents: bool,
    /// A command that failed tells its exit code in words alone, and none ends well that did not exit with 0.
    pub(super) reads_exit_from_text: bool,
    /// It may run calls without asking, which are judged once they are told of.
    pub(super) acts_unasked: bool,
    /// What comes before the id of a call in the line of its result.
    pub(super) result_mark: &'static str,
}

impl AcpStart {
    /// Makes the links.
    pub(super) fn link_files(&self) -> io::Result<()> {
        for (path, target) in &self.links {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            symlink(target, path)?;
        }
        Ok(())
    }
}

impl SessionStart {
    /// The file of session `id`, where the program has one.
    pub(super) fn session_file(&self, id: &str) -> Option<SessionFile> {
        let path = self.folder.as_ref()?.join(format!("{id}.jsonl"));
        Some(SessionFile::new(id.to_owned(), path, self.kept))
    }
}

/// A session that is put back as a file.
pub(super) struct StoredSession {
    pub(super) start: SessionStart,
    pub(super) first: FirstMessage,
    pub(super) files: Vec<(PathBuf, String)>,
}

impl StoredSession {
    /// What the turns of `context` hold, for a program with a file per session in `folder`.
    pub(super) fn of_turns(
        context: &AttemptContext,
        folder: PathBuf,
    ) -> Result<Self, RuntimeError> {
        let resumed = session_of_turns(&context.resume);
        let first = first_message(context, resumed.is_some())?;
        let kept = resumed.as_ref().map(KeptSession::next_position);
        let id = resumed.as_ref().map(|session| session.id.clone());
        let file = resumed.map(|session| {
            let path = folder.join(format!("{}.jsonl", session.id));
            (path, session.text)
        });
        Ok(Self {
            start: SessionStart {
                resumed: id,
                folder: Some(folder),
                kept: kept.unwrap_or_default(),
                ..SessionStart::default()
            },
            first,
            files: file.into_iter().collect(),
        })
    }
}

/// Plans the start of `program` for `context`.
pub(super) fn plan_start(
    program: AcpProgram,
    context: &AttemptContext,
    host: &ProgramHost,
) -> Result<AcpStart, RuntimeError> {
    match program {
        AcpProgram::OpenCode => plan_opencode(context, host),
        AcpProgram::ClaudeBridge => plan_bridge(context, host),
        AcpProgram::Qwen => plan_qwen(context, host),
        AcpProgram::Declared => plan_declared(context, host),
    }
}

/// The system prompt: these programs tell their models no reason of ours for a refusal.
pub(super) fn system_prompt(context: &AttemptContext) -> String {
    format!(
        "{}\n\nA call that is rejected is not allowed in this sandbox: files outside the workspace, and \
         the settings of agents in it. Go on without it.",
        context.system
    )
}
