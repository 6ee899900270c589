//! `omoi models set`: which models answer a kind of question, in the person's own file.

mod edit;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use omoi_domain::config::{ConfigLayer, KeySpec};
use omoi_domain::model_route::RouteName;
use omoi_llm::catalogue::{ModelEnd, provider_at};
use omoi_llm::options::{LlmOptions, model_choice_key};
use omoi_runtime::clock::{Clock as _, SystemClock};

use self::edit::set_list;
use crate::ErrorHint;
use crate::cli::command_context::{CommandContext, CommandSettings};
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
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
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
    let SetArgs { role, names } = arguments;
    let key = &model_choice_key(*role).spec;
    let (path, settings) = write_user_list(context, key, names)?;
    let notes = choice_notes(&settings, *role, names)?;
    if context.is_json() {
        context.print_json(&serde_json::json!({
            "file": path, "key": key.dotted_path(), "models": names, "notes": notes,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for note in &notes {
        eprintln!("note: {}", clean_line(note));
    }
    let shown = clean_line(&names.join(", "));
    print_done(&format!(
        "Wrote {} = {shown} to {}. Try it: omoi models try {}",
        key.dotted_path(),
        path.display(),
        names.first().map_or("", String::as_str)
    ));
    Ok(ExitCode::SUCCESS)
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
    if let Some(entry) = entry.filter(|entry| entry.origin.layer != ConfigLayer::User) {
        notes.push(format!("{} says otherwise and wins", entry.origin));
    }
    match composition::live_routes(&options, now)? {
        Err(error) => notes.push(error.to_string()),
        Ok(routes) => {
            notes.extend(routes.route_notes());
            let route = routes.route_named(role);
            notes.push(format!("{role} asks {} at {}", route.model, route.base_url));
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
