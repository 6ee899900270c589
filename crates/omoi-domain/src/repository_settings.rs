//! What the `.omoi.yaml` of a repository says at a spec's base commit, frozen when the spec begins.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::money::NanoUsd;

/// The name of the file at the root of a repository.
pub const REPOSITORY_FILE: &str = ".omoi.yaml";

/// One field per configuration key that a repository may set; `None` where it says nothing.
/// Limits hold where they are lower than those of the process that does the work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepositorySettings {
    /// Digest of the file's text; none when the commit has no such file.
    pub file_digest: Option<String>,
    /// `spec.max_turns`.
    pub phase_turns_max: Option<u32>,
    /// `spec.phase_timeout_seconds`.
    pub phase_timeout_s: Option<u64>,
    /// `spec.max_attempts`.
    pub phase_attempts_max: Option<u32>,
    /// `spec.phase_budget_usd`.
    pub phase_budget: Option<NanoUsd>,
    /// `spec.total_budget_usd`.
    pub spec_budget: Option<NanoUsd>,
    /// `agent.task_timeout_seconds`.
    pub task_timeout_s: Option<u64>,
    /// `agent.max_turns`.
    pub task_turns_max: Option<u32>,
    /// `agent.max_budget_usd`.
    pub task_budget: Option<NanoUsd>,
    /// `agent.tool_timeout_seconds`.
    pub command_timeout_s: Option<u64>,
    /// `validation.suite`: a command, or `none`.
    pub suite: Option<String>,
    /// `validation.check_timeout_seconds`.
    pub check_timeout_s: Option<u64>,
    /// `sandbox.read_only`: folders a person has allowed.
    pub read_only: Vec<PathBuf>,
    /// `discovery.depth_cap`.
    pub discovery_depth_max: Option<u32>,
    /// `discovery.per_task_cap`.
    pub discoveries_per_task: Option<u32>,
    /// `discovery.per_spec_cap`.
    pub discoveries_per_spec: Option<u32>,
}

/// Something a repository asks for that needs the yes of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// Sandboxes read this folder of the machine.
    ReadFolder(PathBuf),
}

impl RepositorySettings {
    /// What a person has to allow, in the file's order.
    pub fn privileges(&self) -> Vec<Privilege> {
        let folders = self.read_only.iter().cloned();
        folders.map(Privilege::ReadFolder).collect()
    }
}

impl std::fmt::Display for Privilege {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ReadFolder(path) => write!(f, "let sandboxes read `{}`", path.display()),
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
        assert_eq!(plain.privileges(), []);
        let reads = RepositorySettings {
            read_only: vec!["/srv/x".into()],
            ..plain
        };
        assert_eq!(reads.privileges(), [Privilege::ReadFolder("/srv/x".into())]);
    }

    #[test]
    fn another_text_is_another_digest() {
        assert_ne!(file_digest("a: 1\n"), file_digest("a: 1\n "));
    }
}
