//! Reading the file of a repository into the row that a spec keeps of it.

use std::path::Path;
use std::time::Duration;

use omoi_domain::config::{Config, ConfigKey, ConfigLayer, SettingValue};
use omoi_domain::repository_settings::{RepositorySettings, file_digest};

use super::error::LoadError;
use super::keys;
use super::load::load_over;

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
    let home = home.and_then(Path::to_str);
    let config = load_over(own, home, text)?;
    let settings = FileSettings(&config);
    Ok(RepositorySettings {
        file_digest: Some(file_digest(text)),
        phase_turns_max: settings.by_file(&keys::SPEC_MAX_TURNS),
        phase_timeout_s: settings.seconds_by_file(&keys::SPEC_PHASE_TIMEOUT),
        phase_attempts_max: settings.by_file(&keys::SPEC_MAX_ATTEMPTS),
        phase_budget: settings.by_file(&keys::SPEC_PHASE_BUDGET_USD),
        spec_budget: settings.by_file(&keys::SPEC_TOTAL_BUDGET_USD),
        task_timeout_s: settings.seconds_by_file(&keys::AGENT_TASK_TIMEOUT),
        task_turns_max: settings.by_file(&keys::AGENT_MAX_TURNS),
        task_budget: settings.by_file(&keys::AGENT_MAX_BUDGET_USD),
        command_timeout_s: settings.seconds_by_file(&keys::AGENT_TOOL_TIMEOUT),
        suite: settings.by_file(&keys::VALIDATION_SUITE).flatten(),
        check_timeout_s: settings.seconds_by_file(&keys::VALIDATION_CHECK_TIMEOUT),
        read_only: settings
            .by_file(&keys::SANDBOX_READ_ONLY)
            .unwrap_or_default(),
        discovery_depth_max: settings.by_file(&keys::DISCOVERY_DEPTH_CAP),
        discoveries_per_task: settings.by_file(&keys::DISCOVERY_PER_TASK_CAP),
        discoveries_per_spec: settings.by_file(&keys::DISCOVERY_PER_SPEC_CAP),
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

    fn seconds_by_file(&self, key: &'static ConfigKey<Duration>) -> Option<u64> {
        self.by_file(key).map(|time| time.as_secs())
    }
}
