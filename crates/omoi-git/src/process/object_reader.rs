//! A `git cat-file` that stays for several questions, so that each does not cost the start of a program.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tracing::trace;

use super::GitError;
use super::call::GitCall;
use super::run::{RunFailure, RunLimits, RunningProgram, start_piped};
use crate::object::ObjectId;

const COMMAND: &str = "cat-file";
const FORMAT: &str = "--batch-command=%(objectname) %(objecttype) %(objectsize)";
/// Longest line that describes an object.
const LINE_BYTES_MAX: u64 = 4_096;

/// Answers questions about the objects that there were when it started, and about later ones that it missed.
///
/// After an error its answers have no meaning any more.
pub(crate) struct ObjectReader {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    deadline: Duration,
    /// Ends the program when dropped.
    _program: RunningProgram,
}

/// What an object is; kind `missing` when it is not there.
pub(crate) struct ObjectInfo {
    pub(crate) id: ObjectId,
    pub(crate) kind: String,
    pub(crate) bytes: u64,
}

/// What was wrong with an answer.
enum BadAnswer {
    Io(std::io::Error),
    Malformed(&'static str),
    TooLarge,
}

impl From<std::io::Error> for BadAnswer {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl ObjectReader {
    /// Starts `call`, a `cat-file` without arguments. Its deadline is that of each question.
    pub(crate) fn start(call: GitCall<'_>) -> Result<Self, GitError> {
        let call = call.args([FORMAT]);
        let deadline = call.run_deadline();
        let started = start_piped(call.git_program()).map_err(|source| GitError::Start {
            command: COMMAND,
            source,
        })?;
        let (program, stdin, stdout) = started;
        Ok(Self {
            stdin,
            stdout: BufReader::new(stdout),
            deadline,
            _program: program,
        })
    }

    /// What each of `names` is, in order.
    pub(crate) async fn describe_objects(
        &mut self,
        names: impl IntoIterator<Item = &str>,
    ) -> Result<Vec<ObjectInfo>, GitError> {
        let names: Vec<&str> = names.into_iter().collect();
        let mut found = Vec::with_capacity(names.len());
        let read = async |stdout: &mut BufReader<ChildStdout>| {
            for _ in &names {
                found.push(read_info(stdout).await?);
            }
            Ok::<(), BadAnswer>(())
        };
        let limits = self.limits(usize::MAX);
        self.ask(question("info", &names), limits, read).await?;
        Ok(found)
    }

    /// The contents of objects of one kind, `bytes_max` in all.
    pub(crate) async fn read_objects(
        &mut self,
        ids: &[ObjectId],
        kind: &str,
        bytes_max: usize,
    ) -> Result<Vec<Vec<u8>>, GitError> {
        let names: Vec<&str> = ids.iter().map(ObjectId::as_str).collect();
        let mut contents = Vec::with_capacity(names.len());
        let read = async |stdout: &mut BufReader<ChildStdout>| {
            let mut left = bytes_max as u64;
            for _ in &names {
                let info = read_info(stdout).await?;
                if info.kind != kind {
                    return Err(BadAnswer::Malformed("an object of another kind"));
                }
                left = left.checked_sub(info.bytes).ok_or(BadAnswer::TooLarge)?;
                let mut content = vec![0; info.bytes as usize + 1];
                stdout.read_exact(&mut content).await?;
                if content.pop() != Some(b'\n') {
                    return Err(BadAnswer::Malformed("an object without end"));
                }
                contents.push(content);
            }
            Ok::<(), BadAnswer>(())
        };
        let limits = self.limits(bytes_max);
        self.ask(question("contents", &names), limits, read).await?;
        Ok(contents)
    }

    fn limits(&self, stdout_max: usize) -> RunLimits {
        RunLimits {
            deadline: self.deadline,
            stdout_max,
        }
    }

    /// Writes `question` while `read` takes the answer: neither pipe holds all of a long one.
    async fn ask(
        &mut self,
        question: String,
        limits: RunLimits,
        read: impl AsyncFnOnce(&mut BufReader<ChildStdout>) -> Result<(), BadAnswer>,
    ) -> Result<(), GitError> {
        trace!(bytes = question.len(), "Asking the running `git {COMMAND}`");
        let (stdin, stdout) = (&mut self.stdin, &mut self.stdout);
        let write = async {
            stdin.write_all(question.as_bytes()).await?;
            Ok::<(), BadAnswer>(stdin.flush().await?)
        };
        let exchange = async { tokio::try_join!(write, read(stdout)) };
        match tokio::time::timeout(limits.deadline, exchange).await {
            Ok(Ok(((), ()))) => Ok(()),
            Ok(Err(BadAnswer::Malformed(what))) => Err(GitError::Unexpected {
                command: COMMAND,
                what,
            }),
            Ok(Err(BadAnswer::TooLarge)) => Err(GitError::OutputTooLarge {
                command: COMMAND,
                limit_bytes: limits.stdout_max,
            }),
            Ok(Err(BadAnswer::Io(error))) => Err(RunFailure::Io(error).of_git(COMMAND, limits)),
            Err(_) => Err(RunFailure::Deadline.of_git(COMMAND, limits)),
        }
    }
}

fn question(what: &str, names: &[&str]) -> String {
    names
        .iter()
        .flat_map(|name| [what, " ", *name, "\n"])
        .collect()
}

async fn read_info(stdout: &mut BufReader<ChildStdout>) -> Result<ObjectInfo, BadAnswer> {
    let mut line = String::new();
    let mut limited = stdout.take(LINE_BYTES_MAX);
    limited.read_line(&mut line).await?;
    parse_info(&line).ok_or(BadAnswer::Malformed("a malformed object line"))
}

fn parse_info(line: &str) -> Option<ObjectInfo> {
    let mut fields = line.strip_suffix('\n')?.split(' ');
    Some(ObjectInfo {
        id: ObjectId::parse(fields.next()?).ok()?,
        kind: fields.next()?.to_owned(),
        bytes: match fields.next() {
            Some(bytes) => bytes.parse().ok()?,
            None => 0,
        },
    })
}
