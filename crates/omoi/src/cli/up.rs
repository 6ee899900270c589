//! `omoi up`: owns the data folder and works until it is stopped.

use std::process::ExitCode;

use anyhow::anyhow;
use omoi_runtime::config::keys;
use omoi_runtime::lifecycle::Cause;
use serde_json::json;

use super::ModelArgs;
use super::context::{Context, Overrides, Settings, check_scenario};
use super::fail::Usage;
use crate::Hint;
use crate::folder::Folder;
use crate::root::{self, Door, Roles, Start};
use crate::view::opening::model;
use crate::view::text::tilde;

const EXAMPLES: &str = "\
Examples:
  omoi up                   stay, go on with what was interrupted, answer other commands
  omoi up --port 0          on any free port
  omoi up --data-dir /srv/omoi";

/// How to start.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArgs,
    /// Port to listen at on loopback; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// Runs every role.
pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { model, port } = arguments;
    let settings = context.settings(&Overrides {
        model,
        port,
        repository: None,
    })?;
    work(context, settings, Roles::ALL).await
}

/// Plays `roles` until stopped.
pub(super) async fn work(
    context: &Context,
    settings: Settings,
    roles: Roles,
) -> anyhow::Result<ExitCode> {
    let Settings { config, sources } = settings;
    context.log(&config, false);
    if config.get(&keys::LLM_SCENARIO).is_some() && roles.orchestrator {
        check_scenario(&config)?;
    }
    let folder = Folder::open(&config.get(&keys::DATA_DIR))?;
    let is_shared = config.get(&keys::DATABASE_URL).starts_with("postgres");
    if (!is_shared || roles.orchestrator) && folder.own()?.is_none() {
        let what = Usage(format!(
            "another process owns the data folder `{}` already",
            folder.path().display()
        ));
        let hint = "stop it, or name another folder with --data-dir DIR";
        return Err(anyhow::Error::new(what).context(Hint(hint.to_owned())));
    }
    let door = match roles.api {
        true => Door::FolderAndHttp,
        false => Door::Folder,
    };
    let process = root::start(Start {
        config,
        sources,
        roles,
        door,
        ownership: None,
    })
    .await?;
    let address = process.address.as_deref().unwrap_or("no address");
    if context.json() {
        context.print_json(&json!({
            "type": "started",
            "address": process.address,
            "data": process.folder,
            "status": process.status,
        }))?;
    } else {
        let data = tilde(&process.folder, context.home().as_deref());
        let name = model(process.status.model.as_deref().unwrap_or("none"));
        eprintln!("{address}   model: {name}   data: {data}");
        if let Some(why) = process
            .status
            .model_missing
            .as_deref()
            .filter(|_| roles.orchestrator)
        {
            eprintln!("warning: agents have no model to ask: {why}");
        }
    }
    let exit = process.lifecycle.run_until_signal().await?;
    match exit.cause {
        Cause::Failed { name, error } => Err(anyhow!("{name} failed: {error}")),
        Cause::Signal(_) | Cause::Requested => Ok(ExitCode::SUCCESS),
    }
}
