//! Decides what waits for a person, or for nobody any more.

use serde_json::json;
use tracing::info;

use omoi_domain::approval::{ApprovalDecision, ApprovalKind, ApprovalState};
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::block::TaskBlock;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{ApprovalId, SpecId, TaskId, TicketId, UserId};
use omoi_domain::lifecycle::approval::{
    ApprovalRefusal, AskedQuestion, approval_of_ticket, decide_approval,
};
use omoi_domain::lifecycle::phase::phase_asked_about;
use omoi_domain::lifecycle::spec::{EditedPhase, return_phase};
use omoi_domain::lifecycle::task::requeue_task;
use omoi_domain::lifecycle::ticket::TicketTarget;
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::phase::Phase;
use omoi_domain::spec::{PhaseState, SpecStatus};
use omoi_domain::ticket::TicketBlockReason;
use omoi_protocol::worker::told_message;
use omoi_store::approvals::{self, Approval};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{
    StoreError, Tenant, Tx, attempts, messages, phases, repository_trusts, specs, tasks,
};

use super::TicketCommandError;
use super::change_ticket::given_reason;
use super::decide_conflict::{is_conflict_over, settle_conflict};
use crate::specs::apply_to_spec;
use crate::tasks::apply_to_task;
use crate::tickets::{PersonMove, go_on_to_end, move_for_person};

/// Answers a question; of many who do at once, one is heard.
///
/// # Errors
/// [`TicketCommandError::Approval`] where it is closed already, is about what is another by now, or a no says nothing.
pub async fn answer_approval(
    tenant: &Tenant,
    id: ApprovalId,
    decision: ApprovalDecision,
    comment: Option<&str>,
) -> Result<Approval, TicketCommandError> {
    let comment = given_reason(comment, false)?;
    let answered = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let mut approval = approval_to_close(tx, id).await?;
        let question = AskedQuestion {
            kind: approval.kind,
            state: approval.state,
            is_overdue: is_due(tx, &approval),
            is_outdated: is_outdated(tx, &approval).await?,
        };
        let to = decide_approval(question, decision, comment)?;
        close_question(tx, &mut approval, to, comment).await?;
        let decided = AuditAction::ApprovalDecided;
        let told = match (approval.ticket_id, approval.spec_id) {
            (Some(ticket), _) => AuditAct::done_to(decided, ticket),
            (None, Some(spec)) => AuditAct::done_to(decided, spec),
            (None, None) => AuditAct::done_to(decided, approval.project_id),
        };
        let told = told.with_after(json!({ "kind": approval.kind, "state": to }));
        tx.record_act(match comment {
            Some(comment) => told.with_reason(comment),
            None => told,
        });
        Ok(approval)
    });
    answered.await
}

/// Closes a question that nobody answered in time; one that was answered meanwhile stays as it is.
///
/// # Errors
/// When the database cannot be written.
pub async fn expire_approval(tenant: &Tenant, id: ApprovalId) -> Result<(), StoreError> {
    let expired = tenant.write(CrashPoint::TicketChanged, async |tx| {
        let mut approval = approval_to_close(tx, id).await?;
        let expires = approval.state == ApprovalState::Pending && is_due(tx, &approval);
        if expires {
            let to = ApprovalState::TimedOut;
            approvals::close_approval(tx, &mut approval, to, None).await?;
            settle_ticket(tx, &approval, to, None).await?;
        }
        Ok::<_, StoreError>(expires)
    });
    if expired.await? {
        info!(approval.id = %id, "Nobody decided about `{id}` in time");
    }
    Ok(())
}

fn is_due(tx: &Tx, approval: &Approval) -> bool {
    approval.deadline_at.is_some_and(|at| at <= tx.now())
}

/// Whether the output of a phase that a question is about is another by now, or is not accepted any more.
async fn is_outdated(tx: &mut Tx, approval: &Approval) -> Result<bool, StoreError> {
    if let (Some(phase), Some(ticket)) = (approval.gate_phase, approval.ticket_id) {
        return Ok(tickets::get(tx, ticket).await?.phase_id != phase);
    }
    if let Some(merge) = approval.merge_id {
        return is_conflict_over(tx, merge).await;
    }
    if let Some(task) = approval.task_id {
        return Ok(tasks::get(tx, task).await?.blocked_by != Some(TaskBlock::Question));
    }
    let (Some(spec), Some(phase)) = (approval.spec_id, read_phase(approval.kind)) else {
        return Ok(false);
    };
    if approval.kind == ApprovalKind::Question {
        let status = specs::get(tx, spec).await?.status;
        if status != SpecStatus::Executing {
            return Ok(true);
        }
    }
    let run = phases::ensure(tx, spec, phase).await?;
    Ok(run.state != PhaseState::Passed || run.output_digest != approval.output_digest)
}

/// The phase of a spec whose output people read to decide.
fn read_phase(kind: ApprovalKind) -> Option<Phase> {
    match kind {
        ApprovalKind::Question => Some(Phase::Explore),
        other => phase_asked_about(other),
    }
}

/// Reads a question with what it is about locked: nobody else closes it meanwhile.
async fn approval_to_close(tx: &mut Tx, id: ApprovalId) -> Result<Approval, StoreError> {
    let about = approvals::get(tx, id).await?;
    if let Some(task) = about.task_id {
        // Before its ticket: rows are locked in one order.
        let spec = tasks::get(tx, task).await?.spec_id;
        tasks::hold_of_spec(tx, spec).await?;
    }
    if let Some(ticket) = about.ticket_id {
        if about.gate_phase.is_some() {
            tasks::hold_around_ticket(tx, ticket).await?;
        }
        tickets::hold_ticket(tx, ticket).await?;
    }
    if let Some(spec) = about.spec_id {
        specs::hold_spec(tx, spec).await?;
    }
    approvals::get(tx, id).await
}

async fn close_question(
    tx: &mut Tx,
    approval: &mut Approval,
    to: ApprovalState,
    comment: Option<&str>,
) -> Result<(), TicketCommandError> {
    approvals::close_approval(tx, approval, to, comment).await?;
    match approval.kind {
        ApprovalKind::Ticket => Ok(settle_ticket(tx, approval, to, comment).await?),
        ApprovalKind::SpecRequirements | ApprovalKind::SpecDesign => {
            settle_output(tx, approval, to, comment).await
        }
        ApprovalKind::RepositoryTrust => Ok(settle_trust(tx, approval, to).await?),
        ApprovalKind::PhaseGate => settle_gate(tx, approval, to, comment).await,
        ApprovalKind::MergeConflict => settle_conflict(tx, approval, to, comment).await,
        ApprovalKind::Question => match approval.task_id {
            Some(task) => Ok(settle_answer(tx, approval, task, comment).await?),
            // What planning left open is read with its answer where the next phase begins.
            None => Ok(()),
        },
    }
}

/// A yes lets a ticket pass the gate that refused it, and be closed where nothing else is open; with a no it stays held up, and
/// says why.
async fn settle_gate(
    tx: &mut Tx,
    approval: &Approval,
    to: ApprovalState,
    comment: Option<&str>,
) -> Result<(), TicketCommandError> {
    let (Some(ticket), Some(target)) = (approval.ticket_id, approval.target_phase) else {
        return Ok(());
    };
    let mut ticket = tickets::get(tx, ticket).await?;
    if to != ApprovalState::Approved {
        let detail = comment.map(ToOwned::to_owned);
        let reason = TicketBlockReason::FailingChecks;
        return Ok(tickets::block_ticket(tx, &mut ticket, reason, detail).await?);
    }
    let passed = AuditAct::done_to(AuditAction::GateOverridden, ticket.id);
    let passed = passed.with_after(json!({ "phase_id": ticket.phase_id, "to_phase": target }));
    tx.record_act(passed.with_reason(comment.unwrap_or_default()));
    let wanted = PersonMove {
        target: TicketTarget::Phase(target),
        is_forced: true,
        reason: comment.or(approval.question.as_deref()),
    };
    move_for_person(tx, &mut ticket, wanted).await?;
    Ok(go_on_to_end(tx, &mut ticket).await?)
}

/// A yes is to the text of the file that people were asked about, and to no other.
async fn settle_trust(
    tx: &mut Tx,
    approval: &Approval,
    to: ApprovalState,
) -> Result<(), StoreError> {
    let Some(digest) = &approval.output_digest else {
        return Ok(());
    };
    if to != ApprovalState::Approved {
        return Ok(());
    }
    let trusted = AuditAct::done_to(AuditAction::RepositoryTrusted, approval.project_id);
    tx.record_act(trusted.with_after(json!({ "file_digest": digest })));
    repository_trusts::keep(tx, UserId::LOCAL, approval.project_id, digest).await
}

/// Tells the agent that asked: the answer is what its saved attempt goes on with.
async fn settle_answer(
    tx: &mut Tx,
    approval: &Approval,
    task: TaskId,
    comment: Option<&str>,
) -> Result<(), StoreError> {
    let answer = comment.unwrap_or_default();
    let (kind, sender) = (MessageType::UserMessage, MessageSender::User);
    let mut task = tasks::get(tx, task).await?;
    let told = told_message(sender, kind, answer);
    let is_told = match approval.attempt_id {
        Some(attempt) => attempts::add_to_last_turn(tx, attempt, &told).await?,
        None => false,
    };
    if !is_told {
        messages::queue(tx, &task, kind, answer, sender).await?;
    }
    let actions = requeue_task("a person answered".to_owned());
    apply_to_task(tx, &mut task, actions).await
}

async fn settle_ticket(
    tx: &mut Tx,
    approval: &Approval,
    to: ApprovalState,
    comment: Option<&str>,
) -> Result<(), StoreError> {
    let Some(ticket) = approval.ticket_id else {
        return Ok(());
    };
    let mut ticket = tickets::get(tx, ticket).await?;
    tickets::set_approval(tx, &mut ticket, approval_of_ticket(to), comment).await
}

/// A no sends the output back to its phase; with a yes planning goes on by itself.
async fn settle_output(
    tx: &mut Tx,
    approval: &Approval,
    to: ApprovalState,
    comment: Option<&str>,
) -> Result<(), TicketCommandError> {
    let (Some(spec), Some(phase)) = (approval.spec_id, phase_asked_about(approval.kind)) else {
        return Ok(());
    };
    if to != ApprovalState::Rejected {
        return Ok(());
    }
    let mut spec = specs::get(tx, spec).await?;
    let run = phases::ensure(tx, spec.id, phase).await?;
    let of = EditedPhase {
        spec: spec.status,
        phase,
        state: run.state,
    };
    let actions = return_phase(of, comment.unwrap_or_default());
    let actions = actions.map_err(|_| ApprovalRefusal::Outdated)?;
    Ok(apply_to_spec(tx, &mut spec, actions, false).await?)
}

/// Answers the question whether a ticket may be worked on.
///
/// # Errors
/// As [`answer_approval`]; [`TicketCommandError::NotAsked`] where nobody was asked.
pub async fn decide_ticket(
    tenant: &Tenant,
    ticket: TicketId,
    decision: ApprovalDecision,
    comment: Option<&str>,
) -> Result<Ticket, TicketCommandError> {
    let asked = tenant.read(async |tx| approvals::newest_of_ticket(tx, ticket).await);
    let asked = asked.await?.ok_or(TicketCommandError::NotAsked)?;
    answer_approval(tenant, asked.id, decision, comment).await?;
    let decided = tenant.read(async |tx| tickets::get(tx, ticket).await);
    Ok(decided.await?)
}

/// Answers the newest question of `kind` about what a phase of a spec made.
///
/// # Errors
/// As [`answer_approval`]; [`TicketCommandError::NotAsked`] where nobody was asked.
pub async fn decide_output(
    tenant: &Tenant,
    spec: SpecId,
    kind: ApprovalKind,
    said: PersonSaid<'_>,
) -> Result<Approval, TicketCommandError> {
    let asked = tenant.read(async |tx| approvals::of_spec(tx, spec).await);
    let mut asked = asked.await?;
    asked.retain(|approval| approval.kind == kind);
    let newest = asked.pop().ok_or(TicketCommandError::NotAsked)?;
    answer_approval(tenant, newest.id, said.decision, said.comment).await
}

/// What a person says to a question.
#[derive(Clone, Copy, Debug)]
pub struct PersonSaid<'a> {
    /// Yes or no.
    pub decision: ApprovalDecision,
    /// Why.
    pub comment: Option<&'a str>,
}
