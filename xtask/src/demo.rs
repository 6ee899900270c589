//! `cargo xtask demo`: sets up what is missing, builds `omoi` and becomes `omoi demo`.

mod data;

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};
use xtask::agents;
use xtask::host::variable;
use xtask::process::{self, command};

use crate::{Outcome, agent_programs, root, setup};

/// Flags by which a person says where the demo keeps its data.
const OWN_PLACE: [&str; 2] = ["--data-dir", "--database"];

/// Does not return when all goes well: the process becomes the program, so that the terminal, its
/// signals and the exit code are the program's own.
pub(crate) fn run(arguments: &[String]) -> Result<Outcome> {
    setup::program()?;
    process::run(
        command("cargo")
            .args(["build", "--locked", "--package", "omoi"])
            .current_dir(root()),
    )?;
    // Cargo puts both programs of the workspace into the same folder.
    let own = std::env::current_exe().context("could not find the build folder")?;
    let program = own.with_file_name("omoi");
    let mut demo = command(&program);
    demo.arg("demo").args(arguments);
    if let Some(agent) = agent_of(arguments)
        && variable(agents::OWN_FOLDER_VARIABLE).is_none()
    {
        agent_programs::install_for_agent(agent)?;
        demo.env(agents::OWN_FOLDER_VARIABLE, agents::folder()?);
    }
    let names_place = |argument: &String| {
        let name = argument.split('=').next().unwrap_or_default();
        OWN_PLACE.contains(&name)
    };
    if !arguments.iter().any(names_place) {
        let folder = own.with_file_name("demo-data");
        let state = data::prepare(&folder, &data::schema(&root())?)?;
        eprintln!("{}", state.told(&folder));
        demo.arg("--data-dir").arg(&folder);
        demo.arg("--database").arg(data::database_url(&folder));
    }
    let error = demo.exec();
    Err(error).with_context(|| format!("could not start {}", program.display()))
}

/// The agent program that `--agent` names; none for the built-in agent.
fn agent_of(arguments: &[String]) -> Option<&str> {
    let mut arguments = arguments.iter();
    let named = arguments.find_map(|argument| match argument.strip_prefix("--agent")? {
        "" => Some(None),
        value => Some(value.strip_prefix('=')),
    })?;
    let agent = named.or_else(|| arguments.next().map(String::as_str))?;
    (agent != "native").then_some(agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_program_is_found_in_either_form() {
        let found = |line: &str| {
            let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            agent_of(&arguments).map(str::to_owned)
        };
        for (line, expected) in [
            ("", None),
            ("--seed 3", None),
            ("--agent native", None),
            ("--agent", None),
            ("--seed 3 --agent codex", Some("codex")),
            ("--agent=acp:opencode --keep", Some("acp:opencode")),
        ] {
            assert_eq!(found(line).as_deref(), expected, "{line}");
        }
    }
}
