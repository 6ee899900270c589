//! Agents, live and past: attempts.

mod get_agent;
mod get_agent_health;
mod get_agent_statistics;
mod list_agent_health;
mod list_agents;
mod update_agent;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::{AttemptId, HumanRef, ProjectId};
use omoi_execution::commands::AttemptNoteError;
use omoi_protocol::api::{AgentHealth, AgentTaskView, AgentView, EXAMPLE_ATTEMPT};
use omoi_store::attempt_notes::AttemptNote;
use omoi_store::attempts::Attempt;
use omoi_store::{StoreError, Tx, attempt_notes, open_calls, tasks};

use super::ApiSurface;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(list_agents::list_agents, InvalidCursor))
        .add(operation!(list_agents::search_agents, InvalidCursor))
        .add(operation!(list_agent_health::list_agent_health))
        .add(operation!(get_agent_statistics::get_agent_statistics))
        .add(operation!(get_agent::get_agent, NotFound))
        .add(operation!(get_agent_health::get_agent_health, NotFound))
        .add(operation!(update_agent::update_agent, NotFound, Conflict))
}

/// Whose agents.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OfProjects {
    /// Those of this project; of any of them, when it is repeated.
    #[serde(default)]
    pub(super) project_id: Vec<ProjectId>,
}

/// Which agent.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct AgentPath {
    /// Row id of the attempt.
    #[param(example = json!(EXAMPLE_ATTEMPT))]
    pub(super) agent_id: AttemptId,
}

/// Agents as people see them, in the order given.
pub(super) async fn agent_views(
    tx: &mut Tx,
    attempts: Vec<Attempt>,
) -> Result<Vec<AgentView>, StoreError> {
    let mut views = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        let task = match attempt.subject.task_id() {
            Some(id) => {
                let task = tasks::get(tx, id).await?;
                Some(AgentTaskView {
                    id,
                    task_ref: HumanRef::task(task.number).to_string(),
                    title: task.title,
                })
            }
            None => None,
        };
        let note = attempt_notes::of_attempt(tx, attempt.id).await?;
        views.push(agent_view(attempt, task, note));
    }
    Ok(views)
}

fn agent_view(attempt: Attempt, task: Option<AgentTaskView>, note: AttemptNote) -> AgentView {
    AgentView {
        agent_id: attempt.id,
        agent_type: attempt.role,
        program: attempt.agent,
        program_version: attempt.agent_version,
        status: attempt.state,
        project_id: attempt.project_id,
        spec_id: attempt.spec_id,
        task,
        phase: attempt.subject.phase(),
        attempt_no: attempt.attempt_no,
        rung: attempt.rung,
        created_at: attempt.created_at.into(),
        started_at: attempt.started_at.map(Into::into),
        ended_at: attempt.ended_at.map(Into::into),
        stop_reason: attempt.stop_reason,
        error: attempt.error_message,
        conversation_id: note.conversation_id,
        tags: note.tags.0,
    }
}

/// How an agent does now.
pub(super) async fn health_of(tx: &mut Tx, attempt: &Attempt) -> Result<AgentHealth, StoreError> {
    let now = tx.now();
    let is_live = attempt.state.is_live();
    let is_asking = is_live && !open_calls::of_attempt(tx, attempt.id).await?.is_empty();
    let since = |at: Option<_>| {
        let at = at.filter(|_| is_live)?;
        Some((now.seconds_since(at) as i64).max(0))
    };
    Ok(AgentHealth {
        agent_id: attempt.id,
        status: attempt.state,
        is_live,
        last_heartbeat_at: attempt.last_heartbeat_at.map(Into::into),
        silent_seconds: since(attempt.last_heartbeat_at),
        last_work_at: attempt.last_work_at.map(Into::into),
        idle_seconds: since(attempt.last_work_at),
        is_asking,
    })
}

impl From<AttemptNoteError> for ApiError {
    fn from(source: AttemptNoteError) -> Self {
        let says = source.to_string();
        match source {
            AttemptNoteError::Tags(_) => Self::invalid_value(says).with_field("/tags"),
            AttemptNoteError::Conversation => {
                Self::invalid_value(says).with_field("/conversation_id")
            }
            AttemptNoteError::Store(store) => store.into(),
        }
    }
}
