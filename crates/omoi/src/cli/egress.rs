//! `omoi egress`: what sandboxes got from outside and what they were refused, and how to allow it.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use omoi_domain::config::ConfigKey;
use omoi_domain::egress::EgressOutcome;
use omoi_egress::options::{EgressOptions, entry_list};
use omoi_egress::project_hosts::{ProjectHosts, host_line};
use omoi_egress::refusal::HOSTS_KEY;
use omoi_protocol::api::{AllowEgress, EgressEntryView};
use serde_json::json;

use super::command_context::{CommandContext, CommandSettings, ConfigOverrides};
use super::error_report::UsageError;
use super::models::write_user_list;
use super::named_repository::NamedRepository;
use super::owner_access::{AccessPurpose, find_running, reach_owner};
use super::terminal::print_done;
use crate::ErrorHint;
use crate::api_client::ApiClient;
use crate::view::text_layout::{clean_line, wrap_text};

const LOG_EXAMPLES: &str = "\
Examples:
  omoi egress log SPEC-1
  omoi egress log SPEC-1 --refused     only what was refused, with the line that would allow it
  omoi egress log SPEC-1 --all         also what is older than the newest thousand
  omoi egress log SPEC-1 --json";

const ALLOW_EXAMPLES: &str = "\
Examples:
  omoi egress allow docs.example.com         a host, for agents at tasks of the project here
  omoi egress allow docs.example.com:8443 --project todo
  omoi egress allow docs.example.com --all-projects
  omoi egress allow npm:left-pad@1.3.0       a version that is younger than three days, for all projects

Registries need no entry: tasks whose plan names a lock file fetch from them, others have what was fetched before. Writes `egress.hosts` or `egress.versions` of your configuration file; a process that runs on this data folder lets it through at once.";

/// What to do about the way out.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum EgressCommand {
    /// Show which packages came into the sandboxes of a spec, and what was refused
    #[command(after_help = LOG_EXAMPLES)]
    Log(LogEgressArgs),
    /// Let a host or a version of a package through from now on
    #[command(after_help = ALLOW_EXAMPLES)]
    Allow(AllowArgs),
}

/// Of which spec.
#[derive(clap::Args, Debug)]
pub(crate) struct LogEgressArgs {
    /// Such as SPEC-1, or todo/SPEC-1 from outside of the repository
    #[arg(value_name = "SPEC")]
    spec: String,
    /// Leave out what came in
    #[arg(long)]
    refused: bool,
    /// Show older ones than the newest thousand, too
    #[arg(long)]
    all: bool,
}

/// What to allow.
#[derive(clap::Args, Debug)]
pub(crate) struct AllowArgs {
    /// A host such as docs.example.com, or a version such as npm:left-pad@1.3.0
    #[arg(value_name = "ENTRY")]
    entry: String,
    /// The project whose agents may reach the host, in place of that of the repository here
    #[arg(long, value_name = "NAME", conflicts_with = "all_projects")]
    project: Option<String>,
    /// Let the agents of every project reach the host
    #[arg(long)]
    all_projects: bool,
}

/// Runs one `omoi egress` command.
pub(crate) async fn run_egress_command(
    context: &CommandContext,
    command: EgressCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        EgressCommand::Log(arguments) => show_log(context, arguments).await,
        EgressCommand::Allow(arguments) => allow_entry(context, &arguments).await,
    }
}

async fn show_log(context: &CommandContext, arguments: LogEgressArgs) -> anyhow::Result<ExitCode> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let access = reach_owner(context, settings, AccessPurpose::Ask).await?;
    let entries = read_entries(&access.client, &arguments).await;
    access.close(futures::stream::pending()).await?;
    let (mut entries, has_older) = entries?;
    entries.reverse();
    if context.is_json() {
        context.print_json(&entries)?;
        return Ok(ExitCode::SUCCESS);
    }
    if entries.is_empty() {
        print_done("Nothing came in and nothing was refused");
    }
    let width = context.stdout_page().width;
    // What is asked from elsewhere is allowed from there.
    let project = arguments.spec.split_once('/').map(|(project, _)| project);
    let lines = entries.iter().map(|entry| entry_line(entry, project));
    let lines: Vec<String> = lines.flat_map(|line| wrap_text(&line, width)).collect();
    context.print_lines(&lines)?;
    if has_older {
        print_done("Older entries are left out; add --all to see them");
    }
    Ok(ExitCode::SUCCESS)
}

/// The entries that are asked for, newest first, and whether there are older ones.
async fn read_entries(
    client: &ApiClient,
    arguments: &LogEgressArgs,
) -> anyhow::Result<(Vec<EgressEntryView>, bool)> {
    let outcome = arguments.refused.then_some(EgressOutcome::Refused);
    let (mut entries, mut before) = (Vec::new(), None);
    loop {
        let page = client.list_egress(&arguments.spec, outcome, before).await?;
        entries.extend(page.entries);
        before = page.before;
        if before.is_none() || !arguments.all {
            return Ok((entries, before.is_some()));
        }
    }
}

/// `TSK-003  came in  npm:left-pad@1.3.0  left-pad-1.3.0.tgz  sha256:…`
fn entry_line(entry: &EgressEntryView, project: Option<&str>) -> String {
    let task = match (&entry.task_ref, &entry.packages_layer) {
        (Some(task), _) => task,
        (None, Some(_)) => "setup",
        (None, None) => "-",
    };
    let subject = clean_line(&entry.subject);
    match entry.outcome {
        EgressOutcome::CameIn => format!(
            "{task}  came in  {subject}  {}  sha256:{}",
            clean_line(&entry.detail),
            entry.digest.as_deref().unwrap_or_default()
        ),
        EgressOutcome::Refused => {
            let allow = match &entry.remedy {
                Some(line) => {
                    let named = project.filter(|_| line.starts_with(HOSTS_KEY));
                    let named = named.map(|project| format!(" --project {project}"));
                    let name = allowed_name(&subject);
                    let named = named.unwrap_or_default();
                    format!("; allow it: omoi egress allow {name}{named}")
                }
                None => String::new(),
            };
            format!("{task}  refused  {}{allow}", clean_line(&entry.detail))
        }
    }
}

/// A host without the port that needs no naming.
fn allowed_name(subject: &str) -> &str {
    subject.strip_suffix(":443").unwrap_or(subject)
}

/// The line to write for `entry`, a host or a version.
async fn allowed_line(
    context: &CommandContext,
    arguments: &AllowArgs,
    key: &ConfigKey<Vec<String>>,
) -> anyhow::Result<String> {
    let AllowArgs {
        entry,
        project,
        all_projects,
    } = arguments;
    if key.spec.dotted_path() != HOSTS_KEY {
        if project.is_some() {
            let says = "a version of a package comes in for all projects; leave --project out";
            return Err(UsageError(says.to_owned()).into());
        }
        return Ok(entry.clone());
    }
    let project = match (project, all_projects) {
        (Some(project), _) => Some(project.clone()),
        (None, true) => None,
        (None, false) => Some(project_here(context).await?),
    };
    let line = host_line(project.as_deref(), entry);
    ProjectHosts::parse(&[&line]).map_err(|error| UsageError(error.to_string()))?;
    Ok(line)
}

/// The project of the repository that the command is typed in: by its whole path, which means no other whatever comes.
async fn project_here(context: &CommandContext) -> anyhow::Result<String> {
    let here = NamedRepository::inspect_given(context, Path::new(".")).await;
    let here = here.context(ErrorHint(
        "name the project with --project NAME, or add --all-projects".to_owned(),
    ))?;
    Ok(here.info.toplevel.to_string_lossy().into_owned())
}

async fn allow_entry(context: &CommandContext, arguments: &AllowArgs) -> anyhow::Result<ExitCode> {
    let entry = arguments.entry.as_str();
    let key = entry_list(entry).ok_or_else(|| {
        let error = UsageError(format!(
            "`{entry}` is neither a host nor a version of a package"
        ));
        anyhow::Error::new(error).context(ErrorHint(match entry.strip_prefix('!') {
            Some(_) => {
                format!("`!` denies: write \"{entry}\" into `egress.hosts` of your configuration")
            }
            None => {
                "write `docs.example.com`, `**.example.com:8443` or `npm:left-pad@1.3.0`".to_owned()
            }
        }))
    })?;
    let settings = context.load_settings(&ConfigOverrides::default())?;
    if EgressOptions::from_config(&settings.config)?.names_registry(entry) {
        let error = UsageError(format!("`{entry}` is a registry, which needs no entry"));
        return Err(anyhow::Error::new(error).context(ErrorHint(
            "tasks whose plan names a lock file fetch from it, others have what was fetched before; a young version \
             comes in by `omoi egress allow npm:NAME@VERSION`"
                .to_owned(),
        )));
    }
    let mut items = settings.config.get(key);
    let line = allowed_line(context, arguments, key).await?;
    let is_new = !items.contains(&line);
    if is_new {
        items.push(line.clone());
        write_user_list(context, &key.spec, &items)?;
    }
    let name = key.spec.dotted_path();
    let force = put_in_force(context, &settings, &name, line.clone()).await?;
    if context.is_json() {
        context.print_json(&json!({
            "key": name, "entries": items, "changed": is_new, "in_force": force.is_now(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown = clean_line(&line);
    let wrote = match is_new {
        true => format!("Wrote {shown} to {name}"),
        false => format!("{shown} is in {name} already"),
    };
    print_done(&format!("{wrote}; {force}"));
    if name == HOSTS_KEY && force.is_now() {
        print_done(
            "An agent at work whose project listed no host when it began trusts the host's certificate from its next \
             attempt on",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// From when on a new entry holds.
#[derive(Clone, Debug)]
enum EntryForce {
    /// Who answers lets it through already.
    Now(String),
    /// Who answers runs no proxy; another process does, if any.
    Elsewhere(String),
    /// Nobody runs.
    NextStart,
}

impl EntryForce {
    const fn is_now(&self) -> bool {
        matches!(self, Self::Now(_))
    }
}

impl fmt::Display for EntryForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(place) => write!(f, "{place} lets it through from now on"),
            Self::Elsewhere(place) => write!(
                f,
                "{place} runs no agents: one that does lets it through once it is started again, and goes on \
                 with its specs"
            ),
            Self::NextStart => f.write_str("whatever starts from now on lets it through"),
        }
    }
}

/// Has the process that runs, if one does, let `line` of the list `key` through.
async fn put_in_force(
    context: &CommandContext,
    settings: &CommandSettings,
    key: &str,
    line: String,
) -> anyhow::Result<EntryForce> {
    let Some(access) = find_running(context, &settings.config).await? else {
        return Ok(EntryForce::NextStart);
    };
    let mut entries = AllowEgress::default();
    match key {
        HOSTS_KEY => entries.hosts.push(line),
        _ => entries.versions.push(line),
    }
    let place = access.place_text();
    Ok(
        match access.client.allow_egress(&entries).await?.is_in_force {
            true => EntryForce::Now(place),
            false => EntryForce::Elsewhere(place),
        },
    )
}
