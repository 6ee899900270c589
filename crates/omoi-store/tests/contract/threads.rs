//! Threads: who takes part, what is said, and what became of it.

use std::collections::BTreeSet;
use std::time::Duration;

use omoi_domain::actor::Actor;
use omoi_domain::event::EventKind;
use omoi_domain::id::UserId;
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::thread::{
    Participant, ThreadMessageType, ThreadStatus, ThreadSubject, ThreadType,
};
use omoi_store::list_order::ListOrder;
use omoi_store::row_page::{ListWindow, PageRequest};
use omoi_store::tasks::Task;
use omoi_store::thread_messages::{NewThreadMessage, ThreadMessageFilter};
use omoi_store::threads::{Thread, ThreadFilter};
use omoi_store::{StoreError, Tenant, events, messages, tasks, thread_messages, threads};

use crate::bench::{Bench, START, commit};
use crate::samples::{self, World};

both!(
    an_open_thread_is_used_again_and_one_that_is_over_is_not,
    what_is_said_is_counted_delivered_and_read,
    what_no_agent_reads_is_taken_back_once,
    threads_are_listed_by_what_they_are_about,
    another_organisation_sees_no_threads,
);

const USER: Participant = Participant::User(UserId::LOCAL);

/// The agents of two tasks and a person.
struct ThreadWorld {
    world: World,
    other: Task,
    person: Tenant,
}

impl ThreadWorld {
    async fn new(bench: &Bench) -> Result<Self, StoreError> {
        let world = World::new(&bench.local).await?;
        let other = commit(&bench.local, async |tx| {
            let other = samples::task(tx, &world.ticket, 2);
            tasks::insert(tx, &other).await?;
            Ok(other)
        });
        Ok(Self {
            other: other.await?,
            person: bench.local.acting_as(Actor::User(UserId::LOCAL)),
            world,
        })
    }

    fn subject(&self) -> ThreadSubject {
        let agents = [self.world.task.id, self.other.id].map(Participant::Agent);
        ThreadSubject {
            thread_type: ThreadType::Consultation,
            ticket_id: Some(self.world.ticket.id),
            task_id: None,
            participants: agents.into_iter().chain([USER]).collect(),
        }
    }

    async fn open(&self) -> Result<(Thread, bool), StoreError> {
        let project = self.world.project.id;
        commit(&self.person, async |tx| {
            threads::open_thread(tx, project, &self.subject()).await
        })
        .await
    }
}

fn said(content: &str, is_broadcast: bool) -> NewThreadMessage<'_> {
    NewThreadMessage {
        sender: USER,
        message_type: ThreadMessageType::Question,
        content,
        is_broadcast,
    }
}

async fn an_open_thread_is_used_again_and_one_that_is_over_is_not(
    bench: Bench,
) -> Result<(), StoreError> {
    let it = ThreadWorld::new(&bench).await?;
    let (thread, is_new) = it.open().await?;
    assert!(is_new);
    assert_eq!(it.open().await?, (thread.clone(), false));
    let mut tx = bench.local.begin_read().await?;
    assert_eq!(threads::get(&mut tx, thread.id).await?, thread);
    let participants = threads::participants_of(&mut tx, thread.id).await?;
    assert_eq!(participants, it.subject().participants);
    drop(tx);
    let joined = Participant::Agent(it.world.task.id);
    let ended = commit(&it.person, async |tx| {
        let mut held = threads::hold_thread(tx, thread.id).await?;
        let twice = threads::join_thread(tx, &mut held, joined, &participants).await;
        assert!(matches!(twice, Err(StoreError::Exists { .. })), "{twice:?}");
        Err::<(), _>(twice.unwrap_err())
    });
    assert!(ended.await.is_err());
    let ended = commit(&it.person, async |tx| {
        let mut held = threads::hold_thread(tx, thread.id).await?;
        threads::end_thread(tx, &mut held, ThreadStatus::Resolved).await?;
        let again = threads::end_thread(tx, &mut held, ThreadStatus::Expired).await;
        assert!(matches!(again, Err(StoreError::Transition(_))), "{again:?}");
        Ok(held)
    });
    let ended = ended.await?;
    assert_eq!(ended.closed_at, Some(START));
    let (anew, is_new) = it.open().await?;
    assert!(is_new && anew.id != thread.id);
    let mut tx = bench.local.begin_read().await?;
    let told: Vec<EventKind> = events::after(&mut tx, 0)
        .await?
        .iter()
        .map(|event| event.event.kind())
        .filter(|kind| kind.as_str().starts_with("thread."))
        .collect();
    assert_eq!(
        told,
        [
            EventKind::ThreadOpened,
            EventKind::ThreadClosed,
            EventKind::ThreadOpened
        ]
    );
    Ok(())
}

async fn what_is_said_is_counted_delivered_and_read(bench: Bench) -> Result<(), StoreError> {
    let it = ThreadWorld::new(&bench).await?;
    let (thread, _) = it.open().await?;
    let reader = Participant::Agent(it.other.id);
    let message = commit(&it.person, async |tx| {
        let message = thread_messages::insert_message(tx, &thread, said("Which?", true)).await?;
        let kind = MessageType::AgentCollaboration;
        let queued =
            messages::queue(tx, &it.other, kind, "> Which?", MessageSender::Thread).await?;
        thread_messages::deliver_message(tx, &message, reader, Some(queued.id)).await?;
        thread_messages::deliver_message(tx, &message, USER, None).await?;
        Ok(message)
    });
    let message = message.await?;
    bench.advance(Duration::from_mins(1));
    let since = |minutes| bench.now() - Duration::from_mins(minutes);
    let mut tx = it.person.begin_read().await?;
    let same = |content| said(content, true);
    let found = thread_messages::find_repeated(&mut tx, thread.id, same("Which?"), since(10));
    assert_eq!(found.await?.as_ref(), Some(&message));
    let found = thread_messages::find_repeated(&mut tx, thread.id, same("Other"), since(10));
    assert_eq!(found.await?, None);
    let found = thread_messages::find_repeated(&mut tx, thread.id, same("Which?"), since(0));
    assert_eq!(found.await?, None, "that is too long ago");
    for (sender, minutes, expected) in [(USER, 10, 1), (USER, 0, 0), (reader, 10, 0)] {
        let counted = thread_messages::count_broadcasts(&mut tx, sender, since(minutes)).await?;
        assert_eq!(counted, expected, "{sender:?} {minutes}");
    }
    let all = thread_messages::deliveries_of_all(&mut tx, &[message.id]).await?;
    let states: BTreeSet<_> = all[&message.id]
        .iter()
        .map(|(delivery, state)| (delivery.participant, delivery.read_at, state.acked_at))
        .collect();
    assert_eq!(
        states,
        BTreeSet::from([(reader, None, None), (USER, None, None)])
    );
    let newest = thread_messages::list_newest(&mut tx, thread.id, 5).await?;
    assert_eq!(newest, std::slice::from_ref(&message));
    drop(tx);
    for (participant, expected) in [(USER, true), (USER, false), (reader, false)] {
        let read = commit(&it.person, async |tx| {
            thread_messages::mark_read(tx, &thread, &message, participant).await
        });
        assert_eq!(read.await?, expected, "{participant:?}");
    }
    unread_alone_are_listed(&it, &thread).await
}

async fn unread_alone_are_listed(it: &ThreadWorld, thread: &Thread) -> Result<(), StoreError> {
    let mut tx = it.person.begin_read().await?;
    let request = PageRequest {
        order: ListOrder::parse("created_at").unwrap(),
        after: None,
        offset: 0,
        limit: 5,
        count_max: None,
    };
    for (unread_by, expected) in [(None, 1), (Some(USER), 0)] {
        let filter = ThreadMessageFilter {
            unread_by,
            window: ListWindow::default(),
        };
        let page = thread_messages::list_page(&mut tx, thread.id, &filter, &request).await?;
        assert_eq!(page.rows.len(), expected, "{unread_by:?}");
    }
    Ok(())
}

async fn what_no_agent_reads_is_taken_back_once(bench: Bench) -> Result<(), StoreError> {
    let it = ThreadWorld::new(&bench).await?;
    let (thread, _) = it.open().await?;
    let task = &it.other;
    let queued = commit(&it.person, async |tx| {
        let kind = MessageType::AgentCollaboration;
        let queued = messages::queue(tx, task, kind, "> a", MessageSender::Thread).await?;
        let kind = MessageType::UserMessage;
        messages::queue(tx, task, kind, "b", MessageSender::User).await?;
        let message = thread_messages::insert_message(tx, &thread, said("a", false)).await?;
        let reader = Participant::Agent(task.id);
        thread_messages::deliver_message(tx, &message, reader, Some(queued.id)).await?;
        Ok(queued)
    });
    let queued = queued.await?;
    bench.advance(Duration::from_hours(25));
    let mut tx = it.person.begin_read().await?;
    let before = bench.now() - Duration::from_hours(24);
    let unread = messages::list_unread(&mut tx, before).await?;
    assert_eq!(
        unread,
        std::slice::from_ref(&queued),
        "words of a person wait on"
    );
    assert_eq!(messages::list_unread(&mut tx, START).await?, []);
    let delivery = thread_messages::find_queued(&mut tx, queued.id).await?;
    assert_eq!(delivery.unwrap().message_id, Some(queued.id));
    drop(tx);
    for expected in [true, false] {
        let taken = commit(&it.person, async |tx| {
            messages::take_back(tx, queued.id).await
        });
        assert_eq!(taken.await?, expected);
    }
    let mut tx = it.person.begin_read().await?;
    let open = messages::open(&mut tx, task.id).await?;
    let open: Vec<&str> = open
        .iter()
        .map(|message| message.content.as_str())
        .collect();
    assert_eq!(open, ["b"]);
    assert_eq!(messages::list_unread(&mut tx, before).await?, []);
    Ok(())
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn threads_are_listed_by_what_they_are_about(bench: Bench) -> Result<(), StoreError> {
    let it = ThreadWorld::new(&bench).await?;
    let (thread, _) = it.open().await?;
    bench.advance(Duration::from_hours(1));
    let mut tx = it.person.begin_read().await?;
    let request = PageRequest {
        order: ListOrder::parse("-updated_at").unwrap(),
        after: None,
        offset: 0,
        limit: 5,
        count_max: None,
    };
    let (project, task) = (it.world.project.id, it.world.task.id);
    let all = ThreadFilter::default;
    for (filter, expected) in [
        (all(), 1),
        (
            ThreadFilter {
                projects: vec![project],
                ..all()
            },
            1,
        ),
        (
            ThreadFilter {
                tickets: vec![it.world.ticket.id],
                ..all()
            },
            1,
        ),
        (
            ThreadFilter {
                agents: vec![task],
                ..all()
            },
            1,
        ),
        (
            ThreadFilter {
                agents: vec![bench.id()],
                ..all()
            },
            0,
        ),
        (
            ThreadFilter {
                users: vec![UserId::LOCAL],
                ..all()
            },
            1,
        ),
        (
            ThreadFilter {
                users: vec![bench.id()],
                ..all()
            },
            0,
        ),
        (
            ThreadFilter {
                states: vec![ThreadStatus::Expired],
                ..all()
            },
            0,
        ),
    ] {
        let page = threads::list_page(&mut tx, &filter, &request).await?;
        assert_eq!(page.rows.len(), expected, "{filter:?}");
    }
    assert_eq!(
        threads::list_of_agent(&mut tx, project, task).await?,
        std::slice::from_ref(&thread)
    );
    assert_eq!(
        threads::list_of_agent(&mut tx, project, bench.id()).await?,
        []
    );
    assert_eq!(threads::list_idle(&mut tx, START).await?, []);
    assert_eq!(threads::list_idle(&mut tx, bench.now()).await?, [thread]);
    Ok(())
}

async fn another_organisation_sees_no_threads(bench: Bench) -> Result<(), StoreError> {
    let it = ThreadWorld::new(&bench).await?;
    let (thread, _) = it.open().await?;
    let message = commit(&it.person, async |tx| {
        thread_messages::insert_message(tx, &thread, said("a", true)).await
    });
    let message = message.await?;
    let foreign = bench.foreign().await;
    let mut tx = foreign.begin_read().await?;
    let missing = threads::get(&mut tx, thread.id).await;
    assert!(
        matches!(missing, Err(StoreError::NotFound { .. })),
        "{missing:?}"
    );
    let missing = thread_messages::get(&mut tx, message.id).await;
    assert!(
        matches!(missing, Err(StoreError::NotFound { .. })),
        "{missing:?}"
    );
    assert!(
        threads::participants_of(&mut tx, thread.id)
            .await?
            .is_empty()
    );
    assert_eq!(
        thread_messages::list_newest(&mut tx, thread.id, 5).await?,
        []
    );
    let since = START - Duration::from_hours(1);
    assert_eq!(
        thread_messages::count_broadcasts(&mut tx, USER, since).await?,
        0
    );
    Ok(())
}
