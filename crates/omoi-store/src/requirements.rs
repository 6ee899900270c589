//! Requirements and their acceptance criteria.

use serde_json::Value;

use omoi_domain::id::{CriterionId, OrgId, RequirementId, SpecId};
use omoi_domain::requirement::RequirementType;
use omoi_domain::task::Priority;

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A requirement of a spec.
    Requirement in "requirements" as "requirement" {
        /// Its id.
        id: RequirementId,
        /// Its organisation.
        org_id: OrgId,
        /// The spec.
        spec_id: SpecId,
        /// `REQ-…`
        local_id: String,
        /// Position in the plan.
        ordinal: i64,
        /// Its title.
        title: String,
        /// functional, performance …
        r#type: RequirementType,
        /// CRITICAL … LOW
        priority: Priority,
        /// Text, condition, action and clauses.
        body: Json<Value>,
        /// SHA-256 of its content.
        content_hash: String,
    }
}

row! {
    /// An acceptance criterion.
    Criterion in "criteria" as "criterion" {
        /// Its id.
        id: CriterionId,
        /// Its organisation.
        org_id: OrgId,
        /// The spec.
        spec_id: SpecId,
        /// The requirement.
        requirement_id: RequirementId,
        /// `REQ-…#n`
        local_id: String,
        /// `n`
        ordinal: i64,
        /// Its text.
        body: String,
        /// SHA-256 of its content.
        content_hash: String,
    }
}

/// Requirements of a spec in plan order.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Requirement>, StoreError> {
    tx.all("spec_id = $2 order by ordinal", args![spec]).await
}

/// Criteria of a spec, in plan order of their requirements.
///
/// # Errors
/// When the database cannot be read.
pub async fn criteria_of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Criterion>, StoreError> {
    tx.all(
        "spec_id = $2 order by
             (select r.ordinal from requirements r where r.id = criteria.requirement_id),
             ordinal, id",
        args![spec],
    )
    .await
}
