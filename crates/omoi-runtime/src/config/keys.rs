//! Every key this program reads. Each `static` is typed: `config.get(&keys::LLM_MODEL)`.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use omoi_domain::money::{NanoUsd, PriceRow};

use super::{Config, Items, Key, Kind, LoadError, Section, Spec, Surroundings, Table};
use crate::choice;

choice! {
    /// Who answers model requests.
    ModelMode {
        /// A provider or local endpoint.
        Live = "live",
        /// The scripted server.
        Simulated = "simulated",
    }
}

choice! {
    /// Which sandbox to use.
    SandboxProvider {
        /// The best one that works here.
        Auto = "auto",
        /// Namespaces by bubblewrap.
        Bubblewrap = "bubblewrap",
        /// A plain process, which holds nothing back.
        Process = "process",
    }
}

choice! {
    /// How a log line looks.
    LogFormat {
        /// For people.
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
const USD: Kind = Kind::Usd { max: 1_000_000 };
const SHARE: Kind = Kind::Float { min: 0.0, max: 1.0 };
const TIME: Kind = Kind::Seconds { min: 1, max: DAY };

const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max }
}

const fn bytes(min: u64, max: u64) -> Kind {
    Kind::Bytes { min, max }
}

macro_rules! sections {
    ($($name:ident = $text:literal, $prefix:literal;)+) => {
        $(static $name: Section = Section { name: $text, prefix: $prefix };)+
    };
}

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $key:expr;)+) => {
        $($(#[doc = $doc])+ pub static $name: Key<$type> = $key.doc(concat!($($doc),+).trim_ascii());)+

        /// The keys of this program and the rules between them.
        pub static TABLE: Table = Table {
            keys: &[$(&$name.spec),+],
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
    DATA_DIR: PathBuf = Key::new(&DATA, "dir", Kind::Path, "")
        .derived("`omoios` in the user's data folder", default_data_dir)
        .env("OMOI_DATA_DIR").closed_to_project();
    /// How long a followed run stands still on a full disk before it ends and waits for a person.
    DATA_DISK_WAIT: Duration = Key::new(&DATA, "disk_wait", TIME, "30").closed_to_project();

    /// What to log, as in `warn,omoi=debug`.
    LOG_FILTER: String = Key::new(&LOG, "filter", Kind::Text, "warn,omoi=info").env("OMOI_LOG").closed_to_project();
    /// How a log line looks.
    LOG_FORMAT: LogFormat = Key::choice(&LOG, "format", "text").env("OMOI_LOG_FORMAT").closed_to_project();

    /// Where the truth is kept.
    DATABASE_URL: String = Key::new(&DATABASE, "url", Kind::Url(&["sqlite", "postgres", "postgresql"]), "")
        .derived("`omoios.db` in the data folder", default_database_url).closed_to_project();
    /// Connections kept open to PostgreSQL.
    DATABASE_POOL_SIZE: u32 = Key::new(&DATABASE, "pool_size", int(1, 500), "10").closed_to_project();
    /// How long to wait for a free connection.
    DATABASE_POOL_TIMEOUT: Duration = Key::new(&DATABASE, "pool_timeout", TIME, "30").closed_to_project();
    /// How long one statement may take in PostgreSQL.
    DATABASE_COMMAND_TIMEOUT: Duration = Key::new(&DATABASE, "command_timeout", TIME, "30").closed_to_project();
    /// How long connecting to PostgreSQL may take.
    DATABASE_CONNECT_TIMEOUT: Duration = Key::new(&DATABASE, "connect_timeout", TIME, "10").closed_to_project();

    /// The server that carries hints between processes; empty keeps them in this one.
    REDIS_URL: Option<String> = Key::new(&REDIS, "url", Kind::Url(&["redis", "rediss", "redis+unix"]), "")
        .closed_to_project();
    /// Keeps deployments on one server apart.
    REDIS_KEY_PREFIX: String = Key::new(&REDIS, "key_prefix", Kind::Text, "omoi").closed_to_project();

    /// The address to listen at.
    SERVER_HOST: String = Key::new(&SERVER, "host", Kind::Text, "127.0.0.1").closed_to_project();
    /// The port to listen at; 0 takes a free one.
    SERVER_PORT: u16 = Key::new(&SERVER, "port", int(0, 65_535), "8000").closed_to_project();

    /// Who answers model requests.
    LLM_MODE: ModelMode = Key::choice(&LLM, "mode", "live").closed_to_project();
    /// The script of the simulated model.
    LLM_SCENARIO: Option<PathBuf> = Key::new(&LLM, "scenario", Kind::Path, "").closed_to_project();
    /// The model to ask, whoever answers; wins over `anthropic.model` and `openai.model`.
    LLM_MODEL: Option<String> = Key::new(&LLM, "model", Kind::Text, "").closed_to_project();
    /// The model that gives a second opinion on a plan; empty asks the one that wrote it, afresh.
    LLM_JUDGE_MODEL: Option<String> = Key::new(&LLM, "judge_model", Kind::Text, "").closed_to_project();
    /// Own prices of models, for those the price list does not know or that cost something else.
    LLM_PRICES: Vec<PriceRow> = Key::new(&LLM, "prices", Kind::List(Items::Prices), "").closed_to_project();
    /// An OpenAI-compatible endpoint to ask, whatever other providers have a key.
    LLM_BASE_URL: Option<String> = Key::new(&LLM, "base_url", Kind::Url(HTTP), "").closed_to_project();
    /// The key for `llm.base_url`; it goes nowhere else.
    LLM_API_KEY: Option<SecretString> = Key::new(&LLM, "api_key", Kind::Secret, "").closed_to_project();

    /// How long a model may take until its answer shows the first content, before the call counts as failed. More for a slow local model.
    LLM_FIRST_CONTENT_TIME: Duration = Key::new(&LLM, "first_content_time", Kind::Seconds { min: 1, max: 600 }, "60").closed_to_project();
    /// How long one question is asked again while the provider fails, before the attempt that asks it ends. A call under way is not cut by it.
    LLM_RETRY_TIME: Duration = Key::new(&LLM, "retry_time", TIME, "120").closed_to_project();
    /// How long a run goes on trying while the provider fails its attempts, before it waits for a person; 0 does not wait.
    LLM_OUTAGE_WAIT: Duration = Key::new(&LLM, "outage_wait", Kind::Seconds { min: 0, max: 86_400 }, "900").closed_to_project();

    /// An Anthropic API key; it goes to `anthropic.base_url`.
    ANTHROPIC_API_KEY: Option<SecretString> = Key::new(&ANTHROPIC, "api_key", Kind::Secret, "").closed_to_project();
    /// A bearer token for `anthropic.base_url`; preferred over the key.
    ANTHROPIC_AUTH_TOKEN: Option<SecretString> = Key::new(&ANTHROPIC, "auth_token", Kind::Secret, "").closed_to_project();
    /// The Anthropic endpoint.
    ANTHROPIC_BASE_URL: String = Key::new(&ANTHROPIC, "base_url", Kind::Url(HTTP), "https://api.anthropic.com")
        .closed_to_project();
    /// The model to ask there; empty takes the newest `sonnet` of the price list, at Anthropic's own endpoint only.
    ANTHROPIC_MODEL: Option<String> = Key::new(&ANTHROPIC, "model", Kind::Text, "").closed_to_project();
    /// The most tokens in one answer from there.
    ANTHROPIC_MAX_TOKENS: u32 = Key::new(&ANTHROPIC, "max_tokens", int(1, 1_000_000), "64000").closed_to_project();

    /// A key for OpenAI or a compatible provider; it goes to `openai.base_url`.
    OPENAI_API_KEY: Option<SecretString> = Key::new(&OPENAI, "api_key", Kind::Secret, "").closed_to_project();
    /// The endpoint of that provider.
    OPENAI_BASE_URL: String = Key::new(&OPENAI, "base_url", Kind::Url(HTTP), "https://api.openai.com/v1")
        .closed_to_project();
    /// The model to ask there; empty takes the newest `gpt-sol` of the price list, at OpenAI's own endpoint only.
    OPENAI_MODEL: Option<String> = Key::new(&OPENAI, "model", Kind::Text, "").closed_to_project();
    /// The most tokens in one answer from there or from `llm.base_url`.
    OPENAI_MAX_TOKENS: u32 = Key::new(&OPENAI, "max_tokens", int(1, 1_000_000), "32768").closed_to_project();

    /// Weight of the priority in a task's score.
    TQ_W_P: f64 = Key::new(&TASK_QUEUE, "w_p", SHARE, "0.45").closed_to_project();
    /// Weight of the age.
    TQ_W_A: f64 = Key::new(&TASK_QUEUE, "w_a", SHARE, "0.20").closed_to_project();
    /// Weight of the deadline.
    TQ_W_D: f64 = Key::new(&TASK_QUEUE, "w_d", SHARE, "0.15").closed_to_project();
    /// Weight of the tasks it blocks.
    TQ_W_B: f64 = Key::new(&TASK_QUEUE, "w_b", SHARE, "0.15").closed_to_project();
    /// Weight of the retries.
    TQ_W_R: f64 = Key::new(&TASK_QUEUE, "w_r", SHARE, "0.05").closed_to_project();
    /// The age that counts in full.
    TQ_AGE_CEILING: Duration = Key::new(&TASK_QUEUE, "age_ceiling", TIME, "3600").closed_to_project();
    /// How long before a deadline a task becomes urgent.
    TQ_SLA_URGENCY_WINDOW: Duration = Key::new(&TASK_QUEUE, "sla_urgency_window", TIME, "900").closed_to_project();
    /// The factor for urgent tasks.
    TQ_SLA_BOOST_MULTIPLIER: f64 = Key::new(&TASK_QUEUE, "sla_boost_multiplier", Kind::Float { min: 1.0, max: 10.0 }, "1.25").closed_to_project();
    /// The age from which a task starves.
    TQ_STARVATION_LIMIT: Duration = Key::new(&TASK_QUEUE, "starvation_limit", TIME, "7200").closed_to_project();
    /// The least score of a starving task.
    TQ_STARVATION_FLOOR_SCORE: f64 = Key::new(&TASK_QUEUE, "starvation_floor_score", SHARE, "0.6").closed_to_project();
    /// The number of blocked tasks that counts in full.
    TQ_BLOCKER_CEILING: u32 = Key::new(&TASK_QUEUE, "blocker_ceiling", int(1, 1_000), "10").closed_to_project();
    /// Candidates looked at per pass.
    MAX_QUEUE_SCAN_BATCH: u32 = Key::new(&TASK_QUEUE, "max_scan_batch", int(1, 10_000), "200").env("MAX_QUEUE_SCAN_BATCH").closed_to_project();

    /// Tasks of one project that hold a slot at once.
    MAX_CONCURRENT_TASKS_PER_PROJECT: u32 = Key::new(&LIMITS, "max_concurrent_tasks_per_project", int(1, 1_000), "5").closed_to_project();
    /// Tasks of all projects that hold a slot at once.
    MAX_CONCURRENT_AGENTS: u32 = Key::new(&LIMITS, "max_concurrent_agents", int(1, 10_000), "10").closed_to_project();

    /// Model turns of one planning attempt.
    SPEC_MAX_TURNS: u32 = Key::new(&SPEC, "max_turns", int(1, 1_000), "65").lowered_by_project();
    /// How long one planning attempt may take.
    SPEC_PHASE_TIMEOUT: Duration = Key::new(&SPEC, "phase_timeout_seconds", TIME, "900").lowered_by_project();
    /// Attempts at one phase.
    SPEC_MAX_ATTEMPTS: u32 = Key::new(&SPEC, "max_attempts", int(1, 10), "3").lowered_by_project();
    /// What one phase may cost, all attempts together.
    SPEC_PHASE_BUDGET_USD: NanoUsd = Key::new(&SPEC, "phase_budget_usd", USD, "10").lowered_by_project();
    /// What one spec may cost, planning and work together.
    SPEC_TOTAL_BUDGET_USD: NanoUsd = Key::new(&SPEC, "total_budget_usd", USD, "50").lowered_by_project();

    /// Time between signs of life of an agent.
    AGENT_HEARTBEAT_INTERVAL: Duration = Key::new(&AGENT, "heartbeat_interval", TIME, "15").closed_to_project();
    /// How long one attempt at a task may take; a plan may ask for less.
    AGENT_TASK_TIMEOUT: Duration = Key::new(&AGENT, "task_timeout_seconds", Kind::Seconds { min: 1, max: 5_400 }, "5400").lowered_by_project();
    /// Model turns of one attempt at a task.
    AGENT_MAX_TURNS: u32 = Key::new(&AGENT, "max_turns", int(1, 1_000), "50").lowered_by_project();
    /// What one task may cost, all attempts together.
    AGENT_MAX_BUDGET_USD: NanoUsd = Key::new(&AGENT, "max_budget_usd", USD, "20").lowered_by_project();
    /// How long one tool call may take; how slow a build is, a repository knows best.
    AGENT_TOOL_TIMEOUT: Duration = Key::new(&AGENT, "tool_timeout_seconds", TIME, "600");

    /// The command that runs a project's own suite, or `none`; empty takes the one found in the tree. In a
    /// file it may stand by itself, as `suite: make test`.
    VALIDATION_SUITE: Option<String> = Key::new(&VALIDATION, "suite", Kind::Text, "");
    /// How long one check may take.
    VALIDATION_CHECK_TIMEOUT: Duration = Key::new(&VALIDATION, "check_timeout_seconds", TIME, "600");

    /// Which sandbox to use.
    SANDBOX_PROVIDER: SandboxProvider = Key::choice(&SANDBOX, "provider", "auto").closed_to_project();
    /// What a sandbox must hold, or work in it is refused.
    SANDBOX_FLOOR: Vec<String> = Key::new(&SANDBOX, "floor", Kind::List(Items::Words(SANDBOX_PROPERTIES)), "files,identity,processes,network")
        .closed_to_project();
    /// Further folders every sandbox may read.
    SANDBOX_READ_ONLY: Vec<PathBuf> = Key::new(&SANDBOX, "read_only", Kind::List(Items::Paths), "")
        .outside_home_for_project();
    /// Memory of one sandbox.
    SANDBOX_MEMORY: u64 = Key::new(&SANDBOX, "memory_bytes", bytes(64 * MIB, 4 * TIB), "4 GiB").closed_to_project();
    /// Processes in one sandbox.
    SANDBOX_PROCESSES: u32 = Key::new(&SANDBOX, "processes", int(8, 100_000), "512").closed_to_project();
    /// Processor cores of one sandbox.
    SANDBOX_CPUS: f64 = Key::new(&SANDBOX, "cpus", Kind::Float { min: 0.1, max: 1_024.0 }, "2").closed_to_project();
    /// The largest file a sandbox may write.
    SANDBOX_FILE_SIZE: u64 = Key::new(&SANDBOX, "file_bytes", bytes(MIB, 4 * TIB), "2 GiB").closed_to_project();
    /// Files one process in a sandbox may hold open.
    SANDBOX_OPEN_FILES: u32 = Key::new(&SANDBOX, "open_files", int(64, 1_000_000), "4096").closed_to_project();
    /// What the temporary folder of a sandbox may hold.
    SANDBOX_TEMP: u64 = Key::new(&SANDBOX, "temp_bytes", bytes(MIB, TIB), "1 GiB").closed_to_project();
    /// What the workspace of a sandbox may take on disk; the watcher stops it beyond.
    SANDBOX_WORKSPACE: u64 = Key::new(&SANDBOX, "workspace_bytes", bytes(MIB, 64 * TIB), "10 GiB").closed_to_project();

    /// How many discoveries may lead to one another.
    DISCOVERY_DEPTH_CAP: u32 = Key::new(&DISCOVERY, "depth_cap", int(0, 100), "3").lowered_by_project();
    /// Discoveries of one task.
    DISCOVERY_PER_TASK_CAP: u32 = Key::new(&DISCOVERY, "per_task_cap", int(0, 1_000), "5").lowered_by_project();
    /// Discoveries of one spec.
    DISCOVERY_PER_SPEC_CAP: u32 = Key::new(&DISCOVERY, "per_spec_cap", int(0, 10_000), "20").lowered_by_project();

    /// How often rows are read without a hint.
    MONITORING_POLL_INTERVAL: Duration = Key::new(&MONITORING, "poll_interval_seconds", Kind::Seconds { min: 1, max: 60 }, "1").closed_to_project();
    /// Silence after which an agent is taken for dead.
    MONITORING_HEARTBEAT_TIMEOUT: Duration = Key::new(&MONITORING, "heartbeat_timeout_seconds", TIME, "120").closed_to_project();
    /// How long an agent may take to report for the first time.
    MONITORING_CLAIM_TIMEOUT: Duration = Key::new(&MONITORING, "claim_timeout_seconds", TIME, "180").closed_to_project();
}

fn default_data_dir(around: &Surroundings<'_>) -> Option<String> {
    let folder = around.data_home.as_ref()?.join("omoios");
    folder.into_os_string().into_string().ok()
}

fn default_database_url(around: &Surroundings<'_>) -> Option<String> {
    let path = around.config.get(&DATA_DIR).join("omoios.db");
    let path = path.to_str()?;
    // The only characters that mean something else in such an address.
    let path = path
        .replace('%', "%25")
        .replace('?', "%3F")
        .replace('#', "%23");
    Some(format!("sqlite://{path}"))
}

fn weights_sum_to_one(config: &Config) -> Result<(), LoadError> {
    let weights = [&TQ_W_P, &TQ_W_A, &TQ_W_D, &TQ_W_B, &TQ_W_R];
    let sum: f64 = weights.iter().map(|key| config.get(key)).sum();
    if (sum - 1.0).abs() <= 1e-6 {
        return Ok(());
    }
    Err(LoadError::Rule {
        rule: "the task queue's weights must sum to 1".to_owned(),
        found: format!(
            "they sum to {sum}: {}",
            told(config, &weights.map(|key| &key.spec))
        ),
    })
}

/// `section.key=value (place)` for each.
fn told(config: &Config, specs: &[&Spec]) -> String {
    let one =
        |entry: &super::Entry| format!("{}={} ({})", entry.spec.path(), entry.value, entry.origin);
    let entries = specs.iter().filter_map(|spec| config.entry(spec));
    entries.map(one).collect::<Vec<_>>().join(", ")
}
