//! Outputs of phases with changes that a person made in them: judged, and written.

use serde_json::Value;

use omoi_domain::phase::Phase;
use omoi_plan::items::{ItemSubmission, OutputItem};
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::Spec;
use omoi_store::{Json, StoreError, Tx};

use super::SpecCommandError;
use crate::gate_facts::{PhaseMaterial, judge_items};
use crate::items::{put, validated};
use crate::plan_gate::PlanGate;
use crate::planner::output_digest;
use crate::{proofs, tree};

/// One item of an accepted output as a person wants it.
#[derive(Clone, Debug)]
pub struct ItemEdit {
    /// The section of the output.
    pub section: String,
    /// Its key within a list.
    pub key: String,
    /// The item; null takes one out of a list.
    pub value: Value,
}

/// What a changed output is made of.
pub(super) struct EditDraft<'a> {
    /// What the output was made of before.
    pub(super) material: PhaseMaterial,
    /// What is to be another.
    pub(super) edits: &'a [ItemEdit],
}

/// The output of a phase with changed items, which passes its gate.
pub(super) struct JudgedEdit {
    phase: Phase,
    /// The run that was looked at.
    run_version: i64,
    items: Vec<OutputItem>,
    pub(super) output: Value,
    score: f64,
}

impl JudgedEdit {
    /// Judges the output of `phase` with the items of `draft` in it.
    ///
    /// # Errors
    /// [`SpecCommandError::InvalidEdit`] when it could not be accepted.
    pub(super) async fn judge_edit(
        gate: &PlanGate,
        spec: &Spec,
        phase: Phase,
        draft: EditDraft<'_>,
    ) -> Result<Self, SpecCommandError> {
        let EditDraft {
            mut material,
            edits,
        } = draft;
        let tracked = tree::of_spec(&gate.folders, spec).await;
        let repo = tracked.map_err(SpecCommandError::Judge)?;
        let check_timeout = spec.work_limits(gate.limits).check_timeout;
        let mut items = Vec::new();
        for edit in edits {
            let item = ItemSubmission {
                phase,
                section: &edit.section,
                key: &edit.key,
                value: &edit.value,
            };
            let accepted = validated(item, &repo, check_timeout);
            items.push(accepted.map_err(SpecCommandError::InvalidEdit)?.item);
        }
        let run_version = run_version(&material.runs, phase);
        material.items.extend(items.iter().cloned());
        material.items = omoi_plan::items::latest_items(phase, material.items);
        let judged = judge_items(gate, spec, phase, material).await;
        let judged = judged.map_err(SpecCommandError::Judge)?;
        let Some(output) = judged.output.filter(|_| judged.evaluation.passed) else {
            return Err(SpecCommandError::InvalidEdit(judged.evaluation.feedback));
        };
        Ok(Self {
            phase,
            run_version,
            items,
            output,
            score: judged.evaluation.score,
        })
    }

    /// Writes the output in place of the one that was looked at.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when that is another one by now.
    pub(super) async fn write_output(&self, tx: &mut Tx, spec: &Spec) -> Result<(), StoreError> {
        let mut run = phases::ensure(tx, spec.id, self.phase).await?;
        if run.state_version != self.run_version {
            return Err(StoreError::Conflict {
                what: "output",
                key: self.phase.to_string(),
            });
        }
        for item in &self.items {
            put(tx, spec, &run, item).await?;
        }
        run.output_digest = Some(output_digest(&self.output));
        run.output = Some(Json(self.output.clone()));
        run.score = Some(self.score);
        if self.phase == Phase::Tasks {
            proofs::mark_untried(&mut run)?;
        }
        phases::save(tx, &mut run).await
    }
}

fn run_version(runs: &[PhaseRun], phase: Phase) -> i64 {
    let run = runs.iter().find(|run| run.phase == phase);
    run.map_or(0, |run| run.state_version)
}
