//! The end of an attempt, as its worker tells it.

use omoi_domain::attempt::{AttemptState, Outcome, Subject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::retry::ErrorClass;
use omoi_domain::sandbox::SandboxState;
use omoi_domain::task::TaskStatus;
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_protocol::worker::Complete;
use omoi_store::attempts::{self, Attempt};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx, sandboxes};

use super::{IntakeError, current, take_in, verify};
use crate::platform::Platform;
use crate::tasks::{Unmet, fail, of_attempt, send_back};

/// Applies the end of an attempt to what it was a try at. Takes effect once.
///
/// # Errors
/// [`IntakeError::Superseded`] when the attempt is over already.
pub async fn complete(
    platform: &Platform,
    attempt: &Attempt,
    body: Complete,
) -> Result<(), IntakeError> {
    let verdict = match (attempt.subject, body.outcome) {
        (Subject::Task, Outcome::Succeeded) => Some(judge(platform, attempt, &body).await?),
        _ => None,
    };
    let mut tx = platform.store.write().await?;
    let mut now = current(&mut tx, attempt.id).await?;
    let worked = matches!(body.outcome, Outcome::Succeeded | Outcome::Incomplete);
    if now.subject == Subject::Task && now.state != AttemptState::Running && worked {
        let why = "the worker tells of work but never reported its start";
        return Err(IntakeError::Refused(why.to_owned()));
    }
    now.stop_reason = Some(body.stop_reason.clone());
    now.error_class.clone_from(&body.error_class);
    now.error_message.clone_from(&body.error_message);
    if let Some(Ok(head)) = &verdict {
        now.head_sha = Some(head.as_str().to_owned());
    }
    let task = of_attempt(&mut tx, &now).await?;
    let state = match (now.state, body.outcome.state()) {
        // A worker that fails before it reported its start never ran.
        (AttemptState::Pending | AttemptState::Starting, AttemptState::Incomplete) => {
            AttemptState::Failed
        }
        (_, state) => state,
    };
    attempts::transition(&mut tx, &mut now, state).await?;
    close_sandbox(&mut tx, &now).await?;
    if let Some(task) = task {
        apply(&mut tx, platform, task, body, verdict).await?;
    }
    tx.commit(CrashPoint::AttemptEnded).await?;
    Ok(())
}

async fn close_sandbox(tx: &mut Tx, attempt: &Attempt) -> Result<(), StoreError> {
    let mut sandbox = sandboxes::of_attempt(tx, attempt.id).await?;
    if sandbox.state == SandboxState::Running {
        let scope = (attempt.project_id, attempt.spec_id);
        sandboxes::transition(tx, scope, &mut sandbox, SandboxState::Completing).await?;
    }
    Ok(())
}

/// Imports what a task's agent made and says whether it may go to its checks.
async fn judge(
    platform: &Platform,
    attempt: &Attempt,
    body: &Complete,
) -> Result<Result<ObjectId, Unmet>, IntakeError> {
    if !body.refused_paths.is_empty() {
        return Ok(Err(verify::outside_workspace(&body.refused_paths)));
    }
    let (task, spec) = {
        let mut tx = platform.store.read().await?;
        let Some(task) = of_attempt(&mut tx, attempt).await? else {
            return Err(IntakeError::Superseded);
        };
        let spec = omoi_store::specs::get(&mut tx, task.spec_id).await?;
        (task, spec)
    };
    let Some(bundle) = &body.bundle else {
        return Ok(Err(verify::no_change()));
    };
    let mirror = platform.mirror(attempt.project_id).await?;
    let head = match take_in(&mirror, attempt, bundle).await {
        Ok(head) => head,
        Err(IntakeError::Import(omoi_git::import::ImportError::Refused(refusal))) => {
            return Ok(Err(verify::refused(&refusal)));
        }
        Err(other) => return Err(other),
    };
    let subject = verify::Work {
        mirror: &mirror,
        task: &task,
        spec: &spec,
        head: &head,
    };
    if let Some(unmet) = verify::verify(subject).await? {
        return Ok(Err(unmet));
    }
    let branch = RefName::branch(&task.branch)?;
    let before = mirror.read_ref(&branch).await?;
    if before.as_ref() != Some(&head) {
        mirror
            .update_ref_cas(&branch, &head, before.as_ref(), CrashPoint::RefMoved)
            .await?;
    }
    Ok(Ok(head))
}

async fn apply(
    tx: &mut Tx,
    platform: &Platform,
    mut task: Task,
    body: Complete,
    verdict: Option<Result<ObjectId, Unmet>>,
) -> Result<(), StoreError> {
    task.summary = body.summary.clone().or(task.summary);
    match (body.outcome, verdict) {
        (Outcome::Succeeded, Some(Ok(head))) => {
            task.head_sha = Some(head.as_str().to_owned());
            tasks::transition(tx, &mut task, TaskStatus::PendingValidation, None).await
        }
        (Outcome::Succeeded, Some(Err(unmet))) => send_back(tx, &mut task, unmet).await,
        (Outcome::Succeeded, None) => Ok(()),
        (Outcome::Incomplete, _) => send_back(tx, &mut task, incomplete(&body)).await,
        (Outcome::Failed, _) => {
            let class = body.error_class.as_deref().and_then(ErrorClass::parse);
            let message = body
                .error_message
                .as_deref()
                .unwrap_or("the agent gave no reason");
            fail(
                tx,
                platform,
                &mut task,
                class.unwrap_or(ErrorClass::Unknown),
                message,
            )
            .await
        }
        (Outcome::Interrupted, _) => {
            let reason = Some(format!("interrupted: {}", body.stop_reason));
            tasks::transition(tx, &mut task, TaskStatus::Pending, reason).await
        }
    }
}

fn incomplete(body: &Complete) -> Unmet {
    Unmet {
        code: "incomplete",
        feedback: format!(
            "the attempt ended before it was done ({})",
            body.stop_reason
        ),
        recommendations: vec!["Go on from the work on the branch and finish it.".to_owned()],
    }
}
