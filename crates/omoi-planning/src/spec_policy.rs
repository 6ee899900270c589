//! Which specs are worked on, and within which limits.

use std::path::PathBuf;
use std::sync::Arc;

use omoi_domain::work_limits::WorkLimits;
use omoi_execution::agent_programs::FindProgram;
use omoi_execution::copied_files::CopiedFiles;
use omoi_execution::spec_selection::SpecSelection;
use omoi_execution::{AgentModels, DeploymentParts, FromParts};

/// What a spec is begun and shown under.
#[derive(Clone)]
pub struct SpecPolicy {
    /// The specs this process goes on with.
    pub selection: SpecSelection,
    /// What work may take where its spec says nothing.
    pub limits: WorkLimits,
    /// Paths every sandbox of this deployment may read.
    pub read_only: Vec<PathBuf>,
    /// Files of people's checkouts that workspaces are given.
    pub copies: CopiedFiles,
    /// Where the agent programs are.
    pub programs: Arc<dyn FindProgram>,
    /// What is known of the agents' models.
    pub models: AgentModels,
}

impl FromParts for SpecPolicy {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            selection: SpecSelection::from_parts(parts),
            limits: parts.limits,
            read_only: parts.read_only.clone(),
            copies: CopiedFiles::from_parts(parts),
            programs: parts.programs.clone(),
            models: parts.agent_models.clone(),
        }
    }
}
