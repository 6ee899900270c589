//! The section `monitoring`: how life is looked for.

use std::time::Duration;

use omoi_domain::config::{Config, ConfigKey, ValueKind};
use omoi_domain::config_keys;

use super::agent::AGENT_HEARTBEAT_INTERVAL;

config_keys! {
    /// Keys of the watch over work.
    MONITORING_KEYS of MONITORING = "monitoring", "MONITORING_";

    /// How often rows are read without a hint.
    MONITORING_POLL_INTERVAL: Duration =
        ConfigKey::new(&MONITORING, "poll_interval_seconds", ValueKind::Seconds { min: 1, max: 60 }, "1")
            .closed_to_repository();
    /// Silence after which an agent is taken for dead.
    MONITORING_HEARTBEAT_TIMEOUT: Duration =
        ConfigKey::new(&MONITORING, "heartbeat_timeout_seconds", ValueKind::TIME, "120")
            .closed_to_repository();
    /// How long an agent may take to report for the first time.
    MONITORING_CLAIM_TIMEOUT: Duration =
        ConfigKey::new(&MONITORING, "claim_timeout_seconds", ValueKind::TIME, "180")
            .closed_to_repository();
}

/// How often life is shown and looked for, and how long its absence is borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl MonitoringOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        Self {
            poll: config.get(&MONITORING_POLL_INTERVAL),
            heartbeat: config.get(&AGENT_HEARTBEAT_INTERVAL),
            heartbeat_timeout: config.get(&MONITORING_HEARTBEAT_TIMEOUT),
            start_timeout: config.get(&MONITORING_CLAIM_TIMEOUT),
        }
    }
}
