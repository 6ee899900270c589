//! From configuration to the figures the reconcilers go by.

use omoi_domain::config::Config;
use omoi_domain::discovery::DiscoveryCaps;
use omoi_domain::score::ScoreWeights;
use omoi_domain::slots::SlotLimits;
use omoi_domain::work_limits::{PhaseLimits, TaskLimits, WorkLimits};
use omoi_execution::options::{MonitoringOptions, QueueOptions};
use omoi_runtime::config::keys;
use omoi_sandbox::SandboxLimits;
use omoi_store::ServerOptions;

/// How the queue works.
pub(super) fn queue_options(config: &Config) -> QueueOptions {
    QueueOptions {
        weights: score_weights(config),
        slots: SlotLimits {
            per_project: config.get(&keys::MAX_CONCURRENT_TASKS_PER_PROJECT).into(),
            in_all: config.get(&keys::MAX_CONCURRENT_AGENTS).into(),
        },
        scan_batch: config.get(&keys::MAX_QUEUE_SCAN_BATCH).into(),
    }
}

/// How life is watched for.
pub(super) fn monitoring_options(config: &Config) -> MonitoringOptions {
    MonitoringOptions {
        poll: config.get(&keys::MONITORING_POLL_INTERVAL),
        heartbeat: config.get(&keys::AGENT_HEARTBEAT_INTERVAL),
        heartbeat_timeout: config.get(&keys::MONITORING_HEARTBEAT_TIMEOUT),
        start_timeout: config.get(&keys::MONITORING_CLAIM_TIMEOUT),
    }
}

/// What work may take.
pub(super) fn work_limits(config: &Config) -> WorkLimits {
    WorkLimits {
        spec_budget: config.get(&keys::SPEC_TOTAL_BUDGET_USD),
        phase: PhaseLimits {
            turns_max: config.get(&keys::SPEC_MAX_TURNS),
            timeout: config.get(&keys::SPEC_PHASE_TIMEOUT),
            attempts_max: config.get(&keys::SPEC_MAX_ATTEMPTS),
            budget: config.get(&keys::SPEC_PHASE_BUDGET_USD),
        },
        task: TaskLimits {
            turns_max: config.get(&keys::AGENT_MAX_TURNS),
            timeout: config.get(&keys::AGENT_TASK_TIMEOUT),
            budget: config.get(&keys::AGENT_MAX_BUDGET_USD),
            command_timeout: config.get(&keys::AGENT_TOOL_TIMEOUT),
        },
        check_timeout: config.get(&keys::VALIDATION_CHECK_TIMEOUT),
        discovery: DiscoveryCaps {
            depth: config.get(&keys::DISCOVERY_DEPTH_CAP),
            per_task: config.get(&keys::DISCOVERY_PER_TASK_CAP),
            per_spec: config.get(&keys::DISCOVERY_PER_SPEC_CAP),
        },
    }
}

/// How `config` has a database server used.
pub(super) fn database_server(config: &Config) -> ServerOptions {
    ServerOptions {
        connections: config.get(&keys::DATABASE_POOL_SIZE),
        pool_timeout: config.get(&keys::DATABASE_POOL_TIMEOUT),
        command_timeout: config.get(&keys::DATABASE_COMMAND_TIMEOUT),
        connect_timeout: config.get(&keys::DATABASE_CONNECT_TIMEOUT),
    }
}

fn score_weights(config: &Config) -> ScoreWeights {
    ScoreWeights {
        w_p: config.get(&keys::TQ_W_P),
        w_a: config.get(&keys::TQ_W_A),
        w_d: config.get(&keys::TQ_W_D),
        w_b: config.get(&keys::TQ_W_B),
        w_r: config.get(&keys::TQ_W_R),
        age_ceiling: config.get(&keys::TQ_AGE_CEILING).as_secs_f64(),
        sla_urgency_window: config.get(&keys::TQ_SLA_URGENCY_WINDOW).as_secs_f64(),
        sla_boost_multiplier: config.get(&keys::TQ_SLA_BOOST_MULTIPLIER),
        starvation_limit: config.get(&keys::TQ_STARVATION_LIMIT).as_secs_f64(),
        starvation_floor_score: config.get(&keys::TQ_STARVATION_FLOOR_SCORE),
        blocker_ceiling: config.get(&keys::TQ_BLOCKER_CEILING).into(),
    }
}

/// Amounts of one sandbox.
pub(super) fn sandbox_limits(config: &Config) -> SandboxLimits {
    SandboxLimits {
        memory_bytes: config.get(&keys::SANDBOX_MEMORY),
        processes_max: config.get(&keys::SANDBOX_PROCESSES).into(),
        cpu_millicores: (config.get(&keys::SANDBOX_CPUS) * 1_000.0) as u64,
        file_bytes_max: config.get(&keys::SANDBOX_FILE_SIZE),
        open_files_max: config.get(&keys::SANDBOX_OPEN_FILES).into(),
        temp_bytes: config.get(&keys::SANDBOX_TEMP),
        workspace_bytes: config.get(&keys::SANDBOX_WORKSPACE),
    }
}
