//! What can be configured of installed agent programs.

use std::path::PathBuf;

use omoi_domain::config::{Config, ConfigKey, DefaultContext, ValueKind};
use omoi_domain::config_keys;

config_keys! {
    /// Keys of the agent programs.
    AGENTS_KEYS of AGENTS = "agents", "AGENTS_";

    /// Folder of the installed agent programs, shared by all data folders of a user.
    AGENTS_FOLDER: PathBuf = ConfigKey::new(&AGENTS, "folder", ValueKind::Path, "")
        .derived_default("`omoi/agents` in the user's data folder", default_folder)
        .env_name("OMOI_AGENTS_FOLDER")
        .closed_to_repository();
}

/// The folder of the installed programs that `config` names.
pub fn programs_folder(config: &Config) -> PathBuf {
    config.get(&AGENTS_FOLDER)
}

fn default_folder(context: &DefaultContext) -> Option<String> {
    let folder = context.data_home.as_ref()?.join("omoi/agents");
    folder.into_os_string().into_string().ok()
}
