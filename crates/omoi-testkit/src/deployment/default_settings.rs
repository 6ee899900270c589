//! The settings of the platform of tests: those of a deployment that configures nothing.

use std::time::Duration;

use omoi_domain::money::NanoUsd;
use omoi_domain::score::ScoreWeights;
use omoi_execution::DeploymentSettings;

pub(super) fn default_settings() -> DeploymentSettings {
    DeploymentSettings {
        weights: ScoreWeights::default(),
        project_slots: 5,
        global_slots: 10,
        scan_batch: 100,
        model: "agent".to_owned(),
        max_tokens: 1_000,
        task_turns_max: 50,
        task_timeout: Duration::from_mins(90),
        phase_turns_max: 50,
        phase_timeout: Duration::from_mins(15),
        phase_attempts_max: 3,
        phase_budget: NanoUsd::from_dollars(10),
        spec_budget: NanoUsd::from_dollars(50),
        task_budget: NanoUsd::from_dollars(20),
        check_timeout: Duration::from_mins(10),
        command_timeout: Duration::from_mins(1),
        result_bytes: 64 << 10,
        outage_wait: Duration::from_mins(15),
        poll: Duration::from_secs(1),
        heartbeat: Duration::from_secs(15),
        heartbeat_timeout: Duration::from_secs(90),
        start_timeout: Duration::from_mins(3),
        stuck_timeout: Duration::from_mins(15),
        lease: Duration::from_secs(15),
        limits: Default::default(),
        read_only: Vec::new(),
        discovery_depth_max: 2,
        discoveries_per_task: 3,
        discoveries_per_spec: 5,
    }
}
