//! A second opinion on a plan: whether its checks could pass while what they prove is violated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a model that did not write the plan says about its checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanOpinion {
    /// One for each check that could pass while a criterion it names is violated; empty when there is none.
    pub doubts: Vec<CheckDoubt>,
}

/// How one check could pass while one criterion is violated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckDoubt {
    /// The check, as it is numbered in the question, such as `TSK-003/1`.
    pub check: String,
    /// The criterion, such as `REQ-TAGS-FUNC-001#2`.
    pub criterion: String,
    /// An implementation that violates the criterion and still passes the check, in one or two sentences.
    pub how: String,
    /// True when the check says next to nothing about the criterion and the plan must not be carried
    /// out with it; false for a gap worth knowing.
    pub blocking: bool,
}

impl PlanOpinion {
    /// What the planner is told of doubts that must not stay; none when there is none of these.
    pub fn planner_objection(&self) -> Option<String> {
        let blocking: Vec<String> = self
            .doubts
            .iter()
            .filter(|doubt| doubt.blocking)
            .map(|doubt| format!("- {} for {}: {}", doubt.check, doubt.criterion, doubt.how))
            .collect();
        (!blocking.is_empty()).then(|| {
            format!(
                "A second opinion on the checks: these could pass while their criterion is violated. \
                 Make each fail in that case, or say in the task why it cannot happen:\n{}",
                blocking.join("\n")
            )
        })
    }
}
