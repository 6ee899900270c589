//! The process log in the data folder: one JSON object per line, in files of a bounded size.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::sync::lock;

/// Name of the newest file; older ones have `.1`, `.2` … behind it.
const NAME: &str = "omoi.log";

/// Where the process log of a data folder lies and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFiles {
    /// Folder of the files, made with mode 0700 where there is none.
    pub folder: PathBuf,
    /// Size that no file exceeds, but for a single longer line.
    pub file_bytes_max: u64,
    /// Number of old files kept beside the newest.
    pub n_old: usize,
}

impl LogFiles {
    /// The log of the data folder `data`: at most 40 MiB in five files.
    pub fn of_data_folder(data: &Path) -> Self {
        Self {
            folder: data.join("log"),
            file_bytes_max: 8 << 20,
            n_old: 4,
        }
    }

    /// The newest file, or with `age` the one that many rotations older.
    pub fn file_path(&self, age: usize) -> PathBuf {
        match age {
            0 => self.folder.join(NAME),
            _ => self.folder.join(format!("{NAME}.{age}")),
        }
    }

    /// Opens the newest file for appending, with mode 0600 whoever made it.
    fn open_newest(&self) -> io::Result<File> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.file_path(0))?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(file)
    }
}

/// Appends whole lines to the newest of some [`LogFiles`]. Several processes of one data folder may do so
/// at once.
#[derive(Debug)]
pub(super) struct LogFile {
    files: LogFiles,
    newest: Mutex<NewestFile>,
}

#[derive(Debug)]
struct NewestFile {
    file: File,
    /// Lines that could not be written since the last one that was. The first of them may have left a part.
    n_lost: u64,
}

impl LogFile {
    pub(super) fn open(files: LogFiles) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&files.folder)?;
        let file = files.open_newest()?;
        let newest = Mutex::new(NewestFile { file, n_lost: 0 });
        Ok(Self { files, newest })
    }

    /// Appends `line`, with the one or two calls of the system that any write to a file is. A line that
    /// cannot be written, as on a full disk, is counted, and the count is told by the next that can: nothing
    /// fails because of a log.
    pub(super) fn append_line(&self, line: &str) {
        let mut newest = lock(&self.newest);
        let n_lost = newest.n_lost;
        let with_notice = match n_lost {
            0 => None,
            // What is left of a line that was cut off gets an end of its own.
            _ => Some(format!("\n{}{line}", lost_notice(n_lost, line))),
        };
        let text = with_notice.as_deref().unwrap_or(line);
        newest.n_lost = match self.write_text(&mut newest.file, text) {
            Ok(()) => 0,
            Err(_) => n_lost + 1,
        };
    }

    fn write_text(&self, file: &mut File, text: &str) -> io::Result<()> {
        if !self.is_newest(file)? {
            *file = self.files.open_newest()?;
        }
        let size = file.metadata()?.len();
        if size > 0 && size + text.len() as u64 > self.files.file_bytes_max {
            *file = self.begin_file(file)?;
        }
        file.write_all(text.as_bytes())
    }

    /// Whether `file` is still the one that readers look at: another process may have begun a new one, or a
    /// person removed it.
    fn is_newest(&self, file: &File) -> io::Result<bool> {
        match fs::metadata(self.files.file_path(0)) {
            Ok(newest) => Ok(newest.ino() == file.metadata()?.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Begins a new file, unless another process has done so since `full` was opened.
    fn begin_file(&self, full: &File) -> io::Result<File> {
        let _rotating = lock_folder(&self.files.folder)?;
        if self.is_newest(full)? {
            for age in (0..self.files.n_old).rev() {
                match fs::rename(self.files.file_path(age), self.files.file_path(age + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        self.files.open_newest()
    }
}

/// Keeps others from renaming the files of `folder` until it is dropped.
fn lock_folder(folder: &Path) -> io::Result<File> {
    let folder = File::open(folder)?;
    folder.lock()?;
    Ok(folder)
}

/// The line that says how many are missing before `next`, at the same time as that.
fn lost_notice(n_lost: u64, next: &str) -> String {
    let next = serde_json::from_str::<Value>(next).unwrap_or_default();
    let notice = json!({
        "timestamp": next["timestamp"],
        "level": "WARN",
        "message": format!("{n_lost} lines of this log could not be written"),
        "n_lost": n_lost,
        "target": module_path!(),
    });
    format!("{notice}\n")
}

/// Reads the process log of a data folder from its oldest line on, and what is added later.
#[derive(Debug)]
pub struct LogReader {
    files: LogFiles,
    at: Option<ReadPosition>,
}

/// A file, whatever its name is by now, and the bytes of it that were read.
#[derive(Clone, Copy, Debug)]
struct ReadPosition {
    inode: u64,
    bytes: u64,
}

impl LogReader {
    /// A reader at the beginning of `files`.
    pub fn new(files: LogFiles) -> Self {
        Self { files, at: None }
    }

    /// Whether there is a log at all.
    pub fn has_log(&self) -> bool {
        self.files.file_path(0).exists()
    }

    /// Hands every line that was added since the last call to `each`, oldest first, also those of files that
    /// were renamed in between. Empty lines are left out.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read_lines(&mut self, mut each: impl FnMut(&str)) -> io::Result<()> {
        let opened = self.open_all()?;
        let known = opened
            .iter()
            .position(|(inode, _)| self.at.is_some_and(|at| at.inode == *inode));
        for (inode, mut file) in opened.into_iter().skip(known.unwrap_or(0)) {
            let from = match self.at {
                Some(at) if at.inode == inode => at.bytes,
                _ => 0,
            };
            let bytes = read_from(&mut file, from, &mut each)?;
            self.at = Some(ReadPosition { inode, bytes });
        }
        Ok(())
    }

    /// The files there are with their inodes, the oldest first, as they were at one moment.
    fn open_all(&self) -> io::Result<Vec<(u64, File)>> {
        let _unrenamed = match File::open(&self.files.folder) {
            Ok(folder) => {
                folder.lock_shared()?;
                folder
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut opened = Vec::new();
        for age in (0..=self.files.n_old).rev() {
            match File::open(self.files.file_path(age)) {
                Ok(file) => opened.push((file.metadata()?.ino(), file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(opened)
    }
}

/// Reads whole lines from byte `from` on; returns where the last of them ends.
fn read_from(file: &mut File, from: u64, each: &mut impl FnMut(&str)) -> io::Result<u64> {
    use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(from))?;
    let (mut at, mut line) = (from, Vec::new());
    loop {
        line.clear();
        let n_bytes = reader.read_until(b'\n', &mut line)?;
        // What has no end yet is still being written.
        if line.pop() != Some(b'\n') {
            return Ok(at);
        }
        at += n_bytes as u64;
        if !line.is_empty() {
            each(&String::from_utf8_lossy(&line));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    fn small_files(folder: &Path) -> LogFiles {
        LogFiles {
            folder: folder.join("log"),
            file_bytes_max: 40,
            n_old: 2,
        }
    }

    fn lines_of(reader: &mut LogReader) -> Vec<String> {
        let mut lines = Vec::new();
        reader
            .read_lines(|line| lines.push(line.to_owned()))
            .unwrap();
        lines
    }

    /// Eleven bytes, so that three fit a small file.
    fn line(number: u32) -> String {
        format!("line {number:05}\n")
    }

    #[test]
    fn files_are_bounded_private_and_few() {
        let folder = tempfile::tempdir().unwrap();
        let files = small_files(folder.path());
        let log = LogFile::open(files.clone()).unwrap();
        (0..100).for_each(|number| log.append_line(&line(number)));
        let kept = fs::read_dir(&files.folder).unwrap();
        let kept: Vec<_> = kept
            .map(|entry| entry.unwrap().metadata().unwrap())
            .collect();
        assert_eq!(kept.len(), 3);
        for file in kept {
            assert!(file.len() <= 40, "{}", file.len());
            assert_eq!(file.permissions().mode() & 0o777, 0o600);
        }
        let lines = lines_of(&mut LogReader::new(files));
        assert_eq!(lines.last().unwrap(), "line 00099");
        assert!(lines.is_sorted() && lines.len() >= 7, "{lines:?}");
        // A line is never cut, however long it is.
        log.append_line(&format!("{}\n", "x".repeat(100)));
        assert_eq!(fs::metadata(log.files.file_path(0)).unwrap().len(), 101);
    }

    #[test]
    fn a_reader_follows_through_rotations_and_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let files = small_files(folder.path());
        let mut reader = LogReader::new(files.clone());
        assert!(!reader.has_log() && lines_of(&mut reader).is_empty());
        let mut expected = 0..;
        for round in 0..20_u32 {
            // Each round is another process.
            let log = LogFile::open(files.clone()).unwrap();
            let from = round * 5;
            (from..from + 5).for_each(|number| log.append_line(&line(number)));
            for said in lines_of(&mut reader) {
                assert_eq!(format!("{said}\n"), line(expected.next().unwrap()));
            }
        }
        assert_eq!(expected.next(), Some(100));
        assert!(lines_of(&mut reader).is_empty());
    }

    #[test]
    fn two_processes_write_to_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let files = small_files(folder.path());
        let logs = [(); 2].map(|()| LogFile::open(files.clone()).unwrap());
        let mut reader = LogReader::new(files);
        for number in 0..50 {
            logs[number as usize % 2].append_line(&line(number));
            assert_eq!(lines_of(&mut reader), [line(number).trim_end()]);
        }
    }

    /// One of them writes long lines, the other a short one after many files of the first.
    #[test]
    fn a_process_finds_the_file_that_another_began() {
        let folder = tempfile::tempdir().unwrap();
        let files = small_files(folder.path());
        let [busy, quiet] = [(); 2].map(|()| LogFile::open(files.clone()).unwrap());
        let mut reader = LogReader::new(files.clone());
        for round in 0..10 {
            for number in 0..round {
                busy.append_line(&format!("{number} {}\n", "x".repeat(25)));
            }
            quiet.append_line(&line(round));
            let last = lines_of(&mut reader).pop().unwrap();
            assert_eq!(format!("{last}\n"), line(round));
        }
        // Whoever removes the file begins another.
        fs::remove_file(files.file_path(0)).unwrap();
        busy.append_line(&line(10));
        assert_eq!(fs::read_to_string(files.file_path(0)).unwrap(), line(10));
    }

    #[test]
    fn a_line_is_read_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let files = small_files(folder.path());
        let log = LogFile::open(files.clone()).unwrap();
        let mut reader = LogReader::new(files);
        log.append_line("half");
        assert!(lines_of(&mut reader).is_empty());
        log.append_line(" a line\n");
        assert_eq!(lines_of(&mut reader), ["half a line"]);
    }

    #[test]
    fn lines_that_were_lost_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let files = LogFiles::of_data_folder(folder.path());
        let log = LogFile::open(files.clone()).unwrap();
        // A full disk took the beginning of a line.
        log.append_line("{\"timest");
        // A file that was opened to be read takes nothing, as a full disk would.
        let unwritable = File::open(files.file_path(0)).unwrap();
        let writable = std::mem::replace(&mut lock(&log.newest).file, unwritable);
        log.append_line("{}\n");
        log.append_line("{}\n");
        lock(&log.newest).file = writable;
        log.append_line("{\"timestamp\":\"now\"}\n");
        let lines = lines_of(&mut LogReader::new(files));
        assert_eq!(lines.len(), 3);
        let notice: Value = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!(
            (&notice["n_lost"], &notice["timestamp"]),
            (&json!(2), &json!("now"))
        );
    }
}
