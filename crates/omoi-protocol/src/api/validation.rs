//! Work that is looked at.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::task::TaskView;

/// Tasks whose work is looked at. `GET /validation/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ValidationStatus {
    /// Tasks whose work waits to be looked at, and what is looked at now: the oldest first.
    pub tasks: Vec<TaskView>,
    /// How many of them wait.
    pub n_waiting: u64,
    /// How many of them are looked at.
    pub n_running: u64,
}
