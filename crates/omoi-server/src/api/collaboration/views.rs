//! Threads and their messages as callers see them.

use std::collections::{BTreeMap, BTreeSet};

use omoi_domain::id::{HumanRef, TaskId, ThreadMessageId};
use omoi_domain::thread::Participant;
use omoi_protocol::api::{DeliveryView, ParticipantView, ThreadMessageView, ThreadView};
use omoi_store::thread_messages::{self, QueueState, ThreadDelivery, ThreadMessage};
use omoi_store::threads::{self, Thread};
use omoi_store::{StoreError, Tx, tasks};

/// The numbers of tasks.
type TaskRefs = BTreeMap<TaskId, String>;

/// Threads in the order given.
pub(super) async fn thread_views(
    tx: &mut Tx,
    rows: Vec<Thread>,
) -> Result<Vec<ThreadView>, StoreError> {
    let ids: Vec<_> = rows.iter().map(|thread| thread.id).collect();
    let mut participants = threads::participants_of_all(tx, &ids).await?;
    let named = participants.values().flatten().copied();
    let refs = task_refs(tx, named.collect()).await?;
    let views = rows.into_iter().map(|thread| {
        let participants = participants.remove(&thread.id).unwrap_or_default();
        ThreadView {
            id: thread.id,
            project_id: thread.project_id,
            thread_type: thread.thread_type,
            status: thread.status,
            ticket_id: thread.ticket_id,
            task_id: thread.task_id,
            participants: participants
                .into_iter()
                .map(|one| participant_view(one, &refs))
                .collect(),
            opened_by: thread.actor.into(),
            created_at: thread.created_at.into(),
            updated_at: thread.updated_at.into(),
            closed_at: thread.closed_at.map(Into::into),
        }
    });
    Ok(views.collect())
}

/// The view of one thread.
pub(super) async fn thread_view(tx: &mut Tx, row: Thread) -> Result<ThreadView, StoreError> {
    let key = row.id.to_string();
    let view = thread_views(tx, vec![row]).await?.pop();
    view.ok_or(StoreError::NotFound {
        what: "thread",
        key,
    })
}

/// Messages in the order given.
pub(super) async fn message_views(
    tx: &mut Tx,
    rows: Vec<ThreadMessage>,
) -> Result<Vec<ThreadMessageView>, StoreError> {
    let ids: Vec<ThreadMessageId> = rows.iter().map(|message| message.id).collect();
    let mut deliveries = thread_messages::deliveries_of_all(tx, &ids).await?;
    let told = deliveries.values().flatten();
    let told = told.map(|(delivery, _)| delivery.participant);
    let senders = rows.iter().map(|message| message.sender);
    let named = told.chain(senders).collect();
    let refs = task_refs(tx, named).await?;
    let views = rows.into_iter().map(|message| {
        let deliveries = deliveries.remove(&message.id).unwrap_or_default();
        ThreadMessageView {
            id: message.id,
            thread_id: message.thread_id,
            from: participant_view(message.sender, &refs),
            agent_id: message.attempt_id,
            message_type: message.message_type,
            content: message.content,
            is_broadcast: message.is_broadcast,
            deliveries: deliveries
                .into_iter()
                .map(|(delivery, state)| delivery_view(&delivery, state, &refs))
                .collect(),
            created_at: message.created_at.into(),
        }
    });
    Ok(views.collect())
}

/// The view of one message.
pub(super) async fn message_view(
    tx: &mut Tx,
    row: ThreadMessage,
) -> Result<ThreadMessageView, StoreError> {
    let key = row.id.to_string();
    let view = message_views(tx, vec![row]).await?.pop();
    view.ok_or(StoreError::NotFound {
        what: "message",
        key,
    })
}

async fn task_refs(tx: &mut Tx, named: BTreeSet<Participant>) -> Result<TaskRefs, StoreError> {
    let mut refs = TaskRefs::new();
    for task in named.into_iter().filter_map(Participant::as_task) {
        let number = tasks::get(tx, task).await?.number;
        refs.insert(task, HumanRef::task(number).to_string());
    }
    Ok(refs)
}

fn participant_view(participant: Participant, refs: &TaskRefs) -> ParticipantView {
    ParticipantView {
        kind: participant.participant_kind(),
        id: match participant {
            Participant::User(user) => user.to_string(),
            Participant::Key(key) => key.to_string(),
            Participant::Agent(task) => task.to_string(),
        },
        task_ref: participant
            .as_task()
            .and_then(|task| refs.get(&task).cloned()),
    }
}

fn delivery_view(delivery: &ThreadDelivery, state: QueueState, refs: &TaskRefs) -> DeliveryView {
    let delivered_at = match delivery.participant {
        Participant::Agent(_) => state.acked_at,
        Participant::User(_) | Participant::Key(_) => Some(delivery.created_at),
    };
    DeliveryView {
        to: participant_view(delivery.participant, refs),
        delivered_at: delivered_at.map(Into::into),
        read_at: delivery.read_at.map(Into::into),
        expired_at: state.expired_at.map(Into::into),
    }
}
