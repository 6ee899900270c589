//! The folder that a sandbox works in, before its files are there: laid over a prepared checkout of the base commit
//! where this machine can, empty for a clone elsewhere.

use std::io;
use std::path::Path;

use tracing::{debug, warn};

use omoi_git::clone::CloneSite;
use omoi_git::layer::{CheckoutLayer, LayerFolder};
use omoi_git::mirror::BaseStore;
use omoi_runtime::telemetry::error_chain;
use omoi_sandbox::{Provider, WorkspaceError};

use crate::repository_folders::RepositoryFolders;

/// Bytes of prepared checkouts that are kept. Files that several of them share count for each.
const LAYERS_BYTES_MAX: u64 = 20 << 30;

/// A workspace without a repository; what it is laid over stays while this value lives.
pub(crate) struct OpenedWorkspace {
    layer: Option<CheckoutLayer>,
    origin: String,
}

impl OpenedWorkspace {
    /// Makes the folder `dir`, whatever was there.
    pub(crate) async fn open(
        folders: &RepositoryFolders,
        provider: &dyn Provider,
        base: &BaseStore,
        dir: &Path,
    ) -> Result<Self, WorkspaceError> {
        provider.remove_workspace(dir)?;
        std::fs::create_dir_all(dir).map_err(|source| WorkspaceError::Path {
            action: "make",
            path: dir.to_path_buf(),
            source,
        })?;
        match lay_over_layer(folders, provider, base, dir).await {
            Ok(layer) => Ok(Self {
                layer: Some(layer),
                origin: "overlay on a prepared checkout".to_owned(),
            }),
            Err(reason) => {
                debug!(reason, "A workspace is cloned");
                Ok(Self {
                    layer: None,
                    origin: format!("clone: {reason}"),
                })
            }
        }
    }

    /// Where git is to put the files of `dest` that are not there yet.
    pub(crate) fn clone_site<'a>(&'a self, base: &'a BaseStore, dest: &'a Path) -> CloneSite<'a> {
        CloneSite {
            base,
            dest,
            layer: self.layer.as_ref(),
        }
    }

    /// What the files are made of, and why not of something faster; for the record.
    pub(crate) fn origin_text(&self) -> &str {
        &self.origin
    }
}

/// Lays `dir` over the checkout of the base commit, or says why not: then `dir` is empty.
async fn lay_over_layer(
    folders: &RepositoryFolders,
    provider: &dyn Provider,
    base: &BaseStore,
    dir: &Path,
) -> Result<CheckoutLayer, String> {
    let reason = |error: &(dyn std::error::Error + 'static)| error_chain(error);
    provider.overlay_support().map_err(|error| reason(&error))?;
    let layers = LayerFolder::new(folders.data.layers_folder());
    let layer = layers.prepared_checkout(base).await;
    let layer = layer.map_err(|error| {
        let why = reason(&error);
        warn!(error = why, "There is no prepared checkout");
        why
    })?;
    if let Err(error) = layers.remove_oldest(LAYERS_BYTES_MAX) {
        warn!(error = %error, "Could not remove old checkouts");
    }
    let laid = provider.lay_workspace(dir, &layer.files_dir());
    laid.map_err(|error| reason(&error))?;
    Ok(layer)
}

/// Removes checkouts that an earlier life of this process was making.
pub(crate) fn clear_layers(folder: &Path) -> io::Result<()> {
    LayerFolder::new(folder.to_path_buf()).clear_leftovers()
}
