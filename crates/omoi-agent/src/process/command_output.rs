//! Output of a command within a bound: its head and its tail, and in a file the whole of it.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

/// Bytes of one file of output.
const SPOOL_BYTES_MAX: usize = 8 << 20;
/// Bytes read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// Reads once; nothing at the end.
pub(super) async fn read_chunk(from: &mut Receiver) -> io::Result<Vec<u8>> {
    // On the heap: an array would be part of every future that waits for this one.
    let mut chunk = vec![0; CHUNK_BYTES];
    let n = from.read(&mut chunk).await?;
    chunk.truncate(n);
    Ok(chunk)
}

/// A file for output that is too long to be shown; made when it is needed.
#[derive(Debug)]
pub(crate) struct SpoolFile {
    path: PathBuf,
    file: Option<File>,
    written: usize,
    is_broken: bool,
}

impl SpoolFile {
    /// Output goes to a new file at `path`.
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            written: 0,
            is_broken: false,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.is_broken {
            return;
        }
        let room = SPOOL_BYTES_MAX - self.written.min(SPOOL_BYTES_MAX);
        let wrote = self
            .open()
            .and_then(|mut file| file.write_all(&bytes[..bytes.len().min(room)]));
        // A full disk is no failure of the command: its head and tail are there.
        self.is_broken = wrote.is_err();
        self.written += bytes.len();
    }

    fn open(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            // Never through a link that a command of the agent laid there.
            options.write(true).create_new(true).mode(0o600);
            self.file = Some(options.open(&self.path)?);
        }
        self.file
            .as_ref()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Where to look for what is not shown.
    fn hint(&self) -> String {
        let path = self.path.display();
        match (
            self.is_broken || self.file.is_none(),
            self.written > SPOOL_BYTES_MAX,
        ) {
            (true, _) => String::new(),
            (false, true) => format!("; its first {} MiB are in {path}", SPOOL_BYTES_MAX >> 20),
            (false, false) => format!("; all of it is in {path}"),
        }
    }
}

/// Output within a bound: its head and its tail.
#[derive(Debug)]
pub(super) struct OutputBuffer {
    half: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: usize,
    spool: Option<SpoolFile>,
}

impl OutputBuffer {
    /// A buffer that shows `bytes_max` bytes.
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self {
            half: bytes_max / 2,
            head: Vec::new(),
            tail: VecDeque::new(),
            left_out: 0,
            spool: None,
        }
    }

    /// Puts more than is shown into `spool`.
    pub(super) fn with_spool(self, spool: Option<SpoolFile>) -> Self {
        Self { spool, ..self }
    }

    /// Takes in what a command wrote.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.spool_bytes(bytes);
        let room = self.half - self.head.len();
        let (head, rest) = bytes.split_at(bytes.len().min(room));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..over);
        self.left_out += over;
    }

    /// Short output is shown whole and needs no file.
    fn spool_bytes(&mut self, bytes: &[u8]) {
        let Some(spool) = &mut self.spool else {
            return;
        };
        if spool.file.is_none() {
            if self.head.len() + self.tail.len() + bytes.len() <= self.half * 2 {
                return;
            }
            spool.write(&self.head);
            spool.write(self.tail.make_contiguous());
        }
        spool.write(bytes);
    }

    /// Everything from now on goes into the file, however short it is: what was shown once is not kept here.
    pub(super) fn spool_always(&mut self) {
        if let Some(spool) = &mut self.spool {
            spool.write(&[]);
        }
    }

    /// What came since the last call; see [`OutputBuffer::shown_text`].
    pub(super) fn take_text(&mut self) -> String {
        let text = self.shown_text();
        self.head.clear();
        self.tail.clear();
        self.left_out = 0;
        text
    }

    /// Head and tail, with a note of what is not shown; ends with a newline unless empty.
    pub(super) fn shown_text(&self) -> String {
        let (front, back) = self.tail.as_slices();
        let tail = [front, back].concat();
        let mut text = if self.left_out == 0 {
            String::from_utf8_lossy(&[self.head.as_slice(), &tail].concat()).into_owned()
        } else {
            let hint = self.spool.as_ref().map(SpoolFile::hint);
            format!(
                "{}\n[… {} bytes left out{} …]\n{}",
                String::from_utf8_lossy(&self.head),
                self.left_out,
                hint.unwrap_or_default(),
                String::from_utf8_lossy(&tail)
            )
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}
