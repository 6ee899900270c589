//! Gathers what the gate of a phase needs to know, and asks it.

use std::collections::BTreeMap;

use serde::Deserialize as _;

use omoi_domain::phase::Phase;
use omoi_execution::Platform;
use omoi_execution::integration::output;
use omoi_plan::evaluate::EvaluationFacts;
use omoi_plan::items::OutputItem;
use omoi_plan::outputs::TasksOutput;
use omoi_runtime::BoxError;
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::Spec;

use crate::gate::{Judged, assembled, guidance, judge_output};
use crate::items::journal;
use crate::{proofs, tree};

/// Judges what the items of `phase` make.
pub(crate) async fn judge(
    platform: &Platform,
    spec: &Spec,
    phase: Phase,
) -> Result<Judged, BoxError> {
    let read = {
        let mut tx = platform.store.begin_read().await?;
        (
            journal(&mut tx, spec.id, phase).await?,
            phases::of_spec(&mut tx, spec.id).await?,
        )
    };
    judge_items(platform, spec, phase, read).await
}

/// Judges what `items` make, beside the spec's phase runs.
pub(crate) async fn judge_items(
    platform: &Platform,
    spec: &Spec,
    phase: Phase,
    (items, runs): (Vec<OutputItem>, Vec<PhaseRun>),
) -> Result<Judged, BoxError> {
    let mut facts = facts(platform, spec, phase, &runs).await?;
    let assembled = match assembled(phase, &items, platform.settings_of(spec).check_timeout) {
        Ok(output) => output,
        Err(evaluation) => return Ok(Judged::incomplete(*evaluation)),
    };
    if phase == Phase::Tasks
        && let Ok(tasks) = TasksOutput::deserialize(&assembled)
    {
        facts.base_exits = proofs::known(spec, &runs, &tasks)?;
    }
    judge_output(phase, assembled, &facts)
}

async fn facts(
    platform: &Platform,
    spec: &Spec,
    phase: Phase,
    runs: &[PhaseRun],
) -> Result<EvaluationFacts, BoxError> {
    Ok(EvaluationFacts {
        repo: tree::facts(platform, spec).await?,
        request: spec.original_request.clone(),
        instructions: guidance(phase),
        explore: output(runs, Phase::Explore)?,
        prd: output(runs, Phase::Prd)?,
        requirements: output(runs, Phase::Requirements)?,
        design: output(runs, Phase::Design)?,
        tasks: output(runs, Phase::Tasks)?,
        base_exits: BTreeMap::new(),
    })
}
