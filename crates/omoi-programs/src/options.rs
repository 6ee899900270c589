//! What can be configured of installed agent programs.

use std::path::PathBuf;

use omoi_domain::acp_agent_row::AcpAgentRow;
use omoi_domain::agent_rule::AgentRule;
use omoi_domain::config::{Config, ConfigKey, DefaultContext, ListItems, ValueKind};
use omoi_domain::config_keys;

config_keys! {
    /// Keys of the agent programs.
    AGENTS_KEYS of AGENTS = "agents", "AGENTS_";

    /// Folder of the installed agent programs, shared by all data folders of a user.
    AGENTS_FOLDER: PathBuf = ConfigKey::new(&AGENTS, "folder", ValueKind::Path, "")
        .derived_default("`omoi/agents` in the user's data folder", default_folder)
        .env_name("OMOI_AGENTS_FOLDER")
        .closed_to_repository();
    /// List of agent programs and their digests in place of the built-in one, as `cargo xtask agents --pin` makes it.
    AGENTS_LIST: Option<PathBuf> = ConfigKey::new(&AGENTS, "list", ValueKind::Path, "")
        .closed_to_repository();
    /// Agents of the Agent Client Protocol beyond those that are built in, each chosen as `acp:NAME`.
    AGENTS_ACP: Vec<AcpAgentRow> =
        ConfigKey::new(&AGENTS, "acp", ValueKind::List(ListItems::AcpAgents), "")
            .closed_to_repository();
    /// Which agents work, in order of preference: of the rules that hold, the one with the most conditions wins, of several such the last.
    AGENTS_RULES: Vec<AgentRule> =
        ConfigKey::new(&AGENTS, "rules", ValueKind::List(ListItems::AgentRules), "")
            .closed_to_repository();
}

/// The rules by which agents are chosen.
pub fn agent_rules(config: &Config) -> Vec<AgentRule> {
    config.get(&AGENTS_RULES)
}

/// Which agent programs there are and where they are installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramOptions {
    /// Folder of the installed programs.
    pub folder: PathBuf,
    /// List in place of the built-in one.
    pub list: Option<PathBuf>,
    /// Agents that a person declares.
    pub declared: Vec<AcpAgentRow>,
}

impl ProgramOptions {
    /// The options that `config` asks for.
    pub fn from_config(config: &Config) -> Self {
        Self {
            folder: config.get(&AGENTS_FOLDER),
            list: config.get(&AGENTS_LIST),
            declared: config.get(&AGENTS_ACP),
        }
    }
}

fn default_folder(context: &DefaultContext) -> Option<String> {
    let folder = context.data_home.as_ref()?.join("omoi/agents");
    folder.into_os_string().into_string().ok()
}
