//! The toolchain of a spec, found anew where what was recorded of it is gone.

use std::path::PathBuf;

use tracing::info;

use omoi_domain::crash::CrashPoint;
use omoi_git::survey::Survey;
use omoi_git::toolchain::{HostEnvironment, resolve_toolchain};
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, StoreError, Tenant};
use serde::Deserialize as _;

use crate::deployment::{DeploymentParts, FromParts};
use crate::sandbox_toolchain::{SandboxToolchain, UnreadableToolbox};

/// What gives sandboxes the toolchain of their spec.
#[derive(Clone)]
pub struct ToolchainFinder {
    store: Tenant,
    host: HostEnvironment,
}

/// No sandbox of the spec can be made.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    /// What was recorded is none, and neither is what would tell where to look.
    #[error("the spec has no toolchain")]
    Unreadable(#[source] UnreadableToolbox),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

impl FromParts for ToolchainFinder {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            host: parts.host.clone(),
        }
    }
}

impl ToolchainFinder {
    /// What sandboxes of `spec` may read and find. Where folders that were recorded are not on this host any more, the host is
    /// looked at again, as for a fresh spec, and what is found is recorded and told.
    ///
    /// # Errors
    /// [`ToolchainError`].
    pub async fn toolchain_of(&self, spec: &Spec) -> Result<SandboxToolchain, ToolchainError> {
        if let Some(whole) = whole_toolchain(spec) {
            return Ok(whole);
        }
        // Others may have found it since the row was read.
        let fresh = self.store.read(async |tx| specs::get(tx, spec.id).await);
        let fresh = fresh.await?;
        if let Some(whole) = whole_toolchain(&fresh) {
            return Ok(whole);
        }
        let recorded = SandboxToolchain::of_spec(&fresh);
        let Some(survey) = survey_of(&fresh) else {
            return recorded.map_err(ToolchainError::Unreadable);
        };
        let toolchain = resolve_toolchain(&survey, &self.host).await;
        let missing = toolchain.missing.clone();
        let found = SandboxToolchain::of_host(toolchain);
        if recorded.as_ref().is_ok_and(|old| old.is_same_place(&found)) {
            return recorded.map_err(ToolchainError::Unreadable);
        }
        let gone = recorded.map_or_else(|_| Vec::new(), |old| gone_folders(&old));
        let told = told_change(&gone, &found.roots, &missing);
        self.record(&fresh, &found, told).await
    }

    async fn record(
        &self,
        seen: &Spec,
        found: &SandboxToolchain,
        told: String,
    ) -> Result<SandboxToolchain, ToolchainError> {
        let recorded = self.store.write(CrashPoint::SpecMoved, async |tx| {
            let mut spec = specs::get(tx, seen.id).await?;
            if whole_toolchain(&spec).is_none() {
                let mut survey = spec.survey.0.clone();
                if let (Some(fields), Ok(toolbox)) =
                    (survey.as_object_mut(), serde_json::to_value(found))
                {
                    fields.insert("toolbox".to_owned(), toolbox);
                }
                specs::keep_toolchain(tx, &mut spec, Json(survey), told.clone()).await?;
            }
            Ok::<_, StoreError>(spec)
        });
        let spec = recorded.await?;
        info!(spec.id = %spec.id, "SPEC-{}: {told}", spec.number);
        SandboxToolchain::of_spec(&spec).map_err(ToolchainError::Unreadable)
    }
}

/// What is recorded of a spec, where all of it is still there.
fn whole_toolchain(spec: &Spec) -> Option<SandboxToolchain> {
    let recorded = SandboxToolchain::of_spec(spec).ok()?;
    gone_folders(&recorded).is_empty().then_some(recorded)
}

fn gone_folders(toolchain: &SandboxToolchain) -> Vec<PathBuf> {
    let gone = toolchain.roots.iter().filter(|root| !root.exists());
    gone.cloned().collect()
}

/// What was found in the repository when the spec was written.
fn survey_of(spec: &Spec) -> Option<Survey> {
    Survey::deserialize(spec.survey.0.get("survey")?).ok()
}

/// What people are told: what is gone, what is used instead, and what this host lacks.
fn told_change(gone: &[PathBuf], found: &[PathBuf], missing: &[String]) -> String {
    let listed = |paths: &[PathBuf]| {
        let paths = paths.iter().map(|path| path.display().to_string());
        paths.collect::<Vec<_>>().join(", ")
    };
    let mut text = match gone {
        [] => "the recorded toolchain cannot be read".to_owned(),
        gone => format!("the recorded toolchain is gone: {}", listed(gone)),
    };
    if !found.is_empty() {
        text.push_str(&format!("; used instead: {}", listed(found)));
    }
    if !missing.is_empty() {
        text.push_str(&format!("; not found: {}", missing.join(", ")));
    }
    text
}
