//! What sandboxes asked for from outside: what came in, and what was refused.

use uuid::Uuid;

use omoi_domain::egress::EgressOutcome;
use omoi_domain::id::{AttemptId, EgressEntryId, OrgId, ProjectId, SpecId, TaskId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::row::{Row as _, row};
use crate::specs::Spec;
use crate::tx::Tx;

/// Entries of one page at most.
pub const PAGE_MAX: usize = 1_000;

row! {
    /// A file that came in, or something that was refused.
    EgressEntry in "egress_entries" as "entry of the way out" {
        /// Its id.
        id: EgressEntryId,
        /// Its organisation.
        org_id: OrgId,
        /// The project.
        project_id: ProjectId,
        /// The spec of the attempt; none of a set-up.
        spec_id: Option<SpecId>,
        /// The attempt; none of a set-up.
        attempt_id: Option<AttemptId>,
        /// The packages that a set-up installed, by their digest; none of an attempt.
        packages_layer: Option<String>,
        /// What became of it.
        outcome: EgressOutcome,
        /// The version of a package, or the host with its port.
        target: String,
        /// Why it was refused.
        reason: Option<String>,
        /// The name of the file, or what else there is to know of the refusal.
        detail: String,
        /// The line of the configuration that would let it through.
        remedy: Option<String>,
        /// SHA-256 of what came in.
        digest: Option<String>,
        /// Its size.
        bytes: Option<i64>,
        /// When it was noted.
        created_at: Timestamp,
    }
}

/// Stores an entry; a file that came in is stored once for each attempt, and for each set-up.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, entry: &EgressEntry) -> Result<(), StoreError> {
    tx.insert_once(entry).await
}

/// Which entries are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct EgressFilter {
    /// Of this outcome alone.
    pub outcome: Option<EgressOutcome>,
    /// Older than this one.
    pub before: Option<EgressEntryId>,
}

/// The newest entries of `spec`, newest first, [`PAGE_MAX`] at most, each with the number of its task: those of its
/// attempts, and those of set-ups that ran since it began or whose packages one of its checks was given.
///
/// # Errors
/// When the database cannot be read.
pub async fn page_of_spec(
    tx: &mut Tx,
    spec: &Spec,
    filter: EgressFilter,
) -> Result<Vec<(EgressEntry, Option<i64>)>, StoreError> {
    let newest = EgressEntryId::from_uuid(Uuid::max());
    let outcome = filter.outcome.map_or("", EgressOutcome::as_str).to_owned();
    let rows = tx
        .rows(
            "select e.id as id, e.org_id as org_id, e.project_id as project_id, e.spec_id as spec_id,
                 e.attempt_id as attempt_id, e.packages_layer as packages_layer, e.outcome as outcome,
                 e.target as target, e.reason as reason, e.detail as detail, e.remedy as remedy,
                 e.digest as digest, e.bytes as bytes, e.created_at as created_at, t.number as task_number
             from egress_entries e
             left join attempts a on a.id = e.attempt_id
             left join tasks t on t.id = a.task_id
             where e.org_id = $1 and e.id < $2 and ($3 = '' or e.outcome = $3)
                 and (e.spec_id = $4 or (e.spec_id is null and e.project_id = $5
                     and (e.created_at >= $6 or e.packages_layer in
                         (select r.conditions ->> 'packages_layer' from receipts r where r.spec_id = $4))))
             order by e.id desc limit $7",
            args![
                filter.before.unwrap_or(newest),
                outcome,
                spec.id,
                spec.project_id,
                spec.created_at,
                PAGE_MAX as i64
            ],
        )
        .await?;
    let read = |row| Ok((EgressEntry::read(row)?, Column::read(row, "task_number")?));
    rows.iter().map(read).collect()
}

/// What came in for the sandboxes of `spec`, each once, as `npm:left-pad@1.3.0 sha256:…`: for its attempts, and by
/// set-ups whose packages one of its checks was given.
///
/// # Errors
/// When the database cannot be read.
pub async fn packages_of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<String>, StoreError> {
    let rows = tx
        .rows(
            "select distinct e.target as target, e.digest as digest from egress_entries e
             where e.org_id = $1 and e.outcome = 'came_in' and (e.spec_id = $2 or e.packages_layer in
                 (select r.conditions ->> 'packages_layer' from receipts r where r.spec_id = $2))
             order by 1, 2",
            args![spec],
        )
        .await?;
    let text = |row| {
        let (target, digest) = (String::read(row, "target")?, String::read(row, "digest")?);
        Ok(format!("{target} sha256:{digest}"))
    };
    rows.iter().map(text).collect()
}

/// What was asked for in the sandbox of `attempt` with this outcome, each once.
///
/// # Errors
/// When the database cannot be read.
pub async fn targets_of_attempt(
    tx: &mut Tx,
    attempt: AttemptId,
    outcome: EgressOutcome,
) -> Result<Vec<String>, StoreError> {
    let rows = tx
        .rows(
            "select distinct target from egress_entries
             where org_id = $1 and attempt_id = $2 and outcome = $3 order by 1",
            args![attempt, outcome],
        )
        .await?;
    rows.iter().map(|row| String::read(row, "target")).collect()
}

/// One line for each file that came into sandboxes of agents at `task`, or for the packages of `layer`: version, file
/// and SHA-256, in order.
///
/// # Errors
/// When the database cannot be read.
pub async fn arrival_lines(
    tx: &mut Tx,
    task: Option<TaskId>,
    layer: Option<&str>,
) -> Result<Vec<String>, StoreError> {
    let rows = tx
        .rows(
            "select distinct e.target as target, e.detail as detail, e.digest as digest
             from egress_entries e left join attempts a on a.id = e.attempt_id
             where e.org_id = $1 and e.outcome = 'came_in'
                 and ((a.task_id = $2 and a.subject = 'task') or e.packages_layer = $3)",
            args![task, layer.map(str::to_owned)],
        )
        .await?;
    let line = |row| {
        let (target, file) = (String::read(row, "target")?, String::read(row, "detail")?);
        let digest = String::read(row, "digest")?;
        Ok(format!("{target} {file} sha256:{digest}\n"))
    };
    let mut lines = rows
        .iter()
        .map(line)
        .collect::<Result<Vec<_>, StoreError>>()?;
    // Databases order text by their own rules.
    lines.sort();
    Ok(lines)
}
