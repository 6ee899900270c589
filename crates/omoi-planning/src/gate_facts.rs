//! Gathers what the gate of a phase needs to know, and asks it.

use std::collections::BTreeMap;

use serde::Deserialize as _;

use omoi_domain::phase::Phase;
use omoi_execution::integration::phase_output;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_plan::evaluate::EvaluationFacts;
use omoi_plan::items::OutputItem;
use omoi_plan::outputs::TasksOutput;
use omoi_runtime::BoxError;
use omoi_store::StoreError;
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::Spec;

use crate::gate::{JudgedOutput, assembled, check_phase_gate, guidance};
use crate::items::journal;
use crate::plan_gate::PlanGate;
use crate::{proofs, tree};

/// What an output is judged from.
pub(crate) struct PhaseMaterial {
    /// The accepted items of the phase.
    pub(crate) items: Vec<OutputItem>,
    /// Every phase run of the spec.
    pub(crate) runs: Vec<PhaseRun>,
}

/// Judges what the items of `phase` make.
pub(crate) async fn judge_phase(
    gate: &PlanGate,
    spec: &Spec,
    phase: Phase,
) -> Result<JudgedOutput, BoxError> {
    let material = gate.store.read(async |tx| {
        Ok::<_, StoreError>(PhaseMaterial {
            items: journal(tx, spec.id, phase).await?,
            runs: phases::of_spec(tx, spec.id).await?,
        })
    });
    judge_items(gate, spec, phase, material.await?).await
}

/// Judges what `material` makes.
pub(crate) async fn judge_items(
    gate: &PlanGate,
    spec: &Spec,
    phase: Phase,
    material: PhaseMaterial,
) -> Result<JudgedOutput, BoxError> {
    let PhaseMaterial { items, runs } = material;
    let mut facts = facts(&gate.folders, spec, phase, &runs).await?;
    let assembled = match assembled(phase, &items, spec.work_limits(gate.limits).check_timeout) {
        Ok(output) => output,
        Err(evaluation) => return Ok(JudgedOutput::incomplete(*evaluation)),
    };
    if phase == Phase::Tasks
        && let Ok(tasks) = TasksOutput::deserialize(&assembled)
    {
        facts.base_exits = proofs::known(spec, &runs, &tasks)?;
    }
    check_phase_gate(phase, assembled, &facts)
}

async fn facts(
    folders: &RepositoryFolders,
    spec: &Spec,
    phase: Phase,
    runs: &[PhaseRun],
) -> Result<EvaluationFacts, BoxError> {
    Ok(EvaluationFacts {
        repo: tree::facts(folders, spec).await?,
        request: spec.original_request.clone(),
        instructions: guidance(phase),
        explore: phase_output(runs, Phase::Explore)?,
        prd: phase_output(runs, Phase::Prd)?,
        requirements: phase_output(runs, Phase::Requirements)?,
        design: phase_output(runs, Phase::Design)?,
        tasks: phase_output(runs, Phase::Tasks)?,
        base_exits: BTreeMap::new(),
    })
}
