//! What sandboxes asked for from outside.

use serde::{Deserialize, Serialize};

use omoi_domain::egress::EgressOutcome;
use omoi_domain::id::AttemptId;
use omoi_domain::time::Timestamp;

/// A file of a package that came in, or something that was refused. `GET /specs/{spec}/egress`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EgressEntryView {
    /// Reference of the task, `TSK-n`, where the attempt is at one.
    pub task_ref: Option<String>,
    /// Row id of the attempt.
    pub attempt_id: AttemptId,
    /// What became of it.
    pub outcome: EgressOutcome,
    /// The version of a package, or the host with its port.
    pub subject: String,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The name of the file, or what else there is to know of the refusal.
    pub detail: String,
    /// The line of the configuration that would let it through.
    pub remedy: Option<String>,
    /// SHA-256 of what came in.
    pub digest: Option<String>,
    /// Its size.
    pub bytes: Option<u64>,
    /// When it was noted.
    pub at: Timestamp,
}
