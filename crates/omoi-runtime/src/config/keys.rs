//! Every key this program reads. Each `static` is typed: `config.get(&keys::LLM_MODEL)`.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use omoi_domain::choice;
use omoi_domain::config::{
    BrokenRule, Config, ConfigKey, DefaultContext, KeySection, ListItems, ValueKind,
};
use omoi_domain::money::{NanoUsd, PriceRow};

use super::KeyTable;

choice! {
    /// Who answers model requests.
    ModelMode {
        /// A provider or local endpoint.
        Live = "live",
        /// A local server that answers from a script.
        Simulated = "simulated",
    }
}

choice! {
    /// Which sandbox to use.
    SandboxProvider {
        /// The best one that works here.
        Auto = "auto",
        /// Namespaces made by bubblewrap.
        Bubblewrap = "bubblewrap",
        /// A plain process, which holds nothing back.
        Process = "process",
    }
}

choice! {
    /// How a log line looks.
    LogFormat {
        /// Plain text for people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

/// The properties a sandbox can hold and a floor can demand.
pub const SANDBOX_PROPERTIES: &[&str] = &[
    "files",
    "protected_paths",
    "identity",
    "processes",
    "network",
    "devices",
    "kernel",
    "memory",
    "process_count",
    "cpu",
    "file_size",
    "temp_size",
    "workspace_size",
];

const HTTP: &[&str] = &["http", "https"];
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
const DAY: u64 = 86_400;
const USD: ValueKind = ValueKind::Usd { max: 1_000_000 };
const SHARE: ValueKind = ValueKind::Float { min: 0.0, max: 1.0 };
const TIME: ValueKind = ValueKind::Seconds { min: 1, max: DAY };

const fn int_kind(min: i64, max: i64) -> ValueKind {
    ValueKind::Int { min, max }
}

const fn bytes_kind(min: u64, max: u64) -> ValueKind {
    ValueKind::Bytes { min, max }
}

macro_rules! sections {
    ($($name:ident = $text:literal, $prefix:literal;)+) => {
        $(static $name: KeySection = KeySection { name: $text, prefix: $prefix };)+
    };
}

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $key:expr;)+) => {
        $($(#[doc = $doc])+ pub static $name: ConfigKey<$type> = $key.doc(concat!($($doc),+).trim_ascii());)+

        /// The keys of this program and the rules between them.
        pub static TABLE: KeyTable = KeyTable {
            sections: &[&[$(&$name.spec),+]],
            rules: &[weights_sum_to_one],
        };
    };
}

sections! {
    DATA = "data", "DATA_";
    LOG = "log", "LOG_";
    DATABASE = "database", "DATABASE_";
    REDIS = "redis", "REDIS_";
    SERVER = "server", "SERVER_";
    LLM = "llm", "LLM_";
    ANTHROPIC = "anthropic", "ANTHROPIC_";
    OPENAI = "openai", "OPENAI_";
    TASK_QUEUE = "task_queue", "TQ_";
    LIMITS = "limits", "";
    SPEC = "spec", "SPEC_CFG_";
    AGENT = "agent", "AGENT_";
    VALIDATION = "validation", "VALIDATION_";
    SANDBOX = "sandbox", "SANDBOX_";
    DISCOVERY = "discovery", "DISCOVERY_";
    MONITORING = "monitoring", "MONITORING_";
}

keys! {
    /// Folder for the database, mirrors and workspaces.
    DATA_DIR: PathBuf = ConfigKey::new(&DATA, "dir", ValueKind::Path, "")
        .derived_default("`omoios` in the user's data folder", default_data_dir)
        .env_name("OMOI_DATA_DIR").closed_to_repository();
    /// How long a followed run stands still on a full disk before it ends and waits for a person.
    DATA_DISK_WAIT: Duration = ConfigKey::new(&DATA, "disk_wait", TIME, "30").closed_to_repository();

    /// What to log, as in `warn,omoi=debug`.
    LOG_FILTER: String = ConfigKey::new(&LOG, "filter", ValueKind::Text, "warn,omoi=info").env_name("OMOI_LOG").closed_to_repository();
    /// How a log line looks.
    LOG_FORMAT: LogFormat = ConfigKey::choice(&LOG, "format", "text").env_name("OMOI_LOG_FORMAT").closed_to_repository();

    /// Address of the database that holds all state.
    DATABASE_URL: String = ConfigKey::new(&DATABASE, "url", ValueKind::Url(&["sqlite", "postgres", "postgresql"]), "")
        .derived_default("`omoios.db` in the data folder", default_database_url).closed_to_repository();
    /// Connections kept open to PostgreSQL.
    DATABASE_POOL_SIZE: u32 = ConfigKey::new(&DATABASE, "pool_size", int_kind(1, 500), "10").closed_to_repository();
    /// How long to wait for a free connection.
    DATABASE_POOL_TIMEOUT: Duration = ConfigKey::new(&DATABASE, "pool_timeout", TIME, "30").closed_to_repository();
    /// How long one statement may take in PostgreSQL.
    DATABASE_COMMAND_TIMEOUT: Duration = ConfigKey::new(&DATABASE, "command_timeout", TIME, "30").closed_to_repository();
    /// How long connecting to PostgreSQL may take.
    DATABASE_CONNECT_TIMEOUT: Duration = ConfigKey::new(&DATABASE, "connect_timeout", TIME, "10").closed_to_repository();

    /// The server that carries hints between processes; empty keeps them in this one.
    REDIS_URL: Option<String> = ConfigKey::new(&REDIS, "url", ValueKind::Url(&["redis", "rediss", "redis+unix"]), "")
        .closed_to_repository();
    /// Keeps deployments on one server apart.
    REDIS_KEY_PREFIX: String = ConfigKey::new(&REDIS, "key_prefix", ValueKind::Text, "omoi").closed_to_repository();

    /// The address to listen at.
    SERVER_HOST: String = ConfigKey::new(&SERVER, "host", ValueKind::Text, "127.0.0.1").closed_to_repository();
    /// The port to listen at; 0 takes a free one.
    SERVER_PORT: u16 = ConfigKey::new(&SERVER, "port", int_kind(0, 65_535), "8000").closed_to_repository();

    /// Who answers model requests.
    LLM_MODE: ModelMode = ConfigKey::choice(&LLM, "mode", "live").closed_to_repository();
    /// The script of the simulated model.
    LLM_SCENARIO: Option<PathBuf> = ConfigKey::new(&LLM, "scenario", ValueKind::Path, "").closed_to_repository();
    /// The model to ask, whoever answers; wins over `anthropic.model` and `openai.model`.
    LLM_MODEL: Option<String> = ConfigKey::new(&LLM, "model", ValueKind::Text, "").closed_to_repository();
    /// The model that gives a second opinion on a plan; empty asks the one that wrote it, afresh.
    LLM_JUDGE_MODEL: Option<String> = ConfigKey::new(&LLM, "judge_model", ValueKind::Text, "").closed_to_repository();
    /// Own prices of models, for those the price list does not know or that cost something else.
    LLM_PRICES: Vec<PriceRow> = ConfigKey::new(&LLM, "prices", ValueKind::List(ListItems::Prices), "").closed_to_repository();
    /// An OpenAI-compatible endpoint to ask, whatever other providers have a key.
    LLM_BASE_URL: Option<String> = ConfigKey::new(&LLM, "base_url", ValueKind::Url(HTTP), "").closed_to_repository();
    /// The key for `llm.base_url`; it goes nowhere else.
    LLM_API_KEY: Option<SecretString> = ConfigKey::new(&LLM, "api_key", ValueKind::Secret, "").closed_to_repository();

    /// How long a model may take until its answer shows the first content, before the call counts as failed. More for a slow local model.
    LLM_FIRST_CONTENT_TIME: Duration = ConfigKey::new(&LLM, "first_content_time", ValueKind::Seconds { min: 1, max: 600 }, "60").closed_to_repository();
    /// How long one question is asked again while the provider fails, before the attempt that asks it ends. A call under way is not cut by it.
    LLM_RETRY_TIME: Duration = ConfigKey::new(&LLM, "retry_time", TIME, "120").closed_to_repository();
    /// How long a run goes on trying while the provider fails its attempts, before it waits for a person; 0 does not wait.
    LLM_OUTAGE_WAIT: Duration = ConfigKey::new(&LLM, "outage_wait", ValueKind::Seconds { min: 0, max: 86_400 }, "900").closed_to_repository();

    /// An Anthropic API key; it goes to `anthropic.base_url`.
    ANTHROPIC_API_KEY: Option<SecretString> = ConfigKey::new(&ANTHROPIC, "api_key", ValueKind::Secret, "").closed_to_repository();
    /// A bearer token for `anthropic.base_url`; preferred over the key.
    ANTHROPIC_AUTH_TOKEN: Option<SecretString> = ConfigKey::new(&ANTHROPIC, "auth_token", ValueKind::Secret, "").closed_to_repository();
    /// The endpoint of the Anthropic API.
    ANTHROPIC_BASE_URL: String = ConfigKey::new(&ANTHROPIC, "base_url", ValueKind::Url(HTTP), "https://api.anthropic.com")
        .closed_to_repository();
    /// The model to ask there; empty takes the newest `sonnet` of the price list, at Anthropic's own endpoint only.
    ANTHROPIC_MODEL: Option<String> = ConfigKey::new(&ANTHROPIC, "model", ValueKind::Text, "").closed_to_repository();
    /// The most tokens in one answer from there.
    ANTHROPIC_MAX_TOKENS: u32 = ConfigKey::new(&ANTHROPIC, "max_tokens", int_kind(1, 1_000_000), "64000").closed_to_repository();

    /// A key for OpenAI or a compatible provider; it goes to `openai.base_url`.
    OPENAI_API_KEY: Option<SecretString> = ConfigKey::new(&OPENAI, "api_key", ValueKind::Secret, "").closed_to_repository();
    /// The endpoint of that provider.
    OPENAI_BASE_URL: String = ConfigKey::new(&OPENAI, "base_url", ValueKind::Url(HTTP), "https://api.openai.com/v1")
        .closed_to_repository();
    /// The model to ask there; empty takes the newest `gpt-sol` of the price list, at OpenAI's own endpoint only.
    OPENAI_MODEL: Option<String> = ConfigKey::new(&OPENAI, "model", ValueKind::Text, "").closed_to_repository();
    /// The most tokens in one answer from there or from `llm.base_url`.
    OPENAI_MAX_TOKENS: u32 = ConfigKey::new(&OPENAI, "max_tokens", int_kind(1, 1_000_000), "32768").closed_to_repository();

    /// Weight of the priority in a task's score.
    TQ_W_P: f64 = ConfigKey::new(&TASK_QUEUE, "w_p", SHARE, "0.45").closed_to_repository();
    /// Weight of the age.
    TQ_W_A: f64 = ConfigKey::new(&TASK_QUEUE, "w_a", SHARE, "0.20").closed_to_repository();
    /// Weight of the deadline.
    TQ_W_D: f64 = ConfigKey::new(&TASK_QUEUE, "w_d", SHARE, "0.15").closed_to_repository();
    /// Weight of the tasks it blocks.
    TQ_W_B: f64 = ConfigKey::new(&TASK_QUEUE, "w_b", SHARE, "0.15").closed_to_repository();
    /// Weight of the retries.
    TQ_W_R: f64 = ConfigKey::new(&TASK_QUEUE, "w_r", SHARE, "0.05").closed_to_repository();
    /// The age that counts in full.
    TQ_AGE_CEILING: Duration = ConfigKey::new(&TASK_QUEUE, "age_ceiling", TIME, "3600").closed_to_repository();
    /// How long before a deadline a task becomes urgent.
    TQ_SLA_URGENCY_WINDOW: Duration = ConfigKey::new(&TASK_QUEUE, "sla_urgency_window", TIME, "900").closed_to_repository();
    /// The factor for urgent tasks.
    TQ_SLA_BOOST_MULTIPLIER: f64 = ConfigKey::new(&TASK_QUEUE, "sla_boost_multiplier", ValueKind::Float { min: 1.0, max: 10.0 }, "1.25").closed_to_repository();
    /// The age from which a task starves.
    TQ_STARVATION_LIMIT: Duration = ConfigKey::new(&TASK_QUEUE, "starvation_limit", TIME, "7200").closed_to_repository();
    /// The least score of a starving task.
    TQ_STARVATION_FLOOR_SCORE: f64 = ConfigKey::new(&TASK_QUEUE, "starvation_floor_score", SHARE, "0.6").closed_to_repository();
    /// The number of blocked tasks that counts in full.
    TQ_BLOCKER_CEILING: u32 = ConfigKey::new(&TASK_QUEUE, "blocker_ceiling", int_kind(1, 1_000), "10").closed_to_repository();
    /// Candidates looked at per pass.
    MAX_QUEUE_SCAN_BATCH: u32 = ConfigKey::new(&TASK_QUEUE, "max_scan_batch", int_kind(1, 10_000), "200").env_name("MAX_QUEUE_SCAN_BATCH").closed_to_repository();

    /// Tasks of one project that hold a slot at once.
    MAX_CONCURRENT_TASKS_PER_PROJECT: u32 = ConfigKey::new(&LIMITS, "max_concurrent_tasks_per_project", int_kind(1, 1_000), "5").closed_to_repository();
    /// Tasks of all projects that hold a slot at once.
    MAX_CONCURRENT_AGENTS: u32 = ConfigKey::new(&LIMITS, "max_concurrent_agents", int_kind(1, 10_000), "10").closed_to_repository();

    /// Model turns of one planning attempt.
    SPEC_MAX_TURNS: u32 = ConfigKey::new(&SPEC, "max_turns", int_kind(1, 1_000), "65").lowered_by_repository();
    /// How long one planning attempt may take.
    SPEC_PHASE_TIMEOUT: Duration = ConfigKey::new(&SPEC, "phase_timeout_seconds", TIME, "900").lowered_by_repository();
    /// Attempts at one phase.
    SPEC_MAX_ATTEMPTS: u32 = ConfigKey::new(&SPEC, "max_attempts", int_kind(1, 10), "3").lowered_by_repository();
    /// What one phase may cost, all attempts together.
    SPEC_PHASE_BUDGET_USD: NanoUsd = ConfigKey::new(&SPEC, "phase_budget_usd", USD, "10").lowered_by_repository();
    /// What one spec may cost, planning and work together.
    SPEC_TOTAL_BUDGET_USD: NanoUsd = ConfigKey::new(&SPEC, "total_budget_usd", USD, "50").lowered_by_repository();

    /// Time between signs of life of an agent.
    AGENT_HEARTBEAT_INTERVAL: Duration = ConfigKey::new(&AGENT, "heartbeat_interval", TIME, "15").closed_to_repository();
    /// How long one attempt at a task may take; a plan may ask for less.
    AGENT_TASK_TIMEOUT: Duration = ConfigKey::new(&AGENT, "task_timeout_seconds", ValueKind::Seconds { min: 1, max: 5_400 }, "5400").lowered_by_repository();
    /// Model turns of one attempt at a task.
    AGENT_MAX_TURNS: u32 = ConfigKey::new(&AGENT, "max_turns", int_kind(1, 1_000), "50").lowered_by_repository();
    /// What one task may cost, all attempts together.
    AGENT_MAX_BUDGET_USD: NanoUsd = ConfigKey::new(&AGENT, "max_budget_usd", USD, "20").lowered_by_repository();
    /// How long one tool call may take; how slow a build is, a repository knows best.
    AGENT_TOOL_TIMEOUT: Duration = ConfigKey::new(&AGENT, "tool_timeout_seconds", TIME, "600");

    /// The command that runs a project's own suite, or `none`; empty takes the one found in the tree. In a
    /// file it may stand by itself, as `suite: make test`.
    VALIDATION_SUITE: Option<String> = ConfigKey::new(&VALIDATION, "suite", ValueKind::Text, "");
    /// How long one check may take.
    VALIDATION_CHECK_TIMEOUT: Duration = ConfigKey::new(&VALIDATION, "check_timeout_seconds", TIME, "600");

    /// Which sandbox to use.
    SANDBOX_PROVIDER: SandboxProvider = ConfigKey::choice(&SANDBOX, "provider", "auto").closed_to_repository();
    /// What a sandbox must hold, or work in it is refused.
    SANDBOX_FLOOR: Vec<String> = ConfigKey::new(&SANDBOX, "floor", ValueKind::List(ListItems::Words(SANDBOX_PROPERTIES)), "files,identity,processes,network")
        .closed_to_repository();
    /// Further folders every sandbox may read.
    SANDBOX_READ_ONLY: Vec<PathBuf> = ConfigKey::new(&SANDBOX, "read_only", ValueKind::List(ListItems::Paths), "")
        .outside_home_for_repository();
    /// Memory of one sandbox.
    SANDBOX_MEMORY: u64 = ConfigKey::new(&SANDBOX, "memory_bytes", bytes_kind(64 * MIB, 4 * TIB), "4 GiB").closed_to_repository();
    /// Processes in one sandbox.
    SANDBOX_PROCESSES: u32 = ConfigKey::new(&SANDBOX, "processes", int_kind(8, 100_000), "512").closed_to_repository();
    /// Processor cores of one sandbox.
    SANDBOX_CPUS: f64 = ConfigKey::new(&SANDBOX, "cpus", ValueKind::Float { min: 0.1, max: 1_024.0 }, "2").closed_to_repository();
    /// The largest file a sandbox may write.
    SANDBOX_FILE_SIZE: u64 = ConfigKey::new(&SANDBOX, "file_bytes", bytes_kind(MIB, 4 * TIB), "2 GiB").closed_to_repository();
    /// Files one process in a sandbox may hold open.
    SANDBOX_OPEN_FILES: u32 = ConfigKey::new(&SANDBOX, "open_files", int_kind(64, 1_000_000), "4096").closed_to_repository();
    /// What the temporary folder of a sandbox may hold.
    SANDBOX_TEMP: u64 = ConfigKey::new(&SANDBOX, "temp_bytes", bytes_kind(MIB, TIB), "1 GiB").closed_to_repository();
    /// What the workspace of a sandbox may take on disk; the watcher stops it beyond.
    SANDBOX_WORKSPACE: u64 = ConfigKey::new(&SANDBOX, "workspace_bytes", bytes_kind(MIB, 64 * TIB), "10 GiB").closed_to_repository();

    /// How many discoveries may lead to one another.
    DISCOVERY_DEPTH_CAP: u32 = ConfigKey::new(&DISCOVERY, "depth_cap", int_kind(0, 100), "3").lowered_by_repository();
    /// Discoveries of one task.
    DISCOVERY_PER_TASK_CAP: u32 = ConfigKey::new(&DISCOVERY, "per_task_cap", int_kind(0, 1_000), "5").lowered_by_repository();
    /// Discoveries of one spec.
    DISCOVERY_PER_SPEC_CAP: u32 = ConfigKey::new(&DISCOVERY, "per_spec_cap", int_kind(0, 10_000), "20").lowered_by_repository();

    /// How often rows are read without a hint.
    MONITORING_POLL_INTERVAL: Duration = ConfigKey::new(&MONITORING, "poll_interval_seconds", ValueKind::Seconds { min: 1, max: 60 }, "1").closed_to_repository();
    /// Silence after which an agent is taken for dead.
    MONITORING_HEARTBEAT_TIMEOUT: Duration = ConfigKey::new(&MONITORING, "heartbeat_timeout_seconds", TIME, "120").closed_to_repository();
    /// How long an agent may take to report for the first time.
    MONITORING_CLAIM_TIMEOUT: Duration = ConfigKey::new(&MONITORING, "claim_timeout_seconds", TIME, "180").closed_to_repository();
}

fn default_data_dir(around: &DefaultContext) -> Option<String> {
    let folder = around.data_home.as_ref()?.join("omoios");
    folder.into_os_string().into_string().ok()
}

fn default_database_url(around: &DefaultContext) -> Option<String> {
    let path = around.data_folder.as_ref()?.join("omoios.db");
    let path = path.to_str()?;
    // The only characters that mean something else in such an address.
    let path = path
        .replace('%', "%25")
        .replace('?', "%3F")
        .replace('#', "%23");
    Some(format!("sqlite://{path}"))
}

fn weights_sum_to_one(config: &Config) -> Result<(), BrokenRule> {
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
