//! The sections `task_queue` and `limits`: which task is next, and how many are at work at once.

use std::time::Duration;

use omoi_domain::config::{BrokenRule, Config, ConfigKey, ValueKind};
use omoi_domain::config_keys;
use omoi_domain::score::ScoreWeights;
use omoi_domain::slots::SlotLimits;

config_keys! {
    /// Keys of the order of tasks.
    QUEUE_KEYS of TASK_QUEUE = "task_queue", "TQ_";

    /// Weight of the priority in a task's score.
    TQ_W_P: f64 = ConfigKey::new(&TASK_QUEUE, "w_p", ValueKind::SHARE, "0.45")
        .closed_to_repository();
    /// Weight of the age.
    TQ_W_A: f64 = ConfigKey::new(&TASK_QUEUE, "w_a", ValueKind::SHARE, "0.20")
        .closed_to_repository();
    /// Weight of the deadline.
    TQ_W_D: f64 = ConfigKey::new(&TASK_QUEUE, "w_d", ValueKind::SHARE, "0.15")
        .closed_to_repository();
    /// Weight of the tasks it blocks.
    TQ_W_B: f64 = ConfigKey::new(&TASK_QUEUE, "w_b", ValueKind::SHARE, "0.15")
        .closed_to_repository();
    /// Weight of the retries.
    TQ_W_R: f64 = ConfigKey::new(&TASK_QUEUE, "w_r", ValueKind::SHARE, "0.05")
        .closed_to_repository();
    /// The age that counts in full.
    TQ_AGE_CEILING: Duration = ConfigKey::new(&TASK_QUEUE, "age_ceiling", ValueKind::TIME, "3600")
        .closed_to_repository();
    /// How long before a deadline a task becomes urgent.
    TQ_SLA_URGENCY_WINDOW: Duration =
        ConfigKey::new(&TASK_QUEUE, "sla_urgency_window", ValueKind::TIME, "900")
            .closed_to_repository();
    /// The factor for urgent tasks.
    TQ_SLA_BOOST_MULTIPLIER: f64 =
        ConfigKey::new(&TASK_QUEUE, "sla_boost_multiplier", ValueKind::Float { min: 1.0, max: 10.0 }, "1.25")
            .closed_to_repository();
    /// The age from which a task starves.
    TQ_STARVATION_LIMIT: Duration =
        ConfigKey::new(&TASK_QUEUE, "starvation_limit", ValueKind::TIME, "7200")
            .closed_to_repository();
    /// The least score of a starving task.
    TQ_STARVATION_FLOOR_SCORE: f64 =
        ConfigKey::new(&TASK_QUEUE, "starvation_floor_score", ValueKind::SHARE, "0.6")
            .closed_to_repository();
    /// The number of blocked tasks that counts in full.
    TQ_BLOCKER_CEILING: u32 =
        ConfigKey::new(&TASK_QUEUE, "blocker_ceiling", ValueKind::int_range(1, 1_000), "10")
            .closed_to_repository();
    /// Candidates looked at per pass.
    MAX_QUEUE_SCAN_BATCH: u32 =
        ConfigKey::new(&TASK_QUEUE, "max_scan_batch", ValueKind::int_range(1, 10_000), "200")
            .env_name("MAX_QUEUE_SCAN_BATCH")
            .closed_to_repository();
}

config_keys! {
    /// Keys of the number of tasks at work.
    SLOT_KEYS of LIMITS = "limits", "";

    /// Tasks of one project that hold a slot at once.
    MAX_CONCURRENT_TASKS_PER_PROJECT: u32 =
        ConfigKey::new(&LIMITS, "max_concurrent_tasks_per_project", ValueKind::int_range(1, 1_000), "5")
            .closed_to_repository();
    /// Tasks of all organisations that hold a slot at once.
    MAX_CONCURRENT_AGENTS: u32 =
        ConfigKey::new(&LIMITS, "max_concurrent_agents", ValueKind::int_range(1, 10_000), "10")
            .closed_to_repository();
}

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

impl QueueOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        Self {
            weights: score_weights(config),
            slots: SlotLimits {
                per_project: config.get(&MAX_CONCURRENT_TASKS_PER_PROJECT).into(),
                in_deployment: config.get(&MAX_CONCURRENT_AGENTS).into(),
            },
            scan_batch: config.get(&MAX_QUEUE_SCAN_BATCH).into(),
        }
    }
}

fn score_weights(config: &Config) -> ScoreWeights {
    ScoreWeights {
        w_p: config.get(&TQ_W_P),
        w_a: config.get(&TQ_W_A),
        w_d: config.get(&TQ_W_D),
        w_b: config.get(&TQ_W_B),
        w_r: config.get(&TQ_W_R),
        age_ceiling: config.get(&TQ_AGE_CEILING).as_secs_f64(),
        sla_urgency_window: config.get(&TQ_SLA_URGENCY_WINDOW).as_secs_f64(),
        sla_boost_multiplier: config.get(&TQ_SLA_BOOST_MULTIPLIER),
        starvation_limit: config.get(&TQ_STARVATION_LIMIT).as_secs_f64(),
        starvation_floor_score: config.get(&TQ_STARVATION_FLOOR_SCORE),
        blocker_ceiling: config.get(&TQ_BLOCKER_CEILING).into(),
    }
}

/// Refuses weights that do not sum to 1.
///
/// # Errors
/// [`BrokenRule`], with each weight and where it was set.
pub fn check_score_weights(config: &Config) -> Result<(), BrokenRule> {
    let weights = [&TQ_W_P, &TQ_W_A, &TQ_W_D, &TQ_W_B, &TQ_W_R];
    let sum: f64 = weights.iter().map(|key| config.get(key)).sum();
    if (sum - 1.0).abs() <= 1e-6 {
        return Ok(());
    }
    Err(BrokenRule {
        rule: "the task queue's weights must sum to 1".to_owned(),
        found: format!(
            "they sum to {sum}: {}",
            config.describe_keys(&weights.map(|key| &key.spec))
        ),
    })
}
