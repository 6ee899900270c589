//! Keeps sync from beginning before the proofs of tasks that a person changed were tried on the base commit.

use serde::Deserialize as _;
use tracing::info;

use omoi_domain::lifecycle::phase::{TriedProof, judge_edited_proofs};
use omoi_domain::phase::Phase;
use omoi_plan::outputs::TasksOutput;
use omoi_runtime::BoxError;
use omoi_runtime::reconcile::Next;
use omoi_store::phases;

use super::phase_change::{PhaseDecision, SpecPhase, change_phase};
use super::step::PhaseDriver;
use crate::proofs;

/// Has what was not tried of the planned proofs run, and the spec wait where one shows nothing. None when sync may begin:
/// what an agent planned was tried before it passed.
///
/// # Errors
/// When they failed to run too often, and when the database refuses.
pub(super) async fn hold_for_proofs(
    driver: &PhaseDriver,
    at: SpecPhase<'_>,
) -> Result<Option<Next>, BoxError> {
    let spec = at.spec;
    let runs = driver
        .writer
        .store
        .read(async |tx| phases::of_spec(tx, spec.id).await);
    let runs = runs.await?;
    let Some(planned) = runs.iter().find(|run| run.phase == Phase::Tasks) else {
        return Ok(None);
    };
    // The spec changed last when a person had it go on: since then they have all their tries.
    if proofs::has_untried(planned)
        && proofs::run_open(&driver.runner, spec, planned, spec.updated_at).await?
    {
        return Ok(Some(Next::Idle));
    }
    let Some(output) = &planned.output else {
        return Ok(None);
    };
    // What cannot be read is told of where the orders of sync are made.
    let Ok(tasks) = TasksOutput::deserialize(&output.0) else {
        return Ok(None);
    };
    let known = proofs::known(spec, &runs, &tasks)?;
    let tried = tasks.tasks.iter().flat_map(|task| {
        let checks = task.checks.iter().enumerate();
        checks.filter_map(|(n, check)| {
            let exit = known.get(&(task.id.clone(), n))?;
            Some(TriedProof {
                task: task.id.clone(),
                command: check.command.clone(),
                exit: *exit,
            })
        })
    });
    let actions = judge_edited_proofs(&tried.collect::<Vec<_>>());
    if actions.is_empty() {
        return Ok(None);
    }
    info!(spec.id = %spec.id, "Proofs that a person planned for SPEC-{} show nothing", spec.number);
    let decision = PhaseDecision::new(|_| actions);
    Ok(Some(change_phase(&driver.writer, at, decision).await?))
}
