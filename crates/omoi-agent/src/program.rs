//! What every driver of an agent program has: its folder, the way to the model, our tools, and the end
//! of everything that the program started.

pub(crate) mod driver_steps;
pub(crate) mod first_message;
pub(crate) mod gateway_record;
pub(crate) mod held_calls;
pub(crate) mod held_words;
pub(crate) mod model_forwarder;
pub(crate) mod session_file;
pub(crate) mod tool_observer;
pub(crate) mod tool_rules;
pub(crate) mod tool_server;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use omoi_protocol::worker::{AttemptContext, WorkerProgram};
use omoi_runtime::clock::Clocked;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::model_forwarder::{ForwarderError, ForwarderSignals, ModelForwarder};
use self::tool_observer::ToolObserver;
use self::tool_server::{SERVER_NAME, ToolServer, ToolServerPlace};
use crate::event_reporter::EventReporter;
use crate::process::{LineProgram, ProgramCommand, is_executable};
use crate::runtime::RuntimeEnding;
use crate::stop_signal::StopSignal;
use crate::tools::{AgentTools, own_tools};

/// Folder below the attempt's own in which a program keeps its state.
const PROGRAM_FOLDER: &str = "agent-program";
/// Folders that programs leave in the work tree, empty where nobody needed them.
const LEAVINGS: [&str; 6] = [".agents", ".aws", ".claude", ".codex", ".git", ".qwen"];

/// Time in which a program must end by itself once its input is closed, and again once it is told to.
pub(crate) const END_TIME: Duration = Duration::from_secs(3);
/// The same where it was interrupted: with the time to stop its turn, it is gone within a second whatever it does.
pub(crate) const HURRIED_END_TIME: Duration = Duration::from_millis(100);

/// Why an agent program cannot be driven.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetUpProgramError {
    /// The context names no folder of it.
    #[error("the attempt names no installed program")]
    NotNamed,
    /// It is not where it should be.
    #[error("there is no program at `{}`; {next}", path.display())]
    Missing {
        /// Path of the executable.
        path: PathBuf,
        /// What to do about it.
        next: &'static str,
    },
    /// Its folder cannot be made.
    #[error("the folder of the program cannot be made")]
    Folder(#[source] io::Error),
    /// It cannot be shown our tools.
    #[error("our tools cannot be offered")]
    Tools(#[source] io::Error),
    /// It cannot reach the model.
    #[error(transparent)]
    Forwarder(#[from] ForwarderError),
}

/// What the host of a program is made of.
pub(crate) struct ProgramParts<'a> {
    /// What the worker is told.
    pub(crate) context: &'a AttemptContext,
    /// Our tools.
    pub(crate) tools: &'a Arc<AgentTools>,
    /// Queue that events go to.
    pub(crate) reporter: &'a EventReporter,
    /// Clock of the worker.
    pub(crate) clock: &'a Clocked,
    /// Stops the worker when the gateway says that the attempt is over.
    pub(crate) stop_signal: &'a StopSignal,
    /// Variables of the attempt's way out.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Executable of the worker, which programs start as the server of our tools.
    pub(crate) worker: &'a Path,
    /// Folder of the attempt's own, outside the work tree.
    pub(crate) home: &'a Path,
}

/// The surroundings of one agent program. They end with this value.
pub(crate) struct ProgramHost {
    /// Where it is installed.
    pub(crate) installed: WorkerProgram,
    /// A fresh folder for its state: its home.
    pub(crate) folder: PathBuf,
    /// The work tree, without symbolic links.
    pub(crate) workspace: PathBuf,
    /// Its way to the model.
    pub(crate) forwarder: ModelForwarder,
    /// Our tools.
    pub(crate) tool_server: ToolServer,
    /// Judges and reports its tools.
    pub(crate) observer: ToolObserver,
    /// Clock of the worker.
    pub(crate) clock: Clocked,
    /// What the round under way answers, for its digest.
    asked: Vec<u8>,
    worker: PathBuf,
    environment: Vec<(OsString, OsString)>,
    tasks: JoinSet<()>,
}

impl ProgramHost {
    /// Makes the surroundings of the program that the context names.
    pub(crate) async fn set_up(parts: ProgramParts<'_>) -> Result<Self, SetUpProgramError> {
        let context = parts.context;
        let installed = context.agent.installed.clone();
        let installed = installed.ok_or(SetUpProgramError::NotNamed)?;
        let (program, _) = installed
            .command
            .split_first()
            .ok_or(SetUpProgramError::NotNamed)?;
        if !is_executable(Path::new(program)) {
            let path = PathBuf::from(program);
            let next = match installed.declared {
                None => "install it again: omoi agents install",
                Some(_) => {
                    "let every user read and execute it, as sandboxes have a user of their own"
                }
            };
            return Err(SetUpProgramError::Missing { path, next });
        }
        let folder = parts.home.join(PROGRAM_FOLDER);
        make_fresh_folder(&folder).map_err(SetUpProgramError::Folder)?;
        let workspace = Path::new(&context.workspace).canonicalize();
        let closed = folder.canonicalize().map_err(SetUpProgramError::Folder)?;
        let mut tasks = JoinSet::new();
        let work_over = CancellationToken::new();
        let signals = ForwarderSignals {
            stop_signal: parts.stop_signal.clone(),
            work_over: work_over.clone(),
            token: context.token.clone().into(),
        };
        let platform = Path::new(&context.socket);
        let forwarder = ModelForwarder::start(platform, parts.clock, signals, &mut tasks).await?;
        let place = ToolServerPlace {
            socket: &tool_server::socket_path(&folder),
            work_over,
            tasks: &mut tasks,
        };
        let tool_server = ToolServer::start(parts.tools, own_tools(context), place)
            .map_err(SetUpProgramError::Tools)?;
        Ok(Self {
            installed,
            workspace: workspace.map_err(SetUpProgramError::Folder)?,
            forwarder,
            tool_server,
            observer: ToolObserver::new(parts.tools, &context.tools, parts.reporter, parts.clock)
                .with_closed_folder(closed),
            clock: parts.clock.clone(),
            asked: Vec::new(),
            worker: parts.worker.to_path_buf(),
            environment: parts.environment,
            folder,
            tasks,
        })
    }

    /// Runs `task` beside the program, to the end of these surroundings at most.
    pub(crate) fn spawn_task(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// The command that starts the program with `arguments` and `environment` in the work tree.
    pub(crate) fn program_command(
        &self,
        arguments: Vec<OsString>,
        environment: Vec<(OsString, OsString)>,
    ) -> ProgramCommand {
        let mut words = self.installed.command.iter();
        let executable = words.next().map(PathBuf::from).unwrap_or_default();
        ProgramCommand {
            executable,
            arguments: words.map(OsString::from).chain(arguments).collect(),
            environment,
            folder: self.workspace.clone(),
        }
    }

    /// Name and command line of the server of our tools.
    pub(crate) fn tool_command(&self) -> (&'static str, Vec<String>) {
        let socket = tool_server::socket_path(&self.folder);
        let words = [
            self.worker.as_os_str(),
            "agent".as_ref(),
            "tools".as_ref(),
            "--socket".as_ref(),
            socket.as_os_str(),
        ];
        let words = words.map(|word| word.to_string_lossy().into_owned());
        (SERVER_NAME, words.to_vec())
    }

    /// Variables that every program gets.
    pub(crate) fn program_environment(&self) -> Vec<(OsString, OsString)> {
        let mut variables = self.environment.clone();
        variables.extend([
            ("HOME".into(), self.folder.clone().into_os_string()),
            ("IS_SANDBOX".into(), "1".into()),
            ("NO_PROXY".into(), "127.0.0.1,localhost".into()),
        ]);
        variables
    }

    /// Ends the program with everything that it started, and removes what it left beside its work.
    pub(crate) async fn end_program(&self, program: Option<LineProgram>, ending: RuntimeEnding) {
        let clock = self.clock.as_ref();
        if let Some(program) = program {
            match ending {
                RuntimeEnding::AtOnce => program.kill(clock).await,
                RuntimeEnding::Hurried => program.end(HURRIED_END_TIME, clock).await,
                RuntimeEnding::Orderly => program.end(END_TIME, clock).await,
            }
        }
        self.sweep_leavings();
    }

    /// Removes what programs leave in the work tree beside their work.
    fn sweep_leavings(&self) {
        for name in LEAVINGS {
            // Only an empty folder can be removed so.
            let _ = fs::remove_dir(self.workspace.join(name));
        }
    }
}

/// Writes the files that a program reads at its start.
#[expect(
    clippy::disallowed_methods,
    reason = "files of one sandbox, gone with it"
)]
pub(crate) fn write_program_files(files: &[(PathBuf, String)]) -> io::Result<()> {
    for (path, text) in files {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

fn make_fresh_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}
