//! Commands in the background, by the names that the agent gave them, and the files of long output.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use omoi_domain::id::AttemptId;
use omoi_runtime::clock::Clocked;
use tokio::sync::Mutex;

use super::ToolError;
use crate::process::{CommandEnd, ShellSession, SpoolFile, ToolCommand};

/// Commands in the background at once.
const SESSIONS_MAX: usize = 8;
/// Characters of a session's name.
const NAME_CHARS_MAX: usize = 32;
/// Files of long output that are kept.
const SPOOLS_MAX: usize = 16;
/// How long the end of a killed command is awaited.
const KILL_TIME: Duration = Duration::from_secs(2);

/// A look at a command in the background.
#[derive(Debug)]
pub(super) struct SessionLook {
    /// How it ended; none while it runs.
    pub(super) end: Option<CommandEnd>,
    /// What it wrote since the last look.
    pub(super) output: String,
}

/// The commands of one attempt that outlive their calls.
#[derive(Debug)]
pub(super) struct ShellSessions {
    running: Mutex<BTreeMap<String, ShellSession>>,
    /// Folder of the attempt's own for output; none without a scratch folder.
    folder: Option<PathBuf>,
    n_spools: AtomicUsize,
    /// Whether that folder was made here; nobody else's is used.
    is_ours: OnceLock<bool>,
}

impl ShellSessions {
    /// None yet; long output goes to a folder of `attempt` in `scratch`.
    pub(super) fn new(scratch: Option<&Path>, attempt: AttemptId) -> Self {
        Self {
            running: Mutex::default(),
            folder: scratch.map(|scratch| scratch.join(format!("omoi-shell-{attempt}"))),
            n_spools: AtomicUsize::new(0),
            is_ours: OnceLock::new(),
        }
    }

    /// Where the output of the next command goes when it is long.
    pub(super) fn next_spool(&self) -> Option<SpoolFile> {
        let folder = self.folder.as_ref()?;
        let make = || fs::DirBuilder::new().mode(0o700).create(folder).is_ok();
        if !*self.is_ours.get_or_init(make) {
            return None;
        }
        let n = self.n_spools.fetch_add(1, Ordering::Relaxed);
        if let Some(old) = n.checked_sub(SPOOLS_MAX) {
            let _ = fs::remove_file(spool_path(folder, old));
        }
        Some(SpoolFile::new(spool_path(folder, n)))
    }

    /// Whether any command runs.
    pub(super) async fn has_running(&self) -> bool {
        !self.running.lock().await.is_empty()
    }

    /// Starts `command` as `name`.
    pub(super) async fn start(
        &self,
        name: &str,
        command: ToolCommand<'_>,
        clock: &Clocked,
    ) -> Result<(), ToolError> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(is_name) {
            let name = name.to_owned();
            return Err(ToolError::SessionName { name });
        }
        let mut running = self.running.lock().await;
        if running.contains_key(name) {
            let name = name.to_owned();
            return Err(ToolError::SessionTaken { name });
        }
        if running.len() >= SESSIONS_MAX {
            return Err(ToolError::TooManySessions { max: SESSIONS_MAX });
        }
        running.insert(name.to_owned(), ShellSession::start(command, clock)?);
        Ok(())
    }

    /// Waits for the end of session `name`, at most for `wait`; one that has ended is forgotten.
    pub(super) async fn look_at(
        &self,
        name: &str,
        wait: Duration,
        clock: &Clocked,
    ) -> Result<SessionLook, ToolError> {
        let mut running = self.running.lock().await;
        let Some(session) = running.get_mut(name) else {
            return Err(ToolError::NoSession {
                name: name.to_owned(),
                known: running.keys().cloned().collect(),
            });
        };
        let (end, output) = session.look_at(wait, clock).await;
        if end.is_some() {
            running.remove(name);
        }
        Ok(SessionLook { end, output })
    }

    /// Kills session `name`.
    pub(super) async fn kill(&self, name: &str, clock: &Clocked) -> Result<SessionLook, ToolError> {
        if let Some(session) = self.running.lock().await.get(name) {
            session.stop();
        }
        self.look_at(name, KILL_TIME, clock).await
    }

    /// Kills every session and drops the files of output.
    pub(super) async fn end_all(&self, clock: &Clocked) {
        let mut running = std::mem::take(&mut *self.running.lock().await);
        for session in running.values() {
            session.stop();
        }
        for session in running.values_mut() {
            session.look_at(KILL_TIME, clock).await;
        }
        if let Some(folder) = &self.folder
            && self.is_ours.get() == Some(&true)
        {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn spool_path(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("output-{n}.log"))
}
