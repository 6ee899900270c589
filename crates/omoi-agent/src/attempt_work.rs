//! Packs the work tree for the platform: snapshots after turns, one commit at the end.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use omoi_git::mirror::{CommitMeta, Identity};
use omoi_git::object::{BadObjectId, ObjectId};
use omoi_git::process::Git;
use omoi_git::trailers::Trailer;
use omoi_git::work::{SavedState, WorkDir, WorkError};
use omoi_protocol::worker::{AttemptContext, CommitPlan, GitBundle};
use omoi_runtime::clock::Clocked;

/// Why work could not be saved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaveError {
    /// The plan names something that is no commit.
    #[error("the commit plan is broken")]
    Plan(#[from] BadObjectId),
    /// A git command failed on the work tree.
    #[error("the work could not be saved")]
    Git(#[from] WorkError),
}

impl SaveError {
    /// Whether the agent can mend it in its workspace.
    pub(crate) fn is_mendable(&self) -> bool {
        matches!(self, Self::Git(error) if error.is_due_to_files())
    }
}

/// Ignored files that the platform is told of.
const IGNORED_PATHS_MAX: usize = 10;

/// The work tree of an attempt that may change it.
pub(crate) struct AttemptWork {
    dir: WorkDir,
    base: ObjectId,
    plan: CommitPlan,
    clock: Clocked,
    /// What the platform holds of it.
    saved: SavedState,
}

/// What the attempt delivers at its end.
pub(crate) struct FinishedWork {
    /// The commits; none when nothing changed.
    pub(crate) bundle: Option<GitBundle>,
    /// Protected paths that the agent changed and that were restored.
    pub(crate) restored_paths: Vec<String>,
    /// Files that git could not commit; empty when there are none.
    pub(crate) unsaved: String,
    /// New files that the ignore rules hide, when nothing else changed.
    pub(crate) ignored_paths: Vec<String>,
}

impl AttemptWork {
    /// The workspace of `context`, when its work is to be committed.
    pub(crate) fn new(
        git: &Git,
        context: &AttemptContext,
        clock: &Clocked,
    ) -> Result<Option<Self>, SaveError> {
        let Some(plan) = context.commit.clone() else {
            return Ok(None);
        };
        Ok(Some(Self {
            dir: WorkDir::new(git, Path::new(&context.workspace))
                .with_bundle_bytes_max(plan.bundle_bytes_max),
            base: ObjectId::parse(&plan.base_sha)?,
            plan,
            clock: clock.clone(),
            saved: if context.resume.is_empty() {
                SavedState::Nothing
            } else {
                SavedState::Unknown
            },
        }))
    }

    /// A snapshot, when the work tree is not what the platform has of it: also when the work was undone, as the
    /// platform must not go on from what was there before.
    pub(crate) async fn take_snapshot(&mut self) -> Result<Option<GitBundle>, SaveError> {
        let now = self.clock.now();
        let taken = self.dir.take_snapshot(&self.base, &self.saved, now).await?;
        let Some(snapshot) = taken else {
            return Ok(None);
        };
        self.saved = SavedState::State(snapshot.state);
        Ok(Some(pack_bundle(&snapshot.commit, &snapshot.bundle)))
    }

    /// Forgets the saved state, because the platform refused the last snapshot.
    pub(crate) fn forget_saved(&mut self) {
        self.saved = SavedState::Unknown;
    }

    /// Commits everything and packs what the platform lacks. `body` goes below the subject.
    pub(crate) async fn commit_work(&self, body: Option<&str>) -> Result<FinishedWork, SaveError> {
        let put_back = self
            .dir
            .restore_paths(&self.base, &self.plan.protected)
            .await?;
        let message = match body {
            Some(body) => format!("{}\n\n{body}", self.plan.subject),
            None => self.plan.subject.clone(),
        };
        let trailers = self.plan.trailers.iter();
        let committed = self
            .dir
            .commit_all(&CommitMeta {
                message,
                trailers: trailers.map(|(k, v)| Trailer::new(k, v)).collect(),
                author: Identity::new(&self.plan.author_name, &self.plan.author_email),
                time: self.clock.now(),
            })
            .await?;
        let head = committed.head;
        let known = [self.base.clone()];
        let bundle = self.dir.make_bundle(&head, &known).await?;
        let ignored = match &bundle {
            Some(_) => Vec::new(),
            None => self.dir.ignored_files(IGNORED_PATHS_MAX).await?,
        };
        Ok(FinishedWork {
            bundle: bundle.map(|bytes| pack_bundle(&head, &bytes)),
            restored_paths: put_back.iter().map(ToString::to_string).collect(),
            unsaved: committed.left_out,
            ignored_paths: ignored.iter().map(ToString::to_string).collect(),
        })
    }
}

fn pack_bundle(commit: &ObjectId, bundle: &[u8]) -> GitBundle {
    GitBundle {
        sha: commit.as_str().to_owned(),
        data_b64: STANDARD.encode(bundle),
    }
}
