//! How far an attempt reaches outside, and what it got there.

use std::collections::BTreeSet;
use std::sync::Arc;

use omoi_domain::crash::CrashPoint;
use omoi_domain::egress::{EgressMode, EgressOutcome, is_lock_file};
use omoi_domain::event::{EgressDenied, Event};
use omoi_domain::id::{ProjectId, SpecId, TaskId};
use omoi_git::mirror::{EntryKind, FileEntry, Mirror, MirrorError};
use omoi_git::object::{BadObjectId, ObjectId};
use omoi_git::process::GitError;
use omoi_store::attempts::Attempt;
use omoi_store::egress_entries::{self, EgressEntry};
use omoi_store::{StoreError, Tenant, Tx, merges, specs, tasks};

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
    Ok(LockFileSet::read(mirror, commit, &[]).await?.files)
}

/// The lock files of one commit, as far as they are read.
#[derive(Debug)]
pub(crate) struct LockFileSet {
    /// Those that are.
    pub(crate) files: Vec<LockFile>,
    /// Paths of those that are there too: beyond the bound, or links.
    unread: BTreeSet<String>,
}

impl LockFileSet {
    /// Reads those of `commit`: the paths of `first` before all others, then as [`read_lock_files`] does.
    pub(crate) async fn read(
        mirror: &Mirror,
        commit: &ObjectId,
        first: &[LockFile],
    ) -> Result<Self, GitError> {
        let entries = mirror.list_tree(commit).await?;
        let ChosenFiles { read, unread } = ChosenFiles::among(&entries, first);
        let ids: Vec<&ObjectId> = read.iter().map(|(_, entry)| &entry.id).collect();
        let bytes_max = LOCK_BYTES_MAX as usize + ids.len() * 128;
        let contents = mirror.read_blobs(&ids, bytes_max).await?;
        let files = read.into_iter().zip(contents);
        let file = |((path, _), content)| LockFile { path, content };
        Ok(Self {
            files: files.map(file).collect(),
            unread,
        })
    }

    /// Those of `before`, an earlier commit, of which this one does not show that it changed them: they are there and
    /// not read, or may have gone to one that is not. A commit cannot hide what it has behind what is not read.
    pub(crate) fn hidden_files<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = &'a LockFile> {
        let hides_more = before.unread.is_empty() && !self.unread.is_empty();
        before.files.iter().filter(move |file| {
            let is_read = self.files.iter().any(|read| read.path == file.path);
            !is_read && (hides_more || self.unread.contains(&file.path))
        })
    }
}

/// Lock files of a commit by their paths.
struct ChosenFiles<'a> {
    read: Vec<(String, &'a FileEntry)>,
    unread: BTreeSet<String>,
}

impl<'a> ChosenFiles<'a> {
    fn among(entries: &'a [FileEntry], first: &[LockFile]) -> Self {
        let named = entries.iter().filter_map(|entry| {
            let path = std::str::from_utf8(entry.path.as_bytes()).ok()?;
            let is_own = !path.split('/').any(|part| part == "node_modules");
            (is_own && is_lock_file(path)).then(|| (path.to_owned(), entry))
        });
        let mut named: Vec<_> = named.collect();
        let first: BTreeSet<&str> = first.iter().map(|file| file.path.as_str()).collect();
        named.sort_by_key(|(path, _)| {
            let is_later = !first.contains(path.as_str());
            (is_later, path.split('/').count())
        });
        let mut chosen = Self {
            read: Vec::new(),
            unread: BTreeSet::new(),
        };
        let mut total = 0;
        for (path, entry) in named {
            let is_read = matches!(entry.kind, EntryKind::File | EntryKind::Executable)
                && chosen.read.len() < LOCK_FILES_MAX
                && entry.bytes <= LOCK_BYTES_MAX - total;
            if is_read {
                total += entry.bytes;
                chosen.read.push((path, entry));
            } else {
                chosen.unread.insert(path);
            }
        }
        chosen
    }
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

/// How far a set-up in a checkout of work on `task` of `spec` reaches. Without a task it is the work of all tasks that
/// were handed over to be merged, which may call for a version that none of them did alone: it reaches as far as the
/// farthest of their agents.
///
/// # Errors
/// When the database cannot be read.
pub async fn work_setup_mode(
    tx: &mut Tx,
    spec: SpecId,
    task: Option<TaskId>,
) -> Result<EgressMode, StoreError> {
    let files = match task {
        Some(task) => tasks::get(tx, task).await?.files.0,
        None => {
            let merges = merges::of_spec(tx, spec).await?;
            let merged: BTreeSet<TaskId> = merges.iter().map(|merge| merge.task_id).collect();
            let tasks = tasks::of_spec(tx, spec).await?.into_iter();
            let merged = tasks.filter(|task| merged.contains(&task.id));
            merged.flat_map(|task| task.files.0).collect()
        }
    };
    Ok(EgressMode::of_work_setup(&files))
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
            let read = ChosenFiles::among(entries, &[]).read.into_iter();
            read.map(|(path, _)| path).collect()
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

    fn file_set(entries: &[FileEntry], first: &[LockFile]) -> LockFileSet {
        let ChosenFiles { read, unread } = ChosenFiles::among(entries, first);
        let file = |(path, _)| LockFile {
            path,
            content: Vec::new(),
        };
        LockFileSet {
            files: read.into_iter().map(file).collect(),
            unread,
        }
    }

    #[test]
    fn no_commit_hides_the_lock_files_of_its_base() {
        let file = |path: &str| entry(path, EntryKind::File, 1);
        let many = |rest: Vec<FileEntry>| -> Vec<FileEntry> {
            let names = (0..LOCK_FILES_MAX).map(|n| format!("{n}-requirements.txt"));
            names.map(|name| file(&name)).chain(rest).collect()
        };
        let large = entry("a-requirements.txt", EntryKind::File, LOCK_BYTES_MAX + 1);
        let (js, go) = (file("web/package-lock.json"), file("go.sum"));
        let js_as = |kind, bytes| entry("web/package-lock.json", kind, bytes);
        let base = vec![js.clone(), go.clone()];
        let large_base = many(base.clone());
        for (base, commit, read, hidden) in [
            // Others come first, by their number or size.
            (&base, many(base.clone()), true, None),
            (&base, vec![large, js, go.clone()], true, None),
            // It is there, and is not read.
            (
                &base,
                vec![js_as(EntryKind::File, LOCK_BYTES_MAX + 1), go.clone()],
                false,
                Some("web/package-lock.json"),
            ),
            (
                &base,
                vec![js_as(EntryKind::Symlink, 9), go.clone()],
                false,
                Some("web/package-lock.json"),
            ),
            // It is gone, to where nobody reads it or for good.
            (
                &base,
                many(vec![go.clone(), file("x/y/package-lock.json")]),
                false,
                Some("web/package-lock.json"),
            ),
            (&base, vec![go.clone()], false, None),
            (&large_base, many(vec![go.clone()]), false, None),
        ] {
            let before = file_set(base, &[]);
            let after = file_set(&commit, &before.files);
            let is_read = |file: &LockFile| file.path == "web/package-lock.json";
            assert_eq!(after.files.iter().any(is_read), read, "{commit:?}");
            let found: Vec<&str> = after.hidden_files(&before).map(|f| &*f.path).collect();
            assert_eq!(found, Vec::from_iter(hidden), "{commit:?}");
        }
    }
}
