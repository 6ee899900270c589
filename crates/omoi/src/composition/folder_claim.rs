//! The data folder of a process: taken, with its log in it.

use anyhow::anyhow;
use tracing::{debug, info, warn};

use omoi_domain::config::ConfigLayer;
use omoi_runtime::telemetry::error_chain;
use omoi_store::dialect::Backend;

use super::{ListenMode, StartOptions};
use crate::data_folder::{FolderOwnership, OpenedFolder};
use crate::open_files;

/// Takes the data folder where nobody else may hold it, and opens the log in it; one that the caller took stays
/// taken.
pub(super) fn claim_folder(
    start: &mut StartOptions,
    folder: &OpenedFolder,
    backend: Backend,
) -> anyhow::Result<Option<FolderOwnership>> {
    open_files::raise_limit(start.roles);
    // Rows of SQLite have one user; so have the socket and the workspaces of an orchestrator.
    let owns_rows = backend == Backend::Sqlite;
    let ownership = match start.ownership.take() {
        Some(ownership) => Some(ownership),
        None if owns_rows || start.roles.orchestrator => {
            let ownership = folder.take_ownership()?;
            Some(ownership.ok_or_else(|| folder_taken(folder))?)
        }
        None => None,
    };
    open_process_log(start, folder);
    Ok(ownership)
}

/// Keeps the log of this process in the data folder from now on.
fn open_process_log(start: &StartOptions, folder: &OpenedFolder) {
    if let Err(error) = start.log.open_file(folder.folder_path()) {
        warn!(error = %error_chain(&error), "The log is not kept in the data folder");
    }
    let (pid, roles) = (std::process::id(), start.roles.role_names().join(","));
    let (version, data) = (env!("CARGO_PKG_VERSION"), folder.folder_path().display());
    // A command that looks something up comes and goes; it is no milestone.
    match start.roles.orchestrator || start.door == ListenMode::FolderAndHttp {
        true => info!(version, pid, roles, %data, "Started omoi {version} as process {pid}"),
        false => debug!(version, pid, roles, %data, "Started omoi {version} to answer a command"),
    }
    let set = start.config.entries().iter();
    for entry in set.filter(|entry| entry.origin.layer != ConfigLayer::Default) {
        let key = entry.spec.dotted_path();
        debug!(key, layer = ?entry.origin.layer, "Configured `{key}`");
    }
    for warning in start.config.warnings() {
        warn!("Configuration: {warning}");
    }
}

fn folder_taken(folder: &OpenedFolder) -> anyhow::Error {
    let error = anyhow!(
        "another process owns the data folder `{}`",
        folder.folder_path().display()
    );
    error.context(crate::ErrorHint(
        "stop it, or name another folder with --data-dir DIR".to_owned(),
    ))
}
