//! The programs of the list with what is installed of them, and what a sandbox is shown of one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use omoi_domain::acp_agent_row::AcpAgentRow;

use crate::agent_folder::{AgentFolder, InstalledProgram};
use crate::declared_agents::{DeclaredAgents, needs_node, prepare_declared};
use crate::error::AgentProgramError;
use crate::node::{FoundNode, NODE_NAME, find_node};
use crate::options::ProgramOptions;
use crate::pinned_list::{ChosenBuild, MachinePlatform, PinnedList, ProgramRuntime};

/// Where sandboxes find programs.
pub(crate) const INSIDE: &str = "/opt/agents";
/// Folders that every sandbox has.
const SYSTEM: &str = "/usr";

/// Pinned programs and the folder they are installed in.
#[derive(Clone, Debug)]
pub struct ProgramCatalogue {
    /// What is pinned.
    pub list: PinnedList,
    /// What is installed.
    pub folder: AgentFolder,
    /// What a person declares.
    pub declared: DeclaredAgents,
}

/// A folder of the machine that a sandbox is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramMount {
    /// Where it lies.
    pub host: PathBuf,
    /// Where the sandbox sees it.
    pub inside: PathBuf,
}

/// How a program is started in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedProgram {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Names its content.
    pub digest: String,
    /// Folders that have to be shown.
    pub mounts: Vec<ProgramMount>,
    /// What comes before the program's own arguments, as paths inside.
    pub command: Vec<PathBuf>,
}

impl ProgramCatalogue {
    /// The catalogue that `options` name.
    ///
    /// # Errors
    /// [`AgentProgramError`] where another list is named and cannot be read.
    pub fn open(options: &ProgramOptions) -> Result<Self, AgentProgramError> {
        let list = match &options.list {
            None => PinnedList::load_embedded()?,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(AgentProgramError::file_error("read", path))?;
                PinnedList::parse(&text)?
            }
        };
        Ok(Self {
            list,
            folder: AgentFolder::new(&options.folder),
            declared: DeclaredAgents::new(&options.declared)?,
        })
    }

    /// What `name` consists of on this machine.
    ///
    /// # Errors
    /// [`AgentProgramError`] where there is no such program, or none for this machine.
    pub fn find_build(&self, name: &str) -> Result<ChosenBuild<'_>, AgentProgramError> {
        let program = self.list.find_program(name)?;
        program.build_for(MachinePlatform::of_this_machine())
    }

    /// The pinned version of `name`, installed and whole.
    ///
    /// # Errors
    /// [`AgentProgramError`] names what is missing, and its next step the command that installs it.
    pub fn find_usable(&self, name: &str) -> Result<InstalledProgram, AgentProgramError> {
        let build = self.find_build(name)?;
        build.check_loader()?;
        let found = self.folder.find_build(build)?;
        let found = found.ok_or_else(|| AgentProgramError::Missing {
            name: build.program.name.clone(),
            version: build.program.version.clone(),
        })?;
        match found.find_damage() {
            None => Ok(found),
            Some(damage) => Err(AgentProgramError::Damaged {
                name: build.program.name.clone(),
                damage,
            }),
        }
    }

    /// The Node of this machine that starts some of the programs.
    ///
    /// # Errors
    /// [`AgentProgramError::NoNode`].
    pub async fn find_node(&self, search_path: &OsStr) -> Result<FoundNode, AgentProgramError> {
        let search = find_node(&self.list.node, &self.folder, search_path).await?;
        search.require_node()
    }

    /// How a sandbox starts a declared agent, with what it has to be shown.
    ///
    /// # Errors
    /// [`AgentProgramError`] where its program, or the Node it needs, cannot be used.
    pub async fn prepare_declared(
        &self,
        row: &AcpAgentRow,
        search_path: &OsStr,
    ) -> Result<PreparedProgram, AgentProgramError> {
        let node = match needs_node(row) {
            false => None,
            true => Some(self.find_node(search_path).await?),
        };
        prepare_declared(row, node.as_ref())
    }

    /// How a sandbox starts `name`, with what it has to be shown.
    ///
    /// # Errors
    /// [`AgentProgramError`] where the program, or the Node it needs, cannot be used.
    pub async fn prepare_program(
        &self,
        name: &str,
        search_path: &OsStr,
    ) -> Result<PreparedProgram, AgentProgramError> {
        let installed = self.find_usable(name)?;
        let node = match installed.manifest.runtime {
            ProgramRuntime::Native => None,
            ProgramRuntime::Node => Some(self.find_node(search_path).await?),
        };
        Ok(PreparedProgram::new(&installed, node.as_ref()))
    }
}

impl PreparedProgram {
    fn new(installed: &InstalledProgram, node: Option<&FoundNode>) -> Self {
        let inside = Path::new(INSIDE).join(&installed.manifest.name);
        let mut launch = Self {
            name: installed.manifest.name.clone(),
            version: installed.manifest.version.clone(),
            digest: installed.digest.clone(),
            mounts: vec![ProgramMount {
                host: installed.content.clone(),
                inside: inside.clone(),
            }],
            command: Vec::new(),
        };
        if let Some(node) = node {
            launch.add_node(node);
        }
        launch
            .command
            .push(inside.join(&installed.manifest.program));
        launch
    }

    /// A Node of the system is where sandboxes have it already; any other comes with its program alone.
    pub(crate) fn add_node(&mut self, node: &FoundNode) {
        if node.program.starts_with(SYSTEM) {
            self.command.push(node.program.clone());
            return;
        }
        let inside = Path::new(INSIDE).join(NODE_NAME);
        self.command.push(inside.clone());
        self.mounts.push(ProgramMount {
            host: node.program.clone(),
            inside,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent_folder::ProgramManifest;

    #[test]
    fn a_launch_shows_the_program_and_a_node_that_is_not_the_systems() {
        let mut installed = InstalledProgram {
            manifest: ProgramManifest {
                name: "tool".to_owned(),
                agent: "acp:tool".to_owned(),
                version: "1.0.0".to_owned(),
                runtime: ProgramRuntime::Native,
                program: "bin/tool".to_owned(),
                files: 1,
                bytes: 1,
            },
            digest: "d".to_owned(),
            content: PathBuf::from("/data/d/content"),
        };
        let shown = |launch: &PreparedProgram| -> Vec<(PathBuf, PathBuf)> {
            let mounts = launch.mounts.iter();
            mounts.map(|m| (m.host.clone(), m.inside.clone())).collect()
        };
        let path = |text: &str| PathBuf::from(text);
        let content = (path("/data/d/content"), path("/opt/agents/tool"));
        let launch = PreparedProgram::new(&installed, None);
        assert_eq!(shown(&launch), std::slice::from_ref(&content));
        assert_eq!(launch.command, [path("/opt/agents/tool/bin/tool")]);

        installed.manifest.runtime = ProgramRuntime::Node;
        let node = |program: &str| FoundNode {
            program: path(program),
            version: "v24.0.0".to_owned(),
            is_ours: false,
        };
        let launch = PreparedProgram::new(&installed, Some(&node("/usr/bin/node")));
        assert_eq!(shown(&launch), std::slice::from_ref(&content));
        assert_eq!(launch.command[0], path("/usr/bin/node"));
        let launch = PreparedProgram::new(&installed, Some(&node("/home/me/n/bin/node")));
        let node = (path("/home/me/n/bin/node"), path("/opt/agents/node"));
        assert_eq!(shown(&launch), [content, node]);
        assert_eq!(
            launch.command,
            [path("/opt/agents/node"), path("/opt/agents/tool/bin/tool")]
        );
    }
}
