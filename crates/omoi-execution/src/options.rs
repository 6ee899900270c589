//! What a person configures of the queue and of the watch over work.

use std::time::Duration;

use omoi_domain::score::ScoreWeights;
use omoi_domain::slots::SlotLimits;

/// Which task is next, and how many are at work at once.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// Weights of the task score.
    pub weights: ScoreWeights,
    /// How many tasks may be at work at once.
    pub slots: SlotLimits,
    /// Rows looked at in one dispatch.
    pub scan_batch: i64,
}

/// How often life is shown and looked for, and how long its absence is borne.
#[derive(Clone, Copy, Debug)]
pub struct MonitoringOptions {
    /// Longest wait of a reconciler that nobody wakes.
    pub poll: Duration,
    /// Time between heartbeats of a worker.
    pub heartbeat: Duration,
    /// Silence after which a worker is dead.
    pub heartbeat_timeout: Duration,
    /// Time a worker may take to report for the first time.
    pub start_timeout: Duration,
}
