//! The files of one commit for a sandbox: over a prepared checkout where its provider can lay one, cloned elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tracing::warn;

use omoi_domain::sandbox::StartStepKind;
use omoi_git::clone::{CloneError, CloneSite, CloneSpec, clean_checkout, shared_clone};
use omoi_git::layer::PackageLayer;
use omoi_git::mirror::BaseStore;
use omoi_git::object::ObjectId;
use omoi_git::process::Git;
use omoi_git::work::{WorkDir, WorkError};
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::{WorkspaceContent, WorkspaceError, WorkspaceOrigin};

use crate::command::{CheckFileError, lay_over};
use crate::commit_workspace::CommitWorkspace;
use crate::copied_files::{WorkspaceCopies, lay_copies};
use crate::setup::PackageSetup;

/// What a provider makes the workspace of a commit of.
pub(crate) struct CommitContent<'a> {
    /// Where prepared checkouts are.
    pub(crate) setup: &'a PackageSetup,
    /// The history that it shares, and the commit that checkouts are prepared of.
    pub(crate) base: &'a BaseStore,
    /// The repository in it.
    pub(crate) tree: CommitTree<'a>,
    /// Files of the person's checkout for it.
    pub(crate) copies: WorkspaceCopies,
    /// Its packages, and where it is noted how all this went.
    pub(crate) workspace: &'a mut CommitWorkspace,
}

/// The repository of a workspace.
pub(crate) enum CommitTree<'a> {
    /// One to work in.
    Branch {
        /// Its branch, and the commit that is checked out.
        spec: CloneSpec,
        /// The platform's git, for the following two.
        git: &'a Git,
        /// A merge begun with this commit.
        merge: Option<&'a ObjectId>,
        /// A snapshot laid over it.
        snapshot: Option<&'a ObjectId>,
    },
    /// One to run commands in.
    Detached {
        /// The commit that is checked out.
        commit: &'a ObjectId,
        /// Files laid over it, by path from its root.
        files: &'a BTreeMap<String, String>,
    },
}

/// The files of a commit could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// Git did not make the repository.
    #[error("could not make the clone")]
    Clone(#[from] CloneError),
    /// A merge or a snapshot could not be laid over it.
    #[error("could not prepare the work tree")]
    Work(#[from] WorkError),
    /// A file of a check could not be laid over it.
    #[error("could not add the files of a check")]
    CheckFile(#[from] CheckFileError),
    /// The folder could not be made, filled or handed over.
    #[error("could not make the workspace")]
    Workspace(#[from] WorkspaceError),
}

impl WorkspaceContent for CommitContent<'_> {
    type Error = ContentError;

    /// The checkout of the base commit, and packages below that, so that a file of the commit is never another one of
    /// the packages.
    async fn find_layers(&mut self) -> Result<Vec<PathBuf>, String> {
        let layers = self.setup.layer_folder();
        let layer = layers.prepared_checkout(self.base).await;
        let layer = layer.map_err(|error| {
            let why = error_chain(&error);
            warn!(error = why, "There is no prepared checkout");
            why
        })?;
        let found = if layer.is_new() { "made" } else { "found" };
        self.workspace.end_step(StartStepKind::Checkout, found);
        if let Err(error) = layers.remove_oldest(self.setup.options.layers_bytes).await {
            warn!(error = %error, "Could not remove old checkouts");
        }
        let packages = self.workspace.packages.as_ref();
        let mut places = vec![layer.files_dir()];
        places.extend(packages.map(PackageLayer::files_dir));
        self.workspace.layer = Some(layer);
        Ok(places)
    }

    async fn write_files(
        &mut self,
        dir: &Path,
        origin: WorkspaceOrigin,
    ) -> Result<(), ContentError> {
        match origin {
            WorkspaceOrigin::Overlay => {
                "overlay on a prepared checkout".clone_into(&mut self.workspace.origin);
                self.workspace.end_step(StartStepKind::Workspace, "overlay");
            }
            WorkspaceOrigin::Empty { reason } => {
                let way = format!("clone: {reason}");
                self.workspace.end_step(StartStepKind::Workspace, &way);
                (self.workspace.layer, self.workspace.origin) = (None, way);
            }
        }
        self.write_repository(dir).await?;
        self.workspace.end_step(StartStepKind::Files, "written");
        if let Some(told) = lay_copies(&self.copies, dir)? {
            self.workspace.end_step(StartStepKind::Copies, &told);
        }
        Ok(())
    }
}

impl CommitContent<'_> {
    async fn write_repository(&self, dir: &Path) -> Result<(), ContentError> {
        let site = CloneSite {
            base: self.base,
            dest: dir,
            layer: self.workspace.layer.as_ref(),
        };
        match &self.tree {
            CommitTree::Branch {
                spec,
                git,
                merge,
                snapshot,
            } => {
                shared_clone(site, spec).await?;
                self.add_packages(dir).await?;
                let work = WorkDir::new(git, dir);
                if let Some(theirs) = merge {
                    work.begin_merge(theirs).await?;
                }
                if let Some(snapshot) = snapshot {
                    work.restore_snapshot(snapshot).await?;
                }
            }
            CommitTree::Detached { commit, files } => {
                clean_checkout(site, commit).await?;
                self.add_packages(dir).await?;
                for (path, text) in *files {
                    lay_over(dir, path, text)?;
                }
            }
        }
        Ok(())
    }

    /// Adds the packages to the work tree `dest`, which git has filled.
    async fn add_packages(&self, dest: &Path) -> Result<(), WorkspaceError> {
        let Some(packages) = &self.workspace.packages else {
            return Ok(());
        };
        let failed = |action| {
            move |source| WorkspaceError::Path {
                action,
                path: dest.to_path_buf(),
                source,
            }
        };
        if self.workspace.layer.is_none() {
            let copied = packages.copy_into(dest).await;
            copied.map_err(failed("copy packages into"))?;
        }
        packages
            .hide_from_git(dest)
            .map_err(failed("list packages in"))
    }
}
