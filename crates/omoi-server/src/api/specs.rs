//! Operations on specs.

mod answer_questions;
mod approve_design;
mod approve_requirements;
mod archive_spec;
mod cancel_spec;
mod create_branch;
mod create_criterion;
mod create_planned_task;
mod create_requirement;
mod create_spec;
mod delete_criterion;
mod delete_planned_task;
mod delete_requirement;
mod deliver_spec;
mod diff_spec_versions;
mod execute_spec;
mod execute_tasks;
mod export_spec;
mod get_criteria_status;
mod get_execution_status;
mod get_spec;
mod get_spec_version;
mod launch_spec;
mod link_tickets;
mod list_egress;
mod list_linked_tickets;
mod list_phase_data;
mod list_project_specs;
mod list_spec_events;
mod list_spec_tasks;
mod list_spec_versions;
mod list_specs;
mod operations;
mod plan_edits;
mod reject_design;
mod reject_requirements;
mod replace_design;
mod restore_spec_version;
mod resume_spec;
mod sync_spec;
mod trace_spec;
mod unlink_tickets;
mod update_criterion;
mod update_planned_task;
mod update_requirement;
mod update_spec;

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::approval::ApprovalKind;
use omoi_domain::id::{ProjectId, SpecId, TicketId};
use omoi_execution::commands::{self, PersonSaid};
use omoi_protocol::api::{ApprovalView, EXAMPLE_SPEC, ListPage, SpecTicketList, SpecView};
use omoi_store::specs::{self, Spec, SpecFilter};

pub(super) use self::operations::group_operations;
use super::approvals::approval_view;
use super::caller::ApiCaller;
use super::find::{self, AskedReference};
use super::list::ApiList;
use super::spec_view::{spec_view, spec_views};
use super::{Answer, ApiSurface};
use crate::error::ApiError;

/// Which spec.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SpecPath {
    /// Row id of the spec, or its reference `SPEC-n`.
    #[param(
        example = json!(EXAMPLE_SPEC),
        pattern = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([^/]+/)*[Ss][Pp][Ee][Cc]-0*[1-9][0-9]{0,17})$"
    )]
    pub(super) spec_id: String,
}

/// Which project's numbers a reference means.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OfProject {
    /// The project of the reference, where several have one with its number.
    pub(super) project_id: Option<ProjectId>,
}

impl ApiCaller {
    /// The spec that a path names.
    pub(super) async fn find_spec(
        &self,
        path: &SpecPath,
        of: &OfProject,
    ) -> Result<Spec, ApiError> {
        let asked = AskedReference::of_path(&path.spec_id, of.project_id);
        self.own_rows()
            .read(async |tx| find::spec(tx, asked).await)
            .await
    }
}

/// Tickets that a body may name.
const LISTED_TICKETS_MAX: usize = 100;

impl ApiCaller {
    /// The tickets that a body names, of the project of `spec`.
    async fn listed_tickets(
        &self,
        spec: &Spec,
        body: &SpecTicketList,
    ) -> Result<Vec<TicketId>, ApiError> {
        let named = &body.ticket_ids;
        if !(1..=LISTED_TICKETS_MAX).contains(&named.len()) {
            let says = format!("name 1 to {LISTED_TICKETS_MAX} tickets");
            return Err(ApiError::invalid_value(says).with_field("/ticket_ids"));
        }
        let found = self.own_rows().read(async |tx| {
            let mut found = Vec::with_capacity(named.len());
            for text in named {
                let asked = AskedReference::of_path(text, Some(spec.project_id));
                found.push(find::find_ticket(tx, asked).await?.id);
            }
            Ok::<_, ApiError>(found)
        });
        found.await
    }
}

/// A spec as it is now.
pub(super) async fn answered_spec(
    s: &ApiSurface,
    caller: &ApiCaller,
    spec: Spec,
) -> Answer<SpecView> {
    let view = caller
        .own_rows()
        .read(async |tx| spec_view(tx, &s.parts.policy, spec).await);
    Ok(Json(view.await?))
}

/// The page of specs that `list` asks for, of those that `filter` takes.
async fn answered_page<F>(
    s: &ApiSurface,
    caller: &ApiCaller,
    list: &ApiList<F>,
    filter: &SpecFilter,
) -> Answer<ListPage<SpecView>> {
    let asked = list.asked_page::<Spec>(s, caller, "-created_at")?;
    let page = caller.own_rows().read(async |tx| {
        let mut page = specs::list_page(tx, filter, &asked).await?;
        let found = std::mem::take(&mut page.rows);
        let views = spec_views(tx, &s.parts.policy, found).await?;
        Ok::<_, ApiError>(page.replace_rows(views))
    });
    Ok(list.answer_page(s, caller, page.await?))
}

/// The spec after `act`, which an earlier request with the same key may have done.
async fn spec_after<E: Into<ApiError>>(
    caller: &ApiCaller,
    id: SpecId,
    act: impl Future<Output = Result<Spec, E>>,
) -> Result<Spec, ApiError> {
    match caller.act_once(act).await? {
        Some(spec) => Ok(spec),
        None => {
            caller
                .own_rows()
                .read(async |tx| Ok(specs::get(tx, id).await?))
                .await
        }
    }
}

/// The spec that `create` writes down, or that an earlier request with the same key did.
async fn created_spec<E: Into<ApiError>>(
    caller: &ApiCaller,
    create: impl Future<Output = Result<Spec, E>>,
) -> Result<Spec, ApiError> {
    match caller.act_once(create).await? {
        Some(spec) => Ok(spec),
        None => {
            let id = SpecId::from_uuid(caller.expect_made()?);
            caller
                .own_rows()
                .read(async |tx| Ok(specs::get(tx, id).await?))
                .await
        }
    }
}

/// What a person says of what a phase of a spec made, and the question as it is then.
async fn decided_output(
    caller: &ApiCaller,
    spec: SpecId,
    kind: ApprovalKind,
    said: PersonSaid<'_>,
) -> Answer<ApprovalView> {
    let tenant = caller.own_rows();
    let decided = commands::decide_output(tenant, spec, kind, said).await?;
    let view = tenant.read(async |tx| approval_view(tx, decided).await);
    Ok(Json(view.await?))
}
