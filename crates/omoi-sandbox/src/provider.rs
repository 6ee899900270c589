//! The one trait behind which every rung of the ladder stands.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::{fmt, io};

use omoi_domain::sandbox::SandboxRung;

use crate::bubblewrap::protect::ProtectError;
use crate::cgroup::GroupError;
use crate::child::EntryStep;
use crate::container::EngineError;
use crate::overlay::OverlayRefusal;
use crate::policy::SandboxLaunch;
use crate::property::{Property, PropertyStatus};
use crate::running::RunningSandbox;
use crate::workspace::WorkspaceError;

/// A future that can stand behind a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to run programs apart from the platform, as found by [`crate::probe_host`].
///
/// Everything but [`Provider::launch`] blocks briefly on the file system. Workspaces are made by `make_workspace` of
/// this type (`workspace_content.rs`), which takes the steps for one in their order.
pub trait Provider: Send + Sync + fmt::Debug {
    /// Which rung this is.
    fn rung(&self) -> SandboxRung;

    /// Versions of the program and the kernel, for receipts.
    fn rung_version(&self) -> &str;

    /// Every property, verified when this provider was found.
    fn held_properties(&self) -> &[(Property, PropertyStatus)];

    /// Starts a sandbox. It lives until it ends, is killed, or what this returns is dropped.
    fn launch(&self, launch: SandboxLaunch) -> BoxFuture<'_, Result<RunningSandbox, LaunchError>>;

    /// What `path`, a place of [`crate::policy::inside`] or below one, is called within `launch`.
    ///
    /// The same on rungs with a file system of their own. Arguments and values of the environment
    /// that name such a place must be passed through this; `cwd` and the program need not.
    fn path_inside(&self, launch: &SandboxLaunch, path: &Path) -> PathBuf;

    /// Whether [`Provider::lay_workspace`] can be tried at all.
    fn overlay_support(&self) -> Result<(), OverlayRefusal>;

    /// Makes the empty folder `dir` show the files below `lowers`, which stay as they are whatever is done in `dir`;
    /// where several have a file, the first counts. They and all below belong to the platform's user. Refused, `dir` is left empty.
    fn lay_workspace(&self, dir: &Path, lowers: &[&Path]) -> Result<(), OverlayRefusal>;

    /// Hands `dir` and all below to the user that sandboxes over it will have.
    fn prepare_workspace(&self, dir: &Path) -> Result<(), WorkspaceError>;

    /// Where the workspace `dir`, which was laid over folders, keeps what changes in it; none for any other.
    fn changed_files(&self, dir: &Path) -> Option<Arc<OwnedFd>>;

    /// Removes `dir`, whatever a program left in it. Nothing there is fine.
    fn remove_workspace(&self, dir: &Path) -> Result<(), WorkspaceError>;

    /// Names of sandboxes that an earlier life of the platform left behind.
    fn list_orphans(&self) -> io::Result<Vec<String>>;

    /// Kills what is left of the sandbox called `name`; false when it is not known.
    fn destroy_sandbox(&self, name: &str) -> io::Result<bool>;
}

/// A sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The name cannot be a file name.
    #[error("`{name}` is not a sandbox name: use up to 100 of a-z, 0-9 and `-`")]
    Name {
        /// Sandbox name that was given.
        name: String,
    },
    /// The argument list is empty.
    #[error("no program was given")]
    NoProgram,
    /// Another sandbox has this name, or an earlier one was not destroyed.
    #[error("a sandbox called `{name}` exists already")]
    NameTaken {
        /// Sandbox name that was given.
        name: String,
    },
    /// A path that the policy does not allow.
    #[error("`{path}` cannot be used in a sandbox: {why}")]
    Path {
        /// The path as given.
        path: PathBuf,
        /// The rule it breaks.
        why: &'static str,
    },
    /// An argument or a value holds a zero byte.
    #[error("an option of the sandbox holds a zero byte")]
    ZeroByte,
    /// A mount would show something that must stay hidden.
    #[error("mounting `{path}` would show `{hidden}`; list the folders below it that are needed")]
    Exposes {
        /// The mount as given.
        path: PathBuf,
        /// What it would show.
        hidden: PathBuf,
    },
    /// Something to mount or hand in is missing.
    #[error("could not use `{path}`")]
    Source {
        /// The path on the host.
        path: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// The workspace still belongs to the platform's user.
    #[error("the workspace `{path}` was not handed to a sandbox user")]
    NotPrepared {
        /// Workspace folder on the host.
        path: PathBuf,
    },
    /// A mount the sandbox's user cannot read.
    #[error("`{path}` is not readable for the sandbox's user; make it readable for others")]
    Unreadable {
        /// The path on the host.
        path: PathBuf,
    },
    /// A socket the sandbox's user cannot connect to.
    #[error("socket `{path}` must be writable for others, inside a private folder")]
    Socket {
        /// The path on the host.
        path: PathBuf,
    },
    /// A path of the workspace could not be protected.
    #[error("could not protect `{path}` in the workspace")]
    Protect {
        /// The path, relative to the workspace.
        path: PathBuf,
        /// Why the path could not be protected.
        #[source]
        source: ProtectError,
    },
    /// The system-call filter could not be built for this machine.
    #[error("could not build the system-call filter")]
    Filter(#[source] seccompiler::BackendError),
    /// Limits could not be set.
    #[error("could not set the sandbox's limits")]
    Limits(#[source] GroupError),
    /// The pidfile could not be written.
    #[error("could not record the sandbox `{name}`")]
    Record {
        /// Name of the sandbox.
        name: String,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// The new process failed on its way into the sandbox.
    #[error("could not {step}{}", path.as_ref().map(|p| format!(" (`{}`)", p.display())).unwrap_or_default())]
    Entry {
        /// The step between fork and exec that failed.
        step: EntryStep,
        /// The mount source concerned.
        path: Option<PathBuf>,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// The program of this rung could not be run.
    #[error("could not run `{program}`")]
    Program {
        /// What was to run.
        program: PathBuf,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
    /// Bubblewrap ended before it started the program.
    #[error("bubblewrap could not build the sandbox: {message}")]
    Setup {
        /// What bubblewrap wrote to standard error.
        message: String,
    },
    /// The container engine did not make the sandbox.
    #[error("could not make the sandbox's container")]
    Engine(#[from] EngineError),
    /// The rung has no terminal to hand in.
    #[error("a container has no terminal of the platform's: use bubblewrap for a shell")]
    NoTerminal,
    /// The thread that starts sandboxes died.
    #[error("the sandbox thread has died")]
    ThreadDied,
}
