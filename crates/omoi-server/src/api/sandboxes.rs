//! Sandboxes: where attempts run, by the id of the attempt.

mod clear_sandboxes;
mod get_phase;
mod get_task;
mod health;
mod list_events;
mod list_messages;
mod list_sandboxes;
mod list_turns;
mod send_message;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::AttemptId;
use omoi_protocol::api::EXAMPLE_ATTEMPT;
use omoi_store::attempts::{self, Attempt};
use omoi_store::tasks::{self, Task};
use omoi_store::{StoreError, Tx};

use super::ApiSurface;
use super::router::{ApiRouter, operation};

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(health::get_sandboxes_health))
        .add(operation!(
            clear_sandboxes::clear_tracked_sandboxes,
            InsufficientScope,
            NotFound,
            ValidationFailed,
            Conflict
        ))
        .add(operation!(list_sandboxes::list_live_sandboxes))
        .add(operation!(get_phase::get_sandbox_phase, NotFound))
        .add(operation!(get_task::get_sandbox_task, NotFound))
        .add(operation!(list_events::list_sandbox_events, NotFound))
        .add(operation!(list_turns::list_sandbox_turns, NotFound))
        .add(operation!(list_messages::list_sandbox_messages, NotFound))
        .add(operation!(
            send_message::send_sandbox_message,
            NotFound,
            TaskIsOver,
            Conflict
        ))
}

/// Which sandbox.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SandboxPath {
    /// Row id of the attempt that runs in it.
    #[param(example = json!(EXAMPLE_ATTEMPT))]
    sandbox_id: AttemptId,
}

impl SandboxPath {
    async fn find_attempt(&self, tx: &mut Tx) -> Result<Attempt, StoreError> {
        attempts::get(tx, self.sandbox_id).await
    }

    /// The task that is worked on there.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where none is.
    async fn find_task(&self, tx: &mut Tx) -> Result<Task, StoreError> {
        let attempt = self.find_attempt(tx).await?;
        match attempt.subject.task_id() {
            Some(id) => tasks::get(tx, id).await,
            None => Err(StoreError::NotFound {
                what: "task of the sandbox",
                key: self.sandbox_id.to_string(),
            }),
        }
    }
}
