//! What events of specs and their plans carry.

use serde::{Deserialize, Serialize};

use crate::block::SpecBlock;
use crate::id::SpecId;
use crate::opinion::CheckDoubt;
use crate::phase::Phase;
use crate::spec::SpecStatus;

/// A spec was written or moved to another status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecChange {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// The number `n` of its reference `SPEC-n`.
    pub number: i64,
    /// Title shown to people.
    pub title: String,
    /// Status before; none when it was created.
    pub from: Option<SpecStatus>,
    /// Status after the change.
    pub to: SpecStatus,
    /// What it waits for, when it is blocked.
    pub blocked_by: Option<SpecBlock>,
    /// Why, where that is not plain.
    pub reason: Option<String>,
}

/// A phase moved or was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseChange {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// The phase that moved or was judged.
    pub phase: Phase,
    /// Attempts begun, from 1.
    pub attempt: u32,
    /// The evaluator's score, where it spoke.
    pub score: Option<f64>,
    /// Whether the output passed, where the evaluator spoke.
    pub passed: Option<bool>,
    /// Codes of the blockers it found.
    pub blockers: Vec<String>,
    /// Failure kind, or why the phase moved.
    pub reason: Option<String>,
    /// What the next attempt is told.
    pub feedback: Option<String>,
    /// Milliseconds from the phase's first attempt to now, when it ended.
    pub took_ms: Option<i64>,
}

/// A second opinion on the checks of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanJudged {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// The model that was asked.
    pub model: String,
    /// Whether it is the model that wrote the plan, asked afresh.
    pub is_same_model: bool,
    /// How checks could pass while their criteria are violated.
    pub doubts: Vec<CheckDoubt>,
    /// Why there is no opinion, where there is none.
    pub skipped: Option<String>,
}

/// An item of a phase was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemAccepted {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// The phase whose output holds the item.
    pub phase: Phase,
    /// The section of the output.
    pub section: String,
    /// Key of the item within its section.
    pub key: String,
    /// Position in the phase's journal.
    pub seq: i64,
}

/// How many rows of each kind sync wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SyncDone {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// Number of tickets written.
    pub tickets: u32,
    /// Number of tasks written.
    pub tasks: u32,
    /// Number of requirements written.
    pub requirements: u32,
    /// Number of acceptance criteria written.
    pub criteria: u32,
    /// Number of checks written.
    pub checks: u32,
    /// Share of requirements covered, 0 to 100.
    pub coverage_percent: f64,
}

/// A planning run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanningEnded {
    /// Row id of the spec.
    pub spec_id: SpecId,
    /// Whether every phase passed.
    pub success: bool,
    /// Phases that passed, in working order.
    pub phases_completed: Vec<Phase>,
    /// The phase that failed, if one did.
    pub failed_phase: Option<Phase>,
}
