//! From configuration to the figures the reconcilers go by.

use std::time::Duration;

use omoi_domain::model_route::RouteName;
use omoi_domain::score::ScoreWeights;
use omoi_execution::DeploymentSettings;
use omoi_runtime::config::{Config, keys};
use omoi_sandbox::SandboxLimits;
use omoi_store::ServerOptions;

/// Bytes of one tool result that reach the model.
const RESULT_BYTES: usize = 64 << 10;
/// Time an agent may go without a sign of work.
const STUCK: Duration = Duration::from_secs(900);
/// How long an attempt lives without its owner's renewal.
const LEASE: Duration = Duration::from_secs(15);

/// The settings `config` asks for, with answers of at most `max_tokens`.
pub(super) fn loop_settings(config: &Config, max_tokens: u32) -> DeploymentSettings {
    DeploymentSettings {
        weights: score_weights(config),
        project_slots: config.get(&keys::MAX_CONCURRENT_TASKS_PER_PROJECT).into(),
        global_slots: config.get(&keys::MAX_CONCURRENT_AGENTS).into(),
        scan_batch: config.get(&keys::MAX_QUEUE_SCAN_BATCH).into(),
        model: RouteName::Agent.as_str().to_owned(),
        max_tokens,
        task_turns_max: config.get(&keys::AGENT_MAX_TURNS),
        task_timeout: config.get(&keys::AGENT_TASK_TIMEOUT),
        phase_turns_max: config.get(&keys::SPEC_MAX_TURNS),
        phase_timeout: config.get(&keys::SPEC_PHASE_TIMEOUT),
        phase_attempts_max: config.get(&keys::SPEC_MAX_ATTEMPTS),
        phase_budget: config.get(&keys::SPEC_PHASE_BUDGET_USD),
        spec_budget: config.get(&keys::SPEC_TOTAL_BUDGET_USD),
        task_budget: config.get(&keys::AGENT_MAX_BUDGET_USD),
        check_timeout: config.get(&keys::VALIDATION_CHECK_TIMEOUT),
        command_timeout: config.get(&keys::AGENT_TOOL_TIMEOUT),
        result_bytes: RESULT_BYTES,
        outage_wait: config.get(&keys::LLM_OUTAGE_WAIT),
        poll: config.get(&keys::MONITORING_POLL_INTERVAL),
        heartbeat: config.get(&keys::AGENT_HEARTBEAT_INTERVAL),
        heartbeat_timeout: config.get(&keys::MONITORING_HEARTBEAT_TIMEOUT),
        start_timeout: config.get(&keys::MONITORING_CLAIM_TIMEOUT),
        stuck_timeout: STUCK,
        lease: LEASE,
        limits: sandbox_limits(config),
        read_only: config.get(&keys::SANDBOX_READ_ONLY),
        discovery_depth_max: config.get(&keys::DISCOVERY_DEPTH_CAP),
        discoveries_per_task: config.get(&keys::DISCOVERY_PER_TASK_CAP),
        discoveries_per_spec: config.get(&keys::DISCOVERY_PER_SPEC_CAP),
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

fn sandbox_limits(config: &Config) -> SandboxLimits {
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
