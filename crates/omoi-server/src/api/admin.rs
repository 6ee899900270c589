//! The process that answers and its deployment, for those who run it.
//!
//! What names rows of an organisation is answered to staff who are there: as a member, or since they entered it. Beyond
//! that staff see figures alone.

mod allow_egress;
mod get_bus_status;
mod get_organization_agents;
mod get_phase_gates;
mod get_phase_progression;
mod get_services_health;
mod get_status;
mod get_task_stats;
mod list_initial_tasks;
mod list_pending_tasks;
mod list_phase_tasks;
mod list_running_tasks;
mod probe_bus;
mod queued_tasks;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::OrgId;
use omoi_protocol::api::EXAMPLE_ORGANIZATION;

use super::ApiSurface;
use super::router::{ApiRouter, operation};

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(get_status::get_status))
        .add(operation!(get_services_health::get_services_health))
        .add(operation!(get_bus_status::get_bus_status))
        .add(operation!(probe_bus::probe_event_bus))
        .add(operation!(allow_egress::allow_egress))
        .merge(looked_at_work())
        .merge(looked_at_tickets())
}

fn looked_at_work() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(get_task_stats::get_task_stats))
        .add(operation!(
            list_pending_tasks::list_pending_tasks,
            InvalidCursor,
            InsufficientScope,
            NotFound,
            ValidationFailed
        ))
        .add(operation!(
            list_running_tasks::list_running_tasks,
            InvalidCursor,
            InsufficientScope,
            NotFound
        ))
        .add(operation!(
            get_organization_agents::get_organization_agents,
            InsufficientScope,
            NotFound
        ))
}

fn looked_at_tickets() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            get_phase_gates::get_phase_gates,
            InsufficientScope,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            list_phase_tasks::list_phase_tasks,
            InsufficientScope,
            NotFound,
            UnclearReference
        ))
        .add(operation!(
            get_phase_progression::get_phase_progression,
            InsufficientScope,
            NotFound,
            ValidationFailed
        ))
        .add(operation!(
            list_initial_tasks::list_initial_tasks,
            InsufficientScope,
            NotFound,
            ValidationFailed
        ))
}

/// Which organisation.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct AskedOrganizationPath {
    /// Row id of the organisation, where the caller is.
    #[param(example = json!(EXAMPLE_ORGANIZATION))]
    organization_id: OrgId,
}
