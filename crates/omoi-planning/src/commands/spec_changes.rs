//! Reads what the rules of a spec ask for, and says in words why they refuse.

use omoi_domain::id::{HumanRef, SpecId, TaskId};
use omoi_domain::lifecycle::spec::{SpecFacts, SpecRefusal, SpecTask};
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecKind};
use omoi_domain::task::TaskStatus;
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::{self, TaskStanding};
use omoi_store::{StoreError, Tx, phases, projects};

use super::SpecCommandError;

/// Refuses a change that is meant for another version of `spec`.
pub(super) fn expect_version(
    spec: &Spec,
    versions: Option<&[i64]>,
) -> Result<(), SpecCommandError> {
    match versions.is_none_or(|meant| meant.contains(&spec.state_version)) {
        true => Ok(()),
        false => Err(SpecCommandError::StaleVersion(Box::new(spec.clone()))),
    }
}

/// A spec as every command takes it, wherever it is typed.
pub(super) async fn spec_name(tx: &mut Tx, spec: &Spec) -> Result<String, StoreError> {
    projects::reference(tx, spec.project_id, HumanRef::spec(spec.number)).await
}

pub(super) async fn read_phase_states(
    tx: &mut Tx,
    id: SpecId,
) -> Result<Vec<(Phase, PhaseState)>, StoreError> {
    let runs = phases::of_spec(tx, id).await?;
    Ok(runs.iter().map(|run| (run.phase, run.state)).collect())
}

pub(super) async fn read_spec_facts(tx: &mut Tx, spec: &Spec) -> Result<SpecFacts, StoreError> {
    if spec.kind == SpecKind::Direct {
        let was_released = specs::working_since(tx, spec.id).await?.is_some();
        return Ok(SpecFacts::of_direct(spec.status, was_released));
    }
    let phases = read_phase_states(tx, spec.id).await?;
    Ok(SpecFacts::new(spec.status, spec.current_phase, &phases))
}

pub(super) async fn read_spec_tasks(tx: &mut Tx, id: SpecId) -> Result<Vec<SpecTask>, StoreError> {
    let all = tasks::standing_of_spec(tx, id).await?;
    let facts = |task: &TaskStanding| SpecTask {
        id: task.id,
        status: task.status,
        integration_state: task.integration_state,
        is_needed: task.needed,
    };
    Ok(all.iter().map(facts).collect())
}

/// Refuses a spec that has no phases: its plan is its ticket.
pub(super) fn expect_planned(spec: &Spec) -> Result<(), SpecCommandError> {
    match spec.kind {
        SpecKind::Planned => Ok(()),
        SpecKind::Direct => {
            let says = "it was begun for a ticket, which is its plan; change the ticket";
            Err(SpecCommandError::InvalidEdit(says.to_owned()))
        }
    }
}

/// A refusal in words for people, who know specs and tasks by their references.
pub(super) async fn explain_refusal(
    tx: &mut Tx,
    spec: &Spec,
    refusal: SpecRefusal,
) -> SpecCommandError {
    match describe_refusal(tx, spec, refusal).await {
        Ok(refused) => refused,
        Err(error) => error.into(),
    }
}

async fn describe_refusal(
    tx: &mut Tx,
    spec: &Spec,
    refusal: SpecRefusal,
) -> Result<SpecCommandError, StoreError> {
    let name = spec_name(tx, spec).await?;
    Ok(match refusal {
        SpecRefusal::NotPlanned => SpecCommandError::NotPlanned {
            spec: name,
            status: spec.status,
        },
        SpecRefusal::NothingLanded => SpecCommandError::NothingLanded { spec: name },
        SpecRefusal::AtWork => SpecCommandError::AtWork {
            spec: name,
            status: spec.status,
        },
        SpecRefusal::NotEditable(phase) => {
            let says = format!("the output of {phase} cannot be edited by hand");
            SpecCommandError::InvalidEdit(says)
        }
        SpecRefusal::NotPassed(phase) => {
            let says = format!("{phase} has not passed yet; there is nothing to edit");
            SpecCommandError::InvalidEdit(says)
        }
        SpecRefusal::TaskCancelled(id) => SpecCommandError::TaskCancelled {
            spec: name,
            task: task_name(tx, id).await?.0,
        },
        SpecRefusal::TaskOpen(id) => {
            let (task, status) = task_name(tx, id).await?;
            SpecCommandError::StillOpen { task, status }
        }
    })
}

async fn task_name(tx: &mut Tx, id: TaskId) -> Result<(String, TaskStatus), StoreError> {
    let task = tasks::get(tx, id).await?;
    let number = HumanRef::task(task.number);
    let name = projects::reference(tx, task.project_id, number).await?;
    Ok((name, task.status))
}
