//! What a sandbox's start is made of, each part with its time, for the record.

use std::time::Instant;

use omoi_domain::sandbox::{StartStep, StartStepKind};

/// The steps so far. What happens between two of them counts for the later one.
#[derive(Debug)]
pub(crate) struct StartSteps {
    began: Instant,
    steps: Vec<StartStep>,
}

impl StartSteps {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            steps: Vec::new(),
        }
    }

    /// Notes that `step` ended now.
    pub(crate) fn end_step(&mut self, step: StartStepKind, outcome: impl Into<String>) {
        let now = Instant::now();
        let took = now.duration_since(self.began);
        self.steps.push(StartStep {
            step,
            outcome: outcome.into(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
        self.began = now;
    }

    pub(crate) fn to_vec(&self) -> Vec<StartStep> {
        self.steps.clone()
    }
}
