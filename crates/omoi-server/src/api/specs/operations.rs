//! The operations on specs, each with the codes of its refusals.

use super::{
    answer_questions, approve_design, approve_requirements, archive_spec, cancel_spec,
    create_branch, create_criterion, create_planned_task, create_requirement, create_spec,
    delete_criterion, delete_planned_task, delete_requirement, deliver_spec, diff_spec_versions,
    execute_spec, execute_tasks, export_spec, get_criteria_status, get_execution_status, get_spec,
    get_spec_version, launch_spec, link_tickets, list_egress, list_linked_tickets, list_phase_data,
    list_project_specs, list_spec_events, list_spec_tasks, list_spec_versions, list_specs,
    reject_design, reject_requirements, replace_design, restore_spec_version, resume_spec,
    sync_spec, trace_spec, unlink_tickets, update_criterion, update_planned_task,
    update_requirement, update_spec,
};
use crate::api::ApiSurface;
use crate::api::router::{ApiRouter, operation, operations_alike};

pub(in crate::api) fn group_operations() -> ApiRouter<ApiSurface> {
    shown_specs()
        .merge(begun_specs())
        .merge(changed_specs())
        .merge(worked_specs())
        .merge(edited_plans())
        .merge(planned_tasks())
        .merge(linked_tickets())
        .merge(decided_specs())
        .merge(spec_versions())
}

fn shown_specs() -> ApiRouter<ApiSurface> {
    operations_alike!(
        (NotFound, UnclearReference),
        list_spec_tasks::list_spec_tasks,
        list_phase_data::list_phase_data,
        get_criteria_status::get_criteria_status,
        get_spec::get_spec,
        get_execution_status::get_execution_status,
        export_spec::export_spec,
        trace_spec::trace_spec,
        list_egress::list_egress,
    )
    .add(operation!(list_specs::list_specs, InvalidCursor))
    .add(operation!(
        list_project_specs::list_project_specs,
        InvalidCursor,
        NotFound
    ))
    .add(operation!(
        list_spec_events::list_spec_events,
        NotFound,
        UnclearReference,
        InvalidCursor
    ))
}

/// What people decide about what phases made.
fn decided_specs() -> ApiRouter<ApiSurface> {
    operations_alike!(
        (NotFound, UnclearReference, InvalidTransition, Conflict),
        answer_questions::answer_questions,
        approve_requirements::approve_requirements,
        approve_design::approve_design,
        reject_requirements::reject_requirements,
        reject_design::reject_design,
    )
}

/// What begins specs, or writes them down.
fn begun_specs() -> ApiRouter<ApiSurface> {
    operations_alike!(
        (
            BadRepository,
            BadRepositoryFile,
            RepositoryNotTrusted,
            TrustOutdated,
            CopyRefused,
            AgentUnusable,
            Conflict
        ),
        launch_spec::launch_spec,
        create_spec::create_draft_spec,
    )
    .add(operation!(
        execute_spec::execute_spec,
        NotFound,
        UnclearReference,
        AtWork,
        OtherModel,
        InvalidTransition,
        Conflict
    ))
}

fn changed_specs() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            archive_spec::archive_spec,
            StaleVersion,
            NotFound,
            UnclearReference,
            AtWork,
            Conflict
        ))
        .add(operation!(
            create_branch::create_branch,
            NotFound,
            UnclearReference,
            NotPlanned
        ))
        .add(operation!(
            sync_spec::sync_plan,
            NotFound,
            UnclearReference,
            NotPlanned,
            OtherModel,
            TaskCancelled,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            update_spec::update_spec,
            StaleVersion,
            NotFound,
            UnclearReference,
            AtWork,
            InvalidTransition,
            Conflict
        ))
}

/// What people do with the work on specs.
fn worked_specs() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(
            execute_tasks::execute_tasks,
            NotFound,
            UnclearReference,
            NotPlanned,
            OtherModel,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            resume_spec::resume_spec,
            NotFound,
            UnclearReference,
            NotPlanned,
            AtWork,
            Waits,
            TaskCancelled,
            Refused,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            deliver_spec::deliver_spec,
            NotFound,
            UnclearReference,
            NothingLanded,
            StillOpen,
            AtWork,
            OtherModel,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            cancel_spec::cancel_spec,
            NotFound,
            UnclearReference,
            InvalidTransition,
            Conflict
        ))
}

fn edited_plans() -> ApiRouter<ApiSurface> {
    operations_alike!(
        (
            StaleVersion,
            NotFound,
            UnclearReference,
            AtWork,
            Refused,
            Conflict
        ),
        create_requirement::create_requirement,
        update_requirement::update_requirement,
        delete_requirement::delete_requirement,
        create_criterion::create_criterion,
        update_criterion::update_criterion,
        delete_criterion::delete_criterion,
    )
    .add(operation!(
        replace_design::replace_design,
        PreconditionRequired,
        StaleVersion,
        NotFound,
        UnclearReference,
        AtWork,
        Refused,
        Conflict
    ))
}

/// What people change of the tasks of a plan.
fn planned_tasks() -> ApiRouter<ApiSurface> {
    operations_alike!(
        (
            StaleVersion,
            NotFound,
            UnclearReference,
            AtWork,
            Refused,
            Conflict
        ),
        create_planned_task::create_planned_task,
        update_planned_task::update_planned_task,
        delete_planned_task::delete_planned_task,
    )
}

/// The tickets that have to do with specs.
fn linked_tickets() -> ApiRouter<ApiSurface> {
    operations_alike!(
        (NotFound, UnclearReference, Conflict),
        link_tickets::link_tickets,
        unlink_tickets::unlink_tickets,
    )
    .add(operation!(
        list_linked_tickets::list_linked_tickets,
        NotFound,
        UnclearReference
    ))
}

fn spec_versions() -> ApiRouter<ApiSurface> {
    operations_alike!(
        (NotFound, UnclearReference),
        list_spec_versions::list_spec_versions,
        get_spec_version::get_spec_version,
        diff_spec_versions::diff_spec_versions,
    )
    .add(operation!(
        restore_spec_version::restore_spec_version,
        StaleVersion,
        NotFound,
        UnclearReference,
        AtWork,
        Refused,
        Conflict
    ))
}
