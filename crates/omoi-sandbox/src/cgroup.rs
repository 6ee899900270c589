//! Limit groups of the kernel (cgroups), version 1 and 2, where the host lets us make them.

mod hierarchy;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::{fs, io};

use hierarchy::{CgroupParent, CgroupVersion};
use rustix::process::{Pid, Signal};
use tracing::debug;

use crate::policy::SandboxLimits;
use crate::property::{Property, PropertyStatus};

/// A kind of limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CgroupController {
    /// Memory of all member processes.
    Memory,
    /// Number of processes and threads.
    Pids,
    /// Processor time per period.
    Cpu,
}

impl CgroupController {
    const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    fn kernel_name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

/// Where groups can be made on this host, found once.
#[derive(Debug)]
pub(crate) struct HostCgroups {
    parents: Vec<(CgroupController, Result<CgroupParent, String>)>,
}

impl HostCgroups {
    /// Looks for a writable parent of each controller, by making and removing a group there.
    pub(crate) fn discover_parents() -> Self {
        let (mounts, own) = (
            fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
            fs::read_to_string("/proc/self/cgroup").unwrap_or_default(),
        );
        let parents = CgroupController::ALL
            .map(|controller| {
                (
                    controller,
                    hierarchy::find_parent(controller, &mounts, &own),
                )
            })
            .into_iter()
            .collect::<Vec<_>>();
        for (controller, parent) in &parents {
            match parent {
                Ok(parent) => {
                    debug!(?controller, dir = %parent.dir.display(), "Limit groups are made here");
                }
                Err(reason) => debug!(?controller, reason, "No limit groups of this kind"),
            }
        }
        Self { parents }
    }

    /// Whether groups can enforce `controller`.
    pub(crate) fn has_controller(&self, controller: CgroupController) -> bool {
        self.parents
            .iter()
            .any(|(c, parent)| *c == controller && parent.is_ok())
    }

    /// Whether the property a controller stands for holds.
    pub(crate) fn property_status(&self, property: Property) -> Option<PropertyStatus> {
        let wanted = match property {
            Property::Memory => CgroupController::Memory,
            Property::ProcessCount => CgroupController::Pids,
            Property::Cpu => CgroupController::Cpu,
            _ => return None,
        };
        let (_, parent) = self.parents.iter().find(|(c, _)| *c == wanted)?;
        Some(match parent {
            Ok(_) => PropertyStatus::Yes,
            Err(reason) => PropertyStatus::not_held(reason),
        })
    }

    /// Makes the groups of sandbox `name` with `limits` set.
    pub(crate) fn create_group(
        &self,
        name: &str,
        limits: &SandboxLimits,
    ) -> Result<LimitGroup, GroupError> {
        let mut group = LimitGroup { dirs: Vec::new() };
        match self.make_groups(&mut group, name, limits) {
            Ok(()) => Ok(group),
            Err(error) => {
                group.remove_groups();
                Err(error)
            }
        }
    }

    fn make_groups(
        &self,
        group: &mut LimitGroup,
        name: &str,
        limits: &SandboxLimits,
    ) -> Result<(), GroupError> {
        for (controller, parent) in &self.parents {
            let Ok(parent) = parent else { continue };
            let dir = parent.dir.join(name);
            // Controllers may share a folder.
            if !group.dirs.iter().any(|(made, _)| *made == dir) {
                // An empty one was left by an earlier life; one with members is somebody else's.
                let _ = fs::remove_dir(&dir);
                fs::create_dir(&dir).map_err(|source| GroupError {
                    path: dir.clone(),
                    source,
                })?;
                group.dirs.push((dir.clone(), parent.version));
            }
            set_limits(&dir, *controller, parent.version, limits)?;
        }
        Ok(())
    }
}

/// A group could not be made or limited.
#[derive(Debug, thiserror::Error)]
#[error("could not set up the limit group `{path}`")]
pub struct GroupError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn set_limits(
    dir: &Path,
    controller: CgroupController,
    version: CgroupVersion,
    limits: &SandboxLimits,
) -> Result<(), GroupError> {
    let write = |file: &str, value: String| {
        let path = dir.join(file);
        write_kernel_file(&path, value.as_bytes()).map_err(|source| GroupError { path, source })
    };
    const PERIOD_US: u64 = 100_000;
    let quota_us = (limits.cpu_millicores * PERIOD_US / 1_000).max(1_000);
    match (controller, version) {
        (CgroupController::Memory, CgroupVersion::V1) => {
            write("memory.limit_in_bytes", limits.memory_bytes.to_string())?;
            // Absent where the kernel does not count swap.
            if dir.join("memory.memsw.limit_in_bytes").exists() {
                write(
                    "memory.memsw.limit_in_bytes",
                    limits.memory_bytes.to_string(),
                )?;
            }
            Ok(())
        }
        (CgroupController::Memory, CgroupVersion::V2) => {
            write("memory.max", limits.memory_bytes.to_string())?;
            if dir.join("memory.swap.max").exists() {
                write("memory.swap.max", "0".into())?;
            }
            Ok(())
        }
        (CgroupController::Pids, _) => write("pids.max", limits.processes_max.to_string()),
        (CgroupController::Cpu, CgroupVersion::V1) => {
            write("cpu.cfs_period_us", PERIOD_US.to_string())?;
            write("cpu.cfs_quota_us", quota_us.to_string())
        }
        (CgroupController::Cpu, CgroupVersion::V2) => {
            write("cpu.max", format!("{quota_us} {PERIOD_US}"))
        }
    }
}

/// The groups of one sandbox.
#[derive(Debug)]
pub(crate) struct LimitGroup {
    dirs: Vec<(PathBuf, CgroupVersion)>,
}

impl LimitGroup {
    /// The groups that a pidfile lists, whether or not they still exist.
    pub(crate) fn from_dirs(dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        let with_version = |dir: PathBuf| {
            let version = if dir.join("tasks").exists() {
                CgroupVersion::V1
            } else {
                CgroupVersion::V2
            };
            (dir, version)
        };
        Self {
            dirs: dirs.into_iter().map(with_version).collect(),
        }
    }

    /// Folders of the groups, as the pidfile lists them.
    pub(crate) fn group_dirs(&self) -> impl Iterator<Item = &Path> {
        self.dirs.iter().map(|(dir, _)| dir.as_path())
    }

    /// Opens what a process writes `0` to in order to join.
    pub(crate) fn join_files(&self) -> Result<Vec<OwnedFd>, GroupError> {
        self.dirs
            .iter()
            .map(|(dir, version)| {
                let path = dir.join(version.join_file());
                let file = fs::OpenOptions::new().write(true).open(&path);
                file.map(OwnedFd::from)
                    .map_err(|source| GroupError { path, source })
            })
            .collect()
    }

    /// Whether the kernel killed a member for want of memory.
    pub(crate) fn out_of_memory(&self) -> bool {
        self.dirs.iter().any(|(dir, version)| {
            let file = match version {
                CgroupVersion::V1 => "memory.oom_control",
                CgroupVersion::V2 => "memory.events",
            };
            let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
            text.lines().any(|line| {
                line.strip_prefix("oom_kill ")
                    .is_some_and(|count| count.trim() != "0")
            })
        })
    }

    /// Kills every process in the groups.
    pub(crate) fn kill_members(&self) {
        for (dir, version) in &self.dirs {
            if *version == CgroupVersion::V2
                && write_kernel_file(&dir.join("cgroup.kill"), b"1").is_ok()
            {
                continue;
            }
            let members = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            for pid in members.lines().filter_map(|line| line.parse().ok()) {
                if let Some(pid) = Pid::from_raw(pid) {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
        }
    }

    /// Removes the groups; true when none is left.
    pub(crate) fn remove_groups(&self) -> bool {
        self.dirs
            .iter()
            .map(|(dir, _)| fs::remove_dir(dir))
            .all(|gone| match gone {
                Ok(()) => true,
                Err(e) => e.kind() == io::ErrorKind::NotFound,
            })
    }
}

/// Writes to a file of the kernel, which must exist and take the value in one piece.
fn write_kernel_file(path: &Path, value: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    io::Write::write_all(&mut file, value)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use super::*;
    use std::process::Command;

    /// The second generation's own way to kill, where this host shows one that takes groups.
    #[test]
    fn kills_and_removes_a_group_of_the_second_generation() {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let unified = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let Some(top) = unified.and_then(|line| line.split(' ').nth(4)) else {
            return;
        };
        let dir = Path::new(top).join(format!("omoi-test-{}", std::process::id()));
        if fs::create_dir(&dir).is_err() {
            return;
        }
        let mut member = Command::new("sleep").arg("60").spawn().unwrap();
        write_kernel_file(
            &dir.join("cgroup.procs"),
            member.id().to_string().as_bytes(),
        )
        .unwrap();
        let group = LimitGroup::from_dirs([dir.clone()]);
        assert_eq!(group.dirs[0].1, CgroupVersion::V2);
        assert_eq!(group.join_files().unwrap().len(), 1);
        assert!(!group.remove_groups(), "it has a member");
        group.kill_members();
        assert!(!member.wait().unwrap().success());
        assert!(group.remove_groups() && !dir.exists());
    }
}
