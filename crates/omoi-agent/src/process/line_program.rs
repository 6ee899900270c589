//! A program that runs as long as it is needed and talks in lines over its standard streams.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use omoi_runtime::clock::{Clock, Clocked, with_deadline};

use super::process_tree::{adopt_orphans, end_descendants, reap_adopted};
use super::{AgentProcessGroup, CommandEnd, OutputBuffer};

/// Longest line that is read: a tool result with an image in it is one line.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// Lines read ahead.
const LINES_MAX: usize = 16;
/// Bytes kept of what it writes to standard error.
const WORDS_BYTES: usize = 16 << 10;
/// Time in which a line must be taken; a program that reads nothing has hung.
const WRITE_TIME: Duration = Duration::from_secs(20);
/// Time in which the last words of a program that has ended are read.
const LAST_WORDS_TIME: Duration = Duration::from_secs(2);

/// A program to start.
#[derive(Debug)]
pub(crate) struct ProgramCommand {
    /// Path of the executable.
    pub(crate) executable: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Variables beyond the worker's own.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Folder that it runs in.
    pub(crate) folder: PathBuf,
}

/// Why a program cannot be talked to any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineProgramError {
    /// It cannot be started.
    #[error("could not start `{path}`")]
    Start {
        /// Path of the executable.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Its standard input is closed.
    #[error("it reads nothing any more")]
    Deaf(#[source] io::Error),
    /// It does not read what it is told.
    #[error("it read nothing for {} s", WRITE_TIME.as_secs())]
    Hung,
    /// A line cannot be written.
    #[error("a line cannot be written")]
    Json(#[from] serde_json::Error),
    /// It wrote a line that is too long.
    #[error("it wrote a line of more than {} MiB", LINE_BYTES_MAX >> 20)]
    LongLine,
}

enum ReadLine {
    Line(Vec<u8>),
    TooLong,
}

/// A running program. It does not outlive this value, and neither does its process group.
pub(crate) struct LineProgram {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<ReadLine>,
    last_words: Arc<Mutex<OutputBuffer>>,
    group: AgentProcessGroup,
    readers: JoinSet<()>,
    _reaper: JoinSet<()>,
}

impl LineProgram {
    /// Starts `command` in a process group of its own. What it leaves behind becomes a child of this
    /// process, so that it is found.
    #[expect(clippy::disallowed_methods, reason = "this is the process module")]
    pub(crate) fn start(
        command: &ProgramCommand,
        clock: &Clocked,
    ) -> Result<Self, LineProgramError> {
        let fail = |source| LineProgramError::Start {
            path: command.executable.clone(),
            source,
        };
        adopt_orphans().map_err(fail)?;
        let mut child = tokio::process::Command::new(&command.executable)
            .args(&command.arguments)
            .envs(command.environment.iter().map(|(key, value)| (key, value)))
            .current_dir(&command.folder)
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(fail)?;
        let group = AgentProcessGroup::of_child(child.id());
        let (to, lines) = mpsc::channel(LINES_MAX);
        let last_words = Arc::new(Mutex::new(OutputBuffer::new(WORDS_BYTES)));
        let mut readers = JoinSet::new();
        let mut reaper = JoinSet::new();
        reaper.spawn(reap_adopted(clock.clone()));
        if let Some(output) = child.stdout.take() {
            readers.spawn(read_lines(output, to));
        }
        if let Some(errors) = child.stderr.take() {
            readers.spawn(keep_words(errors, last_words.clone()));
        }
        Ok(Self {
            input: child.stdin.take(),
            child,
            lines,
            last_words,
            group,
            readers,
            _reaper: reaper,
        })
    }

    /// Writes one line to it.
    pub(crate) async fn write_line(
        &mut self,
        line: &impl serde::Serialize,
        clock: &dyn Clock,
    ) -> Result<(), LineProgramError> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        let Some(input) = &mut self.input else {
            return Err(LineProgramError::Deaf(io::ErrorKind::BrokenPipe.into()));
        };
        let write = async {
            input.write_all(&bytes).await?;
            input.flush().await
        };
        match with_deadline(clock, WRITE_TIME, write).await {
            Ok(written) => written.map_err(LineProgramError::Deaf),
            Err(_) => Err(LineProgramError::Hung),
        }
    }

    /// Its next line; none when it has closed its output. Cancel-safe.
    pub(crate) async fn next_line(&mut self) -> Result<Option<Vec<u8>>, LineProgramError> {
        match self.lines.recv().await {
            Some(ReadLine::Line(line)) => Ok(Some(line)),
            Some(ReadLine::TooLong) => Err(LineProgramError::LongLine),
            None => Ok(None),
        }
    }

    /// How it ended, once it has closed its output or its input; none where it runs on.
    pub(crate) async fn wait_end(&mut self, clock: &dyn Clock) -> Option<CommandEnd> {
        if !self.ends_within(LAST_WORDS_TIME, clock).await {
            return None;
        }
        let status = self.child.try_wait().ok().flatten()?;
        status
            .code()
            .map(CommandEnd::Exited)
            .or_else(|| status.signal().map(CommandEnd::Signalled))
    }

    /// The end of what it wrote to standard error.
    pub(crate) fn last_words(&self) -> String {
        let words = self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        words.shown_text().trim().to_owned()
    }

    /// Ends it: its input is closed, then its group is told to terminate, then killed, each after
    /// `patience`. Whatever it started elsewhere is killed as well.
    pub(crate) async fn end(mut self, patience: Duration, clock: &dyn Clock) {
        drop(self.input.take());
        if !self.ends_within(patience, clock).await {
            self.group.signal_group(Signal::TERM);
            self.ends_within(patience, clock).await;
        }
        self.kill(clock).await;
    }

    /// Kills it and everything it started.
    pub(crate) async fn kill(mut self, clock: &dyn Clock) {
        self.group.kill_group();
        let _ = self.child.start_kill();
        self.ends_within(WRITE_TIME, clock).await;
        if !end_descendants(clock).await {
            tracing::warn!("Processes of the agent program are left");
        }
        // Nobody writes any more: what was written before is read to its end.
        self.lines.close();
        let read = async { while self.readers.join_next().await.is_some() {} };
        let _ = with_deadline(clock, LAST_WORDS_TIME, read).await;
    }

    /// Reads on, so that a program with much to say can end.
    async fn ends_within(&mut self, patience: Duration, clock: &dyn Clock) -> bool {
        let ended = async {
            let mut open = true;
            loop {
                // Both are cancel-safe.
                tokio::select! {
                    _ = self.child.wait() => return,
                    line = self.lines.recv(), if open => open = line.is_some(),
                }
            }
        };
        with_deadline(clock, patience, ended).await.is_ok()
    }
}

impl AgentProcessGroup {
    fn signal_group(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, signal);
        }
    }
}

async fn read_lines(output: ChildStdout, to: mpsc::Sender<ReadLine>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut output).take(LINE_BYTES_MAX);
        let read = match limited.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(n) if n as u64 == LINE_BYTES_MAX => ReadLine::TooLong,
            Ok(_) => ReadLine::Line(line),
        };
        let is_last = matches!(read, ReadLine::TooLong);
        if to.send(read).await.is_err() || is_last {
            return;
        }
    }
}

async fn keep_words(mut errors: ChildStderr, words: Arc<Mutex<OutputBuffer>>) {
    let mut buffer = vec![0; 4 << 10];
    while let Ok(n @ 1..) = errors.read(&mut buffer).await {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.push_bytes(&buffer[..n]);
    }
}

/// Whether `path` is a file that can be executed.
pub(crate) fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_runtime::clock::SystemClock;
    use serde_json::json;

    use super::*;

    fn clock() -> Clocked {
        Arc::new(SystemClock)
    }

    fn program(script: &str) -> LineProgram {
        let command = ProgramCommand {
            executable: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Vec::new(),
            folder: std::env::temp_dir(),
        };
        LineProgram::start(&command, &clock()).unwrap()
    }

    async fn read_pid(program: &mut LineProgram) -> u32 {
        let line = program.next_line().await.unwrap().unwrap();
        String::from_utf8(line).unwrap().trim().parse().unwrap()
    }

    fn is_gone(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    }

    #[tokio::test]
    async fn lines_go_both_ways_and_eof_ends_it() {
        let mut program = program("cat; echo bye; echo words >&2");
        program
            .write_line(&json!({"a": 1}), &SystemClock)
            .await
            .unwrap();
        assert_eq!(program.next_line().await.unwrap().unwrap(), b"{\"a\":1}\n");
        let words = program.last_words.clone();
        program.end(Duration::from_secs(20), &SystemClock).await;
        assert_eq!(words.lock().unwrap().shown_text(), "words\n");
    }

    #[tokio::test]
    async fn what_a_program_left_behind_does_not_stay_in_the_process_table() {
        let mut program = program("(sleep 0.1 & echo $!); cat");
        let orphan = read_pid(&mut program).await;
        let mut is_there = true;
        for _ in 0..500 {
            is_there = Path::new(&format!("/proc/{orphan}")).exists();
            if !is_there {
                break;
            }
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
        assert!(!is_there, "it was reaped while its program runs");
        program.end(Duration::from_secs(20), &SystemClock).await;
    }

    #[tokio::test]
    async fn neither_deafness_nor_a_daemon_survives_the_end() {
        // It ignores its end of input and TERM, and leaves a daemon in a session of its own.
        let mut program =
            program("trap '' TERM; setsid sh -c 'echo $$; exec sleep 300' & wait; sleep 300");
        let daemon = read_pid(&mut program).await;
        assert!(!is_gone(daemon));
        program.end(Duration::from_millis(200), &SystemClock).await;
        assert!(is_gone(daemon));
    }
}
