//! Threads: who speaks with whom about what.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use omoi_domain::actor::Actor;
use omoi_domain::event::{Event, EventKind, ThreadChange};
use omoi_domain::id::{OrgId, ProjectId, TaskId, ThreadId, TicketId, UserId};
use omoi_domain::machine::transition as rule;
use omoi_domain::thread::{Participant, ThreadStatus, ThreadSubject, ThreadType};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::row::{row, versioned};
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::tx::Tx;

row! {
    /// A thread of agents and people.
    Thread in "threads" as "thread" {
        /// Its id.
        id: ThreadId,
        /// Its organisation.
        org_id: OrgId,
        /// The project of the work that it is about.
        project_id: ProjectId,
        /// What it is for.
        thread_type: ThreadType,
        /// Whether it takes messages.
        status: ThreadStatus,
        /// The ticket that it is about, where it is about one.
        ticket_id: Option<TicketId>,
        /// The task that it is about, where it is about one.
        task_id: Option<TaskId>,
        /// What tells it from every other open thread of its project.
        subject_key: String,
        /// Who opened it.
        actor: Actor,
        /// When it ended.
        closed_at: Option<Timestamp>,
        /// Guards updates.
        state_version: i64,
        /// When it was opened.
        created_at: Timestamp,
        /// When something was said in it last, or it last changed.
        updated_at: Timestamp,
    }
}
versioned!(Thread by id in "threads" { status, subject_key, closed_at, updated_at });

row! {
    /// That somebody takes part in a thread.
    ThreadParticipant in "thread_participants" as "participant" {
        /// The thread.
        thread_id: ThreadId,
        /// Its organisation.
        org_id: OrgId,
        /// Who takes part.
        participant: Participant,
        /// Since when.
        joined_at: Timestamp,
    }
}

impl ListedRow for Thread {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[
        SortColumn {
            name: "created_at",
            sql: "created_at",
            value: SortValue::Instant,
            of_row: |thread| thread.created_at.as_micros(),
        },
        SortColumn {
            name: "updated_at",
            sql: "updated_at",
            value: SortValue::Instant,
            of_row: |thread| thread.updated_at.as_micros(),
        },
    ];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

impl Thread {
    fn change(&self) -> ThreadChange {
        ThreadChange {
            thread_id: self.id,
            thread_type: self.thread_type,
            thread_status: self.status,
            ticket_id: self.ticket_id,
            task_id: self.task_id,
        }
    }

    fn subject_with(&self, participants: BTreeSet<Participant>) -> ThreadSubject {
        ThreadSubject {
            thread_type: self.thread_type,
            ticket_id: self.ticket_id,
            task_id: self.task_id,
            participants,
        }
    }
}

/// The open thread of `project` about `subject`, and whether it was opened by this. Whoever asks holds the project.
///
/// # Errors
/// When the database cannot be written.
pub async fn open_thread(
    tx: &mut Tx,
    project: ProjectId,
    subject: &ThreadSubject,
) -> Result<(Thread, bool), StoreError> {
    let key = subject.subject_key();
    let open = tx.find(
        "project_id = $2 and subject_key = $3 and status = 'active' order by created_at, id",
        args![project, key],
    );
    if let Some(known) = open.await? {
        return Ok((known, false));
    }
    let thread = Thread {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: project,
        thread_type: subject.thread_type,
        status: ThreadStatus::Active,
        ticket_id: subject.ticket_id,
        task_id: subject.task_id,
        subject_key: key,
        actor: tx.current_actor(),
        closed_at: None,
        state_version: 0,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    tx.insert(&thread).await?;
    for participant in &subject.participants {
        add_participant(tx, &thread, *participant).await?;
    }
    tx.emit(Some(project), None, Event::ThreadOpened(thread.change()));
    Ok((thread, true))
}

async fn add_participant(
    tx: &mut Tx,
    thread: &Thread,
    participant: Participant,
) -> Result<(), StoreError> {
    let row = ThreadParticipant {
        thread_id: thread.id,
        org_id: tx.org(),
        participant,
        joined_at: tx.now(),
    };
    tx.insert(&row).await
}

/// Notes that `participant` takes part from now on, beside `others`.
///
/// # Errors
/// [`StoreError::Conflict`] when the thread was changed since it was read.
pub async fn join_thread(
    tx: &mut Tx,
    thread: &mut Thread,
    participant: Participant,
    others: &BTreeSet<Participant>,
) -> Result<(), StoreError> {
    add_participant(tx, thread, participant).await?;
    let mut all = others.clone();
    all.insert(participant);
    thread.subject_key = thread.subject_with(all).subject_key();
    touch_thread(tx, thread).await?;
    let event = Event::ThreadJoined(thread.change());
    tx.emit(Some(thread.project_id), None, event);
    Ok(())
}

/// Notes that something was said in a thread.
///
/// # Errors
/// [`StoreError::Conflict`] when it was changed since it was read.
pub async fn touch_thread(tx: &mut Tx, thread: &mut Thread) -> Result<(), StoreError> {
    thread.updated_at = tx.now();
    tx.update(thread).await
}

/// Ends a thread.
///
/// # Errors
/// [`StoreError::Transition`] when it is over already, [`StoreError::Conflict`].
pub async fn end_thread(
    tx: &mut Tx,
    thread: &mut Thread,
    to: ThreadStatus,
) -> Result<(), StoreError> {
    let kind: EventKind = rule(thread.status, to)?;
    thread.status = to;
    thread.closed_at = Some(tx.now());
    touch_thread(tx, thread).await?;
    tx.emit_kind((Some(thread.project_id), None), kind, &thread.change())
}

/// The thread with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: ThreadId) -> Result<Thread, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// As [`get`], and nobody else changes it until the transaction ends.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn hold_thread(tx: &mut Tx, id: ThreadId) -> Result<Thread, StoreError> {
    tx.locked_rows(
        "select id from threads where org_id = $1 and id = $2",
        args![id],
    )
    .await?;
    get(tx, id).await
}

/// Open threads in which nothing was said since `before`, the oldest first, at most 100.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_idle(tx: &mut Tx, before: Timestamp) -> Result<Vec<Thread>, StoreError> {
    tx.all(
        "status = 'active' and updated_at < $2 order by updated_at, id limit 100",
        args![before],
    )
    .await
}

/// Who takes part in a thread, in an order of their own.
///
/// # Errors
/// When the database cannot be read.
pub async fn participants_of(
    tx: &mut Tx,
    thread: ThreadId,
) -> Result<BTreeSet<Participant>, StoreError> {
    let rows: Vec<ThreadParticipant> = tx.all("thread_id = $2", args![thread]).await?;
    Ok(rows.into_iter().map(|row| row.participant).collect())
}

/// Who takes part in each of `threads`.
///
/// # Errors
/// When the database cannot be read.
pub async fn participants_of_all(
    tx: &mut Tx,
    threads: &[ThreadId],
) -> Result<BTreeMap<ThreadId, BTreeSet<Participant>>, StoreError> {
    let mut found = BTreeMap::new();
    for thread in threads {
        found.insert(*thread, participants_of(tx, *thread).await?);
    }
    Ok(found)
}

/// Which threads are listed; an empty list of values takes every one.
#[derive(Clone, Debug, Default)]
pub struct ThreadFilter {
    /// Those of one of these projects.
    pub projects: Vec<ProjectId>,
    /// Those about one of these tickets.
    pub tickets: Vec<TicketId>,
    /// Those in which the agent of one of these tasks takes part.
    pub agents: Vec<TaskId>,
    /// Those in which one of these people takes part.
    pub users: Vec<UserId>,
    /// Those in one of these states.
    pub states: Vec<ThreadStatus>,
    /// Those made and changed within this.
    pub window: ListWindow,
}

/// A page of the threads that `filter` takes.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    filter: &ThreadFilter,
    request: &PageRequest<Thread>,
) -> Result<RowPage<Thread>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("project_id", &filter.projects)?;
    conditions.one_of("ticket_id", &filter.tickets)?;
    conditions.one_of("status", &filter.states)?;
    let of_agent = "select thread_id from thread_participants where task_id";
    conditions.one_related("id", of_agent, &filter.agents)?;
    let of_user = "select thread_id from thread_participants where user_id";
    conditions.one_related("id", of_user, &filter.users)?;
    conditions.within_window(&filter.window)?;
    conditions.read_page(tx, request).await
}

/// The threads of `project` in which the agent of `task` takes part, the open ones first and the newest before, at most 50.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_of_agent(
    tx: &mut Tx,
    project: ProjectId,
    task: TaskId,
) -> Result<Vec<Thread>, StoreError> {
    tx.all(
        "project_id = $2 and id in (select thread_id from thread_participants where org_id = $1 and task_id = $3)
         order by status, updated_at desc, id limit 50",
        args![project, task],
    )
    .await
}
