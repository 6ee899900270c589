//! Rows of threads and results come back as they went in, with and without all that they may hold.

use omoi_domain::actor::Actor;
use omoi_domain::id::UserId;
use omoi_domain::thread::{Participant, ThreadMessageType, ThreadStatus, ThreadType};
use omoi_domain::work_result::{
    OnResultFound, ResultType, VerificationStatus, WorkflowResultStatus,
};
use omoi_store::task_results::TaskResult;
use omoi_store::tasks::Task;
use omoi_store::thread_messages::{ThreadDelivery, ThreadMessage};
use omoi_store::threads::{Thread, ThreadParticipant};
use omoi_store::tickets::Ticket;
use omoi_store::workflow_results::{ResultCriteria, WorkflowResult};
use omoi_store::{Json, StoreError, Tx, attempts};

use crate::bench::{Bench, START, commit};
use crate::rows::same;
use crate::samples::{self, ODD, World};

both!(rows_of_threads_come_back, rows_of_results_come_back,);

const USER: Participant = Participant::User(UserId::LOCAL);

fn thread(tx: &Tx, task: &Task) -> Thread {
    Thread {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: task.project_id,
        thread_type: ThreadType::Review,
        status: ThreadStatus::Active,
        ticket_id: None,
        task_id: None,
        subject_key: ODD.to_owned(),
        actor: Actor::System,
        closed_at: None,
        state_version: 0,
        created_at: tx.now(),
        updated_at: tx.now(),
    }
}

/// Every field another value than in [`thread`], keys aside.
fn full_thread(tx: &Tx, task: &Task) -> Thread {
    Thread {
        thread_type: ThreadType::Consultation,
        status: ThreadStatus::Resolved,
        ticket_id: Some(task.ticket_id),
        task_id: Some(task.id),
        subject_key: "other".to_owned(),
        actor: Actor::User(UserId::LOCAL),
        closed_at: Some(START),
        state_version: 3,
        ..thread(tx, task)
    }
}

fn thread_message(tx: &Tx, thread: &Thread) -> ThreadMessage {
    ThreadMessage {
        id: tx.new_id(),
        org_id: tx.org(),
        thread_id: thread.id,
        sender: USER,
        attempt_id: None,
        message_type: ThreadMessageType::Info,
        content: ODD.to_owned(),
        is_broadcast: false,
        created_at: tx.now(),
    }
}

fn delivery(tx: &Tx, message: &ThreadMessage) -> ThreadDelivery {
    ThreadDelivery {
        thread_message_id: message.id,
        org_id: tx.org(),
        participant: USER,
        message_id: None,
        read_at: None,
        created_at: tx.now(),
    }
}

fn task_result(tx: &Tx, task: &Task) -> TaskResult {
    TaskResult {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: task.project_id,
        task_id: task.id,
        result_type: ResultType::Implementation,
        summary: ODD.to_owned(),
        content: ODD.to_owned(),
        status: VerificationStatus::Unverified,
        actor: Actor::System,
        judged_by_id: None,
        judged_at: None,
        feedback: None,
        state_version: 0,
        created_at: tx.now(),
        updated_at: tx.now(),
    }
}

fn workflow_result(tx: &Tx, ticket: &Ticket) -> WorkflowResult {
    WorkflowResult {
        id: tx.new_id(),
        org_id: tx.org(),
        project_id: ticket.project_id,
        ticket_id: ticket.id,
        summary: ODD.to_owned(),
        content: ODD.to_owned(),
        criteria: Json(Vec::new()),
        status: WorkflowResultStatus::PendingValidation,
        actor: Actor::System,
        judged_by_id: None,
        judged_at: None,
        feedback: None,
        unmet: Json(Vec::new()),
        state_version: 0,
        created_at: tx.now(),
        updated_at: tx.now(),
    }
}

async fn rows_of_threads_come_back(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    commit(&bench.local, async |tx| {
        let bare = thread(tx, &world.task);
        let full = full_thread(tx, &world.task);
        same::<Thread>(tx, vec![bare.clone(), full]).await?;
        let agent = Participant::Agent(world.task.id);
        let takes_part = |participant| ThreadParticipant {
            thread_id: bare.id,
            org_id: bare.org_id,
            participant,
            joined_at: START,
        };
        same(tx, vec![takes_part(USER), takes_part(agent)]).await?;

        let attempt = samples::attempt(tx, &world.task, 1);
        attempts::insert(tx, &attempt).await?;
        let said = thread_message(tx, &bare);
        let full = ThreadMessage {
            sender: agent,
            attempt_id: Some(attempt.id),
            message_type: ThreadMessageType::Discovery,
            is_broadcast: true,
            ..thread_message(tx, &bare)
        };
        same::<ThreadMessage>(tx, vec![said.clone(), full]).await?;

        let queued = samples::message(tx, &world.task);
        tx.insert(&queued).await?;
        let full = ThreadDelivery {
            participant: agent,
            message_id: Some(queued.id),
            read_at: Some(START),
            ..delivery(tx, &said)
        };
        same(tx, vec![delivery(tx, &said), full]).await
    })
    .await
}

async fn rows_of_results_come_back(bench: Bench) -> Result<(), StoreError> {
    let world = World::new(&bench.local).await?;
    commit(&bench.local, async |tx| {
        let full = TaskResult {
            result_type: ResultType::Documentation,
            status: VerificationStatus::Disputed,
            actor: Actor::User(UserId::LOCAL),
            judged_by_id: Some(UserId::LOCAL),
            judged_at: Some(START),
            feedback: Some(ODD.to_owned()),
            state_version: 3,
            ..task_result(tx, &world.task)
        };
        same(tx, vec![task_result(tx, &world.task), full]).await?;
        let full = WorkflowResult {
            criteria: Json(vec![ODD.to_owned()]),
            status: WorkflowResultStatus::Rejected,
            actor: Actor::User(UserId::LOCAL),
            judged_by_id: Some(UserId::LOCAL),
            judged_at: Some(START),
            feedback: Some(ODD.to_owned()),
            unmet: Json(vec![ODD.to_owned()]),
            state_version: 3,
            ..workflow_result(tx, &world.ticket)
        };
        same(tx, vec![workflow_result(tx, &world.ticket), full]).await?;
        let criteria = ResultCriteria {
            ticket_id: world.ticket.id,
            org_id: tx.org(),
            criteria: Json(vec![ODD.to_owned()]),
            on_result_found: OnResultFound::StopAll,
            state_version: 3,
            created_at: START,
            updated_at: START,
        };
        same(tx, vec![criteria]).await
    })
    .await
}
