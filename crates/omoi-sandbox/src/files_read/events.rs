//! Which files a command read, told by the kernel's events of their folders. They come where access times do not
//! move: on an overlay the times of the folder below stay.
//!
//! A file counts when it was opened or replaced by another: what is mapped into memory makes no event of reading,
//! whatever it was opened for.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::{FilesRead, WatchedFiles, open_beneath, open_root};

const BUFFER_BYTES: usize = 64 << 10;

/// What was seen of the folders of a workspace.
#[derive(Debug, Default)]
struct SeenFiles {
    /// Opened, or put in place of another.
    files: BTreeSet<PathBuf>,
    /// Folders put in place of others: all below counts.
    folders: BTreeSet<PathBuf>,
    /// Events were lost, so nothing is known.
    has_lost_events: bool,
}

/// Watches the folders of the files it was asked about until it is asked for what it saw.
#[derive(Debug)]
pub(super) struct EventWatch {
    reader: JoinHandle<io::Result<SeenFiles>>,
    /// Its end tells the reader to take what is left and stop.
    stop: OwnedFd,
}

impl EventWatch {
    /// Watches every folder below `dir` that holds one of `paths`.
    pub(super) fn start(dir: &Path, paths: &[PathBuf]) -> io::Result<Self> {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let folders: BTreeSet<PathBuf> =
            paths.iter().flat_map(|path| folders_above(path)).collect();
        let root = open_root(dir)?;
        let mut watched = BTreeMap::new();
        for folder in folders {
            let handle = match folder.as_os_str().is_empty() {
                true => root.try_clone()?,
                false => match open_beneath(&root, &folder) {
                    // Not there, or a link: its files are not there either.
                    Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => continue,
                    opened => opened?,
                },
            };
            let by_handle = format!("/proc/self/fd/{}", handle.as_raw_fd());
            let flags =
                WatchFlags::OPEN | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
            match inotify::add_watch(&queue, by_handle.as_str(), flags) {
                // A link at the end of the path is a file of the workspace.
                Err(Errno::NOTDIR) => {}
                number => {
                    watched.insert(number?, folder);
                }
            }
        }
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        let reader = std::thread::Builder::new().name("files-read".into());
        let reader = reader.spawn(move || read_events(&queue, &stopped, &watched))?;
        Ok(Self { reader, stop })
    }

    /// Tells which of `files` were read since the start.
    pub(super) fn finish(self, files: &WatchedFiles<'_>) -> io::Result<FilesRead> {
        drop(self.stop);
        let died = |_| io::Error::other("the thread that reads events of files died");
        let seen = self.reader.join().map_err(died)??;
        if seen.has_lost_events {
            return Ok(FilesRead::Unknown(
                "more files were read at once than the kernel's queue of events holds".into(),
            ));
        }
        let read = files.list(|path, _| {
            let mut above = path.ancestors();
            Ok(seen.files.contains(path) || above.any(|folder| seen.folders.contains(folder)))
        })?;
        Ok(FilesRead::Known(read))
    }
}

/// The folders that `path` lies in, the workspace itself as an empty path.
fn folders_above(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    path.ancestors().skip(1).map(Path::to_path_buf)
}

/// Reads until `stopped` ends and nothing is left.
fn read_events(
    queue: &OwnedFd,
    stopped: &OwnedFd,
    watched: &BTreeMap<i32, PathBuf>,
) -> io::Result<SeenFiles> {
    let mut seen = SeenFiles::default();
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
    loop {
        let mut ready = [
            PollFd::from_borrowed_fd(queue.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN),
        ];
        match poll(&mut ready, None) {
            Err(Errno::INTR) => continue,
            answer => answer?,
        };
        let is_stopped = !ready[1].revents().is_empty();
        let mut events = inotify::Reader::new(queue, &mut buffer);
        loop {
            match events.next() {
                Ok(event) => seen.note(event.events(), watched.get(&event.wd()), event.file_name()),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if is_stopped {
            return Ok(seen);
        }
    }
}

impl SeenFiles {
    fn note(&mut self, what: ReadFlags, folder: Option<&PathBuf>, name: Option<&CStr>) {
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.has_lost_events = true;
            return;
        }
        let (Some(folder), Some(name)) = (folder, name) else {
            return;
        };
        let path = folder.join(OsStr::from_bytes(name.to_bytes()));
        let is_new = what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        match (what.contains(ReadFlags::ISDIR), is_new) {
            (false, _) => self.files.insert(path),
            (true, true) => self.folders.insert(path),
            // Listing a folder reads no file.
            (true, false) => false,
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use super::*;
    use crate::files_read::ReadWatch;
    use std::fs;
    use std::os::unix::fs::symlink;

    const FILES: [&str; 11] = [
        "read",
        "unread",
        "written",
        "grown",
        "saved",
        "empty",
        "gone",
        "linked",
        "deep/a/read",
        "deep/a/unread",
        "made/anew",
    ];

    /// Reads, writes, links and replaces files below `dir`.
    fn use_files(dir: &Path) {
        let at = |path: &str| dir.join(path);
        for path in ["read", "empty", "deep/a/read"] {
            fs::read(at(path)).unwrap();
        }
        fs::write(at("written"), "other").unwrap();
        let grown = fs::OpenOptions::new().append(true).open(at("grown"));
        io::Write::write_all(&mut grown.unwrap(), b"more").unwrap();
        fs::write(at("saved.new"), "new").unwrap();
        fs::rename(at("saved.new"), at("saved")).unwrap();
        fs::remove_file(at("gone")).unwrap();
        fs::create_dir(at("copies")).unwrap();
        fs::hard_link(at("linked"), at("copies/linked")).unwrap();
        fs::read(at("copies/linked")).unwrap();
        fs::remove_dir_all(at("copies")).unwrap();
        fs::remove_dir_all(at("made")).unwrap();
        fs::create_dir(at("made")).unwrap();
        fs::write(at("made/anew"), "text").unwrap();
        fs::read_dir(at("deep/a")).unwrap().for_each(drop);
    }

    #[test]
    fn says_what_access_times_would() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        let mut answers = Vec::new();
        let mut paths = FILES.map(PathBuf::from).to_vec();
        paths.push("link".into());
        for by_events in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let at = |path: &str| dir.path().join(path);
            fs::create_dir_all(at("deep/a")).unwrap();
            fs::create_dir_all(at("made")).unwrap();
            for path in FILES {
                fs::write(at(path), if path == "empty" { "" } else { "text" }).unwrap();
            }
            symlink(outside.path(), at("link")).unwrap();
            let mut watch = ReadWatch::start(dir.path(), &paths, None).unwrap();
            watch.events = by_events.then(|| EventWatch::start(dir.path(), &paths));
            use_files(dir.path());
            answers.push(watch.finish());
        }
        let unread = ["unread", "deep/a/unread", "link"].map(PathBuf::from);
        paths.retain(|path| !unread.contains(path));
        let expected = FilesRead::Known(paths);
        assert_eq!(answers, [expected.clone(), expected]);
    }

    /// Folders that the test below has, and that its user may watch.
    const FOLDERS: usize = 40;
    const WATCHES_MAX: usize = 20;
    /// Name of the file by which that test's process is told from others.
    const FEW_WATCHES: &str = "few-watches";

    /// Not a test of its own: run by the one below as a user who may watch few folders.
    #[test]
    fn in_a_large_repository() {
        let told = fs::read_link("/proc/self/fd/0").unwrap_or_default();
        if !told.ends_with(FEW_WATCHES) {
            return;
        }
        let dir = told.parent().unwrap();
        let paths: Vec<PathBuf> = (0..FOLDERS).map(|n| format!("{n}/file").into()).collect();
        let mut watch = ReadWatch::start(dir, &paths, None).unwrap();
        watch.events = Some(EventWatch::start(dir, &paths));
        let FilesRead::Unknown(why) = watch.finish() else {
            panic!("more folders are watched than may be");
        };
        assert!(
            why.contains("could not follow which files are read"),
            "{why}"
        );
        // Those that can be followed are.
        let few = &paths[..WATCHES_MAX / 2];
        let mut watch = ReadWatch::start(dir, few, None).unwrap();
        watch.events = Some(EventWatch::start(dir, few));
        fs::read(dir.join(&few[1])).unwrap();
        assert_eq!(watch.finish(), FilesRead::Known(vec![few[1].clone()]));
    }

    /// A repository may have more folders than the kernel watches: then every file counts as read.
    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "the test runs itself once more, under a lower limit"
    )]
    fn more_folders_than_watches_make_everything_unknown() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FEW_WATCHES), "").unwrap();
        for n in 0..FOLDERS {
            fs::create_dir(dir.path().join(n.to_string())).unwrap();
            fs::write(dir.path().join(format!("{n}/file")), "text").unwrap();
        }
        // The limit is of a user space, so nobody else's is lowered.
        let script = format!(
            "echo {WATCHES_MAX} >/proc/sys/user/max_inotify_watches && exec \"$0\" --exact \
             files_read::events::tests::in_a_large_repository --nocapture"
        );
        let ran = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "sh", "-c", &script])
            .arg(std::env::current_exe().unwrap())
            .stdin(fs::File::open(dir.path().join(FEW_WATCHES)).unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn lost_events_make_everything_unknown() {
        let mut seen = SeenFiles::default();
        seen.note(ReadFlags::QUEUE_OVERFLOW, None, None);
        assert!(seen.has_lost_events);
    }
}
