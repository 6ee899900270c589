//! Rungs of the ladder, the properties they hold, and the floor a project sets.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! properties {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// One thing a sandbox can promise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Property { $($(#[doc = $doc])+ $name,)+ }

        impl Property {
            /// Every property, in the order people read them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Their names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($text,)+];

            /// The name used in configuration and receipts.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

properties! {
    /// Only listed files exist; home, platform data and other workspaces are absent.
    Files = "files",
    /// Protected workspace paths cannot be changed, created or replaced.
    ProtectedPaths = "protected_paths",
    /// Unprivileged user, no capabilities, no way to gain any.
    Identity = "identity",
    /// Own process space; the whole tree dies with the attempt.
    Processes = "processes",
    /// No network but the socket of the gateway.
    Network = "network",
    /// Only the harmless devices.
    Devices = "devices",
    /// Dangerous system calls are refused.
    Kernel = "kernel",
    /// Landlock keeps files, signals and abstract sockets apart, whatever is mounted.
    Landlock = "landlock",
    /// The memory limit holds for the whole tree.
    Memory = "memory",
    /// The process limit holds for the whole tree.
    ProcessCount = "process_count",
    /// The processor limit holds for the whole tree.
    Cpu = "cpu",
    /// The limit on one file's size holds.
    FileSize = "file_size",
    /// The scratch and home folders are bounded.
    TempSize = "temp_size",
    /// The workspace's size is bounded.
    WorkspaceSize = "workspace_size",
}

impl Property {
    /// What would have this host hold it, where that is one thing to do.
    pub const fn host_remedy(self) -> Option<&'static str> {
        match self {
            Self::Memory | Self::ProcessCount | Self::Cpu => Some(
                "give omoi a cgroup hierarchy that it may write: `mount -t cgroup2 cgroup2 /sys/fs/cgroup`, or a systemd \
                 unit with `Delegate=yes`",
            ),
            Self::Landlock => Some(
                "boot a kernel with Landlock: Linux 5.13 or newer, with `landlock` in its `lsm=` list",
            ),
            _ => None,
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a property was seen to hold, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PropertyStatus {
    /// Verified on this host.
    Yes,
    /// Verified on this host, and held by this version of something.
    YesBy(String),
    /// Nothing refuses it; the watcher stops a sandbox soon after it goes beyond.
    ByWatcher,
    /// Missing, with the reason shown in receipts.
    No(String),
}

impl PropertyStatus {
    /// True unless it is missing.
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes | Self::YesBy(_) | Self::ByWatcher)
    }

    /// The watcher holds what the host cannot.
    pub(crate) fn or_watched(self) -> Self {
        match self {
            Self::No(_) => Self::ByWatcher,
            held => held,
        }
    }

    /// What holds it, or why it is missing; none where it just holds.
    pub fn holder_remark(&self) -> Option<String> {
        match self {
            Self::Yes => None,
            Self::YesBy(holder) => Some(format!("held by {holder}")),
            Self::ByWatcher => Some("held by the watcher".to_owned()),
            Self::No(reason) => Some(reason.clone()),
        }
    }

    pub(crate) fn not_held(reason: impl Into<String>) -> Self {
        Self::No(reason.into())
    }
}

/// The properties below which no work runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SandboxFloor(pub BTreeSet<Property>);

impl Default for SandboxFloor {
    fn default() -> Self {
        use Property::{Files, Identity, Network, Processes};
        Self([Files, Identity, Processes, Network].into())
    }
}

impl SandboxFloor {
    /// Nothing is demanded: the only floor the `process` rung meets.
    pub const fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// The demanded properties that `held` lacks, with the reason.
    pub fn missing_properties(
        &self,
        held: &[(Property, PropertyStatus)],
    ) -> Vec<(Property, String)> {
        self.0
            .iter()
            .filter_map(|wanted| match held.iter().find(|(p, _)| p == wanted) {
                Some((_, PropertyStatus::No(reason))) => Some((*wanted, reason.clone())),
                Some((_, _held)) => None,
                None => Some((*wanted, "not offered".into())),
            })
            .collect()
    }
}
