//! Operations on the boards of projects, and on the phases that their tickets go through.

mod auto_transition_ticket;
mod get_board_columns;
mod get_board_stats;
mod get_phase_column;
mod get_phase_config;
mod list_phase_configs;
mod list_wip_violations;
mod move_board_ticket;
mod set_board_columns;
mod view_board;

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::IntoParams;

use omoi_domain::id::ProjectId;
use omoi_domain::workflow::{ColumnDefinition, PhaseDefinition, PhaseId};
use omoi_protocol::api::{
    BoardColumnSettings, BoardSettings, EXAMPLE_PROJECT, PhaseConfigView, PhaseGateView,
};
use omoi_store::{StoreError, Tx, board_positions, phase_definitions};

use super::ApiSurface;
use super::caller::ApiCaller;
use super::router::{ApiRouter, operation};
use crate::error::ApiError;

pub(super) fn group_operations() -> ApiRouter<ApiSurface> {
    ApiRouter::new()
        .add(operation!(view_board::view_board, NotFound))
        .add(operation!(
            move_board_ticket::move_board_ticket,
            NotFound,
            UnclearReference,
            PreconditionRequired,
            StaleVersion,
            GateNotMet,
            WipLimitExceeded,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(
            auto_transition_ticket::auto_transition_ticket,
            NotFound,
            UnclearReference,
            GateNotMet,
            WipLimitExceeded,
            InvalidTransition,
            Conflict
        ))
        .add(operation!(get_board_stats::get_board_stats, NotFound))
        .add(operation!(
            list_wip_violations::list_wip_violations,
            NotFound
        ))
        .add(operation!(get_phase_column::get_phase_column, NotFound))
        .add(operation!(get_board_columns::get_board_columns, NotFound))
        .add(operation!(
            set_board_columns::set_board_columns,
            NotFound,
            PreconditionRequired,
            StaleVersion,
            Conflict
        ))
        .add(operation!(list_phase_configs::list_phase_configs, NotFound))
        .add(operation!(get_phase_config::get_phase_config, NotFound))
}

/// Which project.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct BoardQuery {
    /// The project; the only one that there is, where it is left out.
    project_id: Option<ProjectId>,
}

impl BoardQuery {
    /// The project that is asked for, or the one that the caller reaches.
    fn asked_project(&self, caller: &ApiCaller) -> Option<ProjectId> {
        self.project_id.or_else(|| caller.only_project())
    }
}

/// Which phase.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct PhasePath {
    /// The phase.
    #[param(inline, example = json!("PHASE_DESIGN"))]
    phase_id: PhaseId,
}

/// Which project.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct BoardPath {
    /// Row id of the project.
    #[param(example = json!(EXAMPLE_PROJECT))]
    project_id: ProjectId,
}

fn settings_of(column: &ColumnDefinition) -> BoardColumnSettings {
    BoardColumnSettings {
        id: column.key.clone(),
        name: column.name.clone(),
        description: column.description.clone(),
        phase_mapping: column.phases.clone(),
        wip_limit: column.wip_limit,
        is_terminal: column.is_terminal,
        auto_transition_to: column.auto_transition_to.clone(),
        color_theme: column.color_theme.clone(),
    }
}

fn board_settings(columns: &[ColumnDefinition]) -> BoardSettings {
    BoardSettings {
        columns: columns.iter().map(settings_of).collect(),
    }
}

fn column_of(settings: BoardColumnSettings) -> ColumnDefinition {
    ColumnDefinition {
        key: settings.id,
        name: settings.name,
        description: settings.description,
        phases: settings.phase_mapping,
        wip_limit: settings.wip_limit,
        is_terminal: settings.is_terminal,
        auto_transition_to: settings.auto_transition_to,
        color_theme: settings.color_theme,
    }
}

/// How many tickets each column has.
async fn column_counts(
    tx: &mut Tx,
    project: ProjectId,
    columns: &[ColumnDefinition],
) -> Result<BTreeMap<String, u32>, StoreError> {
    let counts = board_positions::counts_of_project(tx, project, columns).await?;
    Ok(counts.into_iter().collect())
}

/// The phases of a project as people see them.
async fn phase_configs(tx: &mut Tx, project: ProjectId) -> Result<Vec<PhaseConfigView>, ApiError> {
    let phases = phase_definitions::of_project(tx, project).await?;
    let views = (0..)
        .zip(phases)
        .map(|(order, phase)| phase_config(order, phase));
    Ok(views.collect())
}

fn phase_config(sequence_order: u32, phase: PhaseDefinition) -> PhaseConfigView {
    let gates = phase.gates.into_iter().map(|gate| PhaseGateView {
        artifact_type: gate.artifact_type,
        rule: serde_json::json!(gate.rule),
    });
    PhaseConfigView {
        id: phase.id,
        name: phase.name,
        sequence_order,
        mode: phase.mode,
        is_skippable: phase.is_skippable,
        allowed_transitions: phase.next,
        seeds: phase.seeds,
        done_definitions: phase.done_definitions,
        expected_outputs: phase.expected_outputs,
        gates: gates.collect(),
    }
}
