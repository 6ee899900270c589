//! `omoi db`: the database's schema, without a running process.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;

use omoi_domain::config::Config;
use omoi_runtime::clock::{Clocked, SystemClock};
use omoi_runtime::options::DataOptions;
use omoi_runtime::rng::Rng;
use omoi_store::Store;

use super::command_context::{CommandContext, ConfigOverrides};
use super::error_report::UsageError;
use super::terminal::print_done;
use crate::ErrorHint;
use crate::composition;
use crate::data_folder::OpenedFolder;
use crate::view::text_layout::count_noun;

/// What to do with the schema.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum DbCommand {
    /// Bring the schema up to date
    #[command(
        after_help = "Examples:\n  omoi db migrate\n  omoi db migrate --database postgres://…"
    )]
    Migrate,
    /// List migrations, and which of them stand in the database
    #[command(after_help = "Examples:\n  omoi db status")]
    Status,
}

/// Applies or lists the schema's migrations.
pub(crate) async fn run_db_command(
    context: &CommandContext,
    command: DbCommand,
) -> anyhow::Result<ExitCode> {
    let settings = context.load_settings(&ConfigOverrides::default())?;
    context.start_log(&settings.config, true);
    let store = open_database(&settings.config).await?;
    if matches!(command, DbCommand::Migrate) {
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
    if context.is_json() {
        let all = migrations.iter().map(|(version, name, applied)| {
            json!({ "version": version, "name": name, "applied": applied })
        });
        context.print_json(&all.collect::<Vec<_>>())?;
    } else if matches!(command, DbCommand::Status) {
        let lines: Vec<String> = migrations
            .iter()
            .map(|(version, name, applied)| {
                let state = if *applied { "applied" } else { "pending" };
                format!("{state}  {version:04}  {name}")
            })
            .collect();
        context.print_lines(&lines)?;
    } else {
        let all = count_noun(migrations.len() as u64, "migration");
        print_done(&format!(
            "The schema is up to date: {applied} of {all} applied"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses a schema that lacks migrations: whoever looks at rows changes nothing below servers that run.
pub(super) async fn expect_migrated(store: &Store) -> anyhow::Result<()> {
    let migrations = store.migrations().await;
    let migrations = migrations.context("could not read the database")?;
    let n_pending = migrations.iter().filter(|(_, _, applied)| !applied).count();
    if n_pending == 0 {
        return Ok(());
    }
    let pending = count_noun(n_pending as u64, "migration");
    let hint = ErrorHint("once no older server runs: omoi db migrate".to_owned());
    Err(anyhow::Error::new(UsageError(format!("the database lacks {pending}"))).context(hint))
}

/// Opens the database of a configuration, without touching its schema.
pub(super) async fn open_database(config: &Config) -> anyhow::Result<Store> {
    let folder = OpenedFolder::open(&DataOptions::from_config(config).folder)?;
    let database = composition::database_options(config, &folder);
    let clock: Clocked = Arc::new(SystemClock);
    composition::open_store(&database, &clock, &Rng::from_os()?).await
}
