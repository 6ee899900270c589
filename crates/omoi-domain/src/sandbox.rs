//! Sandboxes: where attempts run.

use std::fmt;

use serde::{Deserialize, Serialize};

crate::closed_set! {
    /// A kind of sandbox, best first.
    SandboxRung {
        /// Namespaces, seccomp and limits through `bwrap`.
        Bubblewrap = "bubblewrap",
        /// Containers of Podman or Docker, with the same policy.
        Container = "container",
        /// A process of the host behind Landlock and a filter of system calls: no process space.
        Landlock = "landlock",
        /// A plain process of the platform's own user. Unsafe: no isolation at all.
        Process = "process",
    }
}

impl SandboxRung {
    /// Whether its loopback is its own. Landlock's rung can open no port at all, and a port of a plain process is
    /// open to the whole machine.
    pub const fn has_own_loopback(self) -> bool {
        matches!(self, Self::Bubblewrap | Self::Container)
    }
}

crate::closed_set! {
    /// A step on the way to a running sandbox.
    StartStepKind {
        /// Packages that its commit needs are found or installed.
        Packages = "packages",
        /// The files of the base commit are found or checked out.
        Checkout = "checkout",
        /// The folder is laid over them, or made empty.
        Workspace = "workspace",
        /// Git writes the files that differ, and packages are put beside them.
        Files = "files",
        /// Files of the person's checkout are copied beside them.
        Copies = "copies",
        /// The folder is handed to the sandbox's user.
        Owner = "owner",
        /// The sandbox starts.
        Sandbox = "sandbox",
    }
}

/// One step on the way to a running sandbox, and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StartStep {
    /// Which step it is.
    pub step: StartStepKind,
    /// How it went, in a few words.
    pub outcome: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl fmt::Display for StartStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            outcome,
            took_ms,
        } = self;
        write!(
            f,
            "{step} {outcome} {}.{:03} s",
            took_ms / 1000,
            took_ms % 1000
        )
    }
}

crate::machine! {
    /// Where a sandbox stands.
    SandboxState ("sandbox") {
        /// The row is written, nothing was asked of the provider.
        Pending = "pending",
        /// The provider was asked.
        Creating = "creating",
        /// Its processes run.
        Running = "running",
        /// Its worker reported an outcome.
        Completing = "completing",
        /// The outcome is applied.
        Completed = "completed",
        /// It died or never came up.
        Failed = "failed",
        /// Its processes are gone.
        Terminated = "terminated",
    }
    Pending => Creating: SandboxStateChanged, Terminated: SandboxTerminated;
    Creating => Running: SandboxStateChanged, Failed: SandboxStateChanged, Terminated: SandboxTerminated;
    Running => Completing: SandboxStateChanged, Failed: SandboxStateChanged,
        Terminated: SandboxTerminated;
    Completing => Completed: SandboxStateChanged, Running: SandboxStateChanged,
        Terminated: SandboxTerminated;
    Completed => Terminated: SandboxTerminated;
    Failed => Terminated: SandboxTerminated;
}

impl SandboxState {
    /// Whether processes of it may still exist.
    pub const fn is_live(self) -> bool {
        matches!(
            self,
            Self::Pending | Self::Creating | Self::Running | Self::Completing
        )
    }
}
