//! The watcher of a sandbox: what its processes and its workspace use, against its limits. It holds
//! where the host offers no limit groups and no quota; the verdict is a pure function of the samples.
//!
//! Processor time is not watched: a limit group slows a build down that uses more, and stopping it
//! instead would end honest work.

pub(crate) mod sample;

use std::path::Path;
use std::time::Duration;

use crate::policy::SandboxLimits;

/// How often processes are looked at.
pub(crate) const TREE_EVERY: Duration = Duration::from_secs(1);
/// How many looks at the processes pass between two at the disk.
pub(crate) const DISK_EVERY: u32 = 5;
/// The share of a disk that must be free for work to begin, as its divisor: 5 % (spec/11 §12).
const BEGIN_SHARE: u64 = 20;
/// What must be free for work to go on, as a part of that: enough to save it.
const SAVE_PART: u64 = 5;

/// What the processes of a sandbox use at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TreeSample {
    /// Memory that is theirs alone or shared among them.
    pub(crate) memory_bytes: u64,
    /// Number of processes and threads.
    pub(crate) processes: u64,
}

/// What the workspace uses at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DiskSample {
    /// Size of the workspace on disk.
    pub(crate) workspace_bytes: u64,
    /// Size of scratch space on disk, home and temporary files together.
    pub(crate) scratch_bytes: u64,
    /// Free on its file system.
    pub(crate) free_bytes: u64,
    /// Bytes of that file system.
    pub(crate) disk_size: u64,
}

/// A disk with too little room for work to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowDisk {
    /// Bytes that were free on the disk.
    pub free_bytes: u64,
    /// Bytes that must be free before work begins.
    pub floor_bytes: u64,
}

/// The limit that stopped a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExhaustedLimit {
    /// Memory of the whole tree.
    Memory {
        /// Bytes in use when it was stopped.
        used_bytes: u64,
        /// Bytes that the limit allows.
        limit_bytes: u64,
    },
    /// Processes and threads of the whole tree.
    Processes {
        /// Processes and threads when it was stopped.
        used: u64,
        /// Processes and threads that the limit allows.
        limit: u64,
    },
    /// Size of the workspace.
    Workspace {
        /// Bytes in use when it was stopped.
        used_bytes: u64,
        /// Bytes that the limit allows.
        limit_bytes: u64,
    },
    /// Size of scratch space, where it is on disk.
    Scratch {
        /// Bytes in use when it was stopped.
        used_bytes: u64,
        /// Bytes that the limit allows.
        limit_bytes: u64,
    },
    /// Free space of the disk below the workspace.
    FreeDisk {
        /// Bytes that were free on the disk.
        free_bytes: u64,
        /// What must stay free.
        floor_bytes: u64,
        /// Size of the workspace.
        workspace_bytes: u64,
    },
}

impl ExhaustedLimit {
    /// Whether the disk would have too little room even without the workspace: then what runs in it is
    /// not at fault, and nothing begins there until others make room.
    pub const fn is_of_the_machine(&self) -> bool {
        match *self {
            Self::FreeDisk {
                free_bytes,
                floor_bytes,
                workspace_bytes,
            } => {
                let without = free_bytes.saturating_add(workspace_bytes);
                without < floor_bytes.saturating_mul(SAVE_PART)
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for ExhaustedLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory {
                used_bytes,
                limit_bytes,
            } => write!(
                f,
                "its processes used {used_bytes} bytes of memory, allowed are {limit_bytes} \
                 (sandbox.memory_bytes)"
            ),
            Self::Processes { used, limit } => write!(
                f,
                "it ran {used} processes and threads, allowed are {limit} (sandbox.processes)"
            ),
            Self::Workspace {
                used_bytes,
                limit_bytes,
            } => write!(
                f,
                "its workspace took {used_bytes} bytes, allowed are {limit_bytes} \
                 (sandbox.workspace_bytes)"
            ),
            Self::Scratch {
                used_bytes,
                limit_bytes,
            } => write!(
                f,
                "its scratch space took {used_bytes} bytes, allowed are {limit_bytes} \
                 (twice sandbox.temp_bytes)"
            ),
            Self::FreeDisk {
                free_bytes,
                floor_bytes,
                workspace_bytes,
            } => write!(
                f,
                "the disk below its workspace of {workspace_bytes} bytes had {free_bytes} bytes left, \
                 {floor_bytes} must stay free"
            ),
        }
    }
}

/// Compares the use of the process tree with its limits; none when it is within them.
pub(crate) const fn exceeded_tree_limit(
    limits: &SandboxLimits,
    sample: TreeSample,
) -> Option<ExhaustedLimit> {
    if sample.memory_bytes > limits.memory_bytes {
        return Some(ExhaustedLimit::Memory {
            used_bytes: sample.memory_bytes,
            limit_bytes: limits.memory_bytes,
        });
    }
    if sample.processes > limits.processes_max {
        return Some(ExhaustedLimit::Processes {
            used: sample.processes,
            limit: limits.processes_max,
        });
    }
    None
}

/// Looks at the disk below `dir`: none when work may begin there, or when the disk cannot be asked.
pub fn low_disk(dir: &Path, limits: &SandboxLimits) -> Option<LowDisk> {
    let (free_bytes, disk_size) = sample::free_disk(dir)?;
    let floor_bytes = begin_floor(limits, disk_size);
    (free_bytes < floor_bytes).then_some(LowDisk {
        free_bytes,
        floor_bytes,
    })
}

/// What must be free for work to begin: 5 % of the disk, and never more than one workspace may take.
fn begin_floor(limits: &SandboxLimits, disk_size: u64) -> u64 {
    (disk_size / BEGIN_SHARE).min(limits.workspace_bytes)
}

/// Judges the workspace and what is left below it.
pub(crate) fn exceeded_disk_limit(
    limits: &SandboxLimits,
    sample: DiskSample,
) -> Option<ExhaustedLimit> {
    if sample.workspace_bytes > limits.workspace_bytes {
        return Some(ExhaustedLimit::Workspace {
            used_bytes: sample.workspace_bytes,
            limit_bytes: limits.workspace_bytes,
        });
    }
    // The scratch folder and the home folder may each take as much.
    let scratch_max = limits.temp_bytes.saturating_mul(2);
    if sample.scratch_bytes > scratch_max {
        return Some(ExhaustedLimit::Scratch {
            used_bytes: sample.scratch_bytes,
            limit_bytes: scratch_max,
        });
    }
    let floor_bytes = begin_floor(limits, sample.disk_size) / SAVE_PART;
    (sample.free_bytes < floor_bytes).then_some(ExhaustedLimit::FreeDisk {
        free_bytes: sample.free_bytes,
        floor_bytes,
        workspace_bytes: sample.workspace_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> SandboxLimits {
        SandboxLimits {
            memory_bytes: 1_000,
            processes_max: 8,
            workspace_bytes: 5_000,
            ..SandboxLimits::default()
        }
    }

    #[test]
    fn a_tree_is_stopped_above_its_limits_only() {
        let at_limit = TreeSample {
            memory_bytes: 1_000,
            processes: 8,
        };
        assert_eq!(exceeded_tree_limit(&limits(), at_limit), None);
        let more_memory = TreeSample {
            memory_bytes: 1_001,
            ..at_limit
        };
        let more_processes = TreeSample {
            processes: 9,
            ..at_limit
        };
        for (sample, expected) in [
            (more_memory, "sandbox.memory_bytes"),
            (more_processes, "sandbox.processes"),
        ] {
            let found = exceeded_tree_limit(&limits(), sample);
            assert!(found.is_some_and(|limit| limit.to_string().contains(expected)));
        }
    }

    #[test]
    fn a_workspace_is_bounded_and_so_is_the_disk() {
        let sample = |workspace_bytes, free_bytes, disk_size| DiskSample {
            workspace_bytes,
            scratch_bytes: 0,
            free_bytes,
            disk_size,
        };
        assert_eq!(
            exceeded_disk_limit(&limits(), sample(5_000, 5_000, 100_000)),
            None
        );
        let mut scratch = sample(0, 5_000, 100_000);
        for (scratch_bytes, is_within) in [(2 << 30, true), ((2 << 30) + 1, false)] {
            scratch.scratch_bytes = scratch_bytes;
            let found = exceeded_disk_limit(&limits(), scratch);
            assert_eq!(found.is_none(), is_within, "{found:?}");
        }
        let full = exceeded_disk_limit(&limits(), sample(5_001, 5_000, 100_000));
        assert!(full.is_some_and(|limit| limit.to_string().contains("sandbox.workspace_bytes")));
        let floor = |free_bytes, floor_bytes| {
            Some(ExhaustedLimit::FreeDisk {
                free_bytes,
                floor_bytes,
                workspace_bytes: 0,
            })
        };
        assert_eq!(
            exceeded_disk_limit(&limits(), sample(0, 399, 40_000)),
            floor(399, 400)
        );
        // On a large disk no more is kept free than work of that size needs.
        assert_eq!(
            exceeded_disk_limit(&limits(), sample(0, 1_000, 1 << 40)),
            None
        );
        assert_eq!(
            exceeded_disk_limit(&limits(), sample(0, 999, 1 << 40)),
            floor(999, 1_000)
        );
        for (workspace_bytes, is_of_the_machine) in [(0, true), (1_600, true), (1_601, false)] {
            let full =
                exceeded_disk_limit(&limits(), sample(workspace_bytes, 399, 40_000)).unwrap();
            assert_eq!(full.is_of_the_machine(), is_of_the_machine);
        }
        assert_eq!(begin_floor(&limits(), 40_000), 2_000);
        assert_eq!(begin_floor(&limits(), 1 << 40), 5_000);
    }
}
