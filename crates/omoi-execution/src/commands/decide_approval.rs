//! Decides what waits for a person, or for nobody any more.

use serde_json::json;
use tracing::info;

use omoi_domain::approval::{ApprovalDecision, ApprovalKind, ApprovalState};
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{ApprovalId, SpecId, TicketId};
use omoi_domain::lifecycle::approval::{
    ApprovalRefusal, AskedQuestion, approval_of_ticket, decide_approval,
};
use omoi_domain::lifecycle::phase::phase_asked_about;
use omoi_domain::lifecycle::spec::{EditedPhase, return_phase};
use omoi_domain::spec::PhaseState;
use omoi_store::approvals::{self, Approval};
use omoi_store::specs;
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tenant, Tx, phases};

use super::TicketCommandError;
use super::change_ticket::given_reason;
use crate::specs::apply_to_spec;

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
    let (Some(spec), Some(phase)) = (approval.spec_id, phase_asked_about(approval.kind)) else {
        return Ok(false);
    };
    let run = phases::ensure(tx, spec, phase).await?;
    Ok(run.state != PhaseState::Passed || run.output_digest != approval.output_digest)
}

/// Reads a question with what it is about locked: nobody else closes it meanwhile.
async fn approval_to_close(tx: &mut Tx, id: ApprovalId) -> Result<Approval, StoreError> {
    let about = approvals::get(tx, id).await?;
    if let Some(ticket) = about.ticket_id {
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
    }
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
