//! How far an attempt reaches outside, and what it got there.

use std::sync::Arc;

use omoi_domain::crash::CrashPoint;
use omoi_domain::egress::{EgressMode, EgressOutcome, is_lock_file};
use omoi_domain::event::{EgressDenied, Event};
use omoi_domain::id::ProjectId;
use omoi_git::mirror::{EntryKind, FileEntry, Mirror, MirrorError};
use omoi_git::object::{BadObjectId, ObjectId};
use omoi_git::process::GitError;
use omoi_store::attempts::Attempt;
use omoi_store::egress_entries::{self, EgressEntry};
use omoi_store::{StoreError, Tenant, Tx, specs, tasks};

use crate::intake::AttemptIntake;

/// Whose sandbox asks for something from outside.
#[derive(Clone, Debug)]
pub enum EgressOrigin {
    /// An attempt's.
    Attempt(Arc<Attempt>),
    /// The one of a set-up.
    Setup {
        /// Of which project.
        project: ProjectId,
        /// The packages that it installs, by their digest.
        packages_layer: String,
    },
}

/// Something that a sandbox asked for from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EgressNews {
    /// A file of a package came in.
    CameIn {
        /// The version, as `npm:left-pad@1.3.0`.
        version: String,
        /// The name of the file.
        file: String,
        /// SHA-256 of its bytes.
        digest: String,
        /// Its size.
        bytes: u64,
    },
    /// It was refused.
    Refused {
        /// The host with its port, or the version.
        subject: String,
        /// Why, in one word.
        reason: String,
        /// What else there is to know.
        detail: String,
        /// The line of the configuration that would let it through.
        remedy: Option<String>,
    },
}

/// Lock files of one commit that are read.
const LOCK_FILES_MAX: usize = 64;
/// Bytes of all of them.
const LOCK_BYTES_MAX: u64 = 32 << 20;

/// A file that says which versions of packages a project has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFile {
    /// Its path in the repository.
    pub path: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// The lock files of `commit`, up to a bound: those nearest to the top come first.
///
/// # Errors
/// When git cannot read the commit.
pub async fn read_lock_files(
    mirror: &Mirror,
    commit: &ObjectId,
) -> Result<Vec<LockFile>, GitError> {
    let entries = mirror.list_tree(commit).await?;
    let chosen = choose_lock_files(&entries);
    let ids: Vec<&ObjectId> = chosen.iter().map(|(_, entry)| &entry.id).collect();
    let bytes_max = LOCK_BYTES_MAX as usize + ids.len() * 128;
    let contents = mirror.read_blobs(&ids, bytes_max).await?;
    let files = chosen.into_iter().zip(contents);
    let file = |((path, _), content)| LockFile { path, content };
    Ok(files.map(file).collect())
}

fn choose_lock_files(entries: &[FileEntry]) -> Vec<(String, &FileEntry)> {
    let named = entries.iter().filter_map(|entry| {
        let path = std::str::from_utf8(entry.path.as_bytes()).ok()?;
        let is_own = !path.split('/').any(|part| part == "node_modules");
        let is_chosen = is_own
            && matches!(entry.kind, EntryKind::File | EntryKind::Executable)
            && is_lock_file(path);
        is_chosen.then(|| (path.to_owned(), entry))
    });
    let mut chosen: Vec<_> = named.collect();
    chosen.sort_by_key(|(path, _)| path.split('/').count());
    let mut total = 0;
    chosen.retain(|(_, entry)| {
        total += entry.bytes;
        total <= LOCK_BYTES_MAX
    });
    chosen.truncate(LOCK_FILES_MAX);
    chosen
}

/// The lock files of the commit that the spec of `attempt` began from.
///
/// # Errors
/// When the database or the mirror cannot be read.
pub async fn base_lock_files(
    intake: &AttemptIntake,
    attempt: &Attempt,
) -> Result<Vec<LockFile>, BaseFilesError> {
    let spec = intake
        .store
        .read(async |tx| specs::get(tx, attempt.spec_id).await)
        .await?;
    let mirror = intake.folders.project_mirror(attempt.project_id).await?;
    let base = ObjectId::parse(&spec.base_sha)?;
    Ok(read_lock_files(&mirror, &base).await?)
}

/// Why files of a base commit cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BaseFilesError {
    /// The row.
    #[error("the database refused")]
    Store(#[from] StoreError),
    /// The mirror.
    #[error("could not open the mirror")]
    Mirror(#[from] MirrorError),
    /// The name of the commit.
    #[error("the base commit has no name")]
    Commit(#[from] BadObjectId),
    /// Git.
    #[error("could not read the base commit")]
    Git(#[from] GitError),
}

/// How far `attempt` reaches.
///
/// # Errors
/// When the database cannot be read.
pub async fn egress_mode(tx: &mut Tx, attempt: &Attempt) -> Result<EgressMode, StoreError> {
    let files = match attempt.subject.task_id() {
        Some(task) => tasks::get(tx, task).await?.files.0,
        None => Vec::new(),
    };
    Ok(EgressMode::of_attempt(attempt.subject.kind(), &files))
}

/// Keeps what a sandbox got or did not get, and tells people of refusals. A file that came in is kept once.
///
/// # Errors
/// When the database cannot be written.
pub async fn record_egress(
    store: &Tenant,
    origin: &EgressOrigin,
    news: &[EgressNews],
) -> Result<(), StoreError> {
    if news.is_empty() {
        return Ok(());
    }
    let keep = async |tx: &mut Tx| -> Result<(), StoreError> {
        for item in news {
            let entry = entry_of(tx, origin, item);
            egress_entries::insert(tx, &entry).await?;
            if let Some(reason) = entry.reason {
                let task_id = match origin {
                    EgressOrigin::Attempt(attempt) => attempt.subject.task_id(),
                    EgressOrigin::Setup { .. } => None,
                };
                let event = Event::SandboxEgressDenied(EgressDenied {
                    attempt_id: entry.attempt_id,
                    task_id,
                    refusal: reason,
                    subject: entry.target,
                    remedy: entry.remedy,
                });
                tx.emit(Some(entry.project_id), entry.spec_id, event);
            }
        }
        Ok(())
    };
    store.write(CrashPoint::EventsStored, keep).await
}

fn entry_of(tx: &Tx, origin: &EgressOrigin, news: &EgressNews) -> EgressEntry {
    let (project_id, attempt, packages_layer) = match origin {
        EgressOrigin::Attempt(attempt) => (attempt.project_id, Some(attempt), None),
        EgressOrigin::Setup {
            project,
            packages_layer,
        } => (*project, None, Some(packages_layer.clone())),
    };
    let entry = EgressEntry {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id,
        spec_id: attempt.map(|attempt| attempt.spec_id),
        attempt_id: attempt.map(|attempt| attempt.id),
        packages_layer,
        outcome: EgressOutcome::CameIn,
        target: String::new(),
        reason: None,
        detail: String::new(),
        remedy: None,
        digest: None,
        bytes: None,
        created_at: tx.now(),
    };
    match news.clone() {
        EgressNews::CameIn {
            version,
            file,
            digest,
            bytes,
        } => EgressEntry {
            target: version,
            detail: file,
            digest: Some(digest),
            bytes: Some(i64::try_from(bytes).unwrap_or(i64::MAX)),
            ..entry
        },
        EgressNews::Refused {
            subject,
            reason,
            detail,
            remedy,
        } => EgressEntry {
            outcome: EgressOutcome::Refused,
            target: subject,
            reason: Some(reason),
            detail,
            remedy,
            ..entry
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use omoi_git::object::RepoPath;

    use super::*;

    fn entry(path: &str, kind: EntryKind, bytes: u64) -> FileEntry {
        FileEntry {
            path: RepoPath::new(path).unwrap(),
            kind,
            id: ObjectId::empty_tree(),
            bytes,
        }
    }

    #[test]
    fn lock_files_of_the_project_are_read_the_nearest_first_and_up_to_a_bound() {
        let mut entries = vec![
            entry("a/b/Cargo.lock", EntryKind::File, 10),
            entry("go.sum", EntryKind::File, 10),
            entry("link/go.sum", EntryKind::Symlink, 10),
            entry("node_modules/x/yarn.lock", EntryKind::File, 10),
            entry("src/main.rs", EntryKind::File, 10),
            entry("py/requirements.txt", EntryKind::File, 0),
            entry(
                "web/package-lock.json",
                EntryKind::File,
                LOCK_BYTES_MAX - 20,
            ),
            entry("x/y/z/uv.lock", EntryKind::File, 1),
        ];
        let chosen = |entries: &[FileEntry]| -> Vec<String> {
            let chosen = choose_lock_files(entries).into_iter();
            chosen.map(|(path, _)| path).collect()
        };
        let expected = [
            "go.sum",
            "py/requirements.txt",
            "web/package-lock.json",
            "a/b/Cargo.lock",
        ];
        assert_eq!(chosen(&entries), expected);
        entries.clear();
        entries.extend((0..100).map(|n| entry(&format!("{n}/go.sum"), EntryKind::File, 1)));
        assert_eq!(chosen(&entries).len(), LOCK_FILES_MAX);
    }
}
