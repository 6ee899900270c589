//! Writes the rows of a plan from the accepted outputs.

use std::collections::BTreeMap;

use omoi_domain::phase::Phase;
use omoi_execution::integration::phase_output;
use omoi_plan::coverage::PlannedOutputs;
use omoi_plan::outputs::{DesignOutput, RequirementsOutput, TasksOutput};
use omoi_store::specs::Spec;
use omoi_store::{Tx, phases};

use crate::gate::JudgedOutput;
use crate::proofs;
use crate::sync::{AcceptedPlan, ApplyError, apply_plan};

/// Writes the plan that sync accepted.
pub(super) async fn write_plan(
    tx: &mut Tx,
    spec: &Spec,
    judged: Option<&JudgedOutput>,
) -> Result<(), ApplyError> {
    let runs = phases::of_spec(tx, spec.id).await?;
    let (Some(requirements), Some(design), Some(tasks), Some(verdict)) = (
        phase_output::<RequirementsOutput>(&runs, Phase::Requirements)?,
        phase_output::<DesignOutput>(&runs, Phase::Design)?,
        phase_output::<TasksOutput>(&runs, Phase::Tasks)?,
        judged.and_then(|judged| judged.sync.as_ref()),
    ) else {
        return Err(ApplyError::Unresolved("an accepted output".to_owned()));
    };
    let planned = PlannedOutputs {
        requirements: &requirements,
        design: &design,
        tasks: &tasks,
    };
    let known = proofs::known(spec, &runs, &tasks)?;
    let base_exits: BTreeMap<_, _> = known
        .into_iter()
        .filter_map(|(check, exit)| Some((check, exit?)))
        .collect();
    let accepted = AcceptedPlan {
        planned,
        verdict,
        base_exits: &base_exits,
    };
    apply_plan(tx, spec, accepted).await?;
    Ok(())
}
