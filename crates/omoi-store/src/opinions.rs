//! Second opinions on plans.

use omoi_domain::event::{Event, PlanJudged};
use omoi_domain::id::{OrgId, ProjectId, SpecId};
use omoi_domain::opinion::{CheckDoubt, PlanOpinion};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// What a model that did not write the plan said of its checks.
    StoredOpinion in "plan_opinions" as "second opinion" {
        /// The spec.
        spec_id: SpecId,
        /// Its organisation.
        org_id: OrgId,
        /// What the tasks phase read when it was asked: other inputs make another plan.
        input_digest: Option<String>,
        /// The model that was asked.
        model: String,
        /// Whether it is the model that wrote the plan, asked afresh.
        is_same_model: bool,
        /// What it doubts.
        doubts: Json<Vec<CheckDoubt>>,
        /// Why there is no opinion.
        skipped: Option<String>,
        /// Whether its objections went back to the planner.
        was_sent_back: bool,
        /// When it came.
        created_at: Timestamp,
    }
}

impl StoredOpinion {
    /// The opinion itself; without doubts where nobody could be asked.
    pub fn opinion(&self) -> PlanOpinion {
        PlanOpinion {
            doubts: self.doubts.0.clone(),
        }
    }
}

/// Stores the opinion on a plan in place of that on an earlier one.
///
/// # Errors
/// When the database cannot be written.
pub async fn store(
    tx: &mut Tx,
    project: ProjectId,
    opinion: &StoredOpinion,
) -> Result<(), StoreError> {
    tx.execute(
        "delete from plan_opinions where org_id = $1 and spec_id = $2",
        args![opinion.spec_id],
    )
    .await?;
    tx.insert(opinion).await?;
    let event = Event::SpecPlanJudged(PlanJudged {
        spec_id: opinion.spec_id,
        model: opinion.model.clone(),
        is_same_model: opinion.is_same_model,
        doubts: opinion.doubts.0.clone(),
        skipped: opinion.skipped.clone(),
    });
    tx.emit(Some(project), Some(opinion.spec_id), event);
    Ok(())
}

/// The opinion on a spec's plan, if there is one.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(tx: &mut Tx, spec: SpecId) -> Result<Option<StoredOpinion>, StoreError> {
    tx.find("spec_id = $2", args![spec]).await
}

/// Notes that its objections went back to the planner.
///
/// # Errors
/// When the database cannot be written.
pub async fn mark_sent_back(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    tx.execute(
        "update plan_opinions set was_sent_back = true where org_id = $1 and spec_id = $2",
        args![spec],
    )
    .await?;
    Ok(())
}
