//! Agents that a person declares: where their program lies, and what a sandbox is shown of it.

use std::path::{Path, PathBuf};

use omoi_domain::acp_agent_row::AcpAgentRow;
use omoi_domain::agent_program::AcpName;

use crate::catalogue::{INSIDE, PreparedProgram, ProgramMount};
use crate::error::AgentProgramError;
use crate::node::FoundNode;

/// The agents of `agents.acp`, each under a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredAgents(Vec<AcpAgentRow>);

impl DeclaredAgents {
    /// The agents of `rows`.
    ///
    /// # Errors
    /// [`AgentProgramError::DeclaredTwice`].
    pub fn new(rows: &[AcpAgentRow]) -> Result<Self, AgentProgramError> {
        for (n, row) in rows.iter().enumerate() {
            if rows.iter().skip(n + 1).any(|other| other.name == row.name) {
                let name = row.name.as_str().to_owned();
                return Err(AgentProgramError::DeclaredTwice { name });
            }
        }
        Ok(Self(rows.to_vec()))
    }

    /// Every one of them.
    pub fn declared_rows(&self) -> &[AcpAgentRow] {
        &self.0
    }

    /// The one of that name.
    ///
    /// # Errors
    /// [`AgentProgramError::Undeclared`] lists those there are.
    pub fn find_agent(&self, name: AcpName) -> Result<&AcpAgentRow, AgentProgramError> {
        let found = self.0.iter().find(|row| row.name == name);
        found.ok_or_else(|| AgentProgramError::Undeclared {
            name: name.as_str().to_owned(),
            declared: self
                .0
                .iter()
                .map(|row| row.name.as_str().to_owned())
                .collect(),
        })
    }
}

/// Whether Node starts it.
pub(crate) fn needs_node(row: &AcpAgentRow) -> bool {
    row.program == AcpAgentRow::NODE
}

/// Where a sandbox sees the folder of the agent.
pub fn folder_inside(row: &AcpAgentRow) -> PathBuf {
    // Beside the programs that are installed, and none of their names.
    Path::new(INSIDE).join(format!("acp-{}", row.name.own_name()))
}

/// How a sandbox starts the agent, with what it has to be shown. The version is what the person says.
///
/// # Errors
/// [`AgentProgramError::NoProgram`].
pub(crate) fn prepare_declared(
    row: &AcpAgentRow,
    node: Option<&FoundNode>,
) -> Result<PreparedProgram, AgentProgramError> {
    let path = match node {
        Some(_) => row.folder.clone(),
        None => row.folder.join(&row.program),
    };
    let is_there = match node {
        Some(_) => path.is_dir(),
        None => path.is_file() && rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_ok(),
    };
    if !is_there {
        let name = row.name.as_str().to_owned();
        return Err(AgentProgramError::NoProgram { name, path });
    }
    let inside = folder_inside(row);
    let mut prepared = PreparedProgram {
        name: row.name.as_str().to_owned(),
        version: row.version.clone(),
        digest: String::new(),
        mounts: vec![ProgramMount {
            host: row.folder.clone(),
            inside: inside.clone(),
        }],
        command: Vec::new(),
    };
    match node {
        Some(node) => prepared.add_node(node),
        None => prepared.command.push(inside.join(&row.program)),
    }
    Ok(prepared)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a test fails where it stands"
    )]
    use super::*;

    fn row(folder: &Path, command: &str) -> AcpAgentRow {
        let folder = folder.display();
        let text =
            format!("name=tool; folder={folder}; command={command}; version=1; dialect=messages");
        text.parse().unwrap()
    }

    #[test]
    fn a_declared_agent_is_found_by_its_name_alone() {
        let tool = row(Path::new("/opt/tool"), "tool");
        let agents = DeclaredAgents::new(std::slice::from_ref(&tool)).unwrap();
        assert_eq!(agents.find_agent(tool.name).unwrap(), &tool);
        let other = "name=other; folder=/o; command=o; version=1; dialect=messages";
        let other: AcpAgentRow = other.parse().unwrap();
        let refused = agents.find_agent(other.name).unwrap_err();
        assert_eq!(refused.to_string(), "no agent `acp:other` is declared");
        assert!(refused.next_step().unwrap().contains("acp:tool"));
        let twice = DeclaredAgents::new(&[tool.clone(), other, tool]).unwrap_err();
        assert!(twice.to_string().contains("`acp:tool` is declared twice"));
    }

    #[test]
    fn its_folder_is_shown_and_its_program_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let tool = row(folder.path(), "tool");
        let refused = prepare_declared(&tool, None).unwrap_err();
        assert!(
            refused.to_string().contains("has no program at"),
            "{refused}"
        );
        let script = folder.path().join("tool");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(
            prepare_declared(&tool, None).is_err(),
            "it cannot be executed"
        );
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).unwrap();
        let prepared = prepare_declared(&tool, None).unwrap();
        assert_eq!(
            prepared.command,
            [PathBuf::from("/opt/agents/acp-tool/tool")]
        );
        assert_eq!(prepared.mounts[0].host, folder.path());

        let node = FoundNode {
            program: "/usr/bin/node".into(),
            version: "v24.0.0".to_owned(),
            is_ours: false,
        };
        let on_node = row(folder.path(), "node {folder}/tool.js");
        let prepared = prepare_declared(&on_node, Some(&node)).unwrap();
        assert_eq!(prepared.command, [PathBuf::from("/usr/bin/node")]);
    }
}
