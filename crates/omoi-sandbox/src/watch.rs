//! The watcher of a sandbox: what its processes and its workspace use, against its limits. It holds
//! where the host offers no limit groups and no quota; the verdict is a pure function of the samples.
//!
//! Processor time is not watched: a limit group slows a build down that uses more, and stopping it
//! instead would end honest work.

mod disk_usage;
mod held_files;
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
    /// Memory that is theirs alone or shared among them, files of memory included.
    pub(crate) memory_bytes: u64,
    /// Number of processes and threads.
    pub(crate) processes: u64,
}

/// What the workspace uses at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DiskSample {
    /// Size of the workspace on disk, with files that are open in it and have no name any more.
    pub(crate) workspace_bytes: u64,
    /// Size of scratch space on disk, home and temporary files together.
    pub(crate) scratch_bytes: u64,
    /// Whether a folder of theirs could not be looked into.
    pub(crate) hides_folder: bool,
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
    /// Size of the workspace, which nobody can tell.
    HiddenFolder,
    /// Free space of the disk below the workspace.
    FreeDisk {
        /// Bytes that were free on the disk.
        free_bytes: u64,
        /// What must stay free.
        floor_bytes: u64,
        /// What the workspace and scratch space took of the disk since the start.
        grown_bytes: u64,
    },
}

impl ExhaustedLimit {
    /// Whether the disk would have too little room even without what the sandbox took of it: then what runs in it
    /// is not at fault, and nothing begins there until others make room.
    pub const fn is_of_the_machine(&self) -> bool {
        match *self {
            Self::FreeDisk {
                free_bytes,
                floor_bytes,
                grown_bytes,
            } => {
                let without = free_bytes.saturating_add(grown_bytes);
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
            Self::HiddenFolder => f.write_str(
                "its workspace keeps folders that nobody can look into, so its size counts as beyond what \
                 is allowed (sandbox.workspace_bytes)",
            ),
            Self::FreeDisk {
                free_bytes,
                floor_bytes,
                grown_bytes,
            } => write!(
                f,
                "the disk below its workspace, which took {grown_bytes} bytes of it, had {free_bytes} bytes \
                 left, {floor_bytes} must stay free"
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

/// What the watcher knows of the disk from before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiskHistory {
    /// Bytes that were free when the sandbox started; none where the disk could not be asked.
    pub(crate) free_at_start: Option<u64>,
    /// Whether a folder could not be looked into at the last look.
    pub(crate) hid_folder: bool,
}

/// Judges the workspace and what is left below it. A folder may be locked for a moment, as tests of programs do it.
pub(crate) fn exceeded_disk_limit(
    limits: &SandboxLimits,
    sample: DiskSample,
    history: DiskHistory,
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
    if sample.hides_folder && history.hid_folder {
        return Some(ExhaustedLimit::HiddenFolder);
    }
    let floor_bytes = begin_floor(limits, sample.disk_size) / SAVE_PART;
    // Others fill the disk, too, and much of a workspace was there before.
    let at_start = history.free_at_start.unwrap_or(sample.free_bytes);
    let grown = at_start.saturating_sub(sample.free_bytes);
    (sample.free_bytes < floor_bytes).then_some(ExhaustedLimit::FreeDisk {
        free_bytes: sample.free_bytes,
        floor_bytes,
        grown_bytes: grown.min(sample.workspace_bytes + sample.scratch_bytes),
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

    fn disk_sample(workspace_bytes: u64, free_bytes: u64, disk_size: u64) -> DiskSample {
        DiskSample {
            workspace_bytes,
            scratch_bytes: 0,
            hides_folder: false,
            free_bytes,
            disk_size,
        }
    }

    fn exceeded_disk(sample: DiskSample) -> Option<ExhaustedLimit> {
        exceeded_disk_limit(&limits(), sample, DiskHistory::default())
    }

    #[test]
    fn a_workspace_is_bounded_and_so_is_the_disk() {
        assert_eq!(exceeded_disk(disk_sample(5_000, 5_000, 100_000)), None);
        let mut scratch = disk_sample(0, 5_000, 100_000);
        for (scratch_bytes, is_within) in [(2 << 30, true), ((2 << 30) + 1, false)] {
            scratch.scratch_bytes = scratch_bytes;
            let found = exceeded_disk(scratch);
            assert_eq!(found.is_none(), is_within, "{found:?}");
        }
        let full = exceeded_disk(disk_sample(5_001, 5_000, 100_000));
        assert!(full.is_some_and(|limit| limit.to_string().contains("sandbox.workspace_bytes")));
        let floor = |free_bytes, floor_bytes| {
            Some(ExhaustedLimit::FreeDisk {
                free_bytes,
                floor_bytes,
                grown_bytes: 0,
            })
        };
        assert_eq!(exceeded_disk(disk_sample(0, 399, 40_000)), floor(399, 400));
        // On a large disk no more is kept free than work of that size needs.
        assert_eq!(exceeded_disk(disk_sample(0, 1_000, 1 << 40)), None);
        assert_eq!(
            exceeded_disk(disk_sample(0, 999, 1 << 40)),
            floor(999, 1_000)
        );
        assert_eq!(begin_floor(&limits(), 40_000), 2_000);
        assert_eq!(begin_floor(&limits(), 1 << 40), 5_000);
    }

    #[test]
    fn a_folder_that_stays_hidden_counts_as_beyond_the_limit() {
        let sample = DiskSample {
            hides_folder: true,
            ..disk_sample(0, 5_000, 100_000)
        };
        assert_eq!(exceeded_disk(sample), None);
        let history = DiskHistory {
            hid_folder: true,
            ..DiskHistory::default()
        };
        let found = exceeded_disk_limit(&limits(), sample, history).unwrap();
        assert!(found.to_string().contains("sandbox.workspace_bytes"));
        assert!(!found.is_of_the_machine());
        let open = disk_sample(0, 5_000, 100_000);
        assert_eq!(exceeded_disk_limit(&limits(), open, history), None);
    }

    #[test]
    fn a_full_disk_is_the_fault_of_whoever_filled_it() {
        // Below 2,000 nothing begins; 399 are left.
        for (workspace_bytes, free_at_start, is_of_the_machine) in [
            // Others took it.
            (0, Some(9_000), true),
            (1_600, Some(9_000), true),
            (1_601, Some(9_000), false),
            // It was there before.
            (4_000, Some(1_999), true),
            (4_000, Some(2_000), false),
            (4_000, None, true),
        ] {
            let history = DiskHistory {
                free_at_start,
                ..DiskHistory::default()
            };
            let sample = disk_sample(workspace_bytes, 399, 40_000);
            let full = exceeded_disk_limit(&limits(), sample, history).unwrap();
            assert_eq!(full.is_of_the_machine(), is_of_the_machine, "{full}");
        }
    }
}
