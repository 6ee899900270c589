//! Workspaces laid over a folder that itself stays as it is: what changes is kept beside it.
//!
//! Everything lies in the workspace's own folder, below the mount that covers it: `upper` holds what changed, `work`
//! is the kernel's, and `lower` shows the files below with the owner the sandbox's user needs, whoever owns them in
//! truth. Nothing but the mount itself is left when the platform dies.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use rustix::process::{Gid, Uid};

use crate::child::{map_tree_owner, tree_flags_read_only};
use crate::process::owner_mapping;
use crate::workspace::path_owner;

const UPPER: &str = "upper";
const WORK: &str = "work";
const LOWER: &str = "lower";
/// Folders that one workspace is laid over at most.
const LOWERS_MAX: usize = 4;

/// A workspace cannot be laid over a folder, so its files are copied.
#[derive(Debug, thiserror::Error)]
pub enum OverlayRefusal {
    /// Mounts take root.
    #[error("only root may lay a workspace over a prepared checkout")]
    NotRoot,
    /// The container engine does not see what this process mounts.
    #[error("the container engine does not see what is mounted here: {0}")]
    Unseen(String),
    /// The rung runs programs as the platform's own user.
    #[error("this kind of sandbox has no user of its own")]
    NoOwnUser,
    /// Files that are not root's would belong to nobody inside.
    #[error("`{lower}` does not belong to root and its group")]
    OtherOwner {
        /// The folder below.
        lower: PathBuf,
    },
    /// The kernel or the file system refused.
    #[error("could not {step} for a workspace laid over a prepared checkout")]
    System {
        /// What was tried.
        step: &'static str,
        /// Error that the system returned.
        #[source]
        source: io::Error,
    },
}

impl OverlayRefusal {
    /// What to do so that workspaces are laid over prepared checkouts.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::NotRoot => "start omoi as root to have them laid",
            Self::Unseen(_) => {
                "run the container engine where it sees the mounts of this process, or use bubblewrap"
            }
            Self::NoOwnUser => "use bubblewrap: `apt install bubblewrap`",
            Self::OtherOwner { .. } => "give the folder to root: `chown -R root:root`",
            Self::System { source, .. } => system_remedy(source),
        }
    }
}

/// What to do about an error of the system: what is refused, missing, or not to be had on this file system.
fn system_remedy(source: &io::Error) -> &'static str {
    match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::ACCESS) => {
            "start omoi where root may mount: not in a container that holds that back (`--privileged` lets it)"
        }
        Some(Errno::NOSYS) => "boot Linux 5.19 or newer",
        Some(Errno::NODEV) => "load the kernel's overlay file system: `modprobe overlay`",
        _ => {
            "keep the data folder on a file system such as ext4 or xfs, not on an overlay: `--data-dir FOLDER`"
        }
    }
}

fn failed_to<E: Into<io::Error>>(step: &'static str) -> impl Fn(E) -> OverlayRefusal {
    move |source| OverlayRefusal::System {
        step,
        source: source.into(),
    }
}

/// The workspaces that this process laid over folders.
#[derive(Debug, Default)]
pub(crate) struct Overlays {
    /// Of each, the folder of what changed in it.
    uppers: Mutex<BTreeMap<PathBuf, Arc<OwnedFd>>>,
    /// Held for writing while one is laid.
    laying: RwLock<()>,
}

/// No workspace is laid while this lives.
pub(crate) struct MountTableHold<'a> {
    /// Where others are mounted.
    pub(crate) beside: Vec<PathBuf>,
    _laying: RwLockReadGuard<'a, ()>,
}

impl Overlays {
    /// The folder of what changed in the workspace `dir`, which the mount covers.
    pub(crate) fn upper_of(&self, dir: &Path) -> Option<Arc<OwnedFd>> {
        let uppers = self.uppers.lock().unwrap_or_else(PoisonError::into_inner);
        uppers.get(dir).cloned()
    }

    /// The workspaces laid beside the one at `workspace`, of which there are no more while the answer lives: a process
    /// that copies the mounts of this one keeps the disk of each until it ends, whatever is removed meanwhile.
    pub(crate) fn hold_mounts(&self, workspace: &Path) -> MountTableHold<'_> {
        let laying = self.laying.read().unwrap_or_else(PoisonError::into_inner);
        let uppers = self.uppers.lock().unwrap_or_else(PoisonError::into_inner);
        let beside = uppers.keys().filter(|dir| *dir != workspace).cloned();
        MountTableHold {
            beside: beside.collect(),
            _laying: laying,
        }
    }

    /// Lays the workspace `dir`, an empty folder, over `lowers`, the first on top, with everything in it owned by
    /// `user`.
    pub(crate) fn lay_over(
        &self,
        dir: &Path,
        lowers: &[&Path],
        user: Uid,
    ) -> Result<(), OverlayRefusal> {
        let laying = self.laying.write().unwrap_or_else(PoisonError::into_inner);
        let upper = mount_overlay(dir, lowers, user).inspect_err(|_| {
            // What was begun must not be taken for files of the workspace.
            if take_mounts_away(dir).is_ok() {
                for name in [LOWER, WORK, UPPER] {
                    let _ = std::fs::remove_dir_all(dir.join(name));
                }
            }
        })?;
        let mut uppers = self.uppers.lock().unwrap_or_else(PoisonError::into_inner);
        uppers.insert(dir.into(), Arc::new(upper));
        drop(laying);
        Ok(())
    }

    /// Takes the mount of `dir` away; one of an earlier life too. Nothing there is fine.
    pub(crate) fn unmount_workspace(&self, dir: &Path) -> io::Result<()> {
        take_mounts_away(dir)?;
        let mut uppers = self.uppers.lock().unwrap_or_else(PoisonError::into_inner);
        uppers.remove(dir);
        Ok(())
    }
}

fn mount_overlay(dir: &Path, lowers: &[&Path], user: Uid) -> Result<OwnedFd, OverlayRefusal> {
    let folders = failed_to::<io::Error>("make folders");
    for name in [UPPER, WORK, LOWER] {
        std::fs::create_dir(dir.join(name)).map_err(&folders)?;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let upper = rustix::fs::openat(CWD, dir.join(UPPER), flags, Mode::empty());
    let upper = upper.map_err(failed_to("open a folder"))?;
    let shown = show_lowers(lowers, &dir.join(LOWER), user)?;
    let context = rustix::mount::fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC);
    let context = context.map_err(failed_to("ask for an overlay"))?;
    let set = failed_to::<Errno>("describe an overlay");
    let below = lower_list(&shown);
    for (key, value) in [
        (c"source", OsStr::new("omoi")),
        (c"lowerdir", below.as_ref()),
        (c"upperdir", dir.join(UPPER).as_ref()),
        (c"workdir", dir.join(WORK).as_ref()),
        // Without it no folder of the checkout can be renamed.
        (c"redirect_dir", OsStr::new("on")),
        // What a host has for a default must not decide: the files below have more than one name, and a layer is read
        // by several overlays.
        (c"index", OsStr::new("off")),
        (c"metacopy", OsStr::new("off")),
        (c"nfs_export", OsStr::new("off")),
    ] {
        rustix::mount::fsconfig_set_string(context.as_fd(), key, value).map_err(&set)?;
    }
    // The workspace goes with its attempt, so nothing waits for the disk.
    rustix::mount::fsconfig_set_flag(context.as_fd(), c"volatile").map_err(&set)?;
    let mount = failed_to::<Errno>("mount an overlay");
    rustix::mount::fsconfig_create(context.as_fd()).map_err(&mount)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    let made = rustix::mount::fsmount(context.as_fd(), flags, attributes).map_err(&mount)?;
    // The overlay holds what it needs of it.
    for place in &shown {
        rustix::mount::unmount(place, UnmountFlags::DETACH).map_err(&mount)?;
    }
    let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(made.as_fd(), c"", CWD, dir, empty).map_err(&mount)?;
    Ok(upper)
}

/// Shows each of `lowers` in a folder of its own below `place`.
fn show_lowers(lowers: &[&Path], place: &Path, user: Uid) -> Result<Vec<PathBuf>, OverlayRefusal> {
    let mut shown = Vec::new();
    for (n, lower) in lowers.iter().enumerate() {
        let at = place.join(n.to_string());
        std::fs::create_dir(&at).map_err(failed_to("make folders"))?;
        show_owned(lower, &at, user)?;
        shown.push(at);
    }
    Ok(shown)
}

/// Shows `lower` at `at`, read-only and as the files of `user`.
fn show_owned(lower: &Path, at: &Path, user: Uid) -> Result<(), OverlayRefusal> {
    let owner = path_owner(lower).map_err(failed_to("look at the prepared checkout"))?;
    if owner != (Uid::ROOT, Gid::ROOT) {
        return Err(OverlayRefusal::OtherOwner {
            lower: lower.to_path_buf(),
        });
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let tree = rustix::mount::open_tree(CWD, lower, flags);
    let tree = tree.map_err(failed_to("open the prepared checkout"))?;
    let mapping = owner_mapping(user).map_err(failed_to("map the owner of files"))?;
    map_tree_owner(&tree, &mapping, tree_flags_read_only())
        .map_err(failed_to("map the owner of files"))?;
    let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(tree.as_fd(), c"", CWD, at, empty)
        .map_err(failed_to("show the prepared checkout"))
}

/// Folders below as a mount lists them: with colons between, those of a path escaped.
fn lower_list(paths: &[PathBuf]) -> PathBuf {
    let mut bytes = Vec::new();
    for path in paths {
        if !bytes.is_empty() {
            bytes.push(b':');
        }
        for byte in path.as_os_str().as_bytes() {
            if matches!(byte, b':' | b'\\') {
                bytes.push(b'\\');
            }
            bytes.push(*byte);
        }
    }
    PathBuf::from(OsStr::from_bytes(&bytes))
}

/// Takes every mount of the workspace `dir` away.
fn take_mounts_away(dir: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    let lowers = (0..LOWERS_MAX).map(|n| dir.join(LOWER).join(n.to_string()));
    for place in std::iter::once(dir.to_path_buf()).chain(lowers) {
        loop {
            match rustix::mount::unmount(&place, flags) {
                Ok(()) => {}
                // Nothing is mounted there, nothing is there, or nobody may mount here.
                Err(Errno::INVAL | Errno::NOENT | Errno::PERM | Errno::NOTDIR) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_follows_from_what_the_system_said() {
        for (errno, next) in [
            (Errno::PERM, "`--privileged`"),
            (Errno::NOSYS, "Linux 5.19"),
            (Errno::NODEV, "`modprobe overlay`"),
            (Errno::INVAL, "`--data-dir FOLDER`"),
        ] {
            let refusal = failed_to::<Errno>("mount an overlay")(errno);
            assert!(refusal.next_step().contains(next), "{refusal:?}");
        }
    }

    #[test]
    fn a_colon_in_a_path_is_no_separator() {
        let listed = lower_list(&[r"/a:b\c".into(), "/d".into()]);
        assert_eq!(listed, Path::new(r"/a\:b\\c:/d"));
    }
}
