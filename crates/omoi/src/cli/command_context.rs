//! What every command has at hand: flags, configuration, and the way out to people and scripts.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context as _;
use serde::Serialize;

use omoi_domain::config::Config;
use omoi_llm::options::LlmOptions;
use omoi_llm::scenario::Scenario;
use omoi_protocol::shell_word::shell_word;
use omoi_runtime::config::{ConfigSources, load_config};
use omoi_runtime::telemetry::{LogOptions, ProcessLog};

use super::error_report::UsageError;
use super::{ColourMode, GlobalArgs, ModelArgs};
use crate::ErrorHint;
use crate::config_table::CONFIG_TABLE;
use crate::view::live_screen;
use crate::view::text_layout::{OutputPage, WIDTH_MIN};

/// What this process logs while a person watches a run: the run's own lines say the rest.
const QUIET: &str = "error";

/// Flags of every command and what follows from them.
pub(crate) struct CommandContext {
    global: GlobalArgs,
    sources: ConfigSources,
    /// Set once a command has started it.
    process_log: OnceLock<ProcessLog>,
}

/// What one command adds to the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigOverrides {
    /// The model and the scenario named by flags.
    pub(crate) model: ModelArgs,
    /// The port to listen at.
    pub(crate) port: Option<u16>,
}

/// The configuration with what it was read from.
#[derive(Clone)]
pub(crate) struct CommandSettings {
    pub(crate) config: Config,
    /// What it was read from.
    pub(crate) sources: ConfigSources,
}

impl CommandContext {
    /// The context of these flags in this process's environment.
    pub(crate) fn new(global: GlobalArgs) -> Self {
        Self {
            global,
            sources: ConfigSources::from_process(),
            process_log: OnceLock::new(),
        }
    }

    /// Whether scripts read the output.
    pub(crate) fn is_json(&self) -> bool {
        self.global.json
    }

    /// The profile that was named by a flag.
    pub(crate) fn profile_flag(&self) -> Option<&str> {
        self.global.profile.as_deref()
    }

    /// The organisation that was named by a flag.
    pub(crate) fn org_flag(&self) -> Option<&str> {
        self.global.org.as_deref()
    }

    /// Whether flags name data of this machine.
    pub(crate) fn flags_name_local_data(&self) -> bool {
        self.global.data_dir.is_some() || self.global.database.is_some()
    }

    /// The folder of the person's own settings.
    pub(crate) fn config_folder(&self) -> Option<PathBuf> {
        let file = self.sources.user_file.as_deref()?;
        file.parent().map(Path::to_path_buf)
    }

    /// The person's home folder.
    pub(crate) fn home_folder(&self) -> Option<PathBuf> {
        self.environment_variable("HOME").map(PathBuf::from)
    }

    /// The person's folder for what can be made again.
    ///
    /// # Errors
    /// When there is no home folder.
    pub(crate) fn cache_folder(&self) -> anyhow::Result<PathBuf> {
        let named = self.environment_variable("XDG_CACHE_HOME");
        let named = named.map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = named.or_else(|| Some(self.home_folder()?.join(".cache")));
        let cache = cache.ok_or_else(|| {
            let error = UsageError("there is no folder for what can be made again".to_owned());
            anyhow::Error::new(error).context(ErrorHint("set HOME or XDG_CACHE_HOME".to_owned()))
        })?;
        Ok(cache.join("omoios"))
    }

    /// The repository this command was typed in, if it was in one.
    pub(crate) fn current_repository(&self) -> Option<PathBuf> {
        let folder = std::env::current_dir().ok()?;
        let top = folder.ancestors().find(|at| at.join(".git").exists())?;
        top.canonicalize().ok()
    }

    /// A variable of the environment that says something about the machine.
    pub(crate) fn environment_variable(&self, name: &str) -> Option<std::ffi::OsString> {
        let value = self.sources.process.get(std::ffi::OsStr::new(name))?;
        (!value.is_empty()).then(|| value.clone())
    }

    /// The configuration for a command.
    ///
    /// # Errors
    /// When a layer is wrong.
    pub(crate) fn load_settings(
        &self,
        overrides: &ConfigOverrides,
    ) -> anyhow::Result<CommandSettings> {
        let ConfigOverrides { model, port } = overrides;
        let mut sources = self.sources.clone();
        if let Some(file) = &self.global.config {
            if !file.is_file() {
                let error = UsageError(format!(
                    "there is no configuration file `{}`",
                    file.display()
                ));
                return Err(error.into());
            }
            sources.user_file = Some(file.clone());
        }
        if let Some(dir) = &self.global.data_dir {
            let dir = std::path::absolute(dir).context("could not name the data folder")?;
            sources = sources.with_flag("data.dir", utf8_path(&dir)?);
        }
        let port = port.map(|port| port.to_string());
        let flags = [
            ("database.url", &self.global.database),
            ("redis.url", &self.global.redis),
            ("server.port", &port),
        ];
        for (key, value) in flags {
            if let Some(value) = value {
                sources = sources.with_flag(key, value);
            }
        }
        match model.model.as_deref() {
            Some("simulated") => sources = sources.with_flag("llm.mode", "simulated"),
            Some(name) => {
                sources = sources
                    .with_flag("llm.mode", "live")
                    .with_flag("llm.model", name);
            }
            None => {}
        }
        if let Some(scenario) = &model.scenario {
            // One name, however it is given: a spec goes on with the scenario that it was begun with.
            let path = scenario
                .canonicalize()
                .or_else(|_| std::path::absolute(scenario))
                .context("could not name the scenario")?;
            sources = sources.with_flag("llm.scenario", utf8_path(&path)?);
        }
        let config = load_config(&CONFIG_TABLE, &sources)?;
        let simulated = LlmOptions::from_config(&config).is_simulated();
        if model.scenario.is_some() && !simulated {
            let error = UsageError("--scenario scripts the simulated model only".to_owned());
            return Err(
                anyhow::Error::new(error).context(ErrorHint("add --model simulated".to_owned()))
            );
        }
        Ok(CommandSettings { config, sources })
    }

    /// The person's own configuration file, which may not be there yet.
    pub(crate) fn user_file(&self) -> Option<PathBuf> {
        let named = self.global.config.clone();
        named.or_else(|| self.sources.user_file.clone())
    }

    /// The configuration as it would be with `user_file` in the place of the person's own.
    ///
    /// # Errors
    /// When a layer is wrong.
    pub(crate) fn load_settings_with(&self, user_file: &Path) -> anyhow::Result<CommandSettings> {
        let mut sources = self.sources.clone();
        sources.user_file = Some(user_file.to_owned());
        let config = load_config(&CONFIG_TABLE, &sources)?;
        Ok(CommandSettings { config, sources })
    }

    /// The flags that lead another command to the same data, with a blank in front of each.
    pub(crate) fn data_flags(&self) -> String {
        let GlobalArgs {
            data_dir,
            database,
            redis,
            config,
            profile,
            org,
            ..
        } = &self.global;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        // What may hold a password is left for the person to fill in.
        let address = |url: &Option<String>| {
            url.as_ref().map(|url| {
                if url.contains('@') {
                    "…".to_owned()
                } else {
                    url.clone()
                }
            })
        };
        [
            ("data-dir", path(data_dir)),
            ("database", address(database)),
            ("redis", address(redis)),
            ("config", path(config)),
            ("profile", profile.clone()),
            ("org", org.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!(" --{name} {}", shell_word(&value?))))
        .collect()
    }

    /// Starts logging; on standard error quietly, where a run's own lines tell people what goes on.
    pub(crate) fn start_log(&self, config: &Config, quietly: bool) {
        let mut options = LogOptions::from_config(config);
        if quietly && LogOptions::is_default_filter(config) {
            options.filter = QUIET.to_owned();
        }
        match ProcessLog::start(&options) {
            // A command starts it once.
            Ok(log) => drop(self.process_log.set(log)),
            Err(error) => eprintln!("warning: no log: {error}"),
        }
    }

    /// The log of this process, which goes nowhere before it is started.
    pub(crate) fn process_log(&self) -> ProcessLog {
        self.process_log.get().cloned().unwrap_or_default()
    }

    /// Prints lines of data.
    pub(crate) fn print_lines(&self, lines: &[String]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for line in lines {
            writeln!(out, "{line}")?;
        }
        out.flush()
    }

    /// Prints one object on one line.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        let mut out = io::stdout().lock();
        out.write_all(&line)?;
        out.flush()
    }

    /// The page behind standard output.
    pub(crate) fn stdout_page(&self) -> OutputPage {
        let columns =
            live_screen::terminal_size(io::stdout()).map_or(WIDTH_MIN + 20, |(columns, _)| columns);
        OutputPage::new(columns, self.has_colour(io::stdout().is_terminal()))
    }

    /// The page behind standard error.
    pub(crate) fn stderr_page(&self) -> OutputPage {
        let columns =
            live_screen::terminal_size(io::stderr()).map_or(WIDTH_MIN + 20, |(columns, _)| columns);
        OutputPage::new(columns, self.colour_on_stderr())
    }

    /// Whether what goes to standard error has colour.
    pub(crate) fn colour_on_stderr(&self) -> bool {
        self.has_colour(io::stderr().is_terminal())
    }

    fn has_colour(&self, is_terminal: bool) -> bool {
        let dumb = self
            .environment_variable("TERM")
            .is_some_and(|term| term == "dumb");
        match self.global.color {
            ColourMode::Always => true,
            ColourMode::Never => false,
            ColourMode::Auto => {
                is_terminal && !dumb && self.environment_variable("NO_COLOR").is_none()
            }
        }
    }
}

/// Refuses a scenario with an error before anything starts.
pub(crate) fn check_scenario(config: &Config) -> anyhow::Result<()> {
    let options = LlmOptions::from_config(config);
    if !options.is_simulated() {
        return Ok(());
    }
    let Some(path) = options.scenario else {
        let error = UsageError("the simulated model has no scenario".to_owned());
        let hint =
            ErrorHint("name one with --scenario FILE; docs/scenario-format.md says how".to_owned());
        return Err(anyhow::Error::new(error).context(hint));
    };
    Scenario::load_file(&path)
        .map(drop)
        .with_context(|| format!("the scenario `{}` cannot be used", path.display()))
}

/// A path as text, for flags and for the platform.
pub(crate) fn utf8_path(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().map(ToOwned::to_owned);
    text.ok_or_else(|| UsageError(format!("`{}` is not UTF-8", path.display())).into())
}
