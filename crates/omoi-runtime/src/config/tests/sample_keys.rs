//! Keys of every kind, as the crates of the program declare theirs.

use secrecy::SecretString;

use omoi_domain::config::{ConfigKey, ListItems, ValueKind};
use omoi_domain::money::NanoUsd;
use omoi_domain::{choice, config_keys};

use super::*;
use crate::options::{DATA_KEYS, LOG_KEYS, REDIS_KEYS};

choice! {
    /// Who answers model requests.
    SampleMode {
        /// A provider.
        Live = "live",
        /// A script.
        Simulated = "simulated",
    }
}

config_keys! {
    /// Keys of the database.
    DATABASE_KEYS of DATABASE = "database", "DATABASE_";

    /// Address of the database.
    DATABASE_URL: String = ConfigKey::new(&DATABASE, "url", ValueKind::Url(&["sqlite", "postgres"]), "")
        .closed_to_repository();
}

config_keys! {
    /// Keys of the address to listen at.
    SERVER_KEYS of SERVER = "server", "SERVER_";

    /// The port to listen at.
    SERVER_PORT: u16 = ConfigKey::new(&SERVER, "port", ValueKind::int_range(0, 65_535), "8000")
        .closed_to_repository();
}

config_keys! {
    /// Keys of the model.
    LLM_KEYS of LLM = "llm", "LLM_";

    /// Who answers.
    LLM_MODE: SampleMode = ConfigKey::choice(&LLM, "mode", "live").closed_to_repository();
    /// The model to ask.
    LLM_MODEL: Option<String> = ConfigKey::new(&LLM, "model", ValueKind::Text, "")
        .closed_to_repository();
    /// The key of its server.
    LLM_API_KEY: Option<SecretString> = ConfigKey::new(&LLM, "api_key", ValueKind::Secret, "")
        .closed_to_repository();
}

config_keys! {
    /// Keys of a model of another server.
    ANTHROPIC_KEYS of ANTHROPIC = "anthropic", "ANTHROPIC_";

    /// The model to ask there.
    ANTHROPIC_MODEL: Option<String> = ConfigKey::new(&ANTHROPIC, "model", ValueKind::Text, "")
        .closed_to_repository();
}

config_keys! {
    /// Keys of the order of tasks.
    QUEUE_KEYS of TASK_QUEUE = "task_queue", "TQ_";

    /// Weight of the age.
    TQ_W_A: f64 = ConfigKey::new(&TASK_QUEUE, "w_a", ValueKind::SHARE, "0.20")
        .closed_to_repository();
    /// The number of blocked tasks that counts in full.
    TQ_BLOCKER_CEILING: u32 =
        ConfigKey::new(&TASK_QUEUE, "blocker_ceiling", ValueKind::int_range(1, 1_000), "10")
            .closed_to_repository();
}

config_keys! {
    /// Keys of the number of tasks at work.
    SLOT_KEYS of LIMITS = "limits", "";

    /// Tasks of all projects that hold a slot at once.
    MAX_CONCURRENT_AGENTS: u32 =
        ConfigKey::new(&LIMITS, "max_concurrent_agents", ValueKind::int_range(1, 10_000), "10")
            .closed_to_repository();
}

config_keys! {
    /// Keys of a spec.
    SPEC_KEYS of SPEC = "spec", "SPEC_CFG_";

    /// Model turns of one planning attempt.
    SPEC_MAX_TURNS: u32 = ConfigKey::new(&SPEC, "max_turns", ValueKind::int_range(1, 1_000), "65")
        .lowered_by_repository();
    /// What one spec may cost.
    SPEC_TOTAL_BUDGET_USD: NanoUsd = ConfigKey::new(&SPEC, "total_budget_usd", ValueKind::BUDGET, "50")
        .lowered_by_repository();
}

config_keys! {
    /// Keys of sandboxes.
    SANDBOX_KEYS of SANDBOX = "sandbox", "SANDBOX_";

    /// What a sandbox must hold.
    SANDBOX_FLOOR: Vec<String> =
        ConfigKey::new(&SANDBOX, "floor", ValueKind::List(ListItems::Words(&["files", "network"])), "files")
            .closed_to_repository();
    /// Further folders every sandbox may read.
    SANDBOX_READ_ONLY: Vec<PathBuf> =
        ConfigKey::new(&SANDBOX, "read_only", ValueKind::List(ListItems::Paths), "")
            .outside_home_for_repository();
    /// Memory of one sandbox.
    SANDBOX_MEMORY: u64 =
        ConfigKey::new(&SANDBOX, "memory_bytes", ValueKind::bytes_range(1 << 26, 1 << 42), "4 GiB")
            .closed_to_repository();
}

/// The sections of the samples, with those of this crate.
pub(super) static TABLE: KeyTable = KeyTable {
    sections: &[
        DATA_KEYS,
        LOG_KEYS,
        DATABASE_KEYS,
        REDIS_KEYS,
        SERVER_KEYS,
        LLM_KEYS,
        ANTHROPIC_KEYS,
        QUEUE_KEYS,
        SLOT_KEYS,
        SPEC_KEYS,
        SANDBOX_KEYS,
    ],
    rules: &[],
};
