//! Finds where a limit group may be made.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, io};

use super::CgroupController;

/// The two generations of the kernel's interface; hosts mix them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CgroupVersion {
    /// One tree per controller.
    V1,
    /// One tree for all.
    V2,
}

impl CgroupVersion {
    /// The file a lone thread writes `0` to in order to join.
    pub(crate) fn join_file(self) -> &'static str {
        match self {
            // Moving a thread by itself spares the machine-wide lock of `cgroup.procs`.
            Self::V1 => "tasks",
            Self::V2 => "cgroup.procs",
        }
    }
}

/// A folder that takes groups limiting one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CgroupParent {
    pub(crate) version: CgroupVersion,
    pub(crate) dir: PathBuf,
}

/// Finds a writable parent for `controller`, or says why there is none.
pub(crate) fn find_parent(
    controller: CgroupController,
    mounts: &str,
    own: &str,
) -> Result<CgroupParent, String> {
    let candidates = candidate_parents(controller, mounts, own);
    let mut reason = None;
    for parent in candidates {
        match try_parent(controller, &parent) {
            Ok(()) => return Ok(parent),
            // The first is the likeliest to be made usable.
            Err(e) => {
                let dir = parent.dir.display();
                reason.get_or_insert_with(|| format!("cgroup `{dir}` cannot be used: {e}"));
            }
        }
    }
    Err(reason
        .unwrap_or_else(|| format!("no cgroup hierarchy offers `{}`", controller.kernel_name())))
}

/// Candidates in order: below our own group, so that the platform's own limits go on holding, then
/// at the top of the hierarchy.
fn candidate_parents(controller: CgroupController, mounts: &str, own: &str) -> Vec<CgroupParent> {
    let mut found = Vec::new();
    for line in mounts.lines() {
        let Some((mount, rest)) = line.split_once(" - ") else {
            continue;
        };
        let mount: Vec<&str> = mount.split(' ').collect();
        let rest: Vec<&str> = rest.split(' ').collect();
        let (Some(root), Some(point), Some(kind), Some(options)) =
            (mount.get(3), mount.get(4), rest.first(), rest.get(2))
        else {
            continue;
        };
        let version = match *kind {
            "cgroup" if options.split(',').any(|o| o == controller.kernel_name()) => {
                CgroupVersion::V1
            }
            "cgroup2" => CgroupVersion::V2,
            _ => continue,
        };
        let top = PathBuf::from(point);
        if let Some(path) = own_path(controller, version, own) {
            let below = path
                .strip_prefix(root)
                .unwrap_or("")
                .trim_start_matches('/');
            if !below.is_empty() && top.join(below).is_dir() {
                found.push(CgroupParent {
                    version,
                    dir: top.join(below),
                });
            }
        }
        found.push(CgroupParent { version, dir: top });
    }
    // A controller sits on one generation only; where it is on version 1, version 2 lacks it.
    found.sort_by_key(|parent| parent.version == CgroupVersion::V2);
    found
}

/// Our own path in a hierarchy, from lines `id:controllers:path`.
fn own_path(controller: CgroupController, version: CgroupVersion, own: &str) -> Option<&str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let matches = match version {
            CgroupVersion::V1 => controllers
                .split(',')
                .any(|c| c == controller.kernel_name()),
            CgroupVersion::V2 => controllers.is_empty(),
        };
        matches.then_some(path)
    })
}

fn try_parent(controller: CgroupController, parent: &CgroupParent) -> io::Result<()> {
    if parent.version == CgroupVersion::V2 {
        enable_controller(controller, &parent.dir)?;
    }
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let trial = format!("omoi-trial-{}-{n}", std::process::id());
    let trial = parent.dir.join(trial);
    fs::create_dir(&trial)?;
    let joinable = fs::OpenOptions::new()
        .write(true)
        .open(trial.join(parent.version.join_file()));
    fs::remove_dir(&trial)?;
    joinable.map(drop)
}

/// Hands `controller` down to the groups below `dir`.
///
/// A group that holds processes cannot do that, so where our own group is ours to arrange (a delegated
/// one), the platform moves itself into a leaf of it first.
fn enable_controller(controller: CgroupController, dir: &Path) -> io::Result<()> {
    let name = controller.kernel_name();
    let lists = |file: &str| -> io::Result<bool> {
        Ok(fs::read_to_string(dir.join(file))?
            .split_whitespace()
            .any(|c| c == name))
    };
    if !lists("cgroup.controllers")? {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("`{name}` is not delegated to it"),
        ));
    }
    if lists("cgroup.subtree_control")? {
        return Ok(());
    }
    let hand_down = || write_value(dir.join("cgroup.subtree_control"), format!("+{name}"));
    let Err(busy) = hand_down() else {
        return Ok(());
    };
    if busy.raw_os_error() != Some(libc::EBUSY) {
        return Err(busy);
    }
    let members = fs::read_to_string(dir.join("cgroup.procs"))?;
    if members.trim() != std::process::id().to_string() {
        return Err(io::Error::new(
            busy.kind(),
            "it holds other processes; start the platform in a delegated group of its own",
        ));
    }
    let leaf = dir.join("omoi-platform");
    match fs::create_dir(&leaf) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    write_value(leaf.join("cgroup.procs"), members.trim())?;
    hand_down()
}

fn write_value(path: impl AsRef<Path>, value: impl AsRef<[u8]>) -> io::Result<()> {
    super::write_kernel_file(path.as_ref(), value.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const UNIFIED: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn finds_candidates_on_every_layout() {
        let check = |controller, mounts, own, expected: &[(CgroupVersion, &str)]| {
            let got: Vec<_> = candidate_parents(controller, mounts, own)
                .into_iter()
                .map(|p| (p.version, p.dir.display().to_string()))
                .collect();
            let expected: Vec<_> = expected.iter().map(|(v, d)| (*v, (*d).into())).collect();
            assert_eq!(got, expected, "{controller:?}");
        };
        let v1 = CgroupVersion::V1;
        let v2 = CgroupVersion::V2;
        let own = "4:memory:/\n2:cpu,cpuacct:/\n0::/\n";
        check(
            CgroupController::Memory,
            HYBRID,
            own,
            &[
                (v1, "/sys/fs/cgroup/memory"),
                (v2, "/sys/fs/cgroup/unified"),
            ],
        );
        check(
            CgroupController::Cpu,
            HYBRID,
            own,
            &[
                (v1, "/sys/fs/cgroup/cpu,cpuacct"),
                (v2, "/sys/fs/cgroup/unified"),
            ],
        );
        check(
            CgroupController::Pids,
            HYBRID,
            own,
            &[(v2, "/sys/fs/cgroup/unified")],
        );
        check(
            CgroupController::Pids,
            UNIFIED,
            "0::/gone",
            &[(v2, "/sys/fs/cgroup")],
        );
        check(CgroupController::Pids, "", "", &[]);
        // Our own group comes first; `/proc` stands in for a hierarchy that has it.
        let mounts = "1 1 0:1 /docker/x /proc rw - cgroup cgroup rw,pids\n";
        check(
            CgroupController::Pids,
            mounts,
            "8:pids:/docker/x/self\n",
            &[(v1, "/proc/self"), (v1, "/proc")],
        );
    }
}
