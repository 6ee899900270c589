//! Writes the rows of a plan from the accepted outputs.

use std::collections::BTreeMap;

use omoi_domain::phase::Phase;
use omoi_execution::integration::output;
use omoi_plan::coverage::PlannedOutputs;
use omoi_plan::outputs::{DesignOutput, RequirementsOutput, TasksOutput};
use omoi_store::specs::Spec;
use omoi_store::{Tx, phases};

use crate::gate::Judged;
use crate::proofs;
use crate::sync::{Accepted, ApplyError, apply};

/// Writes the plan that sync accepted.
pub(super) async fn write_plan(
    tx: &mut Tx,
    spec: &Spec,
    judged: Option<&Judged>,
) -> Result<(), ApplyError> {
    let runs = phases::of_spec(tx, spec.id).await?;
    let (Some(requirements), Some(design), Some(tasks), Some(verdict)) = (
        output::<RequirementsOutput>(&runs, Phase::Requirements)?,
        output::<DesignOutput>(&runs, Phase::Design)?,
        output::<TasksOutput>(&runs, Phase::Tasks)?,
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
    let accepted = Accepted {
        planned,
        verdict,
        base_exits: &base_exits,
    };
    apply(tx, spec, accepted).await?;
    Ok(())
}
