//! Complete honest plans for a few different features, and helpers to bend them.
#![allow(clippy::unwrap_used, reason = "a test fails here")]

mod build;
mod features;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use omoi_domain::phase::Phase;
use omoi_plan::coverage::{PlannedOutputs, sync_verdict};
use omoi_plan::evaluate::{EvaluationFacts, PhaseEvaluation, evaluate_output};
use omoi_plan::items::{OutputItem, split_output};
use omoi_plan::outputs::SyncOpinion;
use omoi_plan::repository::RepositoryFacts;

/// An honest output of every phase, and what code knows about the repository.
#[derive(Clone, Debug)]
pub struct HonestPlan {
    pub name: &'static str,
    pub facts: EvaluationFacts,
    pub outputs: BTreeMap<Phase, Value>,
}

impl HonestPlan {
    pub fn phase_output(&self, phase: Phase) -> &Value {
        &self.outputs[&phase]
    }

    /// The output of `phase` as the items that an agent hands in.
    pub fn phase_items(&self, phase: Phase) -> Vec<OutputItem> {
        split_output(phase, self.phase_output(phase))
    }

    /// Judges `output` as this plan's `phase`.
    pub fn judge_output(&self, phase: Phase, output: &Value) -> PhaseEvaluation {
        evaluate_output(phase, output, &self.facts)
    }

    /// Judges this plan's `phase` after `bend`.
    pub fn judge_bent(&self, phase: Phase, bend: impl FnOnce(&mut Value)) -> PhaseEvaluation {
        let mut output = self.phase_output(phase).clone();
        bend(&mut output);
        self.judge_output(phase, &output)
    }
}

/// All honest plans.
pub fn all_plans() -> Vec<HonestPlan> {
    features::ALL.iter().map(plan).collect()
}

/// The first honest plan, for tests that need only one.
pub fn todo_tags() -> HonestPlan {
    plan(&features::ALL[0])
}

fn plan(feature: &build::PlanFeature) -> HonestPlan {
    let mut outputs = BTreeMap::from([
        (Phase::Explore, build::explore_output(feature)),
        (Phase::Prd, build::prd_output(feature)),
        (Phase::Requirements, build::requirements_output(feature)),
        (Phase::Design, build::design_output(feature)),
        (Phase::Tasks, build::tasks_output(feature)),
    ]);
    let mut facts = EvaluationFacts {
        repo: Arc::new(RepositoryFacts::of_paths(feature.repo.iter().copied())),
        request: String::new(),
        instructions: "",
        explore: Some(typed(&outputs[&Phase::Explore])),
        prd: Some(typed(&outputs[&Phase::Prd])),
        requirements: Some(typed(&outputs[&Phase::Requirements])),
        design: Some(typed(&outputs[&Phase::Design])),
        tasks: Some(typed(&outputs[&Phase::Tasks])),
        base_exits: BTreeMap::new(),
    };
    let opinion = SyncOpinion {
        recommendations: vec!["Merge the storage ticket before the others.".to_owned()],
        ..SyncOpinion::default()
    };
    let planned = PlannedOutputs {
        requirements: facts.requirements.as_ref().unwrap(),
        design: facts.design.as_ref().unwrap(),
        tasks: facts.tasks.as_ref().unwrap(),
    };
    outputs.insert(Phase::Sync, json!(sync_verdict(planned, &opinion)));
    for task in &facts.tasks.as_ref().unwrap().tasks {
        for (n, _) in task.checks.iter().enumerate() {
            facts.base_exits.insert((task.id.clone(), n), Some(1));
        }
    }
    HonestPlan {
        name: feature.slug,
        facts,
        outputs,
    }
}

fn typed<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// The codes of the blockers, sorted, each once.
pub fn blocker_codes(evaluation: &PhaseEvaluation) -> Vec<&str> {
    let mut codes: Vec<&str> = evaluation
        .blockers
        .iter()
        .map(|b| b.code.as_str())
        .collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}
