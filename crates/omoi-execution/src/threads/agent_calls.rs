//! What the agent of an attempt asks of threads: those of its own project in which it takes part.

use std::collections::BTreeSet;

use omoi_domain::attempt::AttemptSubject;
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::{HumanRef, RefKind, TaskId, ThreadId};
use omoi_domain::thread::{
    PARTICIPANTS_MAX, Participant, SpeakerName, ThreadMessageType, ThreadType,
};
use omoi_protocol::worker::{
    AgentScope, AgentThread, AgentThreadMessage, ThreadAnswer, ThreadCall,
};
use omoi_store::attempts::{self, Attempt};
use omoi_store::tasks::{self, Task};
use omoi_store::threads::Thread;
use omoi_store::{StoreError, Tenant, Tx, thread_messages, threads};

use super::{NewThread, ThreadCommandError, ThreadSpeech, open_wanted, say_in_thread};
use crate::intake::{IntakeError, lock_attempt};
use crate::tasks::of_attempt;

/// Messages that an agent is shown of a thread.
const MESSAGES_SHOWN: u32 = 20;

/// Answers the agent of `attempt`.
///
/// # Errors
/// [`IntakeError::Refused`] with what the agent can mend; [`IntakeError::Superseded`] when the attempt is over.
pub async fn answer_thread_call(
    store: &Tenant,
    attempt: &Attempt,
    call: ThreadCall,
) -> Result<ThreadAnswer, IntakeError> {
    match call {
        ThreadCall::List {} => store.read(async |tx| list_threads(tx, attempt).await).await,
        ThreadCall::Read { thread_id } => {
            let read = async |tx: &mut Tx| read_thread(tx, attempt, thread_id).await;
            store.read(read).await
        }
        ThreadCall::Open {
            with,
            everyone,
            thread_type,
            message_type,
            text,
        } => {
            let wish = OpenWish {
                with,
                everyone,
                thread_type: thread_type.unwrap_or(ThreadType::Consultation),
                speech: ThreadSpeech {
                    message_type: message_type.unwrap_or(ThreadMessageType::Question),
                    content: text,
                    recipient: None,
                },
            };
            let open = async |tx: &mut Tx| open_and_say(tx, attempt, wish).await;
            store.write(CrashPoint::ThreadMoved, open).await
        }
        ThreadCall::Send {
            thread_id,
            to,
            message_type,
            text,
        } => {
            let send = async |tx: &mut Tx| {
                let own = own_task(tx, attempt).await?;
                let thread = own_thread(tx, &own, thread_id).await?;
                let thread = threads::hold_thread(tx, thread.id).await?;
                let recipient = match to {
                    Some(named) => Some(Participant::Agent(named_task(tx, &own, &named).await?)),
                    None => None,
                };
                let speech = ThreadSpeech {
                    message_type: message_type.unwrap_or(ThreadMessageType::Info),
                    content: text,
                    recipient,
                };
                say_as_agent(tx, thread, &speech).await
            };
            store.write(CrashPoint::ThreadMoved, send).await
        }
    }
}

/// What an agent wants to open and say.
struct OpenWish {
    with: Vec<String>,
    everyone: Option<AgentScope>,
    thread_type: ThreadType,
    speech: ThreadSpeech,
}

/// The task of a live attempt, which stays so until the transaction ends.
async fn own_task(tx: &mut Tx, attempt: &Attempt) -> Result<Task, IntakeError> {
    let current = lock_attempt(tx, attempt.id).await?;
    let task = of_attempt(tx, &current).await?;
    task.ok_or_else(no_threads)
}

fn no_threads() -> IntakeError {
    IntakeError::Refused("only the agents of tasks speak in threads".to_owned())
}

/// The thread of the agent's own project in which it takes part; any other is not there.
async fn own_thread(tx: &mut Tx, own: &Task, id: ThreadId) -> Result<Thread, IntakeError> {
    let missing = || {
        let says =
            format!("this agent takes part in no thread {id}; `list` shows those that it does");
        IntakeError::Refused(says)
    };
    let thread = match threads::get(tx, id).await {
        Err(StoreError::NotFound { .. }) => return Err(missing()),
        found => found?,
    };
    let participants = threads::participants_of(tx, id).await?;
    let is_own =
        thread.project_id == own.project_id && participants.contains(&Participant::Agent(own.id));
    is_own.then_some(thread).ok_or_else(missing)
}

/// The task of the agent's own project that `text` names.
async fn named_task(tx: &mut Tx, own: &Task, text: &str) -> Result<TaskId, IntakeError> {
    let missing = || {
        IntakeError::Refused(format!(
            "`{text}` is no task of this project, such as TSK-003"
        ))
    };
    let named: HumanRef = text.trim().parse().map_err(|_| missing())?;
    if named.kind != RefKind::Task {
        return Err(missing());
    }
    let mut found = tasks::numbered(tx, named.number).await?;
    found.retain(|task| task.project_id == own.project_id);
    found.pop().map(|task| task.id).ok_or_else(missing)
}

async fn open_and_say(
    tx: &mut Tx,
    attempt: &Attempt,
    wish: OpenWish,
) -> Result<ThreadAnswer, IntakeError> {
    let own = own_task(tx, attempt).await?;
    if wish.with.len() >= PARTICIPANTS_MAX {
        let says = format!("a thread has at most {PARTICIPANTS_MAX} participants");
        return Err(IntakeError::Refused(says));
    }
    let mut agents = BTreeSet::new();
    for named in &wish.with {
        agents.insert(named_task(tx, &own, named).await?);
    }
    if let Some(scope) = wish.everyone {
        agents.extend(tasks_at_work(tx, &own, scope).await?);
    }
    agents.remove(&own.id);
    if agents.is_empty() {
        let says = match wish.everyone {
            Some(_) => "no other agent is at work there",
            None => "`with` names the tasks of other agents, such as TSK-003",
        };
        return Err(IntakeError::Refused(says.to_owned()));
    }
    let new = NewThread {
        project: own.project_id,
        thread_type: wish.thread_type,
        ticket: wish.everyone.map(|_| own.ticket_id),
        task: None,
        users: BTreeSet::new(),
        agents,
    };
    let (thread, _) = open_wanted(tx, new).await.map_err(refuse_agent)?;
    let thread = threads::hold_thread(tx, thread.id).await?;
    say_as_agent(tx, thread, &wish.speech).await
}

/// The tasks within `scope` that agents work on now, as many as a thread has room for.
async fn tasks_at_work(
    tx: &mut Tx,
    own: &Task,
    scope: AgentScope,
) -> Result<BTreeSet<TaskId>, StoreError> {
    let mut found = BTreeSet::new();
    for attempt in attempts::all_live(tx).await? {
        let AttemptSubject::Task { task_id } = attempt.subject else {
            continue;
        };
        if attempt.project_id != own.project_id || found.len() >= PARTICIPANTS_MAX - 1 {
            continue;
        }
        let is_within = match scope {
            AgentScope::Project => true,
            AgentScope::Ticket => tasks::get(tx, task_id).await?.ticket_id == own.ticket_id,
        };
        if is_within && task_id != own.id {
            found.insert(task_id);
        }
    }
    Ok(found)
}

async fn say_as_agent(
    tx: &mut Tx,
    thread: Thread,
    speech: &ThreadSpeech,
) -> Result<ThreadAnswer, IntakeError> {
    let said = say_in_thread(tx, thread, speech).await;
    let message = said.map_err(refuse_agent)?;
    let deliveries = thread_messages::deliveries_of(tx, message.id).await?;
    Ok(ThreadAnswer::Sent {
        thread_id: message.thread_id,
        message_id: message.id,
        n_recipients: u32::try_from(deliveries.len()).unwrap_or(u32::MAX),
    })
}

/// What of a refusal the agent is told.
fn refuse_agent(error: ThreadCommandError) -> IntakeError {
    match error {
        ThreadCommandError::Store(store) => IntakeError::Store(store),
        told => IntakeError::Refused(told.to_string()),
    }
}

async fn list_threads(tx: &mut Tx, attempt: &Attempt) -> Result<ThreadAnswer, IntakeError> {
    let own = of_attempt(tx, attempt).await?.ok_or_else(no_threads)?;
    let mut listed = Vec::new();
    for thread in threads::list_of_agent(tx, own.project_id, own.id).await? {
        let mut participants = Vec::new();
        for participant in threads::participants_of(tx, thread.id).await? {
            participants.push(participant_name(tx, participant).await?.to_string());
        }
        listed.push(AgentThread {
            thread_id: thread.id,
            thread_type: thread.thread_type,
            status: thread.status,
            participants,
        });
    }
    Ok(ThreadAnswer::Threads { threads: listed })
}

async fn participant_name(
    tx: &mut Tx,
    participant: Participant,
) -> Result<SpeakerName, StoreError> {
    Ok(match participant {
        Participant::User(_) => SpeakerName::Person,
        Participant::Key(_) => SpeakerName::Program,
        Participant::Agent(task) => SpeakerName::Agent(tasks::get(tx, task).await?.number),
    })
}

async fn read_thread(
    tx: &mut Tx,
    attempt: &Attempt,
    id: ThreadId,
) -> Result<ThreadAnswer, IntakeError> {
    let own = of_attempt(tx, attempt).await?.ok_or_else(no_threads)?;
    let thread = own_thread(tx, &own, id).await?;
    let mut messages = Vec::new();
    for message in thread_messages::list_newest(tx, thread.id, MESSAGES_SHOWN).await? {
        messages.push(AgentThreadMessage {
            from: participant_name(tx, message.sender).await?.to_string(),
            message_type: message.message_type,
            content: message.content,
        });
    }
    Ok(ThreadAnswer::Messages { messages })
}
