//! `omoi models set`: which models answer a kind of question, in the person's own file.

mod edit;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use omoi_domain::config::{ConfigLayer, KeySpec};
use omoi_domain::model_route::RouteName;
use omoi_domain::role_settings::{
    CacheChoice, EffortChoice, RoleSettings, RoleSettingsRow, ThinkingChoice,
};
use omoi_llm::catalogue::{ModelEnd, provider_at};
use omoi_llm::options::{LlmOptions, model_choice_key, role_settings_key};
use omoi_runtime::clock::{Clock as _, SystemClock};

use self::edit::set_list;
use crate::ErrorHint;
use crate::cli::command_context::{CommandContext, CommandSettings, ConfigOverrides};
use crate::cli::error_report::UsageError;
use crate::cli::terminal::print_done;
use crate::composition;
use crate::view::text_layout::clean_line;

/// What to write.
#[derive(clap::Args, Debug)]
pub(crate) struct SetArgs {
    /// What the models are asked for: agent, planner, a kind of task, title or judge
    #[arg(value_name = "ROLE", value_parser = parse_role)]
    role: RouteName,
    /// Models by preference, as MODEL or PROVIDER/MODEL; the first that can be asked is
    #[arg(value_name = "NAME", required_unless_present_any = ["effort", "thinking", "cache"])]
    names: Vec<String>,
    /// How hard they work: low, medium or high
    #[arg(long, value_name = "LEVEL", value_parser = parse_effort)]
    effort: Option<EffortChoice>,
    /// Whether they think: off, adaptive, or the most tokens of thought
    #[arg(long, value_name = "off|adaptive|TOKENS", value_parser = parse_thinking)]
    thinking: Option<ThinkingChoice>,
    /// How long prompt caches are kept: 5m or 1h
    #[arg(long, value_name = "LIFE", value_parser = parse_cache)]
    cache: Option<CacheChoice>,
}

fn parse_effort(text: &str) -> Result<EffortChoice, String> {
    EffortChoice::parse(text).ok_or_else(|| "it must be low, medium or high".to_owned())
}

fn parse_thinking(text: &str) -> Result<ThinkingChoice, String> {
    let thinking = text.parse();
    thinking.map_err(|_| "it must be off, adaptive, or 1024 to 128000 tokens".to_owned())
}

fn parse_cache(text: &str) -> Result<CacheChoice, String> {
    CacheChoice::parse(text).ok_or_else(|| "it must be 5m or 1h".to_owned())
}

fn parse_role(text: &str) -> Result<RouteName, String> {
    RouteName::parse(text).ok_or_else(|| {
        let known = RouteName::ALL.iter().map(|name| name.as_str());
        format!("it must be one of {}", known.collect::<Vec<_>>().join(", "))
    })
}

/// Writes the choice and says what follows from it.
pub(crate) fn set_models(
    context: &CommandContext,
    arguments: &SetArgs,
) -> anyhow::Result<ExitCode> {
    let SetArgs { role, names, .. } = arguments;
    let key = &model_choice_key(*role).spec;
    let mut wrote = Vec::new();
    let mut written = None;
    if let Some(row) = arguments.settings_row() {
        let config = context.load_settings(&ConfigOverrides::default())?.config;
        let rows = with_row(LlmOptions::from_config(&config).servers.role_settings, row);
        let key = &role_settings_key().spec;
        let rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
        wrote.push(format!("{} = {}", key.dotted_path(), rows.join(", ")));
        written = Some(write_user_list(context, key, &rows)?);
    }
    if !names.is_empty() {
        let shown = clean_line(&names.join(", "));
        wrote.push(format!("{} = {shown}", key.dotted_path()));
        written = Some(write_user_list(context, key, names)?);
    }
    let Some((path, settings)) = written else {
        // The command line asks for one of both.
        return Ok(ExitCode::SUCCESS);
    };
    let notes = choice_notes(&settings, *role, names)?;
    if context.is_json() {
        context.print_json(&serde_json::json!({
            "file": path, "key": key.dotted_path(), "models": names,
            "settings": arguments.settings_row().map(|row| row.settings.to_string()),
            "notes": notes,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for note in &notes {
        eprintln!("note: {}", clean_line(note));
    }
    let next = match names.first() {
        Some(name) => format!("Try it: omoi models try {name}"),
        None => "See what is sent: omoi models list".to_owned(),
    };
    let wrote = wrote.join(" and ");
    print_done(&format!("Wrote {wrote} to {}. {next}", path.display()));
    Ok(ExitCode::SUCCESS)
}

impl SetArgs {
    /// The settings that are asked for, where any are.
    fn settings_row(&self) -> Option<RoleSettingsRow> {
        let settings = RoleSettings {
            effort: self.effort,
            thinking: self.thinking,
            cache: self.cache,
        };
        let role = self.role;
        (!settings.is_empty()).then_some(RoleSettingsRow { role, settings })
    }
}

/// `rows` with what `row` says; what the row of its role says besides stays.
fn with_row(mut rows: Vec<RoleSettingsRow>, row: RoleSettingsRow) -> Vec<RoleSettingsRow> {
    match rows.iter_mut().find(|known| known.role == row.role) {
        Some(known) => known.settings = row.settings.or_else(known.settings),
        None => rows.push(row),
    }
    rows
}

/// Sets the list `key` in the person's own file; returns where, and what holds then.
pub(in crate::cli) fn write_user_list(
    context: &CommandContext,
    key: &KeySpec,
    items: &[String],
) -> anyhow::Result<(PathBuf, CommandSettings)> {
    let path = context.user_file().ok_or_else(no_file)?;
    // A link leads to the file that the person keeps elsewhere.
    let path = path.canonicalize().unwrap_or(path);
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(
                anyhow::Error::new(error).context(format!("could not read `{}`", path.display()))
            );
        }
    };
    let new = set_list(&old, key.section.name, key.name, items).map_err(|why| {
        let error = UsageError(format!("`{}` cannot be changed: {why}", path.display()));
        let hint = format!("write `{}` there by hand", key.dotted_path());
        anyhow::Error::new(error).context(ErrorHint(hint))
    })?;
    let settings = replace_checked(context, &path, &new)?;
    Ok((path, settings))
}

fn no_file() -> anyhow::Error {
    let error = UsageError("there is no place for your configuration file".to_owned());
    anyhow::Error::new(error).context(ErrorHint(
        "set HOME, or name one with --config FILE".to_owned(),
    ))
}

/// Puts `text` in the place of the file, once the whole configuration is right with it.
fn replace_checked(
    context: &CommandContext,
    path: &Path,
    text: &str,
) -> anyhow::Result<CommandSettings> {
    let failed = || format!("could not write `{}`", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(failed)?;
    }
    let draft = draft_path(path);
    let written = write_draft(&draft, path, text).with_context(failed);
    let checked = written.and_then(|()| context.load_settings_with(&draft));
    let replaced = checked.and_then(|settings| {
        fs::rename(&draft, path).with_context(failed)?;
        Ok(settings)
    });
    if replaced.is_err() {
        // It may not have been made.
        let _ = fs::remove_file(&draft);
    }
    replaced
}

fn draft_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

fn write_draft(draft: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = File::create(draft)?;
    file.write_all(text.as_bytes())?;
    if let Ok(known) = fs::metadata(path) {
        file.set_permissions(known.permissions())?;
    }
    file.sync_all()
}

/// What the person should know: choices that cannot be asked, that end, or that something else overrides.
fn choice_notes(
    settings: &CommandSettings,
    role: RouteName,
    names: &[String],
) -> anyhow::Result<Vec<String>> {
    let options = LlmOptions::from_config(&settings.config);
    let now = SystemClock.now();
    let mut notes = Vec::new();
    let entry = settings.config.entry(&model_choice_key(role).spec);
    let is_overridden = |layer| !names.is_empty() && layer != ConfigLayer::User;
    if let Some(entry) = entry.filter(|entry| is_overridden(entry.origin.layer)) {
        notes.push(format!("{} says otherwise and wins", entry.origin));
    }
    match composition::live_routes(&options, now)? {
        Err(error) => notes.push(error.to_string()),
        Ok(routes) => {
            notes.extend(routes.route_notes());
            let route = routes.route_named(role);
            notes.push(format!("{role} asks {} at {}", route.model, route.base_url));
            notes.extend(routes.settings_notes(role));
            let list = composition::model_catalogue(&options)?;
            for name in names {
                let provider = match *name == route.model {
                    true => provider_at(&route.base_url),
                    false => None,
                };
                let Some(entry) = list.find_entry(provider, name) else {
                    continue;
                };
                let day = entry.ends_on.map(|day| day.to_string()).unwrap_or_default();
                let next = list.successor_of(entry, now);
                let next = next.map_or(String::new(), |next| format!("; use {}", next.id));
                match entry.end_at(now) {
                    ModelEnd::Served => {}
                    ModelEnd::EndsSoon => notes.push(format!("{name} ends on {day}{next}")),
                    ModelEnd::Retired => notes.push(format!("{name} ended on {day}{next}")),
                }
            }
        }
    }
    Ok(notes)
}
