//! Tickets and their comments as people see them.

use omoi_domain::id::{CommentId, HumanRef, TicketId};
use omoi_protocol::api::{
    CommentView, GateResultView, TicketDependencyRefs, TicketHistoryEntry, TicketTaskCounts,
    TicketView,
};
use omoi_store::comments::{self, Comment};
use omoi_store::phase_gate_results::{self, GateResult};
use omoi_store::projects::{self, ProjectNames};
use omoi_store::state_transitions::StateTransition;
use omoi_store::tickets::{self, Ticket, TicketSurroundings};
use omoi_store::{StoreError, Tx};

/// Tickets as people see them, in the order given.
pub(super) async fn ticket_views(
    tx: &mut Tx,
    rows: Vec<Ticket>,
) -> Result<Vec<TicketView>, StoreError> {
    let names = projects::names(tx).await?;
    let ids: Vec<TicketId> = rows.iter().map(|ticket| ticket.id).collect();
    let mut around = tickets::surroundings_of(tx, &ids).await?;
    let mut gates = phase_gate_results::newest_of_tickets(tx, &ids).await?;
    let views = rows.into_iter().map(|ticket| {
        let around = around.remove(&ticket.id).unwrap_or_default();
        let gate = gates.remove(&ticket.id);
        view_of(&names, ticket, around, gate)
    });
    Ok(views.collect())
}

/// A ticket as people see it.
pub(super) async fn ticket_view(tx: &mut Tx, ticket: Ticket) -> Result<TicketView, StoreError> {
    let names = projects::names(tx).await?;
    let mut around = tickets::surroundings_of(tx, &[ticket.id]).await?;
    let around = around.remove(&ticket.id).unwrap_or_default();
    let mut gates = phase_gate_results::newest_of_tickets(tx, &[ticket.id]).await?;
    let gate = gates.remove(&ticket.id);
    Ok(view_of(&names, ticket, around, gate))
}

/// What a gate said as people see it.
pub(super) fn gate_result_view(row: GateResult) -> GateResultView {
    GateResultView {
        id: row.id,
        ticket_id: row.ticket_id,
        phase_id: row.phase_id,
        to_phase: row.to_phase,
        gate_status: row.gate_status,
        blocking_reasons: row.blocking_reasons.0,
        artifacts_collected: row.artifacts.0,
        receipts: row.receipts.0,
        checked_by: row.actor.into(),
        checked_at: row.created_at.into(),
    }
}

fn view_of(
    names: &ProjectNames,
    ticket: Ticket,
    around: TicketSurroundings,
    gate: Option<GateResult>,
) -> TicketView {
    let number = HumanRef::ticket(ticket.number);
    let named = |numbers: Vec<i64>| -> Vec<String> {
        let numbers = numbers.into_iter().map(HumanRef::ticket);
        numbers.map(|number| number.to_string()).collect()
    };
    TicketView {
        id: ticket.id,
        ticket_ref: number.to_string(),
        name: names.reference(ticket.project_id, number),
        project_id: ticket.project_id,
        title: ticket.title,
        description: ticket.description,
        priority: ticket.priority,
        status: ticket.status,
        phase_id: ticket.phase_id,
        previous_phase_id: ticket.previous_phase_id,
        // What works for the ticket alone is no plan that it is of.
        spec_id: ticket.spec_id.filter(|_| around.spec.is_some()),
        workflow_mode: ticket.workflow_mode,
        check_commands: ticket.check_commands.0,
        run_ref: around.run.map(|run| HumanRef::spec(run).to_string()),
        evidence: around.evidence,
        spec_ref: around.spec.map(|spec| HumanRef::spec(spec).to_string()),
        approval_status: ticket.approval_status,
        is_blocked: ticket.is_blocked,
        blocked_reason: ticket.blocked_reason,
        blocked_detail: ticket.blocked_detail,
        blocked_at: ticket.blocked_at.map(Into::into),
        user_id: ticket.user_id,
        assignee_id: ticket.assignee_id,
        labels: ticket.labels.0,
        dependencies: TicketDependencyRefs {
            blocked_by: named(around.waits_for),
            blocks: named(around.holds_up),
        },
        task_counts: TicketTaskCounts {
            total: around.n_tasks,
            completed: around.n_tasks_completed,
        },
        n_comments: around.n_comments,
        gate_result: gate.map(gate_result_view),
        version: ticket.state_version,
        created_at: ticket.created_at.into(),
        updated_at: ticket.updated_at.into(),
    }
}

/// A change of a ticket as people see it.
pub(super) fn history_entry(row: StateTransition) -> TicketHistoryEntry {
    TicketHistoryEntry {
        id: row.id,
        field: row.field,
        from_value: row.from_value,
        to_value: row.to_value,
        reason: row.reason,
        actor: row.actor.into(),
        occurred_at: row.occurred_at.into(),
    }
}

/// Comments as people see them, in the order given; of what was taken away nothing but that it was there.
pub(super) async fn comment_views(
    tx: &mut Tx,
    rows: Vec<Comment>,
) -> Result<Vec<CommentView>, StoreError> {
    let ids: Vec<CommentId> = rows.iter().map(|comment| comment.id).collect();
    let mut mentioned = comments::mentions_of(tx, &ids).await?;
    let views = rows.into_iter().map(|comment| {
        let is_there = comment.deleted_at.is_none();
        let mentions = mentioned.remove(&comment.id).unwrap_or_default();
        CommentView {
            id: comment.id,
            ticket_id: comment.ticket_id,
            author: comment.actor.into(),
            content: is_there.then_some(comment.content),
            mentions: if is_there { mentions } else { Vec::new() },
            edited_at: comment.edited_at.map(Into::into),
            deleted_at: comment.deleted_at.map(Into::into),
            version: comment.state_version,
            created_at: comment.created_at.into(),
            updated_at: comment.updated_at.into(),
        }
    });
    Ok(views.collect())
}
