//! `omoi db`: the database's schema, without a running process.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use omoi_runtime::clock::{Clocked, SystemClock};
use omoi_runtime::config::{Config, keys};
use omoi_runtime::rng::Rng;
use omoi_store::Store;
use serde_json::json;

use super::context::{Context, Overrides};
use super::follow::tell_done;
use crate::folder::Folder;
use crate::root;
use crate::view::text::count;

/// What to do with the schema.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Bring the schema up to date
    #[command(
        after_help = "Examples:\n  omoi db migrate\n  omoi db migrate --database postgres://…"
    )]
    Migrate,
    /// List migrations, and which of them stand in the database
    #[command(after_help = "Examples:\n  omoi db status")]
    Status,
}

/// Does it.
pub(crate) async fn run(context: &Context, command: Command) -> anyhow::Result<ExitCode> {
    let settings = context.settings(&Overrides::default())?;
    context.log(&settings.config, true);
    let store = open(&settings.config).await?;
    if matches!(command, Command::Migrate) {
        store
            .migrate()
            .await
            .context("could not bring the database up to date")?;
    }
    let migrations = store
        .migrations()
        .await
        .context("could not read the database")?;
    store.close().await;
    let applied = migrations.iter().filter(|(_, _, applied)| *applied).count();
    if context.json() {
        let all = migrations.iter().map(|(version, name, applied)| {
            json!({ "version": version, "name": name, "applied": applied })
        });
        context.print_json(&all.collect::<Vec<_>>())?;
    } else if matches!(command, Command::Status) {
        let lines: Vec<String> = migrations
            .iter()
            .map(|(version, name, applied)| {
                let state = if *applied { "applied" } else { "pending" };
                format!("{state}  {version:04}  {name}")
            })
            .collect();
        context.print(&lines)?;
    } else {
        let all = count(migrations.len() as u64, "migration");
        tell_done(&format!(
            "The schema is up to date: {applied} of {all} applied"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the database of a configuration, without touching its schema.
pub(super) async fn open(config: &Config) -> anyhow::Result<Store> {
    let folder = Folder::open(&config.get(&keys::DATA_DIR))?;
    let url = root::database_url(config, &folder);
    let clock: Clocked = Arc::new(SystemClock);
    root::open_store(config, &url, (&clock, &Rng::from_os()?)).await
}
