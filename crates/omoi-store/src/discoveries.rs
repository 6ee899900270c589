//! Work found by agents.

use omoi_domain::discovery::DiscoveryType;
use omoi_domain::id::{DiscoveryId, OrgId, ProjectId, SpecId, TaskId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A bug or missing piece an agent reported.
    Discovery in "discoveries" as "discovery" {
        /// Its id.
        id: DiscoveryId,
        /// Its organisation.
        org_id: OrgId,
        /// The spec.
        spec_id: SpecId,
        /// The task whose agent found it.
        source_task_id: TaskId,
        /// Digest of kind and title: the same find again is the same row.
        discovery_key: String,
        /// `bug`, `missing_requirement` …
        discovery_type: DiscoveryType,
        /// One line.
        title: String,
        /// What was found.
        description: String,
        /// The task that carries it.
        task_id: Option<TaskId>,
        /// Why none does.
        refused: Option<String>,
        /// When it was reported.
        created_at: Timestamp,
    }
}

/// Stores a discovery.
///
/// # Errors
/// [`StoreError::Exists`] when the source reported it already.
pub async fn insert(tx: &mut Tx, discovery: &Discovery) -> Result<(), StoreError> {
    tx.insert(discovery).await
}

/// Every discovery of a project, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_project(tx: &mut Tx, project: ProjectId) -> Result<Vec<Discovery>, StoreError> {
    tx.all(
        "spec_id in (select id from specs where org_id = $1 and project_id = $2) order by created_at, id",
        args![project],
    )
    .await
}

/// The discovery `source` reported under `key`, if it did.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, source: TaskId, key: &str) -> Result<Option<Discovery>, StoreError> {
    tx.find(
        "source_task_id = $2 and discovery_key = $3",
        args![source, key],
    )
    .await
}

/// Discoveries of a spec, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Discovery>, StoreError> {
    tx.all("spec_id = $2 order by created_at, id", args![spec])
        .await
}
