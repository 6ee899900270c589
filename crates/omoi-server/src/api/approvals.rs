//! Operations on what waits for a person's yes.

mod decide_approval;
mod get_approval;
mod list_approvals;

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::approval::ApprovalState;
use omoi_domain::id::{ApprovalId, HumanRef};
use omoi_domain::lifecycle::approval::allowed_decisions;
use omoi_protocol::api::{ApprovalSubject, ApprovalView, EXAMPLE_APPROVAL};
use omoi_store::approvals::Approval;
use omoi_store::{StoreError, Tx, merges, projects, specs, tasks, tickets};

use super::ApiSurface;
use super::router::{ApiRouter, operation};

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            list_approvals::list_approvals,
            InvalidCursor,
            NotFound
        ))
        .add(operation!(get_approval::get_approval, NotFound))
        .add(operation!(
            decide_approval::decide_approval,
            NotFound,
            InvalidTransition,
            Conflict
        ))
}

/// Which question.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ApprovalPath {
    /// Row id of the question.
    #[param(example = json!(EXAMPLE_APPROVAL))]
    approval_id: ApprovalId,
}

/// Questions as people see them, in the order given.
pub(super) async fn approval_views(
    tx: &mut Tx,
    rows: Vec<Approval>,
) -> Result<Vec<ApprovalView>, StoreError> {
    let names = projects::names(tx).await?;
    let mut subjects = BTreeMap::new();
    let mut conflicts = BTreeMap::new();
    for approval in &rows {
        if let Some(merge) = approval.merge_id {
            conflicts.insert(approval.id, merges::get(tx, merge).await?.conflicts.0);
        }
        let (id, number, title) = match (approval.task_id, approval.ticket_id, approval.spec_id) {
            (Some(task), ..) => {
                let task = tasks::get(tx, task).await?;
                (task.id.as_uuid(), HumanRef::task(task.number), task.title)
            }
            (None, Some(ticket), _) => {
                let ticket = tickets::get(tx, ticket).await?;
                (
                    ticket.id.as_uuid(),
                    HumanRef::ticket(ticket.number),
                    ticket.title,
                )
            }
            (None, None, Some(spec)) => {
                let spec = specs::get(tx, spec).await?;
                (spec.id.as_uuid(), HumanRef::spec(spec.number), spec.title)
            }
            (None, None, None) => {
                let project = projects::get(tx, approval.project_id).await?;
                let subject = ApprovalSubject {
                    id: project.id.as_uuid(),
                    name: project.name.clone(),
                    title: project.name,
                };
                subjects.insert(approval.id, subject);
                continue;
            }
        };
        let name = names.reference(approval.project_id, number);
        subjects.insert(approval.id, ApprovalSubject { id, name, title });
    }
    let views = rows.into_iter().filter_map(|approval| {
        let subject = subjects.remove(&approval.id)?;
        let conflicts = conflicts.remove(&approval.id).unwrap_or_default();
        let view = view_of(approval, subject);
        Some(ApprovalView { conflicts, ..view })
    });
    Ok(views.collect())
}

/// A question as people see it.
pub(super) async fn approval_view(tx: &mut Tx, row: Approval) -> Result<ApprovalView, StoreError> {
    let id = row.id;
    let views = approval_views(tx, vec![row]).await?.pop();
    views.ok_or_else(|| StoreError::NotFound {
        what: "approval",
        key: id.to_string(),
    })
}

fn view_of(approval: Approval, subject: ApprovalSubject) -> ApprovalView {
    let decisions = match approval.state {
        ApprovalState::Pending => allowed_decisions(approval.kind),
        ApprovalState::Approved
        | ApprovalState::Rejected
        | ApprovalState::Answered
        | ApprovalState::TimedOut
        | ApprovalState::Withdrawn => &[],
    };
    ApprovalView {
        id: approval.id,
        kind: approval.kind,
        project_id: approval.project_id,
        subject,
        state: approval.state,
        allowed_decisions: decisions.to_vec(),
        requested_by: approval.actor.into(),
        requested_at: approval.created_at.into(),
        deadline_at: approval.deadline_at.map(Into::into),
        decided_by_id: approval.decided_by_id,
        decided_at: approval.decided_at.map(Into::into),
        comment: approval.comment,
        question: approval.question,
        choices: approval.choices.0,
        conflicts: Vec::new(),
        gate_phase: approval.gate_phase,
        target_phase: approval.target_phase,
    }
}
