//! Results of tasks, and of tickets, which earlier interfaces call workflows.

mod get_result_criteria;
mod judge_result;
mod list_task_results;
mod list_workflow_results;
mod report_task_result;
mod set_result_criteria;
mod submit_workflow_result;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::error_code::ErrorCode;
use omoi_domain::work_result::ResultRefusal;
use omoi_execution::results::ResultCommandError;
use omoi_protocol::api::{EXAMPLE_TICKET, TaskResultView, WorkflowCriteria, WorkflowResultView};
use omoi_store::task_results::TaskResult;
use omoi_store::workflow_results::{ResultCriteria, WorkflowResult};

use super::ApiSurface;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            report_task_result::report_task_result,
            NotFound,
            UnclearReference,
            QuotaExceeded,
            Conflict
        ))
        .add(operation!(
            submit_workflow_result::submit_workflow_result,
            NotFound,
            UnclearReference,
            NoResultCriteria,
            InvalidTransition,
            QuotaExceeded,
            Conflict
        ))
        .add(operation!(
            judge_result::judge_result,
            NotFound,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            list_workflow_results::list_workflow_results,
            InvalidCursor,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            list_task_results::list_task_results,
            InvalidCursor,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            get_result_criteria::get_result_criteria,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            set_result_criteria::set_result_criteria,
            NotFound,
            UnclearReference,
            Conflict
        ))
}

/// Which ticket.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct WorkflowPath {
    /// Row id of the ticket, or its reference `TKT-n`.
    #[param(
        example = json!(EXAMPLE_TICKET),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Tt][Kk][Tt]-0*[1-9][0-9]{0,17})$"
    )]
    workflow_id: String,
}

fn task_result_view(result: TaskResult) -> TaskResultView {
    TaskResultView {
        id: result.id,
        project_id: result.project_id,
        task_id: result.task_id,
        result_type: result.result_type,
        summary: result.summary,
        markdown: result.content,
        verification_status: result.status,
        submitted_by: result.actor.into(),
        judged_by_id: result.judged_by_id,
        judged_at: result.judged_at.map(Into::into),
        feedback: result.feedback,
        created_at: result.created_at.into(),
    }
}

fn workflow_result_view(result: WorkflowResult) -> WorkflowResultView {
    WorkflowResultView {
        id: result.id,
        project_id: result.project_id,
        workflow_id: result.ticket_id,
        summary: result.summary,
        markdown: result.content,
        criteria: result.criteria.0,
        status: result.status,
        submitted_by: result.actor.into(),
        judged_by_id: result.judged_by_id,
        judged_at: result.judged_at.map(Into::into),
        feedback: result.feedback,
        unmet_criteria: result.unmet.0,
        created_at: result.created_at.into(),
    }
}

fn criteria_view(row: ResultCriteria) -> WorkflowCriteria {
    WorkflowCriteria {
        result_criteria: row.criteria.0,
        on_result_found: row.on_result_found,
    }
}

impl From<ResultCommandError> for ApiError {
    fn from(source: ResultCommandError) -> Self {
        let says = source.to_string();
        match source {
            ResultCommandError::Refused(refusal) => match refusal {
                ResultRefusal::Length => Self::invalid_value(says).with_field("/markdown"),
                ResultRefusal::Summary => Self::invalid_value(says).with_field("/summary"),
                ResultRefusal::Criteria => Self::invalid_value(says).with_field("/result_criteria"),
                ResultRefusal::Feedback => Self::invalid_value(says).with_field("/feedback"),
                ResultRefusal::UnknownCriterion | ResultRefusal::UnmetCriterion => {
                    Self::invalid_value(says).with_field("/unmet_criteria")
                }
                ResultRefusal::NoCriteria => Self::new(ErrorCode::NoResultCriteria, says)
                    .hint("set them first: PUT /workflows/{workflow_id}/result-criteria"),
                ResultRefusal::AlreadyValidated | ResultRefusal::AlreadyJudged => {
                    Self::new(ErrorCode::InvalidTransition, says)
                }
                ResultRefusal::TooMany => Self::new(ErrorCode::QuotaExceeded, says),
            },
            ResultCommandError::Store(store) => store.into(),
        }
    }
}
