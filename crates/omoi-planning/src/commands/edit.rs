//! Changes a person makes to what a spec is planned from.

use serde_json::Value;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_execution::Platform;
use omoi_store::specs::{self, Spec};
use omoi_store::{Json, Tx, phases};

use super::{CommandError, name_of};
use crate::items::{journal, put, validated};
use crate::judge::judge_items;
use crate::planner::output_digest;
use crate::tree;

/// One item of an accepted output as a person wants it.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The phase whose output it is in.
    pub phase: Phase,
    /// The section of the output.
    pub section: String,
    /// Its key within a list.
    pub key: String,
    /// The item; null takes one out of a list.
    pub value: Value,
}

/// Changes a spec's title; on the next resume every phase runs again with it.
///
/// # Errors
/// [`CommandError::AtWork`] once its tasks are released.
pub async fn retitle(platform: &Platform, id: SpecId, title: &str) -> Result<Spec, CommandError> {
    let mut tx = platform.store.begin_write().await?;
    let found = specs::get(&mut tx, id).await?;
    let mut spec = changeable(&mut tx, found).await?;
    title.clone_into(&mut spec.title);
    spec.current_phase = Phase::Explore;
    specs::save(&mut tx, &mut spec).await?;
    tx.commit(CrashPoint::SpecMoved).await?;
    Ok(spec)
}

/// Changes an item of an accepted output; on the next resume the phases that read it run again.
///
/// # Errors
/// [`CommandError::Edit`] when the output could not be accepted with it, or is none that a person
/// can change: the checks of tasks are tried before they stand, and sync is computed.
pub async fn edit(platform: &Platform, id: SpecId, edit: Edit) -> Result<Spec, CommandError> {
    let phase = edit.phase;
    let next = phase.next().filter(|_| {
        let editable = [
            Phase::Explore,
            Phase::Prd,
            Phase::Requirements,
            Phase::Design,
        ];
        editable.contains(&phase)
    });
    let Some(next) = next else {
        let says = format!("the output of {phase} cannot be edited by hand");
        return Err(CommandError::Edit(says));
    };
    let spec = {
        let mut tx = platform.store.begin_read().await?;
        let found = specs::get(&mut tx, id).await?;
        changeable(&mut tx, found).await?
    };
    let repo = tree::of_spec(platform, &spec)
        .await
        .map_err(CommandError::Judge)?;
    let check_timeout = platform.settings_of(&spec).check_timeout;
    let item = (phase, edit.section.as_str(), edit.key.as_str(), &edit.value);
    let accepted = validated(item, &repo, check_timeout).map_err(CommandError::Edit)?;
    let (runs, mut items) = {
        let mut tx = platform.store.begin_read().await?;
        (
            phases::of_spec(&mut tx, id).await?,
            journal(&mut tx, id, phase).await?,
        )
    };
    items.push(accepted.item.clone());
    let judged = judge_items(platform, &spec, phase, (items, runs))
        .await
        .map_err(CommandError::Judge)?;
    let Some(output) = judged.output.filter(|_| judged.evaluation.passed) else {
        return Err(CommandError::Edit(judged.evaluation.feedback));
    };
    let mut tx = platform.store.begin_write().await?;
    let found = specs::get(&mut tx, id).await?;
    let mut spec = changeable(&mut tx, found).await?;
    let mut run = phases::ensure(&mut tx, id, phase).await?;
    if run.state != PhaseState::Passed {
        let says = format!("{phase} has not passed yet; there is nothing to edit");
        return Err(CommandError::Edit(says));
    }
    put(&mut tx, &spec, &run, &accepted.item).await?;
    run.output_digest = Some(output_digest(&output));
    run.output = Some(Json(output));
    run.score = Some(judged.evaluation.score);
    phases::save(&mut tx, &mut run).await?;
    spec.current_phase = next;
    specs::save(&mut tx, &mut spec).await?;
    tx.commit(CrashPoint::PhaseMoved).await?;
    Ok(spec)
}

/// The spec, unless its tasks are released or it is over.
async fn changeable(tx: &mut Tx, spec: Spec) -> Result<Spec, CommandError> {
    match spec.status {
        SpecStatus::Working | SpecStatus::Delivered | SpecStatus::Cancelled => {
            Err(CommandError::AtWork {
                spec: name_of(tx, &spec).await?,
                status: spec.status,
            })
        }
        _ => Ok(spec),
    }
}
