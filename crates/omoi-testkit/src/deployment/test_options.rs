//! The options of the deployment of tests.

use std::time::Duration;

use omoi_domain::discovery::DiscoveryCaps;
use omoi_domain::money::NanoUsd;
use omoi_domain::score::ScoreWeights;
use omoi_domain::slots::SlotLimits;
use omoi_domain::work_limits::{PhaseLimits, TaskLimits, WorkLimits};
use omoi_execution::options::{MonitoringOptions, QueueOptions};
use omoi_execution::setup::SetupOptions;

pub(super) fn queue_options() -> QueueOptions {
    QueueOptions {
        weights: ScoreWeights::default(),
        slots: SlotLimits {
            per_project: 5,
            in_deployment: 10,
        },
        scan_batch: 100,
    }
}

pub(super) fn setup_options() -> SetupOptions {
    SetupOptions {
        layers_bytes: 1 << 30,
        timeout: Duration::from_mins(1),
        commands: Vec::new(),
    }
}

pub(super) const MONITORING: MonitoringOptions = MonitoringOptions {
    poll: Duration::from_secs(1),
    heartbeat: Duration::from_secs(15),
    heartbeat_timeout: Duration::from_secs(90),
    start_timeout: Duration::from_mins(3),
};

pub(super) const LIMITS: WorkLimits = WorkLimits {
    spec_budget: NanoUsd::from_dollars(50),
    phase: PhaseLimits {
        turns_max: 50,
        timeout: Duration::from_mins(15),
        attempts_max: 3,
        budget: NanoUsd::from_dollars(10),
    },
    task: TaskLimits {
        turns_max: 50,
        timeout: Duration::from_mins(90),
        budget: NanoUsd::from_dollars(20),
        command_timeout: Duration::from_mins(1),
    },
    check_timeout: Duration::from_mins(10),
    discovery: DiscoveryCaps {
        depth: 2,
        per_task: 3,
        per_spec: 5,
    },
};
