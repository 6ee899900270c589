#![doc = include_str!("../README.md")]

mod base;
mod bubblewrap;
mod capture;
mod cgroup;
mod child;
pub mod exercise;
mod guard;
mod marker;
mod plain;
pub mod policy;
mod probe;
mod process;
mod property;
mod provider;
mod running;
mod watch;
mod workspace;

pub use bubblewrap::protect::ProtectError;
pub use capture::Captured;
pub use cgroup::GroupError;
pub use child::Step;
pub use guard::{GuardRefusal, GuardedPlaces, MountSource};
pub use policy::{Access, GeneratedFile, Launch, Limits, Mount, Protected, Protection};
pub use probe::{Lack, Probe, ProbeConfig, RefusedBelowFloor, Tried, Unavailable, probe};
pub use property::{Floor, Held, Property};
pub use provider::{BoxFuture, LaunchError, Provider};
pub use running::{Control, Ended, Exit, Running, WaitError};
pub use watch::{Exhausted, LowDisk, low_disk};
pub use workspace::WorkspaceError;
