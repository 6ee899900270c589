//! How a workspace comes about: whoever knows what it holds tells that, and the rung decides how it gets there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::debug;

use crate::probe_facts::error_chain;
use crate::provider::Provider;
use crate::workspace::WorkspaceError;

/// What a workspace holds, as told by whoever knows repositories.
pub trait WorkspaceContent: Send {
    /// Why it could not be written.
    type Error: From<WorkspaceError> + Send;

    /// Folders of root's that have files of it already and stay while this value lives; where several have a file, the
    /// first counts. Asked for only where the rung can lay a workspace over them. The error tells people why there are
    /// none.
    fn find_layers(&mut self) -> impl Future<Output = Result<Vec<PathBuf>, String>> + Send;

    /// Writes into `dir`, which nobody else has touched, what it lacks by `origin`.
    fn write_files(
        &mut self,
        dir: &Path,
        origin: WorkspaceOrigin,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// What a workspace began as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkspaceOrigin {
    /// It shows the files of its layers.
    Overlay,
    /// It is an empty folder.
    Empty {
        /// Why nothing is laid over anything here, for people.
        reason: String,
    },
}

impl dyn Provider {
    /// Makes the workspace `dir` of `content`, whatever was there before, and hands it to the user that sandboxes over it
    /// will have. What a failure leaves of it is for [`Provider::remove_workspace`].
    ///
    /// # Errors
    /// When the folder cannot be made, filled or handed over. That nothing can be laid is none.
    pub async fn make_workspace<C: WorkspaceContent>(
        self: &Arc<Self>,
        dir: &Path,
        content: &mut C,
    ) -> Result<(), C::Error> {
        self.blocking_step("remove", dir, |provider, dir| {
            provider.remove_workspace(dir)?;
            std::fs::create_dir_all(dir).map_err(|source| WorkspaceError::Path {
                action: "make",
                path: dir.to_path_buf(),
                source,
            })
        })
        .await?;
        let origin = match self.lay_layers(dir, content).await {
            Ok(()) => WorkspaceOrigin::Overlay,
            Err(reason) => {
                debug!(reason, "A workspace is filled file by file");
                WorkspaceOrigin::Empty { reason }
            }
        };
        content.write_files(dir, origin).await?;
        let handed_over = self.blocking_step("hand over", dir, |provider, dir| {
            provider.prepare_workspace(dir)
        });
        handed_over.await.map_err(C::Error::from)
    }

    /// Lays `dir` over the layers of `content`, or says why not; then it is empty.
    async fn lay_layers<C: WorkspaceContent>(
        self: &Arc<Self>,
        dir: &Path,
        content: &mut C,
    ) -> Result<(), String> {
        self.overlay_support()
            .map_err(|refusal| error_chain(&refusal))?;
        let layers = content.find_layers().await?;
        let laid = self.blocking_step("lay", dir, move |provider, dir| {
            let layers: Vec<&Path> = layers.iter().map(PathBuf::as_path).collect();
            Ok(provider.lay_workspace(dir, &layers))
        });
        let laid = laid.await.map_err(|error| error_chain(&error))?;
        laid.map_err(|refusal| error_chain(&refusal))
    }

    /// Does `step`, which waits for the disk, away from the threads that serve others.
    async fn blocking_step<T: Send + 'static>(
        self: &Arc<Self>,
        action: &'static str,
        dir: &Path,
        step: impl FnOnce(&Self, &Path) -> Result<T, WorkspaceError> + Send + 'static,
    ) -> Result<T, WorkspaceError> {
        let (provider, place) = (Arc::clone(self), dir.to_path_buf());
        let done = tokio::task::spawn_blocking(move || step(provider.as_ref(), &place)).await;
        done.unwrap_or_else(|panicked| {
            Err(WorkspaceError::Path {
                action,
                path: dir.to_path_buf(),
                source: io::Error::other(panicked),
            })
        })
    }
}
