//! What the rules of one toolchain report, and where each command hint comes from.

use super::{CommandHint, ProjectToolchain, ToolchainKind, VersionHint};

/// The folder in which a command runs, and the file that suggests the command.
#[derive(Clone, Copy)]
pub(super) struct HintSource<'a> {
    /// Relative to the repository root; empty for the root.
    pub(super) dir: &'a str,
    pub(super) found_in: &'a str,
}

impl<'a> HintSource<'a> {
    pub(super) fn new(dir: &'a str, found_in: &'a str) -> Self {
        Self { dir, found_in }
    }
}

/// What the rules of one toolchain found.
pub(super) struct ToolchainFinding {
    pub(super) kind: ToolchainKind,
    pub(super) toolchain: Vec<ProjectToolchain>,
    pub(super) build: Vec<CommandHint>,
    pub(super) test: Vec<CommandHint>,
}

impl ToolchainFinding {
    pub(super) fn new(kind: ToolchainKind) -> Self {
        Self {
            kind,
            toolchain: Vec::new(),
            build: Vec::new(),
            test: Vec::new(),
        }
    }

    pub(super) fn add_toolchain(
        &mut self,
        manifest: Option<&str>,
        version: Option<VersionHint>,
        programs: &[&str],
    ) {
        self.toolchain.push(ProjectToolchain {
            kind: self.kind,
            manifest: manifest.map(str::to_owned),
            version,
            programs: programs.iter().map(|p| (*p).to_owned()).collect(),
        });
    }

    fn command_hint(&self, source: HintSource<'_>, command: &str, because: &str) -> CommandHint {
        CommandHint {
            command: command.to_owned(),
            directory: if source.dir.is_empty() {
                "."
            } else {
                source.dir
            }
            .to_owned(),
            found_in: source.found_in.to_owned(),
            because: because.to_owned(),
            toolchain: self.kind,
        }
    }

    pub(super) fn add_build(&mut self, source: HintSource<'_>, command: &str, because: &str) {
        self.build.push(self.command_hint(source, command, because));
    }

    pub(super) fn add_test(&mut self, source: HintSource<'_>, command: &str, because: &str) {
        self.test.push(self.command_hint(source, command, because));
    }
}
