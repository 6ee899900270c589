//! The inbox of questions to people.

use uuid::Uuid;

use omoi_domain::actor::Actor;
use omoi_domain::approval::{ApprovalKind, ApprovalState};
use omoi_domain::event::{ApprovalChange, EventKind};
use omoi_domain::id::{
    ApprovalId, AttemptId, MergeId, OrgId, ProjectId, SpecId, TaskId, TicketId, UserId,
};
use omoi_domain::machine::transition as rule;
use omoi_domain::merge::ConflictSide;
use omoi_domain::time::Timestamp;
use omoi_domain::workflow::PhaseId;

use crate::args;
use crate::column::{Column, Json};
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::merges::Merge;
use crate::notifications;
use crate::row::{row, versioned};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::specs::Spec;
use crate::tasks::Task;
use crate::tickets::{self, Ticket};
use crate::tx::Tx;

row! {
    /// A question to people.
    Approval in "approvals" as "approval" {
        /// Its id.
        id: ApprovalId,
        /// Its organisation.
        org_id: OrgId,
        /// The project of what it is about.
        project_id: ProjectId,
        /// What it is about.
        kind: ApprovalKind,
        /// The ticket that it is about, where it is about one.
        ticket_id: Option<TicketId>,
        /// Where it stands.
        state: ApprovalState,
        /// Who asked.
        actor: Actor,
        /// Until when somebody has to decide; none where it waits for as long as it takes.
        deadline_at: Option<Timestamp>,
        /// The person who decided.
        decided_by_id: Option<UserId>,
        /// When they did, or it was too late.
        decided_at: Option<Timestamp>,
        /// What they said.
        comment: Option<String>,
        /// Guards updates.
        state_version: i64,
        /// When it was asked.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
        /// The spec that it is about, where it is about one.
        spec_id: Option<SpecId>,
        /// Digest of the output of a phase that it is about: a yes is to this one and to no other.
        output_digest: Option<String>,
        /// The task whose agent asks, where one does; the ticket is that of the task.
        task_id: Option<TaskId>,
        /// The attempt that asked, and is saved until somebody answers.
        attempt_id: Option<AttemptId>,
        /// What is asked, or what a gate lacks.
        question: Option<String>,
        /// What may be answered; anything where it is empty.
        choices: Json<Vec<String>>,
        /// The phase whose gate refused, where one did.
        gate_phase: Option<PhaseId>,
        /// Where the ticket goes with a yes to that.
        target_phase: Option<PhaseId>,
        /// The merge whose conflict it is about, where it is about one; the task is the one whose commits conflict.
        merge_id: Option<MergeId>,
    }
}
versioned!(Approval by id in "approvals" { state, decided_by_id, decided_at, comment, updated_at });

impl ListedRow for Approval {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[SortColumn {
        name: "created_at",
        sql: "created_at",
        value: SortValue::Instant,
        of_row: |approval| approval.created_at.as_micros(),
    }];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

impl Approval {
    /// A question of `kind` that whoever acts asks now.
    fn asked_now(tx: &Tx, project: ProjectId, kind: ApprovalKind) -> Self {
        Self {
            id: tx.new_id(),
            org_id: tx.org(),
            project_id: project,
            kind,
            ticket_id: None,
            state: ApprovalState::Pending,
            actor: tx.current_actor(),
            deadline_at: None,
            decided_by_id: None,
            decided_at: None,
            comment: None,
            state_version: 0,
            created_at: tx.now(),
            updated_at: tx.now(),
            spec_id: None,
            output_digest: None,
            task_id: None,
            attempt_id: None,
            question: None,
            choices: Json(Vec::new()),
            gate_phase: None,
            target_phase: None,
            merge_id: None,
        }
    }

    fn change(&self) -> ApprovalChange {
        ApprovalChange {
            approval_id: self.id,
            ticket_id: self.ticket_id,
            spec_id: self.spec_id,
            task_id: self.task_id,
            approval_kind: self.kind,
            approval_state: self.state,
        }
    }
}

/// Asks people whether `ticket` may be worked on, until `deadline`.
///
/// # Errors
/// [`StoreError::Exists`] where they are asked already.
pub async fn ask_about_ticket(
    tx: &mut Tx,
    ticket: &Ticket,
    deadline: Timestamp,
) -> Result<Approval, StoreError> {
    let approval = Approval {
        ticket_id: Some(ticket.id),
        deadline_at: Some(deadline),
        ..Approval::asked_now(tx, ticket.project_id, ApprovalKind::Ticket)
    };
    put_question(tx, approval, ticket.spec_id).await
}

/// Writes a question, tells of it, and lets those know who may decide.
async fn put_question(
    tx: &mut Tx,
    approval: Approval,
    spec: Option<SpecId>,
) -> Result<Approval, StoreError> {
    tx.insert(&approval).await?;
    let scope = (Some(approval.project_id), spec);
    tx.emit_kind(scope, EventKind::ApprovalRequested, &approval.change())?;
    notifications::tell_approvers(tx, &approval).await?;
    Ok(approval)
}

/// Asks people whether `ticket` may leave a phase whose gate refused it, for as long as it takes.
///
/// # Errors
/// [`StoreError::Exists`] where they are asked already.
pub async fn ask_about_gate(
    tx: &mut Tx,
    ticket: &Ticket,
    target: PhaseId,
    lacks: String,
) -> Result<Approval, StoreError> {
    let approval = Approval {
        ticket_id: Some(ticket.id),
        question: Some(lacks),
        gate_phase: Some(ticket.phase_id),
        target_phase: Some(target),
        ..Approval::asked_now(tx, ticket.project_id, ApprovalKind::PhaseGate)
    };
    put_question(tx, approval, ticket.spec_id).await
}

/// What an agent, or planning, wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonQuestion {
    /// The question.
    pub question: String,
    /// What may be answered; anything where it is empty.
    pub choices: Vec<String>,
}

/// Asks people what the agent of `task` wants to know, whose `attempt` is saved until they answer.
///
/// # Errors
/// [`StoreError::Exists`] where the task waits for an answer already.
pub async fn ask_for_task(
    tx: &mut Tx,
    task: &Task,
    attempt: AttemptId,
    asked: PersonQuestion,
) -> Result<Approval, StoreError> {
    let approval = Approval {
        ticket_id: Some(task.ticket_id),
        task_id: Some(task.id),
        attempt_id: Some(attempt),
        question: Some(asked.question),
        choices: Json(asked.choices),
        ..Approval::asked_now(tx, task.project_id, ApprovalKind::Question)
    };
    put_question(tx, approval, Some(task.spec_id)).await
}

/// Asks people what becomes of the conflict of `merge`, whose commits are those of `task`, for as long as it takes.
///
/// # Errors
/// [`StoreError::Exists`] where they are asked already.
pub async fn ask_about_conflict(
    tx: &mut Tx,
    merge: &Merge,
    task: &Task,
    question: String,
) -> Result<Approval, StoreError> {
    let sides = ConflictSide::ALL.iter().map(ToString::to_string);
    let approval = Approval {
        ticket_id: Some(task.ticket_id),
        task_id: Some(task.id),
        merge_id: Some(merge.id),
        question: Some(question),
        choices: Json(sides.collect()),
        ..Approval::asked_now(tx, task.project_id, ApprovalKind::MergeConflict)
    };
    put_question(tx, approval, Some(task.spec_id)).await
}

/// What a person decided last about the conflict of a merge.
///
/// # Errors
/// When the database cannot be read.
pub async fn last_decided_of_merge(
    tx: &mut Tx,
    merge: MergeId,
) -> Result<Option<Approval>, StoreError> {
    tx.find(
        "merge_id = $2 and state in ('approved', 'rejected', 'answered')
         order by created_at desc, id desc limit 1",
        args![merge],
    )
    .await
}

/// Withdraws what people are asked about the conflict of a merge, which has moved on.
///
/// # Errors
/// When the database cannot be written.
pub async fn withdraw_of_merge(tx: &mut Tx, merge: MergeId) -> Result<(), StoreError> {
    let asked = tx.find("merge_id = $2 and state = 'pending'", args![merge]);
    if let Some(mut asked) = asked.await? {
        close_approval(tx, &mut asked, ApprovalState::Withdrawn, None).await?;
    }
    Ok(())
}

/// The same for all merges of a spec that is over.
///
/// # Errors
/// When the database cannot be written.
pub async fn withdraw_conflicts_of_spec(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    let asked = tx.all(
        "state = 'pending' and merge_id in (select id from merges where spec_id = $2)",
        args![spec],
    );
    for mut asked in asked.await? {
        close_approval(tx, &mut asked, ApprovalState::Withdrawn, None).await?;
    }
    Ok(())
}

/// Asks people what planning left open with the output of that digest; an earlier such question is withdrawn.
///
/// # Errors
/// When the database cannot be written.
pub async fn ask_for_spec(
    tx: &mut Tx,
    spec: &Spec,
    output_digest: String,
    question: String,
) -> Result<Approval, StoreError> {
    withdraw_kind(tx, spec.id, ApprovalKind::Question).await?;
    let approval = Approval {
        spec_id: Some(spec.id),
        output_digest: Some(output_digest),
        question: Some(question),
        ..Approval::asked_now(tx, spec.project_id, ApprovalKind::Question)
    };
    put_question(tx, approval, Some(spec.id)).await
}

/// Asks people whether the file of a project's repository with that digest may have what it asks for; a question about another text
/// of it is withdrawn. None where they are asked about this one already.
///
/// # Errors
/// When the database cannot be written.
pub async fn ask_about_repository(
    tx: &mut Tx,
    project: ProjectId,
    file_digest: String,
    asks: String,
) -> Result<Option<Approval>, StoreError> {
    if let Some(mut open) = open_of_repository(tx, project).await? {
        if open.output_digest.as_ref() == Some(&file_digest) {
            return Ok(None);
        }
        close_approval(tx, &mut open, ApprovalState::Withdrawn, None).await?;
    }
    let approval = Approval {
        output_digest: Some(file_digest),
        question: Some(asks),
        ..Approval::asked_now(tx, project, ApprovalKind::RepositoryTrust)
    };
    put_question(tx, approval, None).await.map(Some)
}

/// The question about the file of a project's repository, where one is open.
///
/// # Errors
/// When the database cannot be read.
pub async fn open_of_repository(
    tx: &mut Tx,
    project: ProjectId,
) -> Result<Option<Approval>, StoreError> {
    tx.find(
        "project_id = $2 and kind = 'repository_trust' and state = 'pending'",
        args![project],
    )
    .await
}

async fn withdraw_kind(tx: &mut Tx, spec: SpecId, kind: ApprovalKind) -> Result<(), StoreError> {
    for mut earlier in of_spec(tx, spec).await? {
        if earlier.kind == kind && earlier.state == ApprovalState::Pending {
            close_approval(tx, &mut earlier, ApprovalState::Withdrawn, None).await?;
        }
    }
    Ok(())
}

/// Asks people about what a phase of `spec` made, for as long as it takes; what they were asked about an earlier output of
/// it is withdrawn.
///
/// # Errors
/// When the database cannot be written.
pub async fn ask_about_output(
    tx: &mut Tx,
    spec: &Spec,
    kind: ApprovalKind,
    output_digest: String,
) -> Result<Approval, StoreError> {
    withdraw_kind(tx, spec.id, kind).await?;
    let approval = Approval {
        spec_id: Some(spec.id),
        output_digest: Some(output_digest),
        ..Approval::asked_now(tx, spec.project_id, kind)
    };
    put_question(tx, approval, Some(spec.id)).await
}

/// Withdraws what people are asked about a spec that is not planned any more.
///
/// # Errors
/// When the database cannot be written.
pub async fn withdraw_of_spec(tx: &mut Tx, spec: SpecId) -> Result<(), StoreError> {
    for mut asked in of_spec(tx, spec).await? {
        if asked.state == ApprovalState::Pending {
            close_approval(tx, &mut asked, ApprovalState::Withdrawn, None).await?;
        }
    }
    Ok(())
}

/// The question about the gate of the phase that `ticket` is in, where one is open.
///
/// # Errors
/// When the database cannot be read.
pub async fn open_gate_of_ticket(
    tx: &mut Tx,
    ticket: TicketId,
) -> Result<Option<Approval>, StoreError> {
    tx.find(
        "ticket_id = $2 and kind = 'phase_gate' and state = 'pending'",
        args![ticket],
    )
    .await
}

/// Every question about a task, oldest first: of its agents, and about conflicts of its commits.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_task(tx: &mut Tx, task: TaskId) -> Result<Vec<Approval>, StoreError> {
    tx.all("task_id = $2 order by created_at, id", args![task])
        .await
}

/// Withdraws what the agent of a task asked, which nobody has to answer any more.
///
/// # Errors
/// When the database cannot be written.
pub async fn withdraw_of_task(tx: &mut Tx, task: TaskId) -> Result<(), StoreError> {
    for mut asked in of_task(tx, task).await? {
        if asked.state == ApprovalState::Pending {
            close_approval(tx, &mut asked, ApprovalState::Withdrawn, None).await?;
        }
    }
    Ok(())
}

/// Every question about what the phases of a spec made, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<Vec<Approval>, StoreError> {
    tx.all("spec_id = $2 order by created_at, id", args![spec])
        .await
}

/// Closes a question; whoever acts is who decided.
///
/// # Errors
/// [`StoreError::Transition`], [`StoreError::Conflict`].
pub async fn close_approval(
    tx: &mut Tx,
    approval: &mut Approval,
    to: ApprovalState,
    comment: Option<&str>,
) -> Result<(), StoreError> {
    let kind = rule(approval.state, to)?;
    approval.state = to;
    approval.decided_by_id = match tx.current_actor() {
        Actor::User(user) => Some(user),
        Actor::Key(_) | Actor::Agent(_) | Actor::System => None,
    };
    approval.decided_at = Some(tx.now());
    approval.comment = comment.map(ToOwned::to_owned);
    approval.updated_at = tx.now();
    tx.update(approval).await?;
    notifications::end_approval(tx, approval.id).await?;
    let spec = match approval.ticket_id {
        Some(ticket) => tickets::get(tx, ticket).await?.spec_id,
        None => approval.spec_id,
    };
    tx.emit_kind((Some(approval.project_id), spec), kind, &approval.change())
}

/// The question with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: ApprovalId) -> Result<Approval, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// The newest question whether a ticket may be worked on, where there was one.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest_of_ticket(
    tx: &mut Tx,
    ticket: TicketId,
) -> Result<Option<Approval>, StoreError> {
    tx.find(
        "ticket_id = $2 and kind = 'ticket' order by created_at desc, id desc limit 1",
        args![ticket],
    )
    .await
}

/// Questions with a deadline that nobody has answered, the soonest to be closed first, at most 100.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_pending(tx: &mut Tx) -> Result<Vec<Approval>, StoreError> {
    tx.all(
        "state = 'pending' and deadline_at is not null order by deadline_at, id limit 100",
        args![],
    )
    .await
}

/// How many questions wait for an answer, in one project or in all.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_pending(tx: &mut Tx, project: Option<ProjectId>) -> Result<u32, StoreError> {
    let rows = tx
        .rows(
            "select count(*) as n from approvals
             where org_id = $1 and state = 'pending' and ($2 is null or project_id = $2)",
            args![project],
        )
        .await?;
    rows.first().map_or(Ok(0), |row| u32::read(row, "n"))
}

/// Which questions are listed; an empty list of values takes every one.
#[derive(Clone, Debug, Default)]
pub struct ApprovalFilter {
    /// Those of one of these projects.
    pub projects: Vec<ProjectId>,
    /// Those of one of these kinds.
    pub kinds: Vec<ApprovalKind>,
    /// Those in one of these states.
    pub states: Vec<ApprovalState>,
    /// Those made and changed within this.
    pub window: ListWindow,
}

/// A page of the questions that `filter` takes.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    filter: &ApprovalFilter,
    request: &PageRequest<Approval>,
) -> Result<RowPage<Approval>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("project_id", &filter.projects)?;
    conditions.one_of("kind", &filter.kinds)?;
    conditions.one_of("state", &filter.states)?;
    conditions.within_window(&filter.window)?;
    conditions.read_page(tx, request).await
}
