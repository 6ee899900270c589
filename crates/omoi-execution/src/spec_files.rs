//! The files of a spec, rendered by whoever knows its plan.
//!
//! Execution hands them to agents and commits them, and knows nothing of plans: the composition root
//! gives it the function that renders.

use std::collections::BTreeMap;

use omoi_runtime::BoxError;
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::Spec;
use omoi_store::{StoreError, Tenant};

use crate::deployment::{DeploymentParts, FromParts};

/// Files by path from the root of the repository.
pub type SpecFiles = BTreeMap<String, String>;

/// Renders the accepted outputs among `runs`; equal outputs give equal files.
pub type RenderSpecFiles = fn(spec: &Spec, runs: &[PhaseRun]) -> Result<SpecFiles, BoxError>;

/// Renders what is stored of a spec.
#[derive(Clone)]
pub struct SpecRenderer {
    /// The rows it reads and writes.
    pub store: Tenant,
    /// Renders the accepted outputs of a spec.
    pub render: RenderSpecFiles,
}

impl SpecRenderer {
    /// The same for the rows that `store` sees.
    #[must_use]
    pub fn in_tenant(&self, store: &Tenant) -> Self {
        Self {
            store: store.clone(),
            ..self.clone()
        }
    }
}

impl FromParts for SpecRenderer {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            render: parts.render_spec_files,
        }
    }
}

/// The files of a spec could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum SpecFilesError {
    /// The outputs could not be read.
    #[error("the accepted outputs could not be read")]
    Store(#[from] StoreError),
    /// An output does not give files.
    #[error("the spec's files could not be rendered")]
    Render(#[source] BoxError),
}

/// The markdown of a spec's accepted outputs, by path from the repository's root.
///
/// # Errors
/// When the database cannot be read or an id cannot name a file.
pub async fn rendered_files(
    renderer: &SpecRenderer,
    spec: &Spec,
) -> Result<SpecFiles, SpecFilesError> {
    let runs = renderer
        .store
        .read(async |tx| phases::of_spec(tx, spec.id).await)
        .await?;
    (renderer.render)(spec, &runs).map_err(SpecFilesError::Render)
}
