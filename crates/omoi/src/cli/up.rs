//! `omoi up`: owns the data folder and works until it is stopped.

use std::process::ExitCode;

use anyhow::anyhow;
use serde::Serialize;
use serde_json::json;

use omoi_domain::spec::SpecStatus;
use omoi_execution::spec_selection::WorkScope;
use omoi_llm::options::LlmOptions;
use omoi_runtime::lifecycle::StopCause;
use omoi_runtime::options::DataOptions;
use omoi_server::options::{ServerMode, SiteOptions};
use omoi_store::DatabaseOptions;

use super::ModelArgs;
use super::command_context::{CommandContext, CommandSettings, ConfigOverrides, check_scenario};
use super::error_report::UsageError;
use crate::ErrorHint;
use crate::composition::{self, ListenMode, ProcessRoles, RunningProcess, StartOptions};
use crate::data_folder::OpenedFolder;
use crate::view::header::model_label;
use crate::view::text_layout::{clean_line, tilde_path};

const EXAMPLES: &str = "\
Examples:
  omoi up                   stay, go on with what was interrupted, answer other commands
  omoi up --port 0          on any free port
  omoi up --data-dir /srv/omoi";

/// The model, and the port to listen at.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Port to listen at on loopback; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// Starts a process with every role and runs it until stopped.
pub(crate) async fn run_up(
    context: &CommandContext,
    arguments: UpArgs,
) -> anyhow::Result<ExitCode> {
    let UpArgs { model, port } = arguments;
    let settings = context.load_settings(&ConfigOverrides { model, port })?;
    run_roles(context, settings, ProcessRoles::ALL).await
}

/// Plays `roles` until stopped.
pub(super) async fn run_roles(
    context: &CommandContext,
    settings: CommandSettings,
    roles: ProcessRoles,
) -> anyhow::Result<ExitCode> {
    let CommandSettings { config, sources } = settings;
    context.start_log(&config, false);
    if LlmOptions::from_config(&config).scenario.is_some() && roles.orchestrator {
        check_scenario(&config)?;
    }
    let folder = OpenedFolder::open(&DataOptions::from_config(&config).folder)?;
    let is_shared = DatabaseOptions::from_config(&config).is_shared();
    if (!is_shared || roles.orchestrator) && folder.take_ownership()?.is_none() {
        let error = UsageError(format!(
            "another process owns the data folder `{}` already",
            folder.folder_path().display()
        ));
        let hint = "stop it, or name another folder with --data-dir DIR";
        return Err(anyhow::Error::new(error).context(ErrorHint(hint.to_owned())));
    }
    let door = match roles.api {
        true => ListenMode::FolderAndHttp,
        false => ListenMode::Folder,
    };
    let is_laptop = SiteOptions::from_config(&config).mode == ServerMode::Local;
    let process = composition::start_process(StartOptions {
        config,
        sources,
        roles,
        door,
        scope: match roles.orchestrator {
            true => WorkScope::Every,
            false => WorkScope::Nothing,
        },
        ownership: None,
        log: context.process_log(),
    })
    .await?;
    let open = open_specs(&process, roles).await?;
    let link = match roles.api && is_laptop {
        true => link_of(&process).await?,
        false => None,
    };
    print_start(
        context,
        &StartedProcess {
            process: &process,
            link,
            open,
            runs_agents: roles.orchestrator,
        },
    )?;
    let exit = process.lifecycle.run_until_signal().await?;
    match exit.cause {
        StopCause::Failed { name, error } => Err(anyhow!("{name} failed: {error}")),
        StopCause::Signal(_) | StopCause::Requested => Ok(ExitCode::SUCCESS),
    }
}

/// A process that has just begun.
struct StartedProcess<'a> {
    process: &'a RunningProcess,
    /// Signs in a browser of this machine.
    link: Option<String>,
    open: OpenSpecs,
    runs_agents: bool,
}

/// Says where a process is found, and what it goes on with.
fn print_start(context: &CommandContext, started: &StartedProcess<'_>) -> anyhow::Result<()> {
    if context.is_json() {
        context.print_json(&json!({
            "type": "started",
            "address": started.process.address,
            "probes": started.process.probe_address,
            "link": started.link,
            "data": started.process.folder,
            "status": started.process.status,
            "goes_on": started.open.goes_on,
            "waits": started.open.waits,
        }))?;
    } else {
        let data = tilde_path(&started.process.folder, context.home_folder().as_deref());
        let name = model_label(
            started.process.status.model_kind,
            &started.process.status.model,
        );
        let place = started
            .link
            .as_deref()
            .or(started.process.address.as_deref());
        let place = match (place, &started.process.probe_address) {
            (Some(place), _) => place.to_owned(),
            (None, Some(probes)) => format!("probes: {probes}"),
            (None, None) => "no address".to_owned(),
        };
        eprintln!("{place}   model: {name}   data: {data}");
        if let Some(why) = started
            .process
            .status
            .model_missing
            .as_deref()
            .filter(|_| started.runs_agents)
        {
            eprintln!("warning: agents have no model to ask: {why}");
        }
        for line in started.open.spec_lines(&context.data_flags()) {
            eprintln!("{line}");
        }
    }
    Ok(())
}

/// The link that signs in a browser of this machine, where the process has an address.
async fn link_of(process: &RunningProcess) -> anyhow::Result<Option<String>> {
    match process.address {
        Some(_) => Ok(Some(process.client.create_local_link().await?.url)),
        None => Ok(None),
    }
}

/// Specs that were under way when this process began.
#[derive(Default)]
struct OpenSpecs {
    /// Those it goes on with, by name.
    goes_on: Vec<String>,
    /// Those it leaves alone.
    waits: Vec<WaitingSpec>,
}

/// A spec that this process may not go on with.
#[derive(Serialize)]
struct WaitingSpec {
    name: String,
    begun: String,
    resume: String,
}

/// What of the work under way this process goes on with.
async fn open_specs(process: &RunningProcess, roles: ProcessRoles) -> anyhow::Result<OpenSpecs> {
    let mut open = OpenSpecs::default();
    if !(roles.api && roles.orchestrator) {
        return Ok(open);
    }
    for spec in process.client.list_specs().await? {
        match (spec.status, spec.waits) {
            (_, Some(waits)) => open.waits.push(WaitingSpec {
                name: spec.name,
                begun: waits.begun,
                resume: waits.resume,
            }),
            (SpecStatus::Executing | SpecStatus::Working, None) => open.goes_on.push(spec.name),
            _ => {}
        }
    }
    Ok(open)
}

impl OpenSpecs {
    /// One line per spec.
    fn spec_lines(&self, again: &str) -> Vec<String> {
        let goes_on = self.goes_on.iter().map(|name| clean_line(name));
        let mut lines: Vec<String> = goes_on.map(|name| format!("goes on with {name}")).collect();
        for WaitingSpec {
            name,
            begun,
            resume,
        } in &self.waits
        {
            lines.push(format!(
                "{} waits: it was begun with the model `{}`; stop this process, then: {}{again}",
                clean_line(name),
                clean_line(begun),
                clean_line(resume)
            ));
        }
        lines
    }
}
