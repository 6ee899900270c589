//! Refs of a mirror: read, listed, and moved only when they still are where the caller thinks.

use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::{debug, trace};

use omoi_domain::crash::{self, CrashPoint, CrashSide};
use omoi_domain::time::Timestamp;

use super::Mirror;
use crate::object::ObjectId;
use crate::process::GitError;
use crate::refname::RefName;

/// Why a ref was not moved.
#[derive(Debug, thiserror::Error)]
pub enum UpdateRefError {
    /// It is not, or no longer, where the caller expected it.
    #[error(
        "ref `{name}` moved: expected {}, found {}",
        id_text(expected.as_ref()),
        id_text(actual.as_ref())
    )]
    Moved {
        /// Ref that was to be moved.
        name: RefName,
        /// Where the caller thought it was; none for "does not exist".
        expected: Option<ObjectId>,
        /// Where the ref points now; none when it does not exist.
        actual: Option<ObjectId>,
    },
    /// `git update-ref` failed for another reason.
    #[error("could not move ref `{name}`")]
    Git {
        /// Ref that was to be moved.
        name: RefName,
        /// The failure of the git command.
        #[source]
        source: GitError,
    },
}

fn id_text(id: Option<&ObjectId>) -> &str {
    id.map_or("none", ObjectId::as_str)
}

/// Where a ref must be for a change to happen.
#[derive(Clone, Copy)]
enum ExpectedRef<'a> {
    Anywhere,
    At(Option<&'a ObjectId>),
}

impl Mirror {
    /// Where `name` points; none when it does not exist.
    pub async fn read_ref(&self, name: &RefName) -> Result<Option<ObjectId>, GitError> {
        let out = self
            .call("rev-parse")
            .args(["--verify", "--quiet", "--end-of-options"])
            .arg(name)
            .accept_codes(&[0, 1])
            .run()
            .await?;
        Ok(ObjectId::parse(&out.stdout_text()).ok())
    }

    /// Makes `name`, which must not exist yet.
    pub async fn create_ref(
        &self,
        name: &RefName,
        new: &ObjectId,
        point: CrashPoint,
    ) -> Result<(), UpdateRefError> {
        self.update_ref_cas(name, new, None, point).await
    }

    /// Moves `name` to `new` if it is still at `expected`; none means it must not exist.
    ///
    /// Of any number of racers with the same expectation exactly one succeeds. A repetition after
    /// a crash sees [`UpdateRefError::Moved`] with `actual` equal to `new`.
    pub async fn update_ref_cas(
        &self,
        name: &RefName,
        new: &ObjectId,
        expected: Option<&ObjectId>,
        point: CrashPoint,
    ) -> Result<(), UpdateRefError> {
        crash::pass_point(point, CrashSide::Before);
        let old = expected.map_or("", ObjectId::as_str);
        self.change_ref(
            name,
            &["--no-deref", "--", name.as_str(), new.as_str(), old],
            ExpectedRef::At(expected),
        )
        .await?;
        crash::pass_point(point, CrashSide::After);
        Ok(())
    }

    /// Removes `name` if it is still at `expected`.
    pub async fn delete_ref(
        &self,
        name: &RefName,
        expected: &ObjectId,
        point: CrashPoint,
    ) -> Result<(), UpdateRefError> {
        crash::pass_point(point, CrashSide::Before);
        let args = ["--no-deref", "-d", "--", name.as_str(), expected.as_str()];
        self.change_ref(name, &args, ExpectedRef::At(Some(expected)))
            .await?;
        crash::pass_point(point, CrashSide::After);
        Ok(())
    }

    /// The refs called `prefix` or below it, in order of name.
    pub async fn list_refs(&self, prefix: &RefName) -> Result<Vec<(RefName, ObjectId)>, GitError> {
        let out = self
            .call("for-each-ref")
            .args(["--format=%(objectname) %(refname)", "--"])
            .arg(prefix)
            .run()
            .await?;
        let text = out.stdout_text();
        let parse = |line: &str| {
            let (id, name) = line.split_once(' ')?;
            Some((RefName::parse(name).ok()?, ObjectId::parse(id).ok()?))
        };
        let refs: Option<Vec<_>> = text.lines().map(parse).collect();
        refs.ok_or_else(|| out.unexpected_output("a ref that is not of ours"))
    }

    /// When `name` was written last; none where it lies packed with others.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn ref_written_at(&self, name: &RefName) -> io::Result<Option<Timestamp>> {
        let written = match std::fs::metadata(self.dir.join(name.as_str())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found?.modified()?,
        };
        let since = written.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_micros())
            .ok()
            .map(Timestamp::from_micros))
    }

    /// Points `name` at `new` wherever it was. For refs with a single writer, not for branches.
    pub(crate) async fn point_ref(
        &self,
        name: &RefName,
        new: &ObjectId,
    ) -> Result<(), UpdateRefError> {
        let args = ["--no-deref", "--", name.as_str(), new.as_str()];
        self.change_ref(name, &args, ExpectedRef::Anywhere).await
    }

    /// Runs `update-ref`. A lock file that is still the same after git waited for it once more
    /// belongs to a dead process: it is removed and the change tried again.
    async fn change_ref(
        &self,
        name: &RefName,
        args: &[&str],
        expect: ExpectedRef<'_>,
    ) -> Result<(), UpdateRefError> {
        const TRIES: usize = 4;
        let git_failed = |source| UpdateRefError::Git {
            name: name.clone(),
            source,
        };
        let mut locks_before: Vec<(PathBuf, SystemTime)> = Vec::new();
        for last in (0..TRIES).rev() {
            let ran = self.call("update-ref").args(args).run().await;
            let Err(error @ GitError::Failed { .. }) = ran else {
                if ran.is_ok() {
                    trace!(r#ref = %name, ?args, "Moved `{name}`");
                }
                return ran.map(drop).map_err(git_failed);
            };
            if let ExpectedRef::At(expected) = expect {
                let actual = self.read_ref(name).await.map_err(git_failed)?;
                if actual.as_ref() != expected {
                    debug!(r#ref = %name, ?expected, ?actual, "`{name}` was moved by somebody else");
                    return Err(UpdateRefError::Moved {
                        name: name.clone(),
                        expected: expected.cloned(),
                        actual,
                    });
                }
            }
            let locks = self.ref_locks(name);
            debug!(r#ref = %name, n_locks = locks.len(), tries_left = last, "`{name}` could not be moved");
            if locks.is_empty() || last == 0 {
                return Err(git_failed(error));
            }
            for (path, _) in locks.iter().filter(|lock| locks_before.contains(lock)) {
                tracing::warn!(lock = %path.display(), "Removed the lock of a dead process");
                let _ = std::fs::remove_file(path);
            }
            locks_before = locks;
        }
        Ok(())
    }

    fn ref_locks(&self, name: &RefName) -> Vec<(PathBuf, SystemTime)> {
        let own = self.dir.join(format!("{name}.lock"));
        [own, self.dir.join("packed-refs.lock")]
            .into_iter()
            .filter_map(|path| {
                let modified = std::fs::metadata(&path).and_then(|m| m.modified()).ok()?;
                Some((path, modified))
            })
            .collect()
    }
}
