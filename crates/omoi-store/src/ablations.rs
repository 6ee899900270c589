//! What ablation found out about each criterion.

use omoi_domain::ablation::AblationVerdict;
use omoi_domain::event::{AblationDone, Event};
use omoi_domain::id::{AttemptId, CriterionId, OrgId, ProjectId, SpecId};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// What became of a criterion's proofs without the work that serves its requirement.
    Ablation in "ablations" as "ablation" {
        /// The criterion.
        criterion_id: CriterionId,
        /// Its organisation.
        org_id: OrgId,
        /// The spec.
        spec_id: SpecId,
        /// What was found out.
        verdict: AblationVerdict,
        /// The head the work was taken back from.
        head_sha: String,
        /// `TSK-n` of the tasks whose commits were taken back.
        without: Json<Vec<String>>,
        /// What a person should know of it.
        reason: Option<String>,
        /// Whether a person lets it stand although it is weak.
        is_accepted: bool,
        /// The attempt that found out.
        attempt_id: AttemptId,
        /// When.
        created_at: Timestamp,
    }
}

/// Stores what was found out about the criteria of one requirement, in place of what was known.
///
/// # Errors
/// When the database cannot be written.
pub async fn store(
    tx: &mut Tx,
    project: ProjectId,
    found: &[Ablation],
    told: AblationDone,
) -> Result<(), StoreError> {
    for ablation in found {
        tx.execute(
            "delete from ablations where org_id = $1 and criterion_id = $2",
            args![ablation.criterion_id],
        )
        .await?;
        tx.insert(ablation).await?;
    }
    let spec = told.spec_id;
    tx.emit(Some(project), Some(spec), Event::RequirementAblated(told));
    Ok(())
}

/// What is known of the criteria of a spec, in plan order.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Ablation>, StoreError> {
    tx.all(
        "spec_id = $2 order by
             (select r.ordinal from criteria c join requirements r on r.id = c.requirement_id
              where c.id = ablations.criterion_id),
             (select c.ordinal from criteria c where c.id = ablations.criterion_id),
             criterion_id",
        args![spec],
    )
    .await
}

/// Lets the criteria of a spec that are weak now stand; returns how many these are.
///
/// # Errors
/// When the database cannot be written.
pub async fn accept_weak(tx: &mut Tx, spec: SpecId) -> Result<u64, StoreError> {
    tx.execute(
        "update ablations set is_accepted = true
         where org_id = $1 and spec_id = $2 and verdict = 'weak' and not is_accepted",
        args![spec],
    )
    .await
}
