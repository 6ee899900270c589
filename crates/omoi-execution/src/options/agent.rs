//! The section `agent`: what one task's agent may take.

use std::time::Duration;

use omoi_domain::config::{Config, ConfigKey, ValueKind};
use omoi_domain::config_keys;
use omoi_domain::money::NanoUsd;
use omoi_domain::work_limits::TaskLimits;

config_keys! {
    /// Keys of the agents that work on tasks.
    AGENT_KEYS of AGENT = "agent", "AGENT_";

    /// Time between signs of life of an agent.
    AGENT_HEARTBEAT_INTERVAL: Duration =
        ConfigKey::new(&AGENT, "heartbeat_interval", ValueKind::TIME, "15")
            .closed_to_repository();
    /// How long one attempt at a task may take; a plan may ask for less.
    AGENT_TASK_TIMEOUT: Duration =
        ConfigKey::new(&AGENT, "task_timeout_seconds", ValueKind::Seconds { min: 1, max: 5_400 }, "5400")
            .lowered_by_repository();
    /// Model turns of one attempt at a task.
    AGENT_MAX_TURNS: u32 = ConfigKey::new(&AGENT, "max_turns", ValueKind::int_range(1, 1_000), "50")
        .lowered_by_repository();
    /// What one task may cost, all attempts together.
    AGENT_MAX_BUDGET_USD: NanoUsd =
        ConfigKey::new(&AGENT, "max_budget_usd", ValueKind::BUDGET, "20")
            .lowered_by_repository();
    /// How long one tool call may take; how slow a build is, a repository knows best.
    AGENT_TOOL_TIMEOUT: Duration =
        ConfigKey::new(&AGENT, "tool_timeout_seconds", ValueKind::TIME, "600");
}

/// What one task may take, where its spec's repository asks for no less.
pub fn task_limits(config: &Config) -> TaskLimits {
    TaskLimits {
        turns_max: config.get(&AGENT_MAX_TURNS),
        timeout: config.get(&AGENT_TASK_TIMEOUT),
        budget: config.get(&AGENT_MAX_BUDGET_USD),
        command_timeout: config.get(&AGENT_TOOL_TIMEOUT),
    }
}
