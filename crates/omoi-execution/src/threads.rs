//! What agents and people say to each other. A message to an agent goes out through the queue of its task, as what a
//! person tells it does.

mod agent_calls;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};

use omoi_domain::actor::Actor;
use omoi_domain::attempt::AttemptSubject;
use omoi_domain::id::{HumanRef, ProjectId, TaskId, TicketId, UserId};
use omoi_domain::message::{MessageSender, MessageType};
use omoi_domain::task::TaskStatus;
use omoi_domain::thread::{
    BROADCAST_WINDOW, MessageFacts, Participant, QuotedMessage, SpeakerName, ThreadMessageType,
    ThreadRefusal, ThreadSubject, ThreadType, check_participants, check_thread_message,
    route_message,
};
use omoi_store::tasks::{self, Task};
use omoi_store::thread_messages::{self, NewThreadMessage, ThreadMessage};
use omoi_store::threads::{self, Thread};
use omoi_store::{StoreError, Tx, attempts, memberships, messages, projects, tickets};

pub use agent_calls::answer_thread_call;
pub(crate) use upkeep::keep_threads_up;

/// Why something about a thread was not done; nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum ThreadCommandError {
    /// It is against the rules of threads.
    #[error(transparent)]
    Refused(#[from] ThreadRefusal),
    /// Somebody who does not belong to the organisation.
    #[error("user {0} does not belong to this organisation")]
    NoMember(UserId),
    /// Nobody will work on the task any more, so nobody reads what is said.
    #[error("{task} is {status}: it has no agent any more")]
    TaskIsOver {
        /// The task.
        task: HumanRef,
        /// How it ended.
        status: TaskStatus,
    },
    /// A row of another project.
    #[error("{0} is of another project than the thread")]
    OtherProject(HumanRef),
    /// The database refused.
    #[error("the database refused")]
    Store(#[from] StoreError),
}

/// A thread that somebody wants, beside whom they take part themselves.
#[derive(Clone, Debug)]
pub struct NewThread {
    /// Its project.
    pub project: ProjectId,
    /// What it is for.
    pub thread_type: ThreadType,
    /// The ticket that it is about.
    pub ticket: Option<TicketId>,
    /// The task that it is about.
    pub task: Option<TaskId>,
    /// People who take part.
    pub users: BTreeSet<UserId>,
    /// Tasks whose agents take part.
    pub agents: BTreeSet<TaskId>,
}

/// What somebody wants to say in a thread.
#[derive(Clone, Debug)]
pub struct ThreadSpeech {
    /// What it is.
    pub message_type: ThreadMessageType,
    /// The words.
    pub content: String,
    /// Whom it is for; none where it is for everybody.
    pub recipient: Option<Participant>,
}

/// Whom `tx` speaks for.
pub(crate) async fn current_speaker(tx: &mut Tx) -> Result<Participant, ThreadCommandError> {
    match tx.current_actor() {
        Actor::User(user) => Ok(Participant::User(user)),
        Actor::Key(key) => Ok(Participant::Key(key)),
        Actor::Agent(attempt) => match attempts::get(tx, attempt).await?.subject {
            AttemptSubject::Task { task_id } => Ok(Participant::Agent(task_id)),
            _ => Err(ThreadRefusal::NotParticipant.into()),
        },
        Actor::System => Err(ThreadRefusal::NotParticipant.into()),
    }
}

/// The open thread that is wanted, and whether it was opened by this.
pub(crate) async fn open_wanted(
    tx: &mut Tx,
    new: NewThread,
) -> Result<(Thread, bool), ThreadCommandError> {
    let speaker = current_speaker(tx).await?;
    // Of two that open the same, the second finds it.
    projects::hold(tx, new.project).await?;
    expect_members(tx, &new.users).await?;
    let about = new.task.into_iter().map(|task| (task, false));
    for (id, takes_part) in about.chain(new.agents.iter().map(|task| (*task, true))) {
        let task = tasks::get(tx, id).await?;
        let number = HumanRef::task(task.number);
        if task.project_id != new.project {
            return Err(ThreadCommandError::OtherProject(number));
        }
        if takes_part && speaker != Participant::Agent(id) {
            expect_reader(&task)?;
        }
    }
    if let Some(ticket) = new.ticket {
        let ticket = tickets::get(tx, ticket).await?;
        if ticket.project_id != new.project {
            let number = HumanRef::ticket(ticket.number);
            return Err(ThreadCommandError::OtherProject(number));
        }
    }
    let users = new.users.into_iter().map(Participant::User);
    let agents = new.agents.into_iter().map(Participant::Agent);
    let participants: BTreeSet<Participant> = users.chain(agents).chain([speaker]).collect();
    check_participants(&participants)?;
    let subject = ThreadSubject {
        thread_type: new.thread_type,
        ticket_id: new.ticket,
        task_id: new.task,
        participants,
    };
    Ok(threads::open_thread(tx, new.project, &subject).await?)
}

async fn expect_members(tx: &mut Tx, users: &BTreeSet<UserId>) -> Result<(), ThreadCommandError> {
    if users.is_empty() {
        return Ok(());
    }
    let org = tx.org();
    let members = memberships::list_of_organisation(tx, org).await?;
    let is_member = |user: &UserId| members.iter().any(|member| member.user_id == *user);
    match users.iter().find(|user| !is_member(user)) {
        Some(stranger) => Err(ThreadCommandError::NoMember(*stranger)),
        None => Ok(()),
    }
}

/// Refuses a task that no agent will work on.
fn expect_reader(task: &Task) -> Result<(), ThreadCommandError> {
    match task.status.is_final() {
        true => Err(ThreadCommandError::TaskIsOver {
            task: HumanRef::task(task.number),
            status: task.status,
        }),
        false => Ok(()),
    }
}

/// Says something in `thread`, which nobody else changes meanwhile. The same words within 10 minutes are one message.
pub(crate) async fn say_in_thread(
    tx: &mut Tx,
    mut thread: Thread,
    speech: &ThreadSpeech,
) -> Result<ThreadMessage, ThreadCommandError> {
    check_thread_message(&speech.content)?;
    let sender = current_speaker(tx).await?;
    let mut new = NewThreadMessage {
        sender,
        message_type: speech.message_type,
        content: &speech.content,
        is_broadcast: false,
    };
    let since = tx.now() - BROADCAST_WINDOW;
    let participants = threads::participants_of(tx, thread.id).await?;
    let n_broadcasts = thread_messages::count_broadcasts(tx, sender, since).await?;
    let facts = MessageFacts {
        status: thread.status,
        participants,
        sender,
        recipient: speech.recipient,
        n_broadcasts,
    };
    let repeated = thread_messages::find_repeated(tx, thread.id, new, since).await?;
    if let Some(known) = repeated.filter(|_| facts.participants.contains(&sender)) {
        return Ok(known);
    }
    let route = route_message(&facts)?;
    new.is_broadcast = route.is_broadcast;
    let readers = reading_tasks(tx, &route.recipients).await?;
    let sender_task = match sender.as_task() {
        Some(task) => Some(tasks::get(tx, task).await?.number),
        None => None,
    };
    if route.joins {
        threads::join_thread(tx, &mut thread, sender, &facts.participants).await?;
    } else {
        threads::touch_thread(tx, &mut thread).await?;
    }
    let message = thread_messages::insert_message(tx, &thread, new).await?;
    let quoted = QuotedMessage {
        thread: thread.id,
        message_type: message.message_type,
        from: speaker_name(sender, sender_task),
        to: None,
        content: &message.content,
    };
    for recipient in route.recipients {
        let queued = match (
            recipient.as_task(),
            recipient.as_task().and_then(|id| readers.get(&id)),
        ) {
            (None, _) => None,
            // Its agent is gone.
            (Some(_), None) => continue,
            (Some(_), Some(task)) => {
                let to = (!route.is_broadcast).then_some(task.number);
                let text = QuotedMessage { to, ..quoted }.agent_text();
                let kind = MessageType::AgentCollaboration;
                let queue = messages::queue(tx, task, kind, &text, MessageSender::Thread);
                Some(queue.await?.id)
            }
        };
        thread_messages::deliver_message(tx, &message, recipient, queued).await?;
    }
    Ok(message)
}

/// The tasks among `recipients` whose agents read what is said now.
async fn reading_tasks(
    tx: &mut Tx,
    recipients: &BTreeSet<Participant>,
) -> Result<BTreeMap<TaskId, Task>, ThreadCommandError> {
    let mut readers = BTreeMap::new();
    let mut over = None;
    for id in recipients.iter().filter_map(|one| one.as_task()) {
        let task = tasks::get(tx, id).await?;
        match expect_reader(&task) {
            Ok(()) => drop(readers.insert(id, task)),
            Err(refused) => over = Some(refused),
        }
    }
    let has_people = recipients.iter().any(|one| one.as_task().is_none());
    match over {
        Some(refused) if readers.is_empty() && !has_people => Err(refused),
        _ => Ok(readers),
    }
}

fn speaker_name(sender: Participant, task: Option<i64>) -> SpeakerName {
    match (sender, task) {
        (Participant::Agent(_), Some(number)) => SpeakerName::Agent(number),
        (Participant::User(_), _) => SpeakerName::Person,
        (Participant::Key(_) | Participant::Agent(_), _) => SpeakerName::Program,
    }
}
