//! What specs were planned from before and after each change that a person made.

use omoi_domain::actor::Actor;
use omoi_domain::id::{OrgId, SpecId, SpecVersionId};
use omoi_domain::phase::Phase;
use omoi_domain::time::Timestamp;
use serde_json::{Map, Value};

use crate::args;
use crate::column::{Column, Json};
use crate::error::StoreError;
use crate::phases;
use crate::row::row;
use crate::specs::Spec;
use crate::tx::Tx;

/// The phases whose outputs people change, and versions hold.
pub const VERSIONED_PHASES: [Phase; 4] = [
    Phase::Explore,
    Phase::Prd,
    Phase::Requirements,
    Phase::Design,
];
/// What the first version of a spec says of itself.
const FIRST: &str = "before the first change";

row! {
    /// What a spec was planned from at one time.
    SpecVersion in "spec_versions" as "version of a spec" {
        /// Its id.
        id: SpecVersionId,
        /// Whose it is.
        org_id: OrgId,
        /// The spec.
        spec_id: SpecId,
        /// Counted per spec, from 1.
        number: i64,
        /// The title.
        title: String,
        /// The accepted outputs by phase.
        outputs: Json<Map<String, Value>>,
        /// Where the spec was to be planned on from.
        current_phase: Phase,
        /// What was changed.
        summary: String,
        /// Who changed it.
        actor: Actor,
        /// When.
        created_at: Timestamp,
    }
}

row! {
    /// The same without what it was planned from, for lists.
    SpecVersionHead in "spec_versions" as "version of a spec" {
        /// Counted per spec, from 1.
        number: i64,
        /// The title.
        title: String,
        /// What was changed.
        summary: String,
        /// Who changed it.
        actor: Actor,
        /// When.
        created_at: Timestamp,
    }
}

impl SpecVersion {
    /// The accepted output of `phase`, if there was one.
    pub fn phase_output(&self, phase: Phase) -> Option<&Value> {
        self.outputs.0.get(phase.as_str())
    }
}

/// Keeps how `spec` stands before it is changed for the first time.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep_first(tx: &mut Tx, spec: &Spec) -> Result<(), StoreError> {
    match newest_number(tx, spec.id).await? {
        0 => insert(tx, spec, 1, FIRST).await,
        _ => Ok(()),
    }
}

/// Keeps how `spec` stands after the change that `summary` names.
///
/// # Errors
/// When the database cannot be written.
pub async fn append(tx: &mut Tx, spec: &Spec, summary: &str) -> Result<(), StoreError> {
    let number = newest_number(tx, spec.id).await? + 1;
    insert(tx, spec, number, summary).await
}

async fn newest_number(tx: &mut Tx, spec: SpecId) -> Result<i64, StoreError> {
    let rows = tx
        .rows(
            "select coalesce(max(number), 0) as newest from spec_versions where org_id = $1 and spec_id = $2",
            args![spec],
        )
        .await?;
    rows.first().map_or(Ok(0), |row| i64::read(row, "newest"))
}

async fn insert(tx: &mut Tx, spec: &Spec, number: i64, summary: &str) -> Result<(), StoreError> {
    let mut outputs = Map::new();
    for run in phases::of_spec(tx, spec.id).await? {
        if let Some(output) = run.output.filter(|_| VERSIONED_PHASES.contains(&run.phase)) {
            outputs.insert(run.phase.as_str().to_owned(), output.0);
        }
    }
    let version = SpecVersion {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: spec.id,
        number,
        title: spec.title.clone(),
        outputs: Json(outputs),
        current_phase: spec.current_phase,
        summary: summary.to_owned(),
        actor: tx.current_actor(),
        created_at: tx.now(),
    };
    tx.insert(&version).await
}

/// Versions of a spec, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<SpecVersionHead>, StoreError> {
    tx.all("spec_id = $2 order by number desc", args![spec])
        .await
}

/// The version with that number.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, spec: SpecId, number: i64) -> Result<SpecVersion, StoreError> {
    tx.get(number, "spec_id = $2 and number = $3", args![spec, number])
        .await
}
