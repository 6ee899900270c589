//! Decides what waits for a person, or for nobody any more.

use serde_json::json;
use tracing::info;

use omoi_domain::approval::{ApprovalDecision, ApprovalState};
use omoi_domain::audit::{AuditAct, AuditAction};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{ApprovalId, TicketId};
use omoi_domain::lifecycle::approval::{AskedQuestion, approval_of_ticket, decide_approval};
use omoi_store::approvals::{self, Approval};
use omoi_store::tickets::{self, Ticket};
use omoi_store::{StoreError, Tenant, Tx};

use super::TicketCommandError;
use super::change_ticket::given_reason;

/// Answers a question; of many who do at once, one is heard.
///
/// # Errors
/// [`TicketCommandError::Approval`] where it is closed already, or a no says nothing.
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
            is_overdue: approval.deadline_at <= tx.now(),
        };
        let to = decide_approval(question, decision, comment)?;
        close_question(tx, &mut approval, to, comment).await?;
        let told = AuditAct::done_to(AuditAction::ApprovalDecided, approval.ticket_id);
        let told = told.with_after(json!({ "state": to }));
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
        let is_due = approval.state == ApprovalState::Pending && approval.deadline_at <= tx.now();
        if is_due {
            close_question(tx, &mut approval, ApprovalState::TimedOut, None).await?;
        }
        Ok::<_, StoreError>(is_due)
    });
    if expired.await? {
        info!(approval.id = %id, "Nobody decided about `{id}` in time");
    }
    Ok(())
}

/// Reads a question with what it is about locked: nobody else closes it meanwhile.
async fn approval_to_close(tx: &mut Tx, id: ApprovalId) -> Result<Approval, StoreError> {
    let ticket = approvals::get(tx, id).await?.ticket_id;
    tickets::hold_ticket(tx, ticket).await?;
    approvals::get(tx, id).await
}

async fn close_question(
    tx: &mut Tx,
    approval: &mut Approval,
    to: ApprovalState,
    comment: Option<&str>,
) -> Result<(), StoreError> {
    approvals::close_approval(tx, approval, to, comment).await?;
    let mut ticket = tickets::get(tx, approval.ticket_id).await?;
    tickets::set_approval(tx, &mut ticket, approval_of_ticket(to), comment).await
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
