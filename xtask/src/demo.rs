//! `cargo xtask demo`: sets up what is missing, builds `omoi` and becomes `omoi demo`.

mod data;

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};
use xtask::process::{self, command};

use crate::{Outcome, root, setup};

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
