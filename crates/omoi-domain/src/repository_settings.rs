//! What the `.omoi.yaml` of a repository says at a spec's base commit, frozen when the spec begins.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::money::NanoUsd;

/// The name of the file at the root of a repository.
pub const REPOSITORY_FILE: &str = ".omoi.yaml";

/// The word that stands for no set-up at all.
pub const NO_SETUP: &str = "none";

/// One field per configuration key that a repository may set; `None` where it says nothing.
/// Limits hold where they are lower than those of the process that does the work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepositorySettings {
    /// Digest of the file's text; none when the commit has no such file.
    pub file_digest: Option<String>,
    /// Key `spec.max_turns`: turns of a phase's agent.
    pub phase_turns_max: Option<u32>,
    /// Key `spec.phase_timeout_seconds`: wall time of a phase's attempt.
    pub phase_timeout_s: Option<u64>,
    /// Key `spec.max_attempts`: attempts at one phase.
    pub phase_attempts_max: Option<u32>,
    /// Key `spec.phase_budget_usd`: money that one phase may cost.
    pub phase_budget: Option<NanoUsd>,
    /// Key `spec.total_budget_usd`: money that the whole spec may cost.
    pub spec_budget: Option<NanoUsd>,
    /// Key `agent.task_timeout_seconds`: wall time of an attempt at a task.
    pub task_timeout_s: Option<u64>,
    /// Key `agent.max_turns`: turns of an attempt at a task.
    pub task_turns_max: Option<u32>,
    /// Key `agent.max_budget_usd`: money that one task may cost.
    pub task_budget: Option<NanoUsd>,
    /// Key `agent.tool_timeout_seconds`: wall time of one command of an agent.
    pub command_timeout_s: Option<u64>,
    /// `validation.suite`: a command, or `none`.
    pub suite: Option<String>,
    /// Key `validation.check_timeout_seconds`: wall time of one check.
    pub check_timeout_s: Option<u64>,
    /// `sandbox.read_only`: folders a person has allowed.
    pub read_only: Vec<PathBuf>,
    /// `setup`: commands that install packages, which a person has allowed; or `none`.
    pub setup: Vec<String>,
    /// Keys of the section `sandbox`: what one sandbox may use.
    pub sandbox: RepositorySandboxLimits,
    /// Key `discovery.depth_cap`: discoveries in a row that lead to a task.
    pub discovery_depth_max: Option<u32>,
    /// Key `discovery.per_task_cap`: discoveries of one task that become tasks.
    pub discoveries_per_task: Option<u32>,
    /// Key `discovery.per_spec_cap`: discoveries of one spec that become tasks.
    pub discoveries_per_spec: Option<u32>,
}

/// What a repository says that one of its sandboxes may use; `None` where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct RepositorySandboxLimits {
    /// Key `memory_bytes`.
    pub memory_bytes: Option<u64>,
    /// Key `processes`.
    pub processes_max: Option<u64>,
    /// Key `cpus`, in thousandths.
    pub cpu_millicores: Option<u64>,
    /// Key `file_bytes`.
    pub file_bytes_max: Option<u64>,
    /// Key `open_files`.
    pub open_files_max: Option<u64>,
    /// Key `temp_bytes`.
    pub temp_bytes: Option<u64>,
    /// Key `workspace_bytes`.
    pub workspace_bytes: Option<u64>,
    /// Key `setup_seconds`: wall time of installing packages.
    pub setup_seconds: Option<u64>,
}

/// Something a repository asks for that needs the yes of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryPrivilege {
    /// Sandboxes read this folder of the machine.
    ReadFolder(PathBuf),
    /// These commands install packages, with a way to the registries.
    RunSetup(Vec<String>),
}

impl RepositorySettings {
    /// What a person has to allow, in the file's order.
    pub fn requested_privileges(&self) -> Vec<RepositoryPrivilege> {
        let folders = self.read_only.iter().cloned();
        let folders = folders.map(RepositoryPrivilege::ReadFolder);
        let runs = !self.setup.is_empty() && self.setup != [NO_SETUP];
        let setup = runs.then(|| RepositoryPrivilege::RunSetup(self.setup.clone()));
        folders.chain(setup).collect()
    }
}

impl std::fmt::Display for RepositoryPrivilege {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ReadFolder(path) => write!(f, "let sandboxes read `{}`", path.display()),
            Self::RunSetup(commands) => write!(
                f,
                "install packages by `{}`, with a way to the package registries",
                commands.join("; ")
            ),
        }
    }
}

/// The digest that a person's yes is kept under: another text is another file.
pub fn file_digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_reaches_the_machine_is_a_privilege() {
        let plain = RepositorySettings {
            task_turns_max: Some(3),
            ..RepositorySettings::default()
        };
        assert_eq!(plain.requested_privileges(), []);
        let reads = RepositorySettings {
            read_only: vec!["/srv/x".into()],
            ..plain
        };
        assert_eq!(
            reads.requested_privileges(),
            [RepositoryPrivilege::ReadFolder("/srv/x".into())]
        );
        let with_setup = |commands: &[&str]| RepositorySettings {
            setup: commands.iter().map(|c| (*c).to_owned()).collect(),
            ..RepositorySettings::default()
        };
        assert_eq!(with_setup(&["none"]).requested_privileges(), []);
        let asks = with_setup(&["make deps"]).requested_privileges();
        assert!(asks[0].to_string().contains("`make deps`"), "{asks:?}");
    }

    #[test]
    fn another_text_is_another_digest() {
        assert_ne!(file_digest("a: 1\n"), file_digest("a: 1\n "));
    }
}
