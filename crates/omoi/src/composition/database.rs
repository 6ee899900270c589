//! The rows of a process: which database, opened, and joined to the data folder.

use std::sync::Arc;

use anyhow::Context as _;
use tracing::warn;

use omoi_domain::config::Config;
use omoi_domain::crash::CrashPoint;
use omoi_runtime::clock::Clocked;
use omoi_runtime::ids::uuid_v7;
use omoi_runtime::rng::Rng;
use omoi_store::deployment::{self, DataFolder};
use omoi_store::{DatabaseOptions, Store, StoreError, StoreOptions, Tx};

use super::ProcessRoles;
use crate::data_folder::OpenedFolder;

/// The database to use, with its address filled in; a new SQLite file is made.
pub(crate) fn database_options(config: &Config, folder: &OpenedFolder) -> DatabaseOptions {
    let DatabaseOptions { url, server } = DatabaseOptions::from_config(config);
    let url = match url.is_empty() {
        true => format!(
            "sqlite://{}",
            folder.folder_path().join("omoios.db").display()
        ),
        false => url,
    };
    let url = match url.starts_with("sqlite:") && !url.contains('?') {
        true => format!("{url}?mode=rwc"),
        false => url,
    };
    DatabaseOptions { url, server }
}

/// Opens the store without touching its schema.
pub(crate) async fn open_store(
    database: &DatabaseOptions,
    clock: &Clocked,
    rng: &Rng,
) -> anyhow::Result<Store> {
    let (clock, rng) = (clock.clone(), rng.fork());
    let options = StoreOptions {
        url: database.url.clone(),
        now: None,
        new_uuid: Arc::new(move || uuid_v7(clock.as_ref(), &rng)),
        server: database.server,
    };
    Store::connect(options)
        .await
        .context("could not open the database")
}

/// Brings the schema up to date and joins the data folder to the database; an orchestrator, which
/// holds the lock of the folder, takes over from whoever had it before.
pub(super) async fn join_deployment(
    store: Store,
    folder: &DataFolder,
    roles: ProcessRoles,
) -> anyhow::Result<Store> {
    let migrated = store.migrate().await;
    migrated.context("could not bring the database up to date")?;
    let system = store.system();
    if !roles.orchestrator {
        let is_named = system.read(async |tx| deployment::is_named(tx, folder).await);
        if !is_named.await? {
            let join = async |tx: &mut Tx| deployment::join(tx, folder).await;
            system.write(CrashPoint::DeploymentTaken, join).await?;
        }
        return Ok(store);
    }
    let take_over = async |tx: &mut Tx| -> Result<_, StoreError> {
        let fence = deployment::take_over(tx).await?;
        deployment::join(tx, folder).await?;
        Ok(fence)
    };
    let taken = system.write(CrashPoint::DeploymentTaken, take_over);
    let store = store.fenced(taken.await?);
    let mut set_back = None;
    for org in store.system().organisations().await? {
        let end = async |tx: &mut Tx| deployment::end_waits_of_the_future(tx).await;
        let tenant = store.tenant(org);
        let ended = tenant.write(CrashPoint::DeploymentTaken, end).await?;
        set_back = set_back.max(ended);
    }
    if let Some(micros) = set_back {
        let seconds = micros / 1_000_000;
        warn!(
            "The clock is {seconds} s behind the last event: what waited for a later time goes on now"
        );
    }
    Ok(store)
}
