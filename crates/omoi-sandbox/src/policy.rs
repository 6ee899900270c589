//! The policy of a sandbox, one [`SandboxLaunch`] per attempt: mounts, limits, environment.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use omoi_domain::repository_settings::RepositorySandboxLimits;

/// Paths as a program inside sees them; see [`crate::Provider::path_inside`] for rungs without a
/// file system of their own.
pub mod inside {
    /// Where the workspace is mounted.
    pub const WORK: &str = "/sandbox";
    /// The gateway's Unix socket.
    pub const SOCKET: &str = "/run/omoi.sock";
    /// Where the worker binary is mounted.
    pub const WORKER: &str = "/run/omoi";
    /// Where the program of the entry step is mounted.
    pub const ENTRY: &str = "/run/omoi-entry";
    /// The home folder: empty, in memory, gone afterwards.
    pub const HOME: &str = "/home/agent";
    /// Where generated files belong.
    pub const FILES: &str = "/run/omoi.d";
    /// Scratch space in memory.
    pub const TEMP: &str = "/tmp";
}

/// Everything one sandbox gets. What is not listed here does not exist inside.
#[derive(Clone, Debug)]
pub struct SandboxLaunch {
    /// `omoi-<attempt>`: found again by this name after a crash.
    pub name: String,
    /// Program and arguments, started without a shell.
    pub argv: Vec<OsString>,
    /// The whole environment; `HOME`, `PATH` and `LANG` are added where missing, nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory of the program, as a path inside.
    pub cwd: PathBuf,
    /// The workspace shown at [`inside::WORK`], by the place that its provider made it at.
    pub workspace: PathBuf,
    /// Whether the workspace can be written.
    pub access: WorkspaceAccess,
    /// Host paths shown read-only: object store, toolchain roots, the project's list.
    pub read_only: Vec<ReadOnlyMount>,
    /// Workspace paths the program may not change.
    pub protected: Vec<ProtectedPath>,
    /// Host socket shown at [`inside::SOCKET`]: the only way out.
    pub socket: Option<PathBuf>,
    /// Host path of the worker binary shown at [`inside::WORKER`].
    pub worker: Option<PathBuf>,
    /// Small files written into the sandbox, never onto the host's disk by `bubblewrap`.
    pub files: Vec<GeneratedFile>,
    /// Memory, processes, processor time and sizes it may use.
    pub limits: SandboxLimits,
    /// Time after which the program is interrupted.
    pub wall_timeout: Duration,
    /// Time between the interrupt and the kill.
    pub grace: Duration,
    /// Where its standard streams lead.
    pub streams: LaunchStreams,
    /// Bytes kept of each output stream, half from its head, half from its tail.
    pub output_bytes_max: usize,
}

impl SandboxLaunch {
    /// A launch of `argv` over `workspace` with default limits and nothing else mounted.
    pub fn new(
        name: impl Into<String>,
        workspace: impl Into<PathBuf>,
        argv: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            name: name.into(),
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: inside::WORK.into(),
            workspace: workspace.into(),
            access: WorkspaceAccess::ReadWrite,
            read_only: Vec::new(),
            protected: Vec::new(),
            socket: None,
            worker: None,
            files: Vec::new(),
            limits: SandboxLimits::default(),
            wall_timeout: Duration::from_mins(10),
            grace: Duration::from_secs(2),
            streams: LaunchStreams::Captured,
            output_bytes_max: 10 << 20,
        }
    }
}

/// Where the standard streams of a program lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchStreams {
    /// No input; output is kept.
    Captured,
    /// Those of the platform's process, for a person at a terminal. Containers have none.
    Inherited,
}

/// How the workspace is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkspaceAccess {
    /// Agents that change code, and checks.
    ReadWrite,
    /// Exploration. Access times do not move, so nothing counts as exercised.
    ReadOnly,
}

/// A host path shown read-only inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOnlyMount {
    /// Where it lies on the host.
    pub host: PathBuf,
    /// Where it shows inside.
    pub inside: PathBuf,
}

impl ReadOnlyMount {
    /// `path`, shown at the same place inside.
    pub fn at_same_path(path: impl Into<PathBuf>) -> Self {
        let host = path.into();
        Self {
            inside: host.clone(),
            host,
        }
    }
}

/// A path in the workspace that the program may not change, create or replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedPath {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// What is shown in its place.
    pub how: PathProtection,
}

impl ProtectedPath {
    /// Readable but not writable.
    pub fn read_only(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            how: PathProtection::ReadOnly,
        }
    }

    /// Replaced by nothing: an empty folder, or an empty file where a file was.
    pub fn masked(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            how: PathProtection::Masked,
        }
    }
}

/// What is shown in place of a protected path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathProtection {
    /// Its own contents, which cannot be changed.
    ReadOnly,
    /// An empty file or folder in its place.
    Masked,
}

/// A small file made for one sandbox, such as the task context.
#[derive(Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Absolute path inside, best under [`inside::FILES`].
    pub path: PathBuf,
    /// Bytes of the file; they may carry a secret.
    pub contents: Vec<u8>,
    /// Permission bits, `0o600` for anything private.
    pub mode: u32,
}

impl std::fmt::Debug for GeneratedFile {
    // The contents may carry the attempt's token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GeneratedFile")
            .field("path", &self.path)
            .field("bytes", &self.contents.len())
            .finish_non_exhaustive()
    }
}

/// Amounts one sandbox may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Memory of the whole tree, files in memory included.
    pub memory_bytes: u64,
    /// Number of processes and threads at once.
    pub processes_max: u64,
    /// Processor time in thousandths of a core.
    pub cpu_millicores: u64,
    /// Size of one file.
    pub file_bytes_max: u64,
    /// Open files of one process.
    pub open_files_max: u64,
    /// Size of the scratch folder, and again of the home folder.
    pub temp_bytes: u64,
    /// Size of the workspace on disk.
    pub workspace_bytes: u64,
}

impl SandboxLimits {
    /// These limits, or what a repository `told` where that is lower.
    #[must_use]
    pub fn lowered_to(self, told: &RepositorySandboxLimits) -> Self {
        let lower = |own: u64, told: Option<u64>| own.min(told.unwrap_or(own));
        Self {
            memory_bytes: lower(self.memory_bytes, told.memory_bytes),
            processes_max: lower(self.processes_max, told.processes_max),
            cpu_millicores: lower(self.cpu_millicores, told.cpu_millicores),
            file_bytes_max: lower(self.file_bytes_max, told.file_bytes_max),
            open_files_max: lower(self.open_files_max, told.open_files_max),
            temp_bytes: lower(self.temp_bytes, told.temp_bytes),
            workspace_bytes: lower(self.workspace_bytes, told.workspace_bytes),
        }
    }
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 4 << 30,
            processes_max: 512,
            cpu_millicores: 2_000,
            file_bytes_max: 2 << 30,
            open_files_max: 4_096,
            temp_bytes: 1 << 30,
            workspace_bytes: 10 << 30,
        }
    }
}
