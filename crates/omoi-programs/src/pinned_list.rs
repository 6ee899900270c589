//! The list of agent programs that this version installs. It is data, `agents.json`, made by
//! `cargo xtask agents --pin`.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::AgentProgramError;
use crate::integrity::FileIntegrity;

/// Length of a digest that names a folder, in hexadecimal digits.
const DIGEST_LENGTH: usize = 32;

omoi_domain::closed_set! {
    /// A kind of machine that programs are built for.
    MachinePlatform {
        /// Linux on x86-64.
        LinuxX64 = "linux-x64",
        /// Linux on 64-bit ARM.
        LinuxArm64 = "linux-arm64",
    }
}

impl MachinePlatform {
    /// The platform of this machine, where programs are built for it.
    pub fn of_this_machine() -> Option<Self> {
        match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => Some(Self::LinuxX64),
            ("linux", "aarch64") => Some(Self::LinuxArm64),
            _ => None,
        }
    }

    /// The program loader of glibc, without which a program that is linked to it cannot start.
    pub(crate) const fn glibc_loader(self) -> &'static str {
        match self {
            Self::LinuxX64 => "/lib64/ld-linux-x86-64.so.2",
            Self::LinuxArm64 => "/lib/ld-linux-aarch64.so.1",
        }
    }
}

omoi_domain::closed_set! {
    /// What starts a program.
    ProgramRuntime {
        /// It is an executable of its own.
        Native = "native",
        /// Node, see [`crate::node`].
        Node = "node",
    }
}

/// Everything that is pinned.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedList {
    /// The agent programs.
    pub programs: Vec<PinnedProgram>,
    /// The Node that starts some of them.
    pub node: PinnedNode,
}

/// An agent program in the version that this OmoiOS was tried with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedProgram {
    /// What people install it by.
    pub name: String,
    /// What people choose it by: `codex`, `acp:opencode`.
    pub agent: String,
    /// One line about it.
    pub about: String,
    /// Exact version.
    pub version: String,
    /// Terms of its maker.
    pub licence: String,
    /// Form of the model calls that it makes: `messages`, `chat_completions`, `responses`.
    pub dialect: String,
    /// What starts it.
    pub runtime: ProgramRuntime,
    /// Packages of every platform.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PinnedPackage>,
    /// What is added per platform; a platform that is not listed has no build.
    pub builds: Vec<ProgramBuild>,
}

/// What a program consists of on one platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramBuild {
    /// The platform.
    pub platform: MachinePlatform,
    /// Whether it is linked to glibc.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_glibc: bool,
    /// The file that is started, below the program's folder.
    pub program: String,
    /// Bytes to download, all packages together.
    pub download_bytes: u64,
    /// Bytes of its files.
    pub unpacked_bytes: u64,
    /// Packages of this platform alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PinnedPackage>,
}

/// One package of the npm registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedPackage {
    /// Where it is unpacked, below the program's folder; empty is the folder itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// `@scope/name`.
    pub name: String,
    /// Exact version.
    pub version: String,
    /// Digest of its archive.
    pub integrity: FileIntegrity,
}

/// Node, as the Python package index has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedNode {
    /// The Python package.
    pub package: String,
    /// Exact version, Node's own.
    pub version: String,
    /// A wheel per platform.
    pub wheels: Vec<NodeWheel>,
}

/// A wheel with Node in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeWheel {
    /// The platform.
    pub platform: MachinePlatform,
    /// Name of the wheel's file.
    pub file: String,
    /// Digest of the wheel, in hexadecimal.
    pub sha256: String,
    /// Bytes of the wheel.
    pub download_bytes: u64,
}

/// A program with everything it consists of on this machine.
#[derive(Clone, Copy, Debug)]
pub struct ChosenBuild<'a> {
    /// The program.
    pub program: &'a PinnedProgram,
    /// Its build for the platform.
    pub build: &'a ProgramBuild,
}

impl PinnedList {
    /// The list of this version.
    ///
    /// # Errors
    /// [`AgentProgramError::List`] never happens in a tested build.
    pub fn load_embedded() -> Result<Self, AgentProgramError> {
        Self::parse(include_str!("../agents.json"))
    }

    /// Reads a list.
    ///
    /// # Errors
    /// [`AgentProgramError::List`] where it is none.
    pub fn parse(text: &str) -> Result<Self, AgentProgramError> {
        serde_json::from_str(text).map_err(AgentProgramError::List)
    }

    /// The program of that name; the name of the agent it works as will do too.
    ///
    /// # Errors
    /// [`AgentProgramError::UnknownName`] lists the names there are.
    pub fn find_program(&self, name: &str) -> Result<&PinnedProgram, AgentProgramError> {
        let found = self
            .programs
            .iter()
            .find(|program| program.name == name || program.agent == name);
        found.ok_or_else(|| AgentProgramError::UnknownName {
            name: name.to_owned(),
            known: self.program_names(),
        })
    }

    /// The names that can be installed.
    pub fn program_names(&self) -> Vec<String> {
        let names = self.programs.iter().map(|program| program.name.clone());
        names.collect()
    }
}

impl PinnedProgram {
    /// What it consists of on `platform`.
    ///
    /// # Errors
    /// [`AgentProgramError::NoBuild`] where its maker builds nothing for the platform.
    pub fn build_for(
        &self,
        platform: Option<MachinePlatform>,
    ) -> Result<ChosenBuild<'_>, AgentProgramError> {
        let mut builds = self.builds.iter();
        let build = builds.find(|build| Some(build.platform) == platform);
        let build = build.ok_or_else(|| AgentProgramError::NoBuild {
            name: self.name.clone(),
            machine: machine_name(),
            builds: self
                .builds
                .iter()
                .map(|build| build.platform.to_string())
                .collect(),
        })?;
        Ok(ChosenBuild {
            program: self,
            build,
        })
    }
}

fn machine_name() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

impl<'a> ChosenBuild<'a> {
    /// Every package, in the order of the list.
    pub fn all_packages(self) -> impl Iterator<Item = &'a PinnedPackage> {
        self.program.packages.iter().chain(&self.build.packages)
    }

    /// Names the whole content: where each archive goes, and the digest of each.
    pub fn content_digest(self) -> String {
        let mut parts: Vec<String> = self
            .all_packages()
            .map(|package| format!("{}\0{}\n", package.folder, package.integrity))
            .collect();
        parts.sort_unstable();
        folder_digest(&parts.concat())
    }

    /// Refuses a machine that cannot load the program.
    ///
    /// # Errors
    /// [`AgentProgramError::NoGlibc`].
    pub fn check_loader(self) -> Result<(), AgentProgramError> {
        let loader = self.build.platform.glibc_loader();
        match self.build.needs_glibc && !Path::new(loader).exists() {
            true => Err(AgentProgramError::NoGlibc {
                name: self.program.name.clone(),
                loader: loader.into(),
            }),
            false => Ok(()),
        }
    }
}

/// The digest of `content` as folders are named by it.
pub(crate) fn folder_digest(content: &str) -> String {
    let mut digest = hex::encode(Sha256::digest(content));
    digest.truncate(DIGEST_LENGTH);
    digest
}

/// Whether `path` leads to something below the folder it is taken from.
pub(crate) fn stays_below(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests;
