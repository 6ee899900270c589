//! One sync of SQLite's write-ahead log for all that was committed before it began.
//!
//! A commit of its own that waits for the disk keeps the only connection that writes from everybody else. Here
//! the connection is free once the log is written; whoever committed hears of it once the log is on the disk. A
//! power cut takes the end of the log at most, of which nobody was told, and never one commit without those after
//! it: the log is read up to its first frame that is not whole.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

/// Answers one commit that waits.
type WaitingCommit = oneshot::Sender<io::Result<()>>;

/// The log of one database, with a thread that syncs it: threads that others share may be busy for long. It ends
/// with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct LogSync(mpsc::Sender<WaitingCommit>);

impl LogSync {
    /// The log of the database in `file`.
    pub(crate) fn of_database(file: &Path) -> io::Result<Self> {
        // SQLite names its log after the file that a link leads to.
        let mut log = std::fs::canonicalize(file)?.into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log);
        Self::start(move || sync_log(&log))
    }

    fn start(sync: impl FnMut() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (commits, waiting) = mpsc::channel();
        let thread = thread::Builder::new().name("log sync".to_owned());
        thread.spawn(move || serve_commits(&waiting, sync))?;
        Ok(Self(commits))
    }

    /// Has the commit that this process made just now put on the disk, and with it all before it.
    pub(crate) fn request_sync(&self) -> RequestedSync {
        let (answer, synced) = oneshot::channel();
        // Where the thread is gone, the answer goes with it, and whoever waits hears of that.
        let _ = self.0.send(answer);
        RequestedSync(Some(synced))
    }
}

/// A sync of the log that was asked for. It is made whether or not somebody waits for it.
#[derive(Debug)]
pub(crate) struct RequestedSync(Option<oneshot::Receiver<io::Result<()>>>);

impl RequestedSync {
    /// Of a commit that is on the disk already.
    pub(crate) const fn already_made() -> Self {
        Self(None)
    }

    /// Waits until it is made.
    pub(crate) async fn wait_synced(self) -> io::Result<()> {
        let gone = || io::Error::other("the thread that syncs the log is gone");
        match self.0 {
            Some(synced) => synced.await.unwrap_or_else(|_| Err(gone())),
            None => Ok(()),
        }
    }
}

/// Syncs once for all that wait by then, until nobody is left who could. After a sync that failed nothing is told to
/// be on the disk any more: the kernel tells of lost pages once, and what is written behind them is never read again.
fn serve_commits(
    waiting: &mpsc::Receiver<WaitingCommit>,
    mut sync: impl FnMut() -> io::Result<()>,
) {
    let mut lost: Option<io::Error> = None;
    while let Ok(first) = waiting.recv() {
        let commits: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
        if lost.is_none() {
            lost = sync().err();
        }
        for commit in commits {
            let told = match &lost {
                None => Ok(()),
                Some(error) => Err(io::Error::new(
                    error.kind(),
                    format!(
                        "the log of the database could not be forced onto the disk, start again: {error}"
                    ),
                )),
            };
            // One that does not listen any more is on the disk all the same.
            let _ = commit.send(told);
        }
    }
}

fn sync_log(log: &Path) -> io::Result<()> {
    match File::open(log) {
        Ok(log) => log.sync_data(),
        // The last connection is closed: it synced the log, took it into the database and removed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn one_sync_serves_all_that_waited() {
        let (go, gate) = mpsc::channel::<()>();
        let n_syncs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&n_syncs);
        let log = LogSync::start(move || {
            gate.recv().map_err(io::Error::other)?;
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let log = log.unwrap();
        let waiting: Vec<_> = (0..20)
            .map(|_| log.request_sync().wait_synced())
            .map(Box::pin)
            .collect();
        let mut waiting = futures::future::join_all(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        // The first may have been taken before the others came.
        go.send(()).unwrap();
        go.send(()).unwrap();
        assert!(waiting.await.iter().all(Result::is_ok));
        assert!((1..=2).contains(&n_syncs.load(Ordering::SeqCst)));
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_synced_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.db");
        File::create(&real).unwrap();
        let file = folder.path().join("a.db");
        std::os::unix::fs::symlink("real.db", &file).unwrap();
        let log = LogSync::of_database(&file).unwrap();
        log.request_sync().wait_synced().await.unwrap();
        let wal = folder.path().join("real.db-wal");
        std::os::unix::fs::symlink("real.db-wal", &wal).unwrap();
        log.request_sync().wait_synced().await.unwrap_err();
        // What was lost is not found again by the next one.
        std::fs::remove_file(&wal).unwrap();
        log.request_sync().wait_synced().await.unwrap_err();
    }
}
