//! The host's programs for a surveyed project, and the folders that must be seen to run them.
//!
//! What lies in the system folders every sandbox has needs nothing. For the rest this finds the
//! narrowest folder that holds the whole toolchain. It never names a home folder, what holds one,
//! or a folder known to keep credentials; what cannot be reached without one is reported missing.

mod probe;
mod root;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use root::{is_system, root_refusal};
use serde::Serialize;

use crate::process::find_program;
use crate::survey::{Survey, ToolchainKind};

/// Where programs are found without help inside a sandbox.
const DEFAULT_PATH: [&str; 2] = ["/usr/bin", "/bin"];

/// Environment of the host in which toolchains are looked for.
#[derive(Clone, Debug, Default)]
pub struct HostEnvironment {
    /// The value of `PATH`.
    pub path: OsString,
    /// The home folder of the account we run as.
    pub home: Option<PathBuf>,
    /// Those of [`VARIABLES`] that are set.
    pub variables: Vec<(OsString, OsString)>,
}

/// Environment variables that tell version managers where their things are.
pub const VARIABLES: &[&str] = &[
    "ASDF_DATA_DIR",
    "ASDF_DIR",
    "CARGO_HOME",
    "GOROOT",
    "JAVA_HOME",
    "MISE_DATA_DIR",
    "NVM_DIR",
    "PYENV_ROOT",
    "RBENV_ROOT",
    "RUSTUP_HOME",
];

/// Mounts and environment variables that a sandbox needs so that the project's commands run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostToolchain {
    /// The programs that were found.
    pub programs: Vec<HostProgram>,
    /// Folders outside the system folders, to be shown read-only at the same path.
    pub roots: Vec<PathBuf>,
    /// Folders to put in front of `/usr/bin:/bin`.
    pub path_entries: Vec<PathBuf>,
    /// Environment variables to set, by name and value.
    pub env: Vec<(String, String)>,
    /// Programs the project needs and the host lacks, or cannot show.
    pub missing: Vec<String>,
    /// Remarks for people, such as a version that is not installed.
    pub notes: Vec<String>,
}

/// A program of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostProgram {
    /// Name under which commands call it.
    pub name: String,
    /// Its path without symbolic links.
    pub path: PathBuf,
    /// Version that the program reports; none when it was not asked.
    pub version: Option<String>,
}

/// Finds what `survey`'s toolchains need on `host`.
pub async fn resolve_toolchain(survey: &Survey, host: &HostEnvironment) -> HostToolchain {
    let mut toolchain = HostToolchain::default();
    let mut kinds = BTreeSet::new();
    for need in &survey.toolchains {
        if kinds.insert(need.kind) {
            let mut same_kind = survey.toolchains.iter().filter(|t| t.kind == need.kind);
            let version = same_kind.find_map(|t| t.version.as_ref());
            let version = version.map(|v| v.value.as_str());
            probe::add_toolchain(&mut toolchain, host, need.kind, version).await;
        }
        for program in &need.programs {
            toolchain.add_program(host, program);
        }
    }
    toolchain.finish(host)
}

/// Programs a kind cannot do without, besides those its probe finds.
fn plain_programs(kind: ToolchainKind) -> &'static [&'static str] {
    match kind {
        ToolchainKind::Rust | ToolchainKind::Native => &["cc"],
        ToolchainKind::Deno => &["deno"],
        ToolchainKind::Php => &["php"],
        ToolchainKind::Dotnet => &["dotnet"],
        ToolchainKind::Elixir => &["elixir", "mix"],
        ToolchainKind::Swift => &["swift"],
        ToolchainKind::Zig => &["zig"],
        ToolchainKind::Python
        | ToolchainKind::Node
        | ToolchainKind::Go
        | ToolchainKind::Jvm
        | ToolchainKind::Ruby
        | ToolchainKind::Shell => &[],
    }
}

impl HostToolchain {
    /// Adds a program by its place alone: the folder above its `bin`, or the folder it is in.
    fn add_program(&mut self, host: &HostEnvironment, name: &str) {
        if self.programs.iter().any(|p| p.name == name) || self.missing.iter().any(|m| m == name) {
            return;
        }
        let beside = self
            .path_entries
            .iter()
            .map(|dir| dir.join(name))
            .find(|p| p.is_file());
        let Some(file) = beside.or_else(|| find_program(&host.path, name)) else {
            self.missing.push(name.to_owned());
            return;
        };
        let real = file.canonicalize().unwrap_or_else(|_| file.clone());
        let dir = |p: &Path| p.parent().unwrap_or(Path::new("/")).to_path_buf();
        if is_system(&file) || self.roots.iter().any(|root| file.starts_with(root)) {
            self.add_path(&dir(&file));
        } else if is_system(&real) {
            self.add_path(&dir(&real));
        } else {
            let mut root = dir(&real);
            if root.file_name() == Some(OsStr::new("bin")) {
                root = dir(&root);
            }
            if !self.add_root(host, &root) {
                self.missing.push(name.to_owned());
                return;
            }
            self.add_path(&dir(&real));
        }
        self.programs.push(HostProgram {
            name: name.to_owned(),
            path: real,
            version: None,
        });
    }

    /// Adds a folder that must be seen; false when it may not be shown.
    fn add_root(&mut self, host: &HostEnvironment, root: &Path) -> bool {
        let Ok(root) = root.canonicalize() else {
            return false;
        };
        if is_system(&root) {
            return true;
        }
        if let Some(why) = root_refusal(&root, host.home.as_deref()) {
            self.notes
                .push(format!("`{}` is not shown: {why}.", root.display()));
            return false;
        }
        if !self.roots.contains(&root) {
            self.roots.push(root);
        }
        true
    }

    fn add_path(&mut self, dir: &Path) {
        let default = DEFAULT_PATH.iter().any(|d| Path::new(d) == dir);
        if !default && !self.path_entries.iter().any(|p| p == dir) {
            self.path_entries.push(dir.to_path_buf());
        }
    }

    fn set_variable(&mut self, name: &str, value: &str) {
        if !self.env.iter().any(|(n, _)| n == name) {
            self.env.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Leaves out roots inside other roots and says once what cannot be had.
    fn finish(mut self, host: &HostEnvironment) -> Self {
        let all = self.roots.clone();
        let inside = |root: &PathBuf| all.iter().any(|o| o != root && root.starts_with(o));
        self.roots.retain(|root| !inside(root));
        self.roots.sort();
        self.notes.dedup();
        if !self.missing.is_empty() {
            let path = host.path.to_string_lossy();
            let names = self.missing.join(", ");
            self.notes.push(format!(
                "Not found for the sandbox: {names} (searched {path})."
            ));
        }
        self
    }
}
