//! What of this machine a process uses: its sandboxes, its variables, and the places it keeps back.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use omoi_domain::config::Config;
use omoi_git::toolchain::{HostEnvironment, VARIABLES};
use omoi_runtime::config::ConfigSources;
use omoi_sandbox::entry::EntryProgram;
use omoi_sandbox::options::SandboxOptions;
use omoi_sandbox::{
    GuardedPlaces, ProbeConfig, Provider, RefusedBelowFloor, SandboxProbe, probe_host,
};

use crate::data_folder::OpenedFolder;

/// The best sandbox that meets the floor.
pub(super) async fn choose_sandbox(
    config: &Config,
    folder: &OpenedFolder,
) -> anyhow::Result<Arc<dyn Provider>> {
    let options = SandboxOptions::from_config(config);
    let mut ask = probe_config(config, folder, "run")?;
    // Rungs below the one that will be chosen need not be tried.
    (ask.wanted, ask.enough) = (options.wanted, Some(options.floor));
    let found = probe_host(&ask)
        .await
        .context("could not look for a sandbox")?;
    select_sandbox(config, &found).map_err(|refused| {
        let next = refused.next_step();
        anyhow::Error::new(refused).context(crate::ErrorHint(next))
    })
}

/// How the host is asked for sandboxes, with their state in `state` of the data folder.
pub(crate) fn probe_config(
    config: &Config,
    folder: &OpenedFolder,
    state: &str,
) -> anyhow::Result<ProbeConfig> {
    let mut ask = ProbeConfig::new(folder.folder_path().join(state));
    let options = SandboxOptions::from_config(config);
    if !options.container_sockets.is_empty() {
        ask.container_sockets = options.container_sockets;
    }
    ask.image = options.image;
    ask.hidden = vec![folder.folder_path().to_path_buf()];
    ask.entry = Some(EntryProgram {
        program: std::env::current_exe().context("could not find this program's own file")?,
        args: vec![crate::SANDBOX_ENTRY.into()],
    });
    Ok(ask)
}

/// The best sandbox of those found that meets the configured floor.
pub(crate) fn select_sandbox(
    config: &Config,
    found: &SandboxProbe,
) -> Result<Arc<dyn Provider>, RefusedBelowFloor> {
    let options = SandboxOptions::from_config(config);
    found.select_provider(&options.floor, options.wanted)
}

/// The places of this machine that no sandbox sees.
pub(crate) fn guarded_places(sources: &ConfigSources, folder: &OpenedFolder) -> GuardedPlaces {
    let home = environment_variable(sources, "HOME");
    let home = (!home.is_empty()).then(|| PathBuf::from(home));
    GuardedPlaces::of_machine(home.as_deref(), &[folder.folder_path().to_path_buf()])
}

/// A variable of the process's environment; empty when it is not set.
pub(super) fn environment_variable(sources: &ConfigSources, name: &str) -> OsString {
    sources
        .process
        .get(std::ffi::OsStr::new(name))
        .cloned()
        .unwrap_or_default()
}

/// What a survey needs to know of the machine.
pub(crate) fn host_toolchain(sources: &ConfigSources) -> HostEnvironment {
    let home = environment_variable(sources, "HOME");
    HostEnvironment {
        path: environment_variable(sources, "PATH"),
        home: (!home.is_empty()).then(|| PathBuf::from(home)),
        variables: VARIABLES
            .iter()
            .map(|name| (OsString::from(name), environment_variable(sources, name)))
            .filter(|(_, value)| !value.is_empty())
            .collect(),
    }
}
