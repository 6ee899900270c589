//! What is said in threads, and to whom.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use omoi_domain::actor::Actor;
use omoi_domain::event::{Event, ThreadMessageChange};
use omoi_domain::id::{AttemptId, MessageId, OrgId, ThreadId, ThreadMessageId};
use omoi_domain::thread::{Participant, ThreadMessageType};
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::error::StoreError;
use crate::list_order::{ListedRow, SortColumn, SortValue};
use crate::row::row;
use crate::row_page::{ListConditions, ListWindow, PageRequest, RowPage};
use crate::threads::Thread;
use crate::tx::Tx;

row! {
    /// What somebody says in a thread.
    ThreadMessage in "thread_messages" as "message" {
        /// Its id.
        id: ThreadMessageId,
        /// Its organisation.
        org_id: OrgId,
        /// The thread.
        thread_id: ThreadId,
        /// Who says it.
        sender: Participant,
        /// The attempt of the agent who says it.
        attempt_id: Option<AttemptId>,
        /// What it is.
        message_type: ThreadMessageType,
        /// The words.
        content: String,
        /// Whether it is for everybody who takes part.
        is_broadcast: bool,
        /// When it was said.
        created_at: Timestamp,
    }
}

row! {
    /// That something is said to somebody.
    ThreadDelivery in "thread_deliveries" as "delivery" {
        /// What is said.
        thread_message_id: ThreadMessageId,
        /// Its organisation.
        org_id: OrgId,
        /// To whom.
        participant: Participant,
        /// What waits for the agent to whom it is said.
        message_id: Option<MessageId>,
        /// When a person or a program said that they know it.
        read_at: Option<Timestamp>,
        /// When it was said.
        created_at: Timestamp,
    }
}

impl ListedRow for ThreadMessage {
    const SORT_COLUMNS: &'static [SortColumn<Self>] = &[SortColumn {
        name: "created_at",
        sql: "created_at",
        value: SortValue::Instant,
        of_row: |message| message.created_at.as_micros(),
    }];

    fn row_id(&self) -> Uuid {
        self.id.as_uuid()
    }
}

/// What somebody wants to say.
#[derive(Clone, Copy, Debug)]
pub struct NewThreadMessage<'a> {
    /// Who says it.
    pub sender: Participant,
    /// What it is.
    pub message_type: ThreadMessageType,
    /// The words.
    pub content: &'a str,
    /// Whether it is for everybody who takes part.
    pub is_broadcast: bool,
}

/// Writes down what whoever acts says in `thread`.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert_message(
    tx: &mut Tx,
    thread: &Thread,
    new: NewThreadMessage<'_>,
) -> Result<ThreadMessage, StoreError> {
    let message = ThreadMessage {
        id: tx.new_id(),
        org_id: tx.org(),
        thread_id: thread.id,
        sender: new.sender,
        attempt_id: match tx.current_actor() {
            Actor::Agent(attempt) => Some(attempt),
            Actor::User(_) | Actor::Key(_) | Actor::System => None,
        },
        message_type: new.message_type,
        content: new.content.to_owned(),
        is_broadcast: new.is_broadcast,
        created_at: tx.now(),
    };
    tx.insert(&message).await?;
    let event = Event::MessageSent(change_of(thread, &message));
    tx.emit(Some(thread.project_id), None, event);
    Ok(message)
}

fn change_of(thread: &Thread, message: &ThreadMessage) -> ThreadMessageChange {
    ThreadMessageChange {
        thread_message_id: message.id,
        thread_id: thread.id,
        thread_message_type: message.message_type,
        ticket_id: thread.ticket_id,
        task_id: thread.task_id,
    }
}

/// Notes to whom a message is said; `queued` waits for them where they are an agent.
///
/// # Errors
/// When the database cannot be written.
pub async fn deliver_message(
    tx: &mut Tx,
    message: &ThreadMessage,
    participant: Participant,
    queued: Option<MessageId>,
) -> Result<(), StoreError> {
    let row = ThreadDelivery {
        thread_message_id: message.id,
        org_id: tx.org(),
        participant,
        message_id: queued,
        read_at: None,
        created_at: tx.now(),
    };
    tx.insert(&row).await
}

/// What the sender of `new` said in `thread` with the same words since `since`, if they did.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_repeated(
    tx: &mut Tx,
    thread: ThreadId,
    new: NewThreadMessage<'_>,
    since: Timestamp,
) -> Result<Option<ThreadMessage>, StoreError> {
    let NewThreadMessage {
        sender, content, ..
    } = new;
    tx.find(
        "thread_id = $2 and created_at >= $3 and content = $4
         and (user_id = $5 or api_key_id = $6 or task_id = $7)
         order by created_at desc, id desc",
        args![thread, since, content, sender],
    )
    .await
}

/// How many messages to everybody `sender` sent since `since`, in any thread.
///
/// # Errors
/// When the database cannot be read.
pub async fn count_broadcasts(
    tx: &mut Tx,
    sender: Participant,
    since: Timestamp,
) -> Result<u32, StoreError> {
    let rows = tx
        .rows(
            "select count(*) as n from thread_messages
             where org_id = $1 and is_broadcast and created_at >= $2
             and (user_id = $3 or api_key_id = $4 or task_id = $5)",
            args![since, sender],
        )
        .await?;
    rows.first().map_or(Ok(0), |row| u32::read(row, "n"))
}

/// The message with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: ThreadMessageId) -> Result<ThreadMessage, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// To whom a message is said.
///
/// # Errors
/// When the database cannot be read.
pub async fn deliveries_of(
    tx: &mut Tx,
    message: ThreadMessageId,
) -> Result<Vec<ThreadDelivery>, StoreError> {
    tx.all("thread_message_id = $2", args![message]).await
}

/// What was said to an agent by the message `queued`.
///
/// # Errors
/// When the database cannot be read.
pub async fn find_queued(
    tx: &mut Tx,
    queued: MessageId,
) -> Result<Option<ThreadDelivery>, StoreError> {
    tx.find("message_id = $2", args![queued]).await
}

/// Notes that `participant` knows what `message` says; whether they had not known it before.
///
/// # Errors
/// When the database cannot be written.
pub async fn mark_read(
    tx: &mut Tx,
    thread: &Thread,
    message: &ThreadMessage,
    participant: Participant,
) -> Result<bool, StoreError> {
    let now = tx.now();
    let (user, key) = (participant.as_user(), participant.as_key());
    let n_read = tx
        .execute(
            "update thread_deliveries set read_at = $3
             where org_id = $1 and thread_message_id = $2 and read_at is null
             and (user_id = $4 or api_key_id = $5)",
            args![message.id, now, user, key],
        )
        .await?;
    if n_read > 0 {
        let event = Event::MessageRead(change_of(thread, message));
        tx.emit(Some(thread.project_id), None, event);
    }
    Ok(n_read > 0)
}

/// Tells that no agent read `message` in time.
pub fn tell_unread(tx: &mut Tx, thread: &Thread, message: &ThreadMessage) {
    let event = Event::MessageExpired(change_of(thread, message));
    tx.emit(Some(thread.project_id), None, event);
}

/// When what was said to agents by `queued` was read, and when it was taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueState {
    /// When an agent read it.
    pub acked_at: Option<Timestamp>,
    /// When it was taken back unread.
    pub expired_at: Option<Timestamp>,
}

/// To whom each of `messages` is said, with what became of it where that is an agent.
///
/// # Errors
/// When the database cannot be read.
pub async fn deliveries_of_all(
    tx: &mut Tx,
    messages: &[ThreadMessageId],
) -> Result<BTreeMap<ThreadMessageId, Vec<(ThreadDelivery, QueueState)>>, StoreError> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let unique: BTreeSet<ThreadMessageId> = messages.iter().copied().collect();
    for message in unique {
        let mut states = queue_states(tx, message).await?;
        for delivery in deliveries_of(tx, message).await? {
            let queued = delivery.message_id;
            let state = queued.and_then(|queued| states.remove(&queued));
            let delivered = (delivery, state.unwrap_or_default());
            found.entry(message).or_default().push(delivered);
        }
    }
    Ok(found)
}

async fn queue_states(
    tx: &mut Tx,
    message: ThreadMessageId,
) -> Result<BTreeMap<MessageId, QueueState>, StoreError> {
    let rows = tx
        .rows(
            "select m.id, m.acked_at, m.expired_at from messages m
             join thread_deliveries d on d.message_id = m.id
             where d.org_id = $1 and m.org_id = $1 and d.thread_message_id = $2",
            args![message],
        )
        .await?;
    let states = rows.iter().map(|row| {
        let state = QueueState {
            acked_at: Option::read(row, "acked_at")?,
            expired_at: Option::read(row, "expired_at")?,
        };
        Ok((MessageId::read(row, "id")?, state))
    });
    states.collect()
}

/// Which messages of a thread are listed.
#[derive(Clone, Debug, Default)]
pub struct ThreadMessageFilter {
    /// Those that this participant has yet to read.
    pub unread_by: Option<Participant>,
    /// Those said within this.
    pub window: ListWindow,
}

/// A page of what was said in `thread`.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_page(
    tx: &mut Tx,
    thread: ThreadId,
    filter: &ThreadMessageFilter,
    request: &PageRequest<ThreadMessage>,
) -> Result<RowPage<ThreadMessage>, StoreError> {
    let mut conditions = ListConditions::default();
    conditions.one_of("thread_id", &[thread])?;
    if let Some(reader) = filter.unread_by {
        let of_user =
            "select thread_message_id from thread_deliveries where read_at is null and user_id";
        let of_key =
            "select thread_message_id from thread_deliveries where read_at is null and api_key_id";
        match (reader.as_user(), reader.as_key()) {
            (Some(user), _) => conditions.one_related("id", of_user, &[user])?,
            (None, Some(key)) => conditions.one_related("id", of_key, &[key])?,
            // What an agent is given it has read.
            (None, None) => {}
        }
    }
    conditions.within_window(&filter.window)?;
    conditions.read_page(tx, request).await
}

/// What was said last in `thread`, the oldest first, at most `limit`.
///
/// # Errors
/// When the database cannot be read.
pub async fn list_newest(
    tx: &mut Tx,
    thread: ThreadId,
    limit: u32,
) -> Result<Vec<ThreadMessage>, StoreError> {
    let mut newest: Vec<ThreadMessage> = tx
        .all(
            "thread_id = $2 order by created_at desc, id desc limit $3",
            args![thread, limit],
        )
        .await?;
    newest.reverse();
    Ok(newest)
}
