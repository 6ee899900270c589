//! Who calls a model in an attempt.

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::principal::{CallPurpose, Principal};
use omoi_llm::meter::ModelCaller;
use omoi_store::attempts::Attempt;
use omoi_store::{StoreError, Tx, phases, tasks};

/// Who calls a model in an attempt, as the gateway wants to know it.
///
/// # Errors
/// When the database cannot be read.
pub async fn model_caller(tx: &mut Tx, attempt: &Attempt) -> Result<ModelCaller, StoreError> {
    let mut caller = ModelCaller {
        principal: Principal {
            org: attempt.org_id,
            project: attempt.project_id,
            spec: attempt.spec_id,
            purpose: CallPurpose::Attempt(attempt.id),
        },
        role: attempt.role,
        program: attempt.agent,
        phase: "work".to_owned(),
        task: None,
        task_type: None,
        title: None,
        round: attempt.round + 1,
        n_turns: None,
    };
    match attempt.subject {
        AttemptSubject::SpecPhase { phase } => {
            phase.as_str().clone_into(&mut caller.phase);
            let run = phases::find(tx, attempt.spec_id, phase).await?;
            caller.round = run.map_or(1, |run| run.attempts.max(1));
        }
        AttemptSubject::Task { task_id } => {
            let task = tasks::get(tx, task_id).await?;
            caller.task = Some(task.local_id);
            caller.title = Some(task.title);
            caller.task_type = Some(task.task_type);
        }
        AttemptSubject::TaskChecks { .. }
        | AttemptSubject::BaseSuite
        | AttemptSubject::PlanProofs
        | AttemptSubject::PlanOpinion
        | AttemptSubject::HeadChecks
        | AttemptSubject::Merge { .. } => {}
    }
    Ok(caller)
}
