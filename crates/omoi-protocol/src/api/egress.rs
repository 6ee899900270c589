//! What sandboxes asked for from outside.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use omoi_domain::egress::EgressOutcome;
use omoi_domain::id::{AttemptId, EgressEntryId};

use super::time::ApiTime;

/// `GET /specs/{spec_id}/egress?outcome=&before=`: what sandboxes got from outside, the newest of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EgressLogView {
    /// Newest entries first.
    pub entries: Vec<EgressEntryView>,
    /// `before` of the next request, where there are older ones.
    pub before: Option<EgressEntryId>,
}

/// `POST /admin/egress`: what a running process lets through from now on, beside what it does already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "hosts": ["project=todo; host=example.com"], "versions": [] }))]
#[serde(deny_unknown_fields)]
pub struct AllowEgress {
    /// Lines as in `egress.hosts`.
    pub hosts: Vec<String>,
    /// Versions as in `egress.versions`.
    pub versions: Vec<String>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllowedEgress {
    /// Whether it holds now; not in a process without a proxy.
    pub is_in_force: bool,
}

/// A file of a package that came in, or something that was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EgressEntryView {
    /// Reference of the task, `TSK-n`, where the attempt is at one.
    pub task_ref: Option<String>,
    /// Row id of the attempt; none of a set-up.
    pub attempt_id: Option<AttemptId>,
    /// The packages that a set-up installed, by their digest; none of an attempt.
    pub packages_layer: Option<String>,
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
    pub at: ApiTime,
}
