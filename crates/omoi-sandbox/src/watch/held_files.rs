//! Files that the processes of a sandbox hold and no folder of the host shows: files of memory, files whose last name
//! is gone, and what lies in file systems of memory that are the sandbox's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::sample::BLOCK_BYTES;
use crate::mount_check::unescape_octal;

/// What the processes of a sandbox hold at one instant. A process that the platform's user may not look into, as one
/// whose program its user cannot read, counts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldFiles {
    /// Bytes of memory in files, mapped or not.
    pub(crate) memory_bytes: u64,
    /// Bytes on disk of files without a name, by device.
    unlinked: BTreeMap<u64, u64>,
}

impl HeldFiles {
    /// What the processes `members` hold; `leader` is the one whose mounts all of them have.
    pub(crate) fn of_processes(leader: i32, members: &BTreeSet<i32>) -> Self {
        let mut held = Self {
            memory_bytes: own_mounts_bytes(leader),
            unlinked: BTreeMap::new(),
        };
        let mut seen = BTreeSet::new();
        for pid in members {
            let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter();
            for descriptor in descriptors.flatten().flatten() {
                held.add_descriptor(&descriptor.path(), &mut seen);
            }
        }
        held
    }

    /// Bytes of files without a name on the file system of `dir`.
    pub(crate) fn unlinked_bytes(&self, dir: &Path) -> u64 {
        let device = fs::metadata(dir).map(|found| found.dev());
        let bytes = device.ok().and_then(|device| self.unlinked.get(&device));
        bytes.copied().unwrap_or_default()
    }

    fn add_descriptor(&mut self, path: &Path, seen: &mut BTreeSet<(u64, u64)>) {
        let Ok(file) = fs::metadata(path) else {
            return;
        };
        let is_nameless = file.is_file() && file.nlink() == 0;
        if !is_nameless || !seen.insert((file.dev(), file.ino())) {
            return;
        }
        let bytes = file.blocks() * BLOCK_BYTES;
        let name = fs::read_link(path).unwrap_or_default();
        match name.as_os_str().as_bytes().starts_with(b"/memfd:") {
            true => self.memory_bytes += bytes,
            false => *self.unlinked.entry(file.dev()).or_default() += bytes,
        }
    }
}

/// Bytes in use of the file systems of memory that `leader` has mounted and this process has not.
fn own_mounts_bytes(leader: i32) -> u64 {
    let read_table = |process: &str| fs::read_to_string(format!("/proc/{process}/mountinfo"));
    let (Ok(host), Ok(inside)) = (read_table("self"), read_table(&leader.to_string())) else {
        return 0;
    };
    let root = format!("/proc/{leader}/root");
    let places = own_memory_mounts(&host, &inside);
    let used = places.into_iter().filter_map(|place| {
        let stat = rustix::fs::statvfs(format!("{root}{place}")).ok()?;
        Some((stat.f_blocks - stat.f_bfree) * stat.f_frsize)
    });
    used.sum()
}

/// Where file systems of memory are mounted that the table `inside` has and `host` has not, each once.
fn own_memory_mounts(host: &str, inside: &str) -> Vec<String> {
    let device = |line: &str| line.split(' ').nth(2).map(str::to_owned);
    let mut known: BTreeSet<String> = host.lines().filter_map(device).collect();
    let own = inside.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let is_own = file_system.starts_with("tmpfs ") && known.insert(device(line)?);
        let place = is_own.then(|| mount.split(' ').nth(4)).flatten()?;
        unescape_octal(place).into_string().ok()
    });
    own.collect()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use std::io::Write as _;

    use rustix::fs::MemfdFlags;

    use super::*;

    fn held_here() -> HeldFiles {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        HeldFiles::of_processes(own, &[own].into())
    }

    #[test]
    fn files_without_a_name_count_in_memory_and_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let before = held_here();
        let memory = rustix::fs::memfd_create("held", MemfdFlags::CLOEXEC).unwrap();
        let mut memory = fs::File::from(memory);
        memory.write_all(&vec![1; 300_000]).unwrap();
        let mut on_disk = tempfile::tempfile_in(dir.path()).unwrap();
        on_disk.write_all(&vec![1; 500_000]).unwrap();
        on_disk.sync_all().unwrap();
        let again = on_disk.try_clone().unwrap();
        let mut named = fs::File::create(dir.path().join("named")).unwrap();
        named.write_all(&vec![1; 900_000]).unwrap();
        let after = held_here();
        let memory_bytes = after.memory_bytes - before.memory_bytes;
        assert!((300_000..400_000).contains(&memory_bytes), "{after:?}");
        let unlinked = after.unlinked_bytes(dir.path()) - before.unlinked_bytes(dir.path());
        assert!((500_000..600_000).contains(&unlinked), "{after:?}");
        drop((memory, on_disk, again, named));
    }

    #[test]
    fn a_file_system_of_memory_is_the_sandboxs_when_the_host_has_it_not() {
        let host = "22 1 8:1 / / rw - ext4 /dev/sda rw\n30 22 0:40 / /tmp rw - tmpfs t rw\n";
        let inside = "50 1 0:60 / / ro - tmpfs t rw\n51 50 0:40 /w /sandbox rw - tmpfs t rw\n\
                      52 50 0:61 / /a\\040b rw shared:1 - tmpfs t rw\n53 50 0:61 / /again rw - tmpfs t rw\n\
                      54 50 8:1 /usr /usr ro - ext4 /dev/sda rw\nodd\n";
        assert_eq!(own_memory_mounts(host, inside), ["/", "/a b"]);
    }
}
