//! What a new process does between fork and exec (limits, private mounts, identity, descriptors), and
//! how its end is noticed.
//!
//! An [`EntrySteps`] runs in a copy of a threaded process, so it only makes system calls on values prepared
//! beforehand: no allocation, no lock, no environment.
#![expect(
    unsafe_code,
    reason = "`pre_exec`, `unshare`, `close_range`, inherited descriptors and `AsyncFd` have no safe form; this is the one file that needs them"
)]

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::{fmt, io};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::{Errno, FdFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags};
use tokio::io::unix::AsyncFd;

/// The steps, prepared by the parent.
pub(crate) struct EntrySteps {
    /// The platform's pid: a child that finds another parent was orphaned before it could ask to
    /// die with it.
    pub(crate) parent: Pid,
    /// Open `tasks` or `cgroup.procs` files of the limit groups to join.
    pub(crate) groups: Vec<OwnedFd>,
    /// Mounts to gather where an unprivileged user can reach them; only when started as root.
    pub(crate) stage: Option<MountStage>,
    /// Limits of each process.
    pub(crate) rlimits: Vec<(Resource, u64)>,
    /// User and group to become; only when started as root.
    pub(crate) uid: Option<Uid>,
    /// Where the program starts.
    pub(crate) directory: CString,
    /// Descriptors that survive the exec; every other one from 3 up is closed by it.
    pub(crate) keep: Vec<OwnedFd>,
    /// Where a failing step writes its name.
    pub(crate) report: OwnedFd,
}

/// Sources bound below one world-reachable folder in a private mount space.
///
/// An unprivileged user can neither walk into nor bind what lies below a folder of mode 0700, such
/// as root's home, so root binds each source first.
pub(crate) struct MountStage {
    root: CString,
    /// Folders that show nothing but what is bound below them.
    covers: Vec<CString>,
    /// Folders made for that, outer ones first.
    folders: Vec<CString>,
    sources: Vec<(CString, CString, bool)>,
    trees: Vec<OwnedFd>,
    /// Mounts of the platform's that are left out of the private space.
    left_out: Vec<CString>,
}

impl MountStage {
    /// An empty stage over the folder `root`.
    pub(crate) fn new(root: CString) -> Self {
        Self {
            root,
            covers: Vec::new(),
            folders: Vec::new(),
            sources: Vec::new(),
            trees: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Leaves the mount at `place` out, which would not go while the private space lives.
    pub(crate) fn leave_out(&mut self, place: CString) {
        self.left_out.push(place);
    }

    /// Hides everything in the folder `cover`.
    pub(crate) fn add_cover(&mut self, cover: CString) {
        self.covers.push(cover);
    }

    /// Makes a folder below the root or a cover, where every user may walk.
    pub(crate) fn add_folder(&mut self, folder: CString) {
        self.folders.push(folder);
    }

    /// Adds `host`, to be found at `at` (below the root or a cover) afterwards.
    pub(crate) fn add_source(&mut self, host: CString, at: CString, is_dir: bool) {
        self.sources.push((host, at, is_dir));
        // Grown here so that the child never allocates.
        self.trees.reserve(self.sources.len());
    }
}

/// A step that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryStep {
    /// Leaving the platform's session.
    Session,
    /// Joining the limit groups.
    Groups,
    /// Making a private mount space, and one for what processes share by number.
    MountSpace,
    /// Opening the source with this number.
    OpenSource(u8),
    /// Binding the source with this number.
    BindSource(u8),
    /// Setting limits of the process.
    Limits,
    /// Becoming an unprivileged user.
    Identity,
    /// Entering the first directory.
    Directory,
    /// Tying its life to the platform's.
    Parent,
    /// Closing file descriptors inherited from the platform.
    Descriptors,
}

impl EntryStep {
    fn to_bytes(self) -> [u8; 2] {
        match self {
            Self::Session => [0, 0],
            Self::Groups => [1, 0],
            Self::MountSpace => [2, 0],
            Self::OpenSource(n) => [3, n],
            Self::BindSource(n) => [4, n],
            Self::Limits => [5, 0],
            Self::Identity => [6, 0],
            Self::Directory => [7, 0],
            Self::Parent => [8, 0],
            Self::Descriptors => [9, 0],
        }
    }

    /// Reads back what a failing child wrote.
    pub(crate) fn from_bytes(bytes: [u8; 2]) -> Option<Self> {
        Some(match bytes {
            [0, _] => Self::Session,
            [1, _] => Self::Groups,
            [2, _] => Self::MountSpace,
            [3, n] => Self::OpenSource(n),
            [4, n] => Self::BindSource(n),
            [5, _] => Self::Limits,
            [6, _] => Self::Identity,
            [7, _] => Self::Directory,
            [8, _] => Self::Parent,
            [9, _] => Self::Descriptors,
            _ => return None,
        })
    }
}

impl fmt::Display for EntryStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "start a session",
            Self::Groups => "join the limit groups",
            Self::MountSpace => "make private mount and message spaces",
            Self::OpenSource(_) => "open a mount source",
            Self::BindSource(_) => "bind a mount source",
            Self::Limits => "set process limits",
            Self::Identity => "become an unprivileged user",
            Self::Directory => "enter the first directory",
            Self::Parent => "follow the platform's life",
            Self::Descriptors => "close inherited descriptors",
        })
    }
}

/// Makes `command` pass through `entry` before it runs its program.
pub(crate) fn attach_entry(command: &mut tokio::process::Command, mut entry: EntrySteps) {
    // SAFETY: `EntrySteps::run_steps` makes system calls only; it neither allocates nor locks, and the values it
    // reads were complete before the fork.
    unsafe {
        command.pre_exec(move || {
            entry.run_steps().map_err(|(step, errno)| {
                let _ = rustix::io::write(&entry.report, &step.to_bytes());
                io::Error::from(errno)
            })
        });
    }
}

/// A process descriptor that becomes readable when its process ends.
pub(crate) fn watch_exit(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the `OwnedFd` is owned by what is returned, and never replaced or closed before that.
    Ok(unsafe { AsyncFd::register(pidfd)? })
}

impl EntrySteps {
    fn run_steps(&mut self) -> Result<(), (EntryStep, Errno)> {
        // Away from the terminal: its signals are for the platform, which decides what follows.
        rustix::process::setsid().map_err(|e| (EntryStep::Session, e))?;
        for group in &self.groups {
            // `0` moves the writer; a lone thread moving itself needs no machine-wide lock.
            rustix::io::write(group, b"0").map_err(|e| (EntryStep::Groups, e))?;
        }
        if let Some(stage) = &mut self.stage {
            stage.stage_mount_sources()?;
        }
        for (resource, value) in &self.rlimits {
            let limit = Rlimit {
                current: Some(*value),
                maximum: Some(*value),
            };
            rustix::process::setrlimit(*resource, limit).map_err(|e| (EntryStep::Limits, e))?;
        }
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
        if let Some(uid) = self.uid {
            become_user(uid).map_err(|e| (EntryStep::Identity, e))?;
        }
        rustix::process::chdir(self.directory.as_c_str()).map_err(|e| (EntryStep::Directory, e))?;
        // After the change of user, which clears it.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|e| (EntryStep::Parent, e))?;
        if rustix::process::getppid() != Some(self.parent) {
            return Err((EntryStep::Parent, Errno::CHILD));
        }
        close_from_three().map_err(|e| (EntryStep::Descriptors, e))?;
        for fd in &self.keep {
            rustix::io::fcntl_setfd(fd, FdFlags::empty())
                .map_err(|e| (EntryStep::Descriptors, e))?;
        }
        Ok(())
    }
}

impl MountStage {
    fn stage_mount_sources(&mut self) -> Result<(), (EntryStep, Errno)> {
        let space = |e| (EntryStep::MountSpace, e);
        // Queues and memory that programs share by number are the host's otherwise.
        let spaces = UnshareFlags::NEWNS | UnshareFlags::NEWIPC;
        // SAFETY: only these spaces are split off; the descriptor table stays shared with nobody,
        // since this process has a single thread.
        unsafe { rustix::thread::unshare_unsafe(spaces) }.map_err(space)?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change(c"/", private).map_err(space)?;
        // All sources are picked up before the stage hides what lies under its root.
        for (n, (host, _, is_dir)) in self.sources.iter().enumerate() {
            let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
            if *is_dir {
                flags |= OpenTreeFlags::AT_RECURSIVE;
            }
            let tree = rustix::mount::open_tree(CWD, host.as_c_str(), flags)
                .map_err(|e| (EntryStep::OpenSource(n as u8), e))?;
            self.trees.push(tree);
        }
        for place in &self.left_out {
            let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
            match rustix::mount::unmount(place.as_c_str(), flags) {
                // It went meanwhile.
                Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
                Err(errno) => return Err(space(errno)),
            }
        }
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        let options: Option<&CStr> = Some(c"mode=755,size=64k");
        for covered in std::iter::once(&self.root).chain(&self.covers) {
            rustix::mount::mount(c"tmpfs", covered.as_c_str(), c"tmpfs", flags, options)
                .map_err(space)?;
        }
        for folder in &self.folders {
            rustix::fs::mkdir(folder.as_c_str(), Mode::from_raw_mode(0o755)).map_err(space)?;
        }
        for (n, ((_, at, is_dir), tree)) in self.sources.iter().zip(&self.trees).enumerate() {
            bind_tree(tree, at, *is_dir).map_err(|e| (EntryStep::BindSource(n as u8), e))?;
        }
        Ok(())
    }
}

fn bind_tree(tree: &OwnedFd, at: &CStr, is_dir: bool) -> Result<(), Errno> {
    if is_dir {
        rustix::fs::mkdir(at, Mode::from_raw_mode(0o755))?;
    } else {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::open(at, flags, Mode::from_raw_mode(0o644))?;
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(tree.as_fd(), c"", CWD, at, flags)
}

fn become_user(uid: Uid) -> Result<(), Errno> {
    let gid = Gid::from_raw(uid.as_raw());
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    // Leaving uid 0 empties the permitted, effective and ambient sets, not the inheritable one.
    drop_capabilities()
}

fn drop_capabilities() -> Result<(), Errno> {
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
}

/// Makes this process, which has one thread, the user `id` of a user space of its own, where nobody else is and it can
/// nothing. Outside it stays who it is; to name root of there takes the capability `SETFCAP`.
pub(crate) fn enter_own_user(id: u32) -> io::Result<()> {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    // SAFETY: the call reads no memory of this process, and the descriptor table stays as it is.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER)? };
    for (file, text) in [
        (c"/proc/self/setgroups", "deny".to_owned()),
        (c"/proc/self/uid_map", format!("{id} {} 1", user.as_raw())),
        (c"/proc/self/gid_map", format!("{id} {} 1", group.as_raw())),
    ] {
        // The kernel takes each in one write.
        let file = rustix::fs::openat(CWD, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&file, text.as_bytes())?;
    }
    for capability in CapabilitySet::all() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // An older kernel does not have every one of them.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(drop_capabilities()?)
}

/// Kills every other process that this one may send a signal to, at one instant, so that none gets away by starting
/// another one meanwhile.
pub(crate) fn kill_reachable() {
    // SAFETY: takes two integers and touches no memory of this process.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

/// Marks every descriptor from 3 up to be closed by the exec, whoever opened it.
pub(crate) fn close_from_three() -> Result<(), Errno> {
    let cloexec = libc::c_long::from(libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: takes three integers and touches no memory of this process.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3 as libc::c_long,
            libc::c_long::from(u32::MAX),
            cloexec,
        )
    };
    if answer == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::NOSYS))
    }
}

/// The kernel's version of Landlock.
pub(crate) fn landlock_abi() -> Result<i32, Errno> {
    const VERSION: libc::c_long = 1;
    let nothing: libc::c_long = 0;
    // SAFETY: with this flag the call takes a null pointer and a size of zero, and only answers.
    let answer =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, nothing, VERSION) };
    if answer < 0 {
        return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::NOSYS));
    }
    Ok(answer as i32)
}

/// Makes `command` run in a user space of its own, in which nobody is mapped yet.
pub(crate) fn enter_user_space(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: the closure makes one system call and reads nothing of this process.
    unsafe {
        command.pre_exec(|| {
            // The descriptor table stays as it is.
            rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER).map_err(io::Error::from)
        });
    }
}

/// Flags of a mount that shows files and lets none be changed.
pub(crate) const fn tree_flags_read_only() -> u64 {
    libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV
}

/// Shows the files of the detached mount `tree` as the user space `mapping` names their owners, with `flags`.
pub(crate) fn map_tree_owner(tree: &OwnedFd, mapping: &OwnedFd, flags: u64) -> Result<(), Errno> {
    use std::os::fd::AsRawFd as _;
    let attributes = libc::mount_attr {
        attr_set: flags | libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: mapping.as_raw_fd() as u64,
    };
    // SAFETY: the path and the attributes outlive the call, whose last argument is the size of the latter.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::c_long::from(tree.as_raw_fd()),
            c"".as_ptr(),
            libc::c_long::from(libc::AT_EMPTY_PATH),
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if answer == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::NOSYS))
    }
}

/// Takes the open descriptor `number` that this process was started with.
pub(crate) fn inherited_fd(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: borrowed for one question; the kernel says whether it is open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_getfd(borrowed)?;
    // SAFETY: it is open, and this single-threaded process has given it to nothing else: its number came
    // in its arguments from whoever left it open for it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The type of `path` as a directory flag, not following a link at its end.
pub(crate) fn is_dir(path: &std::path::Path) -> io::Result<bool> {
    let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
