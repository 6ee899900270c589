//! What each rung is to hold on a host, by the features of its kernel: a rung that says it holds less fails, however
//! well it explains itself.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::{Property, PropertyStatus};

/// Features that decide what can be held.
#[derive(Clone, Debug)]
pub(super) struct HostFeatures {
    release: String,
    landlock_abi: i32,
    /// Whether limit groups can be made, which take root here.
    limit_groups: bool,
    is_root: bool,
}

impl fmt::Display for HostFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = if self.limit_groups { "with" } else { "without" };
        let Self {
            release,
            landlock_abi,
            ..
        } = self;
        write!(
            f,
            "Linux {release} (Landlock ABI {landlock_abi}) {groups} limit groups"
        )
    }
}

/// What is expected of one property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Held,
    Watched,
    Missing,
}

impl HostFeatures {
    /// Asks the kernel, not the code under test.
    pub(super) fn find() -> Self {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let version: Vec<&str> = release.split(['.', '-']).take(2).collect();
        let asked = Command::new("/usr/bin/python3")
            .args([
                "-c",
                "import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))",
            ])
            .output();
        let said = String::from_utf8(asked.unwrap().stdout).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        Self {
            release: version.join("."),
            landlock_abi: said.trim().parse().unwrap(),
            limit_groups: is_root && has_limit_groups(),
            is_root,
        }
    }

    fn expected(&self, rung: SandboxRung, property: Property) -> Expected {
        use Expected::{Held, Missing, Watched};
        let own_spaces = matches!(rung, SandboxRung::Bubblewrap | SandboxRung::Container);
        // Files since the first, connections since 4, signals and abstract sockets since 6.
        let landlock = self.landlock_abi >= 6;
        let given = |is_held: bool| if is_held { Held } else { Missing };
        // An engine of root's has limit groups; one of an ordinary user has none that are believed.
        let by_engine = rung == SandboxRung::Container && self.is_root;
        let grouped = |or: Expected| match self.limit_groups || by_engine {
            true => Held,
            false => or,
        };
        match property {
            Property::Files | Property::Network if own_spaces => Held,
            // Permissions and times of others' files, and sockets by their paths, are no matter of Landlock's: another
            // user's are.
            Property::Files | Property::Network => given(landlock && self.is_root),
            Property::Identity | Property::Kernel | Property::FileSize => Held,
            Property::Devices => given(own_spaces || landlock),
            Property::ProtectedPaths | Property::Processes => given(own_spaces),
            Property::Landlock => given(landlock),
            // What leaves its session is found by a user of its own, or below a follower that nothing inside can signal.
            Property::Memory | Property::ProcessCount if own_spaces || self.is_root || landlock => {
                grouped(Watched)
            }
            Property::Memory | Property::ProcessCount => grouped(Missing),
            Property::Cpu => grouped(Missing),
            Property::TempSize if own_spaces => Held,
            Property::TempSize | Property::WorkspaceSize => Watched,
        }
    }

    /// The properties of `rung` that are not as this host leads to expect.
    pub(super) fn unlike_properties(
        &self,
        rung: SandboxRung,
        held: &[(Property, PropertyStatus)],
    ) -> Vec<String> {
        let unlike = |(property, status): &(Property, PropertyStatus)| {
            let seen = match status {
                PropertyStatus::Yes | PropertyStatus::YesBy(_) => Expected::Held,
                PropertyStatus::ByWatcher => Expected::Watched,
                PropertyStatus::No(_) => Expected::Missing,
            };
            let expected = self.expected(rung, *property);
            (seen != expected)
                .then(|| format!("{property}: {expected:?} on {self}, not {status:?}"))
        };
        held.iter().filter_map(unlike).collect()
    }
}

/// Whether groups that limit memory and processes can be made, in either generation.
fn has_limit_groups() -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let options = |controller: &str| {
        mounts.lines().any(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, place, kind, options, ..] = words[..] else {
                return false;
            };
            let is_first = kind == "cgroup" && options.split(',').any(|one| one == controller);
            let listed = Path::new(place).join("cgroup.controllers");
            let listed = fs::read_to_string(listed).unwrap_or_default();
            let is_second = kind == "cgroup2" && listed.split_whitespace().any(|c| c == controller);
            (is_first || is_second) && options.split(',').any(|one| one == "rw")
        })
    };
    options("memory") && options("pids")
}
