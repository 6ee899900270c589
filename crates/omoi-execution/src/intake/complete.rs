//! The end of an attempt, as its worker tells it.

use tracing::{debug, info};

use omoi_domain::attempt::{AttemptOutcome, AttemptState, AttemptStopReason, SubjectKind};
use omoi_domain::block::TaskBlock;
use omoi_domain::crash::CrashPoint;
use omoi_domain::lifecycle::attempt::{
    ReportedAttempt, ReportedEnd, Submission, SubmittedWork, TaskFollowUp, after_report,
    end_reported, judge_submission,
};
use omoi_domain::lifecycle::task::UnmetResult;
use omoi_domain::message::MessageSender;
use omoi_domain::retry::ErrorClass;
use omoi_git::import::ImportError;
use omoi_git::mirror::Mirror;
use omoi_git::object::ObjectId;
use omoi_git::refname::RefName;
use omoi_protocol::worker::{AskPerson, ReportComplete};
use omoi_sandbox::ExhaustedLimit;
use omoi_store::approvals::{self, PersonQuestion};
use omoi_store::attempts::{self, Attempt};
use omoi_store::specs::{self, Spec};
use omoi_store::tasks::Task;
use omoi_store::{StoreError, Tenant, Tx, merges, messages, sandboxes};

use super::sent_bundle::{ImportedCommit, import_commit};
use super::verify::{self, TaskWork};
use super::{AttemptIntake, IntakeError, current_attempt};
use crate::attempt::apply_to_attempt;
use crate::failure_policy::FailurePolicy;
use crate::tasks::{follow_up, of_attempt};

/// Applies the end of an attempt to what it was a try at. Takes effect once; told again in the same
/// words it is answered as the first time.
///
/// # Errors
/// [`IntakeError::Superseded`] when the attempt is over already in another way.
pub async fn complete_attempt(
    intake: &AttemptIntake,
    attempt: &Attempt,
    body: ReportComplete,
) -> Result<(), IntakeError> {
    let body = with_limit(body, intake.running.exhausted_limit(attempt.id));
    check_question(&body)?;
    let said = intake
        .store
        .read(async |tx| attempts::get(tx, attempt.id).await)
        .await?;
    if is_repeated(&said, &body) {
        return Ok(());
    }
    if !said.state.is_live() {
        return Err(IntakeError::Superseded);
    }
    info!(
        attempt.id = %attempt.id, outcome = ?body.outcome, reason = %body.stop_reason,
        "Attempt `{}` reports its end", attempt.id
    );
    let result = match (attempt.subject.kind(), body.outcome) {
        (SubjectKind::Task, AttemptOutcome::Succeeded | AttemptOutcome::Incomplete) => {
            take_submission(intake, attempt, &body).await?
        }
        _ => TaskResult::default(),
    };
    let end = async |tx: &mut Tx| {
        let mut attempt = current_attempt(tx, attempt.id).await?;
        check_started(&attempt, &body)?;
        let task = of_attempt(tx, &attempt).await?;
        let actions = end_reported(ReportedAttempt {
            state: attempt.state,
            sandbox: sandboxes::of_attempt(tx, attempt.id).await?.state,
            outcome: body.outcome,
            stop_reason: body.stop_reason,
            class: body.error_class,
            message: body.error_message.clone(),
            head: result.head.as_ref().map(|head| head.as_str().to_owned()),
        });
        apply_to_attempt(tx, &mut attempt, actions).await?;
        match task {
            Some(task) => Ok(move_task(tx, &intake.failures, task, body, result).await?),
            None => Ok(()),
        }
    };
    intake.store.write(CrashPoint::AttemptEnded, end).await
}

/// Refuses work of a worker that never reported its start.
fn check_started(attempt: &Attempt, body: &ReportComplete) -> Result<(), IntakeError> {
    let has_work = matches!(
        body.outcome,
        AttemptOutcome::Succeeded | AttemptOutcome::Incomplete
    );
    let is_task = attempt.subject.kind() == SubjectKind::Task;
    if is_task && has_work && attempt.state != AttemptState::Running {
        let why = "the worker tells of work but never reported its start";
        return Err(IntakeError::Refused(why.to_owned()));
    }
    Ok(())
}

/// Refuses a question that nobody can be asked, or that did not end the attempt.
fn check_question(body: &ReportComplete) -> Result<(), IntakeError> {
    let has_asked = body.stop_reason == AttemptStopReason::QuestionAsked;
    let is_sound = body.question.as_ref().map(AskPerson::is_sound);
    match (has_asked, is_sound) {
        (true, Some(true)) | (false, None) => Ok(()),
        _ => {
            let why = "a question ends its attempt, and is a text of some length";
            Err(IntakeError::Refused(why.to_owned()))
        }
    }
}

/// A worker that was stopped for breaking a limit saved its work and knows of nothing but a stop;
/// the limit is what ended it. A full disk is no fault of the agent's: its work goes on later.
fn with_limit(body: ReportComplete, limit: Option<ExhaustedLimit>) -> ReportComplete {
    match limit {
        Some(_) if body.question.is_some() => body,
        Some(limit) if body.outcome == AttemptOutcome::Interrupted && limit.is_of_the_machine() => {
            ReportComplete {
                stop_reason: AttemptStopReason::DiskLow,
                error_message: Some(format!("stopped: {limit}")),
                ..body
            }
        }
        Some(limit) if body.outcome == AttemptOutcome::Interrupted => ReportComplete {
            outcome: AttemptOutcome::Failed,
            stop_reason: AttemptStopReason::ResourceExhausted,
            error_class: Some(ErrorClass::ResourceExhausted),
            error_message: Some(format!("stopped: {limit}")),
            ..body
        },
        _ => body,
    }
}

/// Whether the attempt ended just as `body` tells.
fn is_repeated(attempt: &Attempt, body: &ReportComplete) -> bool {
    let brought = body.bundle.as_ref().map(|bundle| &bundle.sha);
    !attempt.state.is_live()
        && attempt.state == body.outcome.attempt_state()
        && attempt.stop_reason == Some(body.stop_reason)
        && attempt.error_class == body.error_class
        && attempt.error_message == body.error_message
        && (attempt.head_sha.is_none()
            || brought.is_none_or(|sha| attempt.head_sha.as_ref() == Some(sha)))
}

/// What came of the commits of a task's agent.
#[derive(Default)]
struct TaskResult {
    /// The commit that stays on the task's branch.
    head: Option<ObjectId>,
    /// Why it may not go to its checks.
    unmet: Option<UnmetResult>,
}

/// Imports what a task's agent made, keeps on the task's branch what may stay there and says whether it
/// may go to its checks.
async fn take_submission(
    intake: &AttemptIntake,
    attempt: &Attempt,
    body: &ReportComplete,
) -> Result<TaskResult, IntakeError> {
    let mirror = intake.folders.project_mirror(attempt.project_id).await?;
    let sides = TaskSides::read_sides(intake, attempt).await?;
    let brought = bring_work(&mirror, &sides, attempt, body).await?;
    let (head, work) = match &brought {
        BroughtWork::Refused(why) => (None, SubmittedWork::Refused(why.clone())),
        BroughtWork::Nothing => {
            let ignored_paths = body.ignored_paths.clone();
            (None, SubmittedWork::Missing { ignored_paths })
        }
        BroughtWork::Standing(commit) | BroughtWork::Imported(ImportedCommit { commit, .. }) => {
            let fault = verify::find_fault(&sides.work_at(&mirror, commit)).await?;
            (Some(commit.clone()), SubmittedWork::Found(fault))
        }
    };
    let verdict = judge_submission(Submission {
        is_done: body.outcome == AttemptOutcome::Succeeded,
        work,
        refused_paths: body.refused_paths.clone(),
        unsaved: body.unsaved.clone(),
    });
    let head = head.filter(|_| verdict.keeps_work);
    if let Some(head) = &head {
        keep_on_branch(&intake.store, attempt, (&mirror, &sides.task), head).await?;
    }
    if let BroughtWork::Imported(imported) = brought {
        imported.forget_import(&mirror).await?;
    }
    Ok(TaskResult {
        head,
        unmet: verdict.unmet,
    })
}

/// The commits that the end of an attempt brings.
enum BroughtWork {
    /// They were taken into the mirror.
    Imported(ImportedCommit),
    /// They may not be, and why.
    Refused(String),
    /// The agent says that this work of an earlier round is done.
    Standing(ObjectId),
    /// There are none.
    Nothing,
}

async fn bring_work(
    mirror: &Mirror,
    sides: &TaskSides,
    attempt: &Attempt,
    body: &ReportComplete,
) -> Result<BroughtWork, IntakeError> {
    let Some(bundle) = &body.bundle else {
        let standing = match body.outcome {
            AttemptOutcome::Succeeded => standing_work(&sides.task, attempt)?,
            _ => None,
        };
        return Ok(standing.map_or(BroughtWork::Nothing, BroughtWork::Standing));
    };
    match import_commit(mirror, attempt, bundle).await {
        Ok(imported) => Ok(BroughtWork::Imported(imported)),
        Err(IntakeError::Import(ImportError::Refused(refusal))) => {
            Ok(BroughtWork::Refused(refusal.to_string()))
        }
        Err(other) => Err(other),
    }
}

/// A task and what its commits are measured by.
struct TaskSides {
    task: Task,
    spec: Spec,
    /// For a resolution: the side that comes in.
    incoming: Option<ObjectId>,
    /// Where files lie that were copied from a person's checkout.
    copied: Vec<String>,
}

impl TaskSides {
    async fn read_sides(intake: &AttemptIntake, attempt: &Attempt) -> Result<Self, IntakeError> {
        let copied = intake.copies.copied_paths(attempt.project_id).await?;
        let read = intake.store.read(async |tx| {
            let Some(task) = of_attempt(tx, attempt).await? else {
                return Err(IntakeError::Superseded);
            };
            let spec = specs::get(tx, task.spec_id).await?;
            let incoming = match task.resolves_merge_id {
                Some(id) => Some(ObjectId::parse(&merges::get(tx, id).await?.incoming_sha)?),
                None => None,
            };
            Ok(Self {
                task,
                spec,
                incoming,
                copied: copied.clone(),
            })
        });
        read.await
    }

    fn work_at<'a>(&'a self, mirror: &'a Mirror, head: &'a ObjectId) -> TaskWork<'a> {
        TaskWork {
            mirror,
            task: &self.task,
            spec: &self.spec,
            head,
            incoming: self.incoming.as_ref(),
            copied: &self.copied,
        }
    }
}

/// What an agent that submitted nothing says is done: work of an earlier round that was kept and
/// that no check has refused yet.
fn standing_work(task: &Task, attempt: &Attempt) -> Result<Option<ObjectId>, IntakeError> {
    let from = attempt.base_sha.as_ref();
    let judged = from == task.base_sha.as_ref() || from == task.head_sha.as_ref();
    Ok(match from {
        Some(sha) if !judged => Some(ObjectId::parse(sha)?),
        _ => None,
    })
}

/// Moves the task's branch to what its agent made.
async fn keep_on_branch(
    store: &Tenant,
    attempt: &Attempt,
    of: (&Mirror, &Task),
    head: &ObjectId,
) -> Result<(), IntakeError> {
    let (mirror, task) = of;
    let branch = RefName::from_branch(&task.branch)?;
    let before = mirror.read_ref(&branch).await?;
    if before.as_ref() == Some(head) {
        return Ok(());
    }
    // Time passed since its fence was read; a newer attempt may stand on the branch by now.
    store
        .read(async |tx| current_attempt(tx, attempt.id).await)
        .await?;
    mirror
        .update_ref_cas(&branch, head, before.as_ref(), CrashPoint::RefMoved)
        .await?;
    debug!(task.id = %task.id, commit = %head, "Branch `{branch}` is at {head}");
    Ok(())
}

/// Moves the task of an attempt whose worker told how it ended.
async fn move_task(
    tx: &mut Tx,
    failures: &FailurePolicy,
    mut task: Task,
    body: ReportComplete,
    result: TaskResult,
) -> Result<(), StoreError> {
    let step = after_report(ReportedEnd {
        outcome: body.outcome,
        stop_reason: body.stop_reason,
        error_class: body.error_class,
        error_message: body.error_message,
        unmet: result.unmet,
        is_by_person: is_interrupted_by_person(tx, &task, body.stop_reason).await?,
        question: body.question.as_ref().map(|asked| asked.question.clone()),
    });
    let attempt = task.attempt_id;
    task.summary = body.summary.or(task.summary);
    if step == TaskFollowUp::Validate {
        task.head_sha = result.head.map(|head| head.as_str().to_owned());
    }
    follow_up(tx, failures, &mut task, step).await?;
    match (body.question, attempt) {
        (Some(asked), Some(attempt)) if task.blocked_by == Some(TaskBlock::Question) => {
            let mask = |text: &String| failures.mask.mask_text(text).into_owned();
            let asked = PersonQuestion {
                question: mask(&asked.question),
                choices: asked.choices.iter().map(mask).collect(),
            };
            approvals::ask_for_task(tx, &task, attempt, asked)
                .await
                .map(drop)
        }
        _ => Ok(()),
    }
}

async fn is_interrupted_by_person(
    tx: &mut Tx,
    task: &Task,
    stop_reason: AttemptStopReason,
) -> Result<bool, StoreError> {
    let (AttemptStopReason::Interrupt, Some(attempt)) = (stop_reason, task.attempt_id) else {
        return Ok(false);
    };
    let sender = messages::interrupted_by(tx, task.id, attempt).await?;
    Ok(sender == Some(MessageSender::User))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    fn body(outcome: AttemptOutcome) -> ReportComplete {
        ReportComplete {
            outcome,
            stop_reason: AttemptStopReason::ShutdownSignal,
            summary: None,
            bundle: None,
            error_class: None,
            error_message: None,
            turns: 3,
            refused_paths: Vec::new(),
            unsaved: None,
            ignored_paths: Vec::new(),
            question: None,
        }
    }

    #[test]
    fn a_broken_limit_is_named_as_what_ended_the_attempt() {
        let limit = ExhaustedLimit::Workspace {
            used_bytes: 9,
            limit_bytes: 4,
        };
        let told = with_limit(body(AttemptOutcome::Interrupted), Some(limit));
        assert_eq!(told.outcome, AttemptOutcome::Failed);
        assert_eq!(told.stop_reason, AttemptStopReason::ResourceExhausted);
        assert_eq!(told.error_class, Some(ErrorClass::ResourceExhausted));
        let message = told.error_message.unwrap();
        assert!(message.contains("sandbox.workspace_bytes"), "{message}");
        // The disk of the machine is no limit of the agent's.
        let full = ExhaustedLimit::FreeDisk {
            free_bytes: 1,
            floor_bytes: 2,
            grown_bytes: 3,
        };
        let told = with_limit(body(AttemptOutcome::Interrupted), Some(full));
        assert_eq!(
            (told.outcome, told.stop_reason, told.error_class),
            (
                AttemptOutcome::Interrupted,
                AttemptStopReason::DiskLow,
                None
            )
        );
        // Work that was submitted before counts, and so does a stop that a person asked for.
        for (outcome, limit) in [
            (AttemptOutcome::Succeeded, Some(limit)),
            (AttemptOutcome::Interrupted, None),
        ] {
            assert_eq!(with_limit(body(outcome), limit), body(outcome));
        }
    }
}
