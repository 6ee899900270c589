//! The outputs that coverage is computed from, and the criteria among them that nothing proves.

use std::collections::BTreeSet;
use std::fmt;

use omoi_domain::check::CheckKind;

use crate::ids::criterion_id;
use crate::outputs::requirements::PlannedRequirement;
use crate::outputs::{DesignOutput, RequirementsOutput, TasksOutput};

/// Least coverage of a plan that is ready, in percent.
pub const COVERAGE_PERCENT_MIN: f64 = 80.0;
/// Hours from which a feature should be split.
pub const HOURS_ADVISED_MAX: f64 = 80.0;

/// The accepted outputs that decide the verdict.
#[derive(Clone, Copy, Debug)]
pub struct PlannedOutputs<'a> {
    /// What is asked for.
    pub requirements: &'a RequirementsOutput,
    /// How it is built.
    pub design: &'a DesignOutput,
    /// What is done, in which order.
    pub tasks: &'a TasksOutput,
}

/// A criterion that no proof is linked to.
#[derive(Clone, Copy, Debug)]
pub struct UnprovenCriterion<'a> {
    /// The requirement it belongs to.
    pub requirement: &'a PlannedRequirement,
    /// Its number within the requirement, from 1.
    pub n: usize,
    /// What it says.
    pub text: &'a str,
}

impl fmt::Display for UnprovenCriterion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no check of kind `proof` names `{}`: \"{}\"",
            criterion_id(&self.requirement.id, self.n),
            self.text
        )
    }
}

/// Every criterion of `requirements` that no proof of `tasks` names. Tasks of type `test`,
/// regression checks and the suite prove nothing of what is new.
pub fn unproven_criteria<'a>(
    requirements: &'a RequirementsOutput,
    tasks: &TasksOutput,
) -> Vec<UnprovenCriterion<'a>> {
    let checks = tasks.tasks.iter().flat_map(|task| &task.checks);
    let proofs = checks.filter(|check| check.kind == CheckKind::Proof);
    let proven: BTreeSet<&String> = proofs.flat_map(|proof| &proof.criteria).collect();
    let all = requirements.requirements.iter().flat_map(|requirement| {
        let numbered = requirement.acceptance_criteria.iter().zip(1..);
        numbered.map(move |(text, n)| UnprovenCriterion {
            requirement,
            n,
            text,
        })
    });
    all.filter(|c| !proven.contains(&criterion_id(&c.requirement.id, c.n)))
        .collect()
}

/// The hours of all tasks.
pub(super) fn total_hours(plan: &TasksOutput) -> f64 {
    plan.tasks.iter().map(|t| t.estimated_hours).sum()
}
