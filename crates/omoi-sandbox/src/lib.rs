#![doc = include_str!("../README.md")]

mod base;
mod bubblewrap;
mod capture;
mod cgroup;
mod child;
mod container;
mod control;
pub mod entry;
pub mod files_read;
mod follower;
mod guard;
mod landlock;
mod leader;
mod mount_check;
pub mod options;
mod overlay;
mod own_spaces;
mod pidfile;
pub mod policy;
mod probe;
mod probe_facts;
mod process;
mod process_table;
mod property;
mod provider;
mod remains;
mod running;
mod seccomp;
mod second_wall;
mod session_rung;
mod start_mark;
mod users;
mod watch;
mod workspace;
mod workspace_content;

pub use bubblewrap::protect::ProtectError;
pub use capture::CapturedOutput;
pub use cgroup::GroupError;
pub use child::EntryStep;
pub use container::{EngineError, ImageSource};
pub use control::SandboxControl;
pub use guard::{GuardRefusal, GuardedPlaces, MountSource};
pub use overlay::OverlayRefusal;
pub use policy::{
    GeneratedFile, PathProtection, ProtectedPath, ReadOnlyMount, SandboxLaunch, SandboxLimits,
    WorkspaceAccess,
};
pub use probe::{
    FloorLack, ProbeConfig, RefusedBelowFloor, RungUnavailable, SandboxProbe, TriedRung, probe_host,
};
pub use property::{Property, PropertyStatus, SandboxFloor};
pub use provider::{BoxFuture, LaunchError, Provider};
pub use running::{ProgramEnd, RunningSandbox, SandboxEnd, WaitError};
pub use watch::{ExhaustedLimit, LowDisk, low_disk};
pub use workspace::WorkspaceError;
pub use workspace_content::{WorkspaceContent, WorkspaceOrigin};
