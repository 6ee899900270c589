//! Threads in which agents and people speak about work.

mod close_thread;
mod get_thread;
mod list_thread_messages;
mod list_threads;
mod open_thread;
mod read_thread_message;
mod send_thread_message;
mod views;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::actor::Actor;
use omoi_domain::error_code::ErrorCode;
use omoi_domain::id::{ProjectId, TaskId, ThreadId, ThreadMessageId};
use omoi_domain::thread::{Participant, ThreadRefusal};
use omoi_execution::threads::ThreadCommandError;
use omoi_protocol::api::{EXAMPLE_THREAD, EXAMPLE_THREAD_MESSAGE};

use super::ApiSurface;
use super::caller::ApiCaller;
use super::find::{self, AskedReference};
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            open_thread::open_thread,
            NotFound,
            UnclearReference,
            TaskIsOver,
            Conflict
        ))
        .add(operation!(list_threads::list_threads, InvalidCursor))
        .add(operation!(get_thread::get_thread, NotFound))
        .add(operation!(
            close_thread::close_thread,
            NotFound,
            ThreadClosed,
            Conflict
        ))
        .add(operation!(
            send_thread_message::send_thread_message,
            NotFound,
            UnclearReference,
            TaskIsOver,
            ThreadClosed,
            Conflict
        ))
        .add(operation!(
            list_thread_messages::list_thread_messages,
            InvalidCursor,
            NotFound
        ))
        .add(operation!(
            read_thread_message::read_thread_message,
            NotFound,
            Conflict
        ))
}

/// Which thread.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ThreadPath {
    /// Row id of the thread.
    #[param(example = json!(EXAMPLE_THREAD))]
    thread_id: ThreadId,
}

/// Which message of a thread.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ThreadMessagePath {
    /// Row id of the message.
    #[param(example = json!(EXAMPLE_THREAD_MESSAGE))]
    message_id: ThreadMessageId,
}

impl ApiCaller {
    /// As whom the caller takes part in threads.
    fn as_participant(&self) -> Option<Participant> {
        match self.credential_holder().actor {
            Actor::User(user) => Some(Participant::User(user)),
            Actor::Key(key) => Some(Participant::Key(key)),
            Actor::Agent(_) | Actor::System => None,
        }
    }

    /// The task that a body names, of `project` where it is named by its number.
    async fn task_of_body(&self, text: &str, project: ProjectId) -> Result<TaskId, ApiError> {
        let project = text.parse::<TaskId>().is_err().then_some(project);
        let asked = AskedReference::of_path(text, project);
        let found = self.own_rows().read(async |tx| find::task(tx, asked).await);
        Ok(found.await?.id)
    }
}

impl From<ThreadCommandError> for ApiError {
    fn from(source: ThreadCommandError) -> Self {
        let says = source.to_string();
        match source {
            ThreadCommandError::Refused(refusal) => match refusal {
                ThreadRefusal::MessageLength => Self::invalid_value(says).with_field("/content"),
                ThreadRefusal::ParticipantCount => Self::invalid_value(says).with_field("/agents"),
                ThreadRefusal::Closed(_) => Self::new(ErrorCode::ThreadClosed, says)
                    .hint("open it anew with the same participants"),
                ThreadRefusal::NotParticipant => Self::forbidden_act(says),
                ThreadRefusal::NotRecipient => Self::invalid_value(says).with_field("/to_agent"),
                ThreadRefusal::Broadcasts => Self::new(ErrorCode::RateLimited, says)
                    .hint("name the one participant whom it is for"),
            },
            ThreadCommandError::NoMember(_) => Self::invalid_value(says).with_field("/users"),
            ThreadCommandError::TaskIsOver { .. } => Self::new(ErrorCode::TaskIsOver, says),
            ThreadCommandError::OtherProject(_) => Self::invalid_value(says),
            ThreadCommandError::Store(store) => store.into(),
        }
    }
}
