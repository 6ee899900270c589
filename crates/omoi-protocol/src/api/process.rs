//! How the process that answers does.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::model_kind::ModelKind;

use super::time::ApiTime;

omoi_domain::closed_set! {
    /// How a process does.
    HealthStatus {
        /// It answers.
        Ok = "ok",
    }
}

/// `GET /health`, `GET /health/ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthReport {
    /// How the process does.
    pub status: HealthStatus,
    /// Version of the running program.
    pub version: String,
}

/// `GET /`: what answers here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgramReport {
    /// Name of the program.
    pub name: String,
    /// Version of the running program.
    pub version: String,
}

/// `GET /admin/status`: the process that owns the data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcessStatus {
    /// Version of the running program.
    pub version: String,
    /// Process id that the machine gave it.
    pub pid: u32,
    /// Roles it plays: `api`, `orchestrator`.
    pub roles: Vec<String>,
    /// Kind of database: `sqlite` or `postgres`.
    pub database: String,
    /// Kind of event bus: `in-process` or `redis`.
    pub bus: String,
    /// Sandbox rung that attempts run on.
    pub sandbox: Option<String>,
    /// Name of the model that answers agents, `simulated` or `none`.
    pub model: String,
    /// The kind of that model.
    pub model_kind: ModelKind,
    /// Why nothing answers them, with what to set.
    #[serde(default)]
    pub model_missing: Option<String>,
    /// What people should know about the models in use, such as an assumed price.
    #[serde(default)]
    pub model_notes: Vec<String>,
    /// Its loops; none where it has no agents work.
    #[serde(default)]
    pub loops: Vec<LoopStatus>,
    /// Why work stands still for want of space on a disk; none when it does not.
    #[serde(default)]
    pub stall: Option<DiskStall>,
}

/// Work that stands still for want of space on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskStall {
    /// For how many milliseconds; 0 while an agent is let finish.
    pub ms: u64,
    /// Which disk, and how it is, without an end.
    pub reason: String,
}

/// How one loop of the process does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoopStatus {
    /// Name of the loop, such as `planner`.
    pub name: String,
    /// Whole passes that failed in a row.
    pub failing: u32,
    /// Why the last of them did.
    pub error: Option<String>,
    /// What it could not go on with.
    pub entities: Vec<FailingEntity>,
}

/// Something a loop could not go on with, while it goes on with the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailingEntity {
    /// `SPEC-1 (…)`, `TSK-004 (…)` …
    pub entity: String,
    /// Turns that failed in a row.
    pub failing: u32,
    /// When it is tried again.
    pub retry_at: ApiTime,
    /// Why the last turn failed.
    pub error: String,
}
