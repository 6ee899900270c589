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
pub const VERSIONED_PHASES: [Phase; 5] = [
    Phase::Explore,
    Phase::Prd,
    Phase::Requirements,
    Phase::Design,
    Phase::Tasks,
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

/// How a spec stands before it is changed.
pub struct StandingBefore(VersionDraft);

/// What a version keeps of a spec.
struct VersionDraft {
    summary: String,
    title: String,
    outputs: Map<String, Value>,
    current_phase: Phase,
}

/// Looks at how `spec` stands, to be given to [`append`] once it is changed.
///
/// # Errors
/// When the database cannot be read.
pub async fn look_before(tx: &mut Tx, spec: &Spec) -> Result<StandingBefore, StoreError> {
    Ok(StandingBefore(
        VersionDraft::read_spec(tx, spec, FIRST).await?,
    ))
}

/// Keeps how `spec` stands after the change that `summary` names, and before the first change of all how it stood. The row
/// of the spec was written before, so that of two who change it at once the later one waits, and numbers what it keeps
/// after the other.
///
/// # Errors
/// When the database cannot be written.
pub async fn append(
    tx: &mut Tx,
    before: StandingBefore,
    spec: &Spec,
    summary: &str,
) -> Result<(), StoreError> {
    let mut number = newest_number(tx, spec.id).await?;
    if number == 0 {
        number = 1;
        insert(tx, spec.id, number, before.0).await?;
    }
    let after = VersionDraft::read_spec(tx, spec, summary).await?;
    insert(tx, spec.id, number + 1, after).await
}

impl VersionDraft {
    async fn read_spec(tx: &mut Tx, spec: &Spec, summary: &str) -> Result<Self, StoreError> {
        let mut outputs = Map::new();
        for run in phases::of_spec(tx, spec.id).await? {
            if let Some(output) = run.output.filter(|_| VERSIONED_PHASES.contains(&run.phase)) {
                outputs.insert(run.phase.as_str().to_owned(), output.0);
            }
        }
        Ok(Self {
            summary: summary.to_owned(),
            title: spec.title.clone(),
            outputs,
            current_phase: spec.current_phase,
        })
    }
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

async fn insert(
    tx: &mut Tx,
    spec: SpecId,
    number: i64,
    draft: VersionDraft,
) -> Result<(), StoreError> {
    let version = SpecVersion {
        id: tx.new_id(),
        org_id: tx.org(),
        spec_id: spec,
        number,
        title: draft.title,
        outputs: Json(draft.outputs),
        current_phase: draft.current_phase,
        summary: draft.summary,
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
