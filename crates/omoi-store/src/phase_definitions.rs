//! The phases of a project's tickets, and what each has to show.

use std::collections::BTreeMap;

use omoi_domain::id::{OrgId, ProjectId};
use omoi_domain::workflow::{
    ArtifactType, GateDefinition, GateRule, PhaseDefinition, PhaseId, PhaseMode, PhaseSeed,
};

use crate::args;
use crate::column::Json;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

row! {
    /// A phase of a project.
    PhaseRow in "phases" as "phase" {
        /// Its project.
        project_id: ProjectId,
        /// Which phase it is.
        phase_id: PhaseId,
        /// Its organisation.
        org_id: OrgId,
        /// Its name for people.
        name: String,
        /// Its place among the phases.
        sequence_order: i64,
        /// What its work may do.
        mode: Option<PhaseMode>,
        /// Whether a ticket may pass it by.
        is_skippable: bool,
        /// The phases that may follow.
        next_phases: Json<Vec<PhaseId>>,
        /// The work that it begins with.
        seeds: Json<Vec<PhaseSeed>>,
        /// When it is done, in words.
        done_definitions: Json<Vec<String>>,
        /// What comes out of it, in words.
        expected_outputs: Json<Vec<String>>,
    }
}

row! {
    /// Something that a phase has to show.
    GateRow in "phase_gate_definitions" as "gate" {
        /// Its project.
        project_id: ProjectId,
        /// The phase.
        phase_id: PhaseId,
        /// What it has to show.
        artifact_type: ArtifactType,
        /// Its organisation.
        org_id: OrgId,
        /// Its place among the gates of the phase.
        sequence_order: i64,
        /// When it is enough.
        rule: Json<GateRule>,
    }
}

/// Writes the phases that a project begins with.
pub(crate) async fn seed_phases(
    tx: &mut Tx,
    project: ProjectId,
    phases: &[PhaseDefinition],
) -> Result<(), StoreError> {
    let org_id = tx.org();
    let rows = (0..).zip(phases).map(|(sequence_order, phase)| PhaseRow {
        project_id: project,
        phase_id: phase.id,
        org_id,
        name: phase.name.clone(),
        sequence_order,
        mode: phase.mode,
        is_skippable: phase.is_skippable,
        next_phases: Json(phase.next.clone()),
        seeds: Json(phase.seeds.clone()),
        done_definitions: Json(phase.done_definitions.clone()),
        expected_outputs: Json(phase.expected_outputs.clone()),
    });
    let rows: Vec<PhaseRow> = rows.collect();
    tx.insert_all(&rows.iter().collect::<Vec<_>>()).await?;
    let gates = phases.iter().flat_map(|phase| {
        let gates = (0..).zip(&phase.gates);
        gates.map(move |(sequence_order, gate)| GateRow {
            project_id: project,
            phase_id: phase.id,
            artifact_type: gate.artifact_type,
            org_id,
            sequence_order,
            rule: Json(gate.rule.clone()),
        })
    });
    let gates: Vec<GateRow> = gates.collect();
    tx.insert_all(&gates.iter().collect::<Vec<_>>()).await
}

/// The phases of a project, in their order.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_project(
    tx: &mut Tx,
    project: ProjectId,
) -> Result<Vec<PhaseDefinition>, StoreError> {
    let phases: Vec<PhaseRow> = tx
        .all("project_id = $2 order by sequence_order", args![project])
        .await?;
    let gates: Vec<GateRow> = tx
        .all(
            "project_id = $2 order by phase_id, sequence_order",
            args![project],
        )
        .await?;
    let mut gates_of: BTreeMap<PhaseId, Vec<GateDefinition>> = BTreeMap::new();
    for gate in gates {
        gates_of
            .entry(gate.phase_id)
            .or_default()
            .push(GateDefinition {
                artifact_type: gate.artifact_type,
                rule: gate.rule.0,
            });
    }
    let phases = phases.into_iter().map(|phase| PhaseDefinition {
        gates: gates_of.remove(&phase.phase_id).unwrap_or_default(),
        id: phase.phase_id,
        name: phase.name,
        mode: phase.mode,
        is_skippable: phase.is_skippable,
        next: phase.next_phases.0,
        seeds: phase.seeds.0,
        done_definitions: phase.done_definitions.0,
        expected_outputs: phase.expected_outputs.0,
    });
    Ok(phases.collect())
}
