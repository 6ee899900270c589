//! What can be configured of planning and of checks, and what of it a repository's file may say.

use std::path::Path;
use std::time::Duration;

use omoi_domain::config::{Config, ConfigKey, ConfigLayer, SettingValue, ValueKind};
use omoi_domain::config_keys;
use omoi_domain::money::NanoUsd;
use omoi_domain::repository_settings::{RepositorySandboxLimits, RepositorySettings, file_digest};
use omoi_domain::work_limits::{PhaseLimits, WorkLimits};
use omoi_execution::options::{agent, discovery};
use omoi_runtime::config::{LoadError, load_repository_file};
use omoi_sandbox::options::{
    SANDBOX_CPUS, SANDBOX_FILE_SIZE, SANDBOX_MEMORY, SANDBOX_OPEN_FILES, SANDBOX_PROCESSES,
    SANDBOX_READ_ONLY, SANDBOX_SETUP, SANDBOX_SETUP_TIME, SANDBOX_TEMP, SANDBOX_WORKSPACE,
    cpu_millicores,
};

config_keys! {
    /// Keys of what a spec and its phases may take.
    SPEC_KEYS of SPEC = "spec", "SPEC_CFG_";

    /// Model turns of one planning attempt.
    SPEC_MAX_TURNS: u32 = ConfigKey::new(&SPEC, "max_turns", ValueKind::int_range(1, 1_000), "65")
        .lowered_by_repository();
    /// How long one planning attempt may take.
    SPEC_PHASE_TIMEOUT: Duration =
        ConfigKey::new(&SPEC, "phase_timeout_seconds", ValueKind::TIME, "900")
            .lowered_by_repository();
    /// Attempts at one phase.
    SPEC_MAX_ATTEMPTS: u32 = ConfigKey::new(&SPEC, "max_attempts", ValueKind::int_range(1, 10), "3")
        .lowered_by_repository();
    /// What one phase may cost, all attempts together.
    SPEC_PHASE_BUDGET_USD: NanoUsd =
        ConfigKey::new(&SPEC, "phase_budget_usd", ValueKind::BUDGET, "10")
            .lowered_by_repository();
    /// What one spec may cost, planning and work together.
    SPEC_TOTAL_BUDGET_USD: NanoUsd =
        ConfigKey::new(&SPEC, "total_budget_usd", ValueKind::BUDGET, "50")
            .lowered_by_repository();
}

config_keys! {
    /// Keys of the checks.
    VALIDATION_KEYS of VALIDATION = "validation", "VALIDATION_";

    /// The command that runs a project's own suite, or `none`; empty takes the one found in the tree. In a
    /// file it may stand by itself, as `suite: make test`.
    VALIDATION_SUITE: Option<String> = ConfigKey::new(&VALIDATION, "suite", ValueKind::Text, "");
    /// How long one check may take.
    VALIDATION_CHECK_TIMEOUT: Duration =
        ConfigKey::new(&VALIDATION, "check_timeout_seconds", ValueKind::TIME, "600");
}

/// What the work on a spec may take, where its repository asks for no less.
pub fn work_limits(config: &Config) -> WorkLimits {
    WorkLimits {
        spec_budget: config.get(&SPEC_TOTAL_BUDGET_USD),
        phase: PhaseLimits {
            turns_max: config.get(&SPEC_MAX_TURNS),
            timeout: config.get(&SPEC_PHASE_TIMEOUT),
            attempts_max: config.get(&SPEC_MAX_ATTEMPTS),
            budget: config.get(&SPEC_PHASE_BUDGET_USD),
        },
        task: agent::task_limits(config),
        check_timeout: config.get(&VALIDATION_CHECK_TIMEOUT),
        discovery: discovery::discovery_caps(config),
    }
}

/// The suite that a person configures for every repository.
pub(crate) fn own_suite(config: &Config) -> Option<String> {
    config.get(&VALIDATION_SUITE)
}

/// What the `text` of a repository's `.omoi.yaml` says, checked against `own`, the configuration of
/// this process. A text that sets a key it must not set, or raises a limit, is refused.
///
/// # Errors
/// The first [`LoadError`] met.
pub fn read_repository_settings(
    own: &Config,
    home: Option<&Path>,
    text: &str,
) -> Result<RepositorySettings, LoadError> {
    let config = load_repository_file(own, home, text)?;
    let settings = FileSettings(&config);
    Ok(RepositorySettings {
        file_digest: Some(file_digest(text)),
        phase_turns_max: settings.by_file(&SPEC_MAX_TURNS),
        phase_timeout_s: settings.seconds_by_file(&SPEC_PHASE_TIMEOUT),
        phase_attempts_max: settings.by_file(&SPEC_MAX_ATTEMPTS),
        phase_budget: settings.by_file(&SPEC_PHASE_BUDGET_USD),
        spec_budget: settings.by_file(&SPEC_TOTAL_BUDGET_USD),
        task_timeout_s: settings.seconds_by_file(&agent::AGENT_TASK_TIMEOUT),
        task_turns_max: settings.by_file(&agent::AGENT_MAX_TURNS),
        task_budget: settings.by_file(&agent::AGENT_MAX_BUDGET_USD),
        command_timeout_s: settings.seconds_by_file(&agent::AGENT_TOOL_TIMEOUT),
        suite: settings.by_file(&VALIDATION_SUITE).flatten(),
        check_timeout_s: settings.seconds_by_file(&VALIDATION_CHECK_TIMEOUT),
        read_only: settings.by_file(&SANDBOX_READ_ONLY).unwrap_or_default(),
        setup: settings.by_file(&SANDBOX_SETUP).unwrap_or_default(),
        sandbox: settings.sandbox_limits(),
        discovery_depth_max: settings.by_file(&discovery::DISCOVERY_DEPTH_CAP),
        discoveries_per_task: settings.by_file(&discovery::DISCOVERY_PER_TASK_CAP),
        discoveries_per_spec: settings.by_file(&discovery::DISCOVERY_PER_SPEC_CAP),
    })
}

/// A configuration that a repository's file was read over.
struct FileSettings<'a>(&'a Config);

impl FileSettings<'_> {
    /// The value of `key`, if the file sets it.
    fn by_file<T: SettingValue>(&self, key: &'static ConfigKey<T>) -> Option<T> {
        let entry = self.0.entry(&key.spec)?;
        (entry.origin.layer == ConfigLayer::Repository).then(|| self.0.get(key))
    }

    fn sandbox_limits(&self) -> RepositorySandboxLimits {
        RepositorySandboxLimits {
            memory_bytes: self.by_file(&SANDBOX_MEMORY),
            processes_max: self.by_file(&SANDBOX_PROCESSES).map(u64::from),
            cpu_millicores: self.by_file(&SANDBOX_CPUS).map(cpu_millicores),
            file_bytes_max: self.by_file(&SANDBOX_FILE_SIZE),
            open_files_max: self.by_file(&SANDBOX_OPEN_FILES).map(u64::from),
            temp_bytes: self.by_file(&SANDBOX_TEMP),
            workspace_bytes: self.by_file(&SANDBOX_WORKSPACE),
            setup_seconds: self.seconds_by_file(&SANDBOX_SETUP_TIME),
        }
    }

    fn seconds_by_file(&self, key: &'static ConfigKey<Duration>) -> Option<u64> {
        self.by_file(key).map(|time| time.as_secs())
    }
}
