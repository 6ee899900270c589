//! What events of projects carry.

use serde::{Deserialize, Serialize};

use crate::id::ProjectId;
use crate::project::ProjectStatus;

/// What people said of a project last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectUpdate {
    /// Row id of the project.
    pub project_id: ProjectId,
    /// What people call it.
    pub name: String,
    /// Whether work goes on in it.
    pub status: ProjectStatus,
    /// Whether its tasks may start without a person.
    pub autonomous: bool,
}
